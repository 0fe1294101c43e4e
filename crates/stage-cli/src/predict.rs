//! `predict`.

use anyhow::{Context, Result};
use bin_support::{EXIT_OK, note};
use cascade::{ImagePrediction, PredictOptions, RESEARCH_NOTE, Stage, predict};

use crate::args::PredictArgs;
use crate::checkpoint::CheckpointFolder;
use crate::progress::{Progress, STOP_MESSAGE};

pub(crate) fn run(stage: Stage, args: &PredictArgs) -> Result<u8> {
    let opened = CheckpointFolder::of(&args.checkpoint, stage)?;
    let folder = opened.path();
    let failed = || format!("checkpoint `{}` gave no answers", folder.display());
    let options = PredictOptions {
        stage: Some(stage),
        overlay: args.overlay.clone(),
        precision: args.checkpoint.precision,
        ..PredictOptions::new(folder.to_owned(), args.inputs.clone())
    };
    let stop = bin_support::stop_flag(Some(STOP_MESSAGE));
    let device = args.checkpoint.device.device.open().with_context(failed)?;
    let mut progress = Progress::new();
    let predictions = predict(&options, &device, &mut |event| progress.show(event), stop);
    progress.finish();
    let predictions = predictions.with_context(failed)?;
    if args.json {
        bin_support::json(&serde_json::json!({
            "note": RESEARCH_NOTE,
            "stage": stage,
            "predictions": predictions,
        }))?;
    } else {
        predictions.iter().try_for_each(|prediction| bin_support::data(&line(prediction)))?;
    }
    if let Some(overlay) = &args.overlay {
        note(&format!("images with the answers drawn in: {}", overlay.display()));
    }
    note(RESEARCH_NOTE);
    Ok(EXIT_OK)
}

/// One answer: input, slice, target, answer, probability, between tabs.
fn line(prediction: &ImagePrediction) -> String {
    let answer = match (prediction.is_parsed, prediction.box_px, prediction.answer) {
        (false, ..) => format!("not readable: {:?}", prediction.text),
        (true, Some([x_min, y_min, x_max, y_max]), _) => {
            format!("{x_min:.1} {y_min:.1} {x_max:.1} {y_max:.1} px")
        }
        (true, None, Some(yes)) => if yes { "yes" } else { "no" }.to_owned(),
        (true, None, None) => "nothing is there".to_owned(),
    };
    let probability = prediction.probability.map_or_else(|| "-".to_owned(), |p| format!("{p:.3}"));
    let slice = prediction.slice_index.map_or_else(|| "-".to_owned(), |slice| slice.to_string());
    let target = if prediction.target.is_empty() { "tumor" } else { &prediction.target };
    [&prediction.input, &slice, target, &answer, &probability].map(|cell| cell.to_owned()).join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_words() {
        let base = ImagePrediction {
            note: String::new(),
            input: "a.png".to_owned(),
            slice_index: None,
            image_size: [8, 8],
            target: "liver".to_owned(),
            question: String::new(),
            text: "oops".to_owned(),
            is_parsed: true,
            box_px: None,
            answer: None,
            probability: Some(0.25),
        };
        let rows = [
            (base.clone(), "a.png\t-\tliver\tnothing is there\t0.250"),
            (
                ImagePrediction { box_px: Some([1.0, 2.0, 3.5, 4.0]), slice_index: Some(3), ..base.clone() },
                "a.png\t3\tliver\t1.0 2.0 3.5 4.0 px\t0.250",
            ),
            (
                ImagePrediction { answer: Some(true), target: String::new(), ..base.clone() },
                "a.png\t-\ttumor\tyes\t0.250",
            ),
            (
                ImagePrediction { is_parsed: false, probability: None, ..base },
                "a.png\t-\tliver\tnot readable: \"oops\"\t-",
            ),
        ];
        for (prediction, expected) in rows {
            assert_eq!(line(&prediction), expected);
        }
    }
}
