//! The files of an evaluation: ours, COCO's, and the reference's.

use std::collections::BTreeMap;
use std::path::Path;

use ct_volume::write_atomic;
use serde::Serialize;
use vlm_metrics::{DetectionCase, coco};
use vlm_prompt::accept_at_head;

use super::cases::Prediction;
use super::evaluation::Evaluation;
use crate::CascadeError;
use crate::data::Truth;

/// Writes `evaluation.json`, `predictions.jsonl`, for boxes `truth.coco.json` and
/// `predictions.coco.json`, and the reference's prediction files, each whole or not at all.
///
/// # Errors
/// [`CascadeError::Io`], [`CascadeError::Volume`], [`CascadeError::Json`].
pub fn write_predictions(
    folder: &Path,
    evaluation: &Evaluation,
    predictions: &[Prediction],
) -> Result<(), CascadeError> {
    fs_err::create_dir_all(folder).map_err(CascadeError::io(folder))?;
    let mut lines = Vec::new();
    let path = folder.join("predictions.jsonl");
    for prediction in predictions {
        serde_json::to_writer(&mut lines, prediction).map_err(CascadeError::json(&path))?;
        lines.push(b'\n');
    }
    write_atomic(&path, &lines)?;
    if evaluation.stage.is_box() {
        let cases: Vec<DetectionCase> = predictions.iter().map(detection_case).collect();
        let (truth, detections) = coco::from_cases(&cases)?;
        write_json(&folder.join("truth.coco.json"), &truth)?;
        write_json(&folder.join("predictions.coco.json"), &detections)?;
    }
    write_reference(folder, evaluation, predictions)?;
    // Last, so that it tells that the others are there.
    write_json(&folder.join("evaluation.json"), evaluation)
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), CascadeError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(CascadeError::json(path))?;
    bytes.push(b'\n');
    Ok(write_atomic(path, &bytes)?)
}

pub(crate) fn detection_case(prediction: &Prediction) -> DetectionCase {
    DetectionCase {
        image: prediction.image.clone(),
        patient: crate::data::patient_key(&prediction.dataset, &prediction.patient),
        dataset: prediction.dataset.clone(),
        target: prediction.target.clone(),
        image_size: prediction.image_size,
        truth: match prediction.truth {
            Truth::Box(bbox) => Some(<[u32; 4]>::from(bbox).into()),
            Truth::YesNo(_) => None,
        },
        predicted: prediction.box_px.map(Into::into),
        is_parsed: prediction.is_parsed,
        confidence: prediction.probability,
        ..DetectionCase::default()
    }
}

/// An answer as the reference's yes/no file has it.
#[derive(Serialize)]
struct ReferenceAnswer {
    answer: String,
    question_id: usize,
}

/// SPEC 5.2: `{"q_id": ["text"]}` per dataset, accepted answers alone. SPEC 5.6: a list of answers.
fn write_reference(
    folder: &Path,
    evaluation: &Evaluation,
    predictions: &[Prediction],
) -> Result<(), CascadeError> {
    let folder = folder.join("reference");
    fs_err::create_dir_all(&folder).map_err(CascadeError::io(&folder))?;
    let stage = evaluation.stage;
    if !stage.is_box() {
        let answers: Vec<ReferenceAnswer> = predictions
            .iter()
            .map(|prediction| ReferenceAnswer {
                answer: prediction.text.to_lowercase().replace("<unk>", "").trim().to_owned(),
                question_id: prediction.q_id,
            })
            .collect();
        return write_json(&folder.join(format!("{}.json", stage.reference_name(""))), &answers);
    }
    let mut by_dataset: BTreeMap<&str, serde_json::Map<String, serde_json::Value>> = BTreeMap::new();
    for prediction in predictions {
        let of_dataset = by_dataset.entry(&prediction.dataset).or_default();
        if let Some(text) = accept_at_head(&prediction.text) {
            of_dataset.insert(prediction.q_id.to_string(), serde_json::json!([text]));
        }
    }
    for (dataset, answers) in by_dataset {
        write_json(&folder.join(format!("{}.json", stage.reference_name(dataset))), &answers)?;
    }
    Ok(())
}
