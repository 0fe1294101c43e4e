//! Boxes out of an answer's text, where the model gave none beside it.

use vlm_prompt::{Answer, AnswerKind, BoxDecode, BoxFormat, GridBox, TaskTag, parse_answer, parse_grounded};

use crate::model::{AnswerBox, ChatAnswer, ChatRequest};

/// Longest label that is made of a question.
const MAX_LABEL: usize = 48;

/// The boxes of an answer: those that came with it, else those in its text; all inside their pictures.
pub(crate) fn boxes_of(request: &ChatRequest, answer: &ChatAnswer, format: BoxFormat) -> Vec<AnswerBox> {
    let images: Vec<[u32; 2]> = request.all_images().map(|image| image.size_px).collect();
    let found = if answer.boxes.is_empty() {
        let Some(image) = request.boxed_image() else { return Vec::new() };
        read(&answer.text, &request.question, format, images[image], image)
    } else {
        answer.boxes.clone()
    };
    found.into_iter().filter_map(|found| inside(found, &images)).collect()
}

fn read(text: &str, question: &str, format: BoxFormat, size: [u32; 2], image: usize) -> Vec<AnswerBox> {
    let place = |label: &str, grid: GridBox| {
        let [width, height] = size;
        let pixels = format.decode(grid, width, height, BoxDecode::GridLine).ok()?;
        // The zero box says that nothing is there.
        (!grid.is_zero()).then(|| AnswerBox {
            label: label.to_owned(),
            box_px: pixels.to_array(),
            confidence: None,
            image,
        })
    };
    if let Some(grounded) = parse_grounded(text, format) {
        let pairs =
            grounded.phrases.iter().flat_map(|p| p.boxes.iter().map(move |b| (p.phrase.as_str(), *b)));
        return pairs.filter_map(|(phrase, grid)| place(phrase.trim(), grid)).collect();
    }
    match parse_answer(text, AnswerKind::Box(format)) {
        Answer::Box(grid) => place(&asked_for(question), grid).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The box within its picture; none where nothing of it is.
fn inside(found: AnswerBox, images: &[[u32; 2]]) -> Option<AnswerBox> {
    let [width, height] = images.get(found.image)?.map(f64::from);
    let [x1, y1, x2, y2] = found.box_px;
    let box_px = [x1.clamp(0.0, width), y1.clamp(0.0, height), x2.clamp(0.0, width), y2.clamp(0.0, height)];
    let is_box = box_px.iter().all(|edge| edge.is_finite()) && box_px[0] < box_px[2] && box_px[1] < box_px[3];
    let confidence = found.confidence.filter(|c| c.is_finite()).map(|c| c.clamp(0.0, 1.0));
    is_box.then_some(AnswerBox { box_px, confidence, ..found })
}

/// What a question asks for, in its own words: `[refer] where is the pancreas?` asks for `pancreas`.
fn asked_for(question: &str) -> String {
    let words = TaskTag::strip(question).trim().trim_end_matches(['?', '.', '!', ' ']);
    let words = words.rsplit_once(" the ").map_or(words, |(_, thing)| thing);
    let words = words.strip_prefix("the ").unwrap_or(words);
    let words = [" in this", " on this", " in the", " located", " here"]
        .iter()
        .filter_map(|end| words.find(end))
        .min()
        .map_or(words, |end| &words[..end]);
    let label: String = words.trim().chars().take(MAX_LABEL).collect();
    if label.is_empty() { "box".to_owned() } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_name_what_they_ask_for() {
        let check = |question: &str, label: &str| assert_eq!(asked_for(question), label, "{question}");
        check("[refer] where is the pancreas?", "pancreas");
        check("[refer] give me the location of the pancreatic tumor", "pancreatic tumor");
        check("[refer] Where is located the pancreas in this image?", "pancreas");
        check("[refer] pancreas", "pancreas");
        check("[detection] kidneys", "kidneys");
        check("[refer] ", "box");
    }

    #[test]
    fn boxes_are_read_from_text() {
        let check = |text: &str, expected: &[(&str, [f64; 4])]| {
            let found = read(text, "[refer] the pancreas", BoxFormat::Percent100, [512, 512], 0);
            let found: Vec<_> = found.iter().map(|b| (b.label.as_str(), b.box_px)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("{<25><50><75><100>}", &[("pancreas", [128.0, 256.0, 384.0, 512.0])]);
        check("It is at {<25><50><75><100>}.", &[("pancreas", [128.0, 256.0, 384.0, 512.0])]);
        check("{<0><0><0><0>}", &[]);
        check("no", &[]);
        check(
            "<p>liver</p> {<0><0><50><50>}<delim>{<50><50><100><100>} and <p>spleen</p> {<25><25><50><50>}",
            &[
                ("liver", [0.0, 0.0, 256.0, 256.0]),
                ("liver", [256.0, 256.0, 512.0, 512.0]),
                ("spleen", [128.0, 128.0, 256.0, 256.0]),
            ],
        );
    }

    #[test]
    fn boxes_stay_in_their_pictures() {
        let found = |box_px, image| AnswerBox { label: String::new(), box_px, confidence: Some(7.0), image };
        let sizes = [[100, 50]];
        let cut = inside(found([-5.0, 10.0, 300.0, 60.0], 0), &sizes).unwrap();
        assert_eq!((cut.box_px, cut.confidence), ([0.0, 10.0, 100.0, 50.0], Some(1.0)));
        assert!(inside(found([5.0, 10.0, 5.0, 60.0], 0), &sizes).is_none());
        assert!(inside(found([f64::NAN, 10.0, 5.0, 60.0], 0), &sizes).is_none());
        assert!(inside(found([0.0, 0.0, 5.0, 6.0], 1), &sizes).is_none());
    }
}
