//! Questions to a random small model: what comes back fits together, whatever it says.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

use burn::tensor::Device;
use ct_slices::pixels::encode_gray;
use ndarray::Array2;
use vlm_infer::{
    AnswerMode, EarlierTurn, FeatureQuestion, ImageSource, InferError, PromptSettings, Question,
    RESEARCH_NOTE, Responder, Response, TextEvent, image_pixels,
};
use vlm_model::{
    CheckpointOptions, GenerationOptions, GroundedOptions, MiniGptConfig, ModelError, Precision, Sampling,
    StopReason, init_checkpoint, initialized_model,
};
use vlm_prompt::{Answer, AnswerKind, BoxFormat, Tokenizer, parse_answer};

const REFER: &str = "[refer] give me the location of the pancreas";
const VQA: &str = "[vqa] is there a tumor in the pancreas?";

/// Two blocks instead of six: nothing here depends on what the model knows.
fn small() -> MiniGptConfig {
    let mut config = MiniGptConfig::nano();
    config.vision.depth = 2;
    config.llama.n_layers = 2;
    config
}

fn responder_with(settings: PromptSettings) -> Responder {
    let model = initialized_model(&small(), 3, Precision::F32, &Device::flex()).unwrap();
    Responder::new(model, Tokenizer::nano(), settings).unwrap()
}

fn responder() -> &'static Responder {
    static RESPONDER: OnceLock<Responder> = OnceLock::new();
    RESPONDER.get_or_init(|| responder_with(PromptSettings::consistent(BoxFormat::Percent100)))
}

/// A disk of another brightness on a wide image.
fn image(seed: usize) -> ImageSource {
    let plane = Array2::from_shape_fn((48, 64), |(row, column)| {
        let (y, x) = (row.abs_diff(20), column.abs_diff(10 + seed));
        if x * x + y * y < 120 { 200 } else { 40 + u8::try_from((row * 3 + column * seed) % 50).unwrap() }
    });
    ImageSource::Bytes { name: format!("disk {seed}"), bytes: encode_gray(plane.view()).unwrap().into() }
}

/// Asks, and checks what holds for every response.
fn ask(responder: &Responder, question: &Question) -> Response {
    let mut streamed = String::new();
    let response = responder
        .respond(question, &mut |event| {
            match event {
                TextEvent::Append(text) => streamed.push_str(text),
                TextEvent::Replace(text) => text.clone_into(&mut streamed),
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(streamed, response.text);
    assert_eq!(response.note, RESEARCH_NOTE);
    assert_eq!(response.n_new_tokens, response.tokens.len());
    assert!((0.0..=1.0).contains(&response.free_probability));
    let times = response.timings;
    assert!(times.total_s >= times.images_s.max(times.vision_s).max(times.language_s));
    let json = serde_json::to_string(&response).unwrap();
    assert!(json.contains("not for diagnosis"));
    assert_eq!(serde_json::from_str::<Response>(&json).unwrap(), response, "written and read again");
    response
}

fn free(max_new_tokens: usize, sampling: Sampling) -> GenerationOptions {
    GenerationOptions { max_new_tokens, sampling, ..GenerationOptions::default() }
}

#[test]
fn free_answers_stream_their_text() {
    let greedy = ask(responder(), &Question::free(image(1), REFER, free(20, Sampling::Greedy)));
    assert!(greedy.stop_reason.is_some() && greedy.probability.is_none());
    assert_eq!(greedy.n_model_steps, greedy.n_new_tokens);
    assert_eq!(greedy.n_scored, greedy.n_new_tokens);
    assert_eq!(greedy.answer, parse_answer(&greedy.text, AnswerKind::Box(BoxFormat::Percent100)));
    for seed in 0..10 {
        let sampling = Sampling::Random { temperature: 1.2, top_k: 0, top_p: 1.0, seed };
        let question = Question::free(image(1), "describe this image", free(40, sampling));
        let drawn = ask(responder(), &question);
        assert_eq!(drawn.answer, Answer::Text(drawn.text.clone()));
        let again = ask(responder(), &question);
        assert_eq!((&drawn.text, &drawn.tokens), (&again.text, &again.tokens), "the seed decides");
    }
}

#[test]
fn a_free_answer_can_be_stopped() {
    let sampling = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 1 };
    let question = Question::free(image(1), "describe this image", free(60, sampling));
    let mut n = 0;
    let response = responder()
        .respond(&question, &mut |_| {
            n += 1;
            if n == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(response.stop_reason, Some(StopReason::Cancelled));
    assert!(response.n_new_tokens < 60);
}

#[test]
fn a_grounded_box_is_a_box() {
    for format in [BoxFormat::Percent100, BoxFormat::Permille1000] {
        let responder = responder_with(PromptSettings::consistent(format));
        let response = ask(&responder, &Question::grounded_box(image(2), REFER));
        let Answer::Box(grid) = response.answer else { panic!("{response:?}") };
        assert_eq!(parse_answer(&response.text, AnswerKind::Box(format)), response.answer);
        assert_eq!(response.text, grid.to_string());
        assert!(format.contains(grid));
        assert_eq!(response.image_size_px, Some([64, 48]));
        match response.box_px {
            None => assert!(grid.is_zero()),
            Some(place) => {
                let max = f64::from(format.max_value());
                assert_eq!(place.x_max, f64::from(grid.x_max) / max * 64.0);
                assert_eq!(place.y_max, f64::from(grid.y_max) / max * 48.0);
                // An untrained model's means may be in no order: then they are no box.
                let means: Vec<f64> = response.distributions.iter().map(|choice| choice.mean).collect();
                let in_order = means[0] < means[2] && means[1] < means[3];
                assert_eq!(response.mean_box_px.is_some(), in_order, "{means:?}");
                if let Some(mean) = response.mean_box_px {
                    assert!((0.0..=64.0).contains(&mean.x_min) && (0.0..=48.0).contains(&mean.y_min));
                }
            }
        }
        assert_eq!(response.distributions.len(), 4);
        for choice in &response.distributions {
            let sum: f64 = choice.probabilities.iter().map(|(_, p)| p).sum();
            assert!((sum + choice.pruned - 1.0).abs() < 1e-9);
        }
        assert!(response.n_model_steps < response.n_new_tokens);
        assert!(response.probability.unwrap() >= response.free_probability);
    }
}

#[test]
fn yes_and_no_share_the_probability() {
    let response = ask(responder(), &Question::grounded_yes_no(image(3), VQA));
    let Answer::YesNo(yes) = response.answer else { panic!("{response:?}") };
    assert_eq!(response.text, if yes { "yes" } else { "no" });
    let [(0, p_no), (1, p_yes)] = response.distributions[0].probabilities[..] else { panic!("{response:?}") };
    assert!((p_no + p_yes - 1.0).abs() < 1e-9);
    assert_eq!(yes, p_yes > p_no);
    assert_eq!(response.probability, Some(p_yes.max(p_no)));
    assert_eq!((response.n_model_steps, &response.box_px), (1, &None));
}

#[test]
fn images_are_seen_once() {
    let responder = responder_with(PromptSettings::default());
    let question = Question::grounded_yes_no(image(4), VQA);
    let first = ask(&responder, &question);
    let second = ask(&responder, &question);
    assert!(first.timings.vision_s > 0.0 && second.timings.vision_s == 0.0);
    assert_eq!(first.distributions, second.distributions);
    // the same bytes from a file are the same image
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slice.png");
    let ImageSource::Bytes { bytes, .. } = image(4) else { unreachable!() };
    fs_err::write(&path, &bytes).unwrap();
    let third = ask(&responder, &Question::grounded_yes_no(ImageSource::File(path), VQA));
    assert_eq!(third.timings.vision_s, 0.0);
}

#[test]
fn earlier_turns_and_their_images_are_seen() {
    let turn = |seed| EarlierTurn {
        images: vec![image(seed)],
        question: REFER.to_owned(),
        answer: "{<10><20><30><40>}".to_owned(),
    };
    let question =
        |history, images| Question { history, images, text: VQA.to_owned(), mode: AnswerMode::GroundedYesNo };
    let alone = ask(responder(), &question(vec![], vec![image(5)]));
    let later = ask(responder(), &question(vec![turn(5)], vec![]));
    let other = ask(responder(), &question(vec![turn(6)], vec![]));
    let two = ask(responder(), &question(vec![turn(6)], vec![image(5)]));
    assert!(later.n_prompt_tokens > alone.n_prompt_tokens);
    let n_image_tokens = small().n_image_tokens();
    assert!(two.n_prompt_tokens > later.n_prompt_tokens + n_image_tokens);
    assert_ne!(later.distributions, other.distributions, "the image of an earlier turn is seen");
    assert_eq!(later.image_size_px, Some([64, 48]), "a later box belongs to the earlier image");
    let mut changed = turn(5);
    changed.answer = "{<90><20><30><40>}".to_owned();
    let answered = ask(responder(), &question(vec![changed.clone()], vec![]));
    assert_ne!(later.distributions, answered.distributions, "earlier answers are seen");
    // the published demo forgets them
    let published = responder_with(PromptSettings::default());
    let kept = ask(&published, &question(vec![turn(5)], vec![]));
    let forgotten = ask(&published, &question(vec![changed], vec![]));
    assert_eq!(kept.distributions, forgotten.distributions);
}

#[test]
fn two_images_are_seen_in_order() {
    let about =
        |images| Question { history: vec![], images, text: VQA.to_owned(), mode: AnswerMode::GroundedYesNo };
    let one = ask(responder(), &about(vec![image(7)]));
    let two = ask(responder(), &about(vec![image(7), image(8)]));
    let swapped = ask(responder(), &about(vec![image(8), image(7)]));
    assert!(two.n_prompt_tokens > one.n_prompt_tokens + small().n_image_tokens());
    assert_eq!(two.n_prompt_tokens, swapped.n_prompt_tokens);
    assert_ne!(two.distributions, swapped.distributions);
    let none = ask(responder(), &about(vec![]));
    assert_eq!(none.image_size_px, None, "text alone is answered too");
}

#[test]
fn the_tail_can_be_scored() {
    let options = GroundedOptions { score_tail: true, ..GroundedOptions::default() };
    let model = initialized_model(&small(), 3, Precision::F32, &Device::flex()).unwrap();
    let settings = PromptSettings::consistent(BoxFormat::Percent100);
    let scoring = Responder::new(model, Tokenizer::nano(), settings).unwrap().with_grounded_options(options);
    let question = Question::grounded_box(image(2), REFER);
    let (whole, part) = (ask(&scoring, &question), ask(responder(), &question));
    assert_eq!(whole.tokens, part.tokens);
    assert_eq!(whole.n_scored, whole.n_new_tokens);
    assert!(part.n_scored < whole.n_scored && part.free_probability > whole.free_probability);
}

#[test]
fn errors_name_what_is_wrong() {
    let check = |question: Question, expected: &str| -> InferError {
        let error = responder().respond(&question, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        error
    };
    let missing = ImageSource::File("no/such/slice.png".into());
    check(Question::grounded_box(missing, REFER), "no/such/slice.png");
    let damaged =
        ImageSource::Bytes { name: "damaged.png".to_owned(), bytes: b"\x89PNG\r\n\x1a\n"[..].into() };
    check(Question::grounded_box(damaged, REFER), "damaged.png");
    check(Question::grounded_box(image(1), "what is <ImageHere>?"), "image holes");
    let long = Question::grounded_box(image(1), "word ".repeat(2000));
    let error = check(long, "1024");
    assert!(matches!(error, InferError::Model(ModelError::TooLong { limit: 1024, .. })));
    let nothing = GenerationOptions { max_new_tokens: 0, ..GenerationOptions::default() };
    check(Question::free(image(1), REFER, nothing), "at least 1");

    let mut config = small();
    config.llama.vocab_size = 900;
    let model = initialized_model(&config, 3, Precision::F32, &Device::flex()).unwrap();
    let error = Responder::new(model, Tokenizer::nano(), PromptSettings::default()).unwrap_err();
    assert!(matches!(error, InferError::Vocabulary { tokenizer: 1024, model: 900 }));
    let folder = Path::new("no/such/checkpoint");
    let error = Responder::open(folder, &Device::flex(), Precision::F32, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, InferError::Weights(_)));
    assert!(error.to_string().contains("no/such/checkpoint"), "{error}");
}

#[test]
fn a_checkpoint_folder_opens() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("checkpoint");
    let settings = PromptSettings::consistent(BoxFormat::Permille1000);
    let options = CheckpointOptions::default();
    init_checkpoint(&small(), 3, Precision::F32, &folder, &settings.to_json(), &options).unwrap();
    let open = |folder: &Path| Responder::open(folder, &Device::flex(), Precision::F32, &mut |_, _| {});
    let opened = open(&folder).unwrap();
    assert_eq!(opened.settings(), &settings);
    assert!(opened.load_report().is_some_and(|report| report.missing.is_empty()));
    for question in [Question::grounded_box(image(2), REFER), Question::grounded_yes_no(image(2), VQA)] {
        let (from_file, built) = (ask(&opened, &question), ask(&responder_with(settings), &question));
        assert_eq!(from_file.tokens, built.tokens);
        assert_eq!(from_file.distributions, built.distributions);
    }

    // a tokenizer in the folder is taken, even a wrong one
    let tokenizer = folder.join("tokenizer.json");
    fs_err::write(&tokenizer, "{}").unwrap();
    let error = open(&folder).unwrap_err();
    assert!(error.to_string().contains(&tokenizer.display().to_string()), "{error}");
    fs_err::remove_file(&tokenizer).unwrap();
    let manifest = folder.join("minigpt.json");
    let text = fs_err::read_to_string(&manifest).unwrap();
    fs_err::write(&manifest, text.replace("\"consistent\"", "\"other\"")).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(matches!(error, InferError::Settings { .. }), "{error}");
    assert!(error.to_string().contains(&folder.display().to_string()), "{error}");

    // another vocabulary has no built-in tokenizer
    let other = folder.with_file_name("other");
    let mut config = small();
    config.llama.vocab_size = 1100;
    init_checkpoint(&config, 3, Precision::F32, &other, &serde_json::Value::Null, &options).unwrap();
    let error = open(&other).unwrap_err();
    assert!(matches!(&error, InferError::NoTokenizer { vocab: 1100, tried } if tried.len() == 2), "{error}");
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}

#[test]
fn questions_may_come_from_threads() {
    let expected: Vec<_> = (0..4)
        .map(|seed| ask(responder(), &Question::grounded_yes_no(image(seed), VQA)).distributions)
        .collect();
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..4)
            .map(|seed| scope.spawn(move || ask(responder(), &Question::grounded_yes_no(image(seed), VQA))))
            .collect();
        for (handle, expected) in handles.into_iter().zip(expected) {
            assert_eq!(handle.join().unwrap().distributions, expected);
        }
    });
}

/// Answers from features are those of the images, in any number together.
#[test]
fn many_answers_at_once_are_the_same_one_by_one() {
    let responder = responder();
    let size = responder.model().config().vision.image_size;
    let images: Vec<ImageSource> = (0..3).map(image).collect();
    let pixels: Vec<_> = images
        .iter()
        .map(|image| {
            burn::tensor::Tensor::<3>::from_data(image_pixels(image, size).unwrap().pixels, &Device::flex())
        })
        .collect();
    let features = responder.model().vision_features(burn::tensor::Tensor::stack(pixels, 0)).unwrap();
    // Questions differ in length, and one image is asked about twice.
    let asked: Vec<(usize, &str)> = vec![(0, REFER), (1, "[refer] pancreas"), (2, REFER), (1, REFER)];
    let questions: Vec<FeatureQuestion<'_>> = asked
        .iter()
        .map(|(image, text)| FeatureQuestion { image: *image, size_px: [64, 48], text })
        .collect();
    let modes =
        [AnswerMode::GroundedBox, AnswerMode::GroundedYesNo, AnswerMode::Free(free(6, Sampling::Greedy))];
    for mode in modes {
        let together = responder.respond_features(features.clone(), &questions, &mode).unwrap();
        assert_eq!(together.len(), asked.len());
        for ((image, text), got) in asked.iter().zip(together) {
            let question = Question {
                history: Vec::new(),
                images: vec![images[*image].clone()],
                text: (*text).to_owned(),
                mode: mode.clone(),
            };
            let alone = ask(responder, &question);
            assert_eq!((got.text, got.answer, got.box_px), (alone.text, alone.answer, alone.box_px));
            let close = |a: f64, b: f64| (a - b).abs() < 1e-5;
            assert!(close(got.free_probability, alone.free_probability), "{mode:?}");
            assert!(close(got.probability.unwrap_or(0.0), alone.probability.unwrap_or(0.0)), "{mode:?}");
        }
    }
    assert!(responder.respond_features(features, &[], &AnswerMode::GroundedBox).unwrap().is_empty());
}
