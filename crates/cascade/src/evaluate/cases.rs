//! Samples with their answers, as the metrics take them.

use serde::{Deserialize, Serialize};
use vlm_metrics::{BinaryCase, DetectionCase, case_iou};

use crate::answerer::Reply;
use crate::data::{StageSample, Truth};

/// One answer: a line of `predictions.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// Number of the question, from 1, as the reference counts.
    pub q_id: usize,
    /// The image relative to its data folder.
    pub image: String,
    /// Its source.
    pub dataset: String,
    /// Whose image, as the data calls them.
    pub patient: String,
    /// Which study.
    pub volume: String,
    /// Number of the slice in it.
    pub slice_index: u32,
    /// Columns and rows.
    pub image_size: [u32; 2],
    /// What was asked for; empty for yes/no.
    pub target: String,
    /// The question.
    pub question: String,
    /// The answer's text.
    pub text: String,
    /// Whether it could be read.
    pub is_parsed: bool,
    /// What is true.
    pub truth: Truth,
    /// The answered box in px on the continuous axis.
    pub box_px: Option<[f64; 4]>,
    /// Its IoU with the area that the truth covers; 0 for an answer that cannot be read.
    pub iou: Option<f64>,
    /// The answer to yes/no.
    pub answer: Option<bool>,
    /// Probability of the box, or of yes.
    pub probability: Option<f64>,
}

/// A sample and its reply as a case of a box.
pub(crate) fn detection_cases(samples: &[StageSample], replies: &[Reply]) -> Vec<DetectionCase> {
    samples
        .iter()
        .zip(replies)
        .map(|(sample, reply)| DetectionCase {
            image: sample.name.clone(),
            patient: sample.patient_key(),
            dataset: sample.dataset.clone(),
            target: sample.target.to_owned(),
            image_size: sample.size_px,
            truth: sample.truth_box(),
            predicted: reply.box_px,
            is_parsed: reply.is_parsed,
            confidence: reply.box_probability,
            spacing_mm: sample.spacing_mm,
            lesion_mm: sample.lesion_mm,
        })
        .collect()
}

/// A sample and its reply as a case of yes/no.
pub(crate) fn binary_cases(samples: &[StageSample], replies: &[Reply]) -> Vec<BinaryCase> {
    samples
        .iter()
        .zip(replies)
        .map(|(sample, reply)| BinaryCase {
            image: sample.name.clone(),
            patient: sample.patient_key(),
            dataset: sample.dataset.clone(),
            truth: sample.is_yes().unwrap_or_default(),
            answer: reply.yes,
            reply: Some(reply.text.clone()),
            probability: reply.yes_probability,
            lesion_mm: sample.lesion_mm,
        })
        .collect()
}

/// The lines of `predictions.jsonl`.
pub(crate) fn predictions(
    samples: &[StageSample],
    questions: &[String],
    replies: &[Reply],
) -> Vec<Prediction> {
    let ious: Vec<Option<f64>> = detection_cases(samples, replies).iter().map(case_iou).collect();
    (1..)
        .zip(samples)
        .zip(questions.iter().zip(replies))
        .zip(ious)
        .map(|(((q_id, sample), (question, reply)), iou)| Prediction {
            q_id,
            image: sample.name.clone(),
            dataset: sample.dataset.clone(),
            patient: sample.patient.clone(),
            volume: sample.volume.clone(),
            slice_index: sample.slice_index,
            image_size: sample.size_px,
            target: sample.target.to_owned(),
            question: question.clone(),
            text: reply.text.clone(),
            is_parsed: reply.is_parsed,
            truth: sample.truth,
            box_px: reply.box_px.map(vlm_prompt::PixelBox::to_array),
            iou,
            answer: reply.yes,
            probability: reply.box_probability.or(reply.yes_probability),
        })
        .collect()
}
