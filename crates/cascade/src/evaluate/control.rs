//! The same model on images that cannot help it: what it scores without seeing.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vlm_metrics::{Bootstrap, binary_scores, detection_scores};

use super::cases::{binary_cases, detection_cases};
use crate::answerer::{Answerer, Asked, Reply};
use crate::data::StageSample;
use crate::images::{BLANK, View};
use crate::{CascadeError, Stage};

/// One control's score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlScore {
    /// Samples.
    pub n: usize,
    /// Answers that could not be read.
    pub n_unparsed: usize,
    /// Mean IoU, for boxes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub iou_mean: Option<f64>,
    /// Accuracy, for yes/no.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy: Option<f64>,
    /// Area under the ROC curve, for yes/no.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auroc: Option<f64>,
    /// The 95 % interval of the first score over patients.
    pub ci95: Option<[f64; 2]>,
}

impl ControlScore {
    /// The mean IoU or the accuracy.
    #[must_use]
    pub fn score(&self) -> f64 {
        self.iou_mean.or(self.accuracy).unwrap_or(f64::NAN)
    }
}

/// The image controls of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controls {
    /// Samples that the controls answered: all, or as many as the settings allow, evenly drawn.
    pub n: usize,
    /// Whether they are fewer than the evaluation's.
    pub is_subset: bool,
    /// The model on these samples with their own images.
    pub own_images: ControlScore,
    /// With an image of one gray.
    pub blanked: ControlScore,
    /// With the image of another patient.
    pub shuffled: ControlScore,
}

/// As many places of `0..n` as allowed, in order, drawn by hash: the same for every run.
pub(crate) fn evenly_drawn(n: usize, most: usize, seed: u64) -> Vec<usize> {
    let mut places: Vec<(Vec<u8>, usize)> =
        (0..n).map(|place| (Sha256::digest(format!("{seed} {place}").as_bytes()).to_vec(), place)).collect();
    places.sort();
    let mut chosen: Vec<usize> = places.into_iter().take(most).map(|(_, place)| place).collect();
    chosen.sort_unstable();
    chosen
}

/// For each sample another patient's image: the sample so many places on that is the first of
/// another patient. With one patient alone there is none, and the images stay.
pub(super) fn other_patients(samples: &[&StageSample], seed: u64) -> Vec<usize> {
    let n = samples.len();
    let order = {
        let mut order: Vec<(Vec<u8>, usize)> = (0..n)
            .map(|place| (Sha256::digest(format!("shuffle {seed} {place}").as_bytes()).to_vec(), place))
            .collect();
        order.sort();
        order.into_iter().map(|(_, place)| place).collect::<Vec<_>>()
    };
    let mut other = vec![0; n];
    for (at, place) in order.iter().enumerate() {
        let patient = samples[*place].patient_key();
        let mut following = (1..n).map(|step| order[(at + step) % n]);
        other[*place] = following.find(|next| samples[*next].patient_key() != patient).unwrap_or(*place);
    }
    other
}

/// Scores the same model on images that cannot help it. `replies` are those with the own images.
#[expect(clippy::too_many_arguments, reason = "each is one thing that a control depends on")]
pub(super) fn controls(
    answerer: &mut dyn Answerer,
    stage: Stage,
    samples: &[StageSample],
    questions: &[String],
    replies: &[Reply],
    most: usize,
    bootstrap: &Bootstrap,
    seed: u64,
) -> Result<Option<Controls>, CascadeError> {
    if most == 0 || samples.is_empty() {
        return Ok(None);
    }
    let places = evenly_drawn(samples.len(), most, seed);
    let chosen: Vec<&StageSample> = places.iter().map(|place| &samples[*place]).collect();
    let owned: Vec<StageSample> = chosen.iter().map(|sample| (*sample).clone()).collect();
    let other = other_patients(&chosen, seed);
    let mut without_sight = |image: &dyn Fn(usize) -> u32| -> Result<ControlScore, CascadeError> {
        let asked: Vec<Asked<'_>> = chosen
            .iter()
            .zip(&places)
            .enumerate()
            .map(|(at, (sample, place))| Asked {
                image: View::plain(image(at)).id(),
                frame: sample.frame(),
                question: &questions[*place],
            })
            .collect();
        score(stage, &owned, &answerer.answer(stage, &asked)?, bootstrap)
    };
    let blanked = without_sight(&|_| BLANK)?;
    let shuffled = without_sight(&|at| chosen[other[at]].image)?;
    let own_replies: Vec<Reply> = places.iter().map(|place| replies[*place].clone()).collect();
    Ok(Some(Controls {
        n: chosen.len(),
        is_subset: chosen.len() < samples.len(),
        own_images: score(stage, &owned, &own_replies, bootstrap)?,
        blanked,
        shuffled,
    }))
}

fn score(
    stage: Stage,
    samples: &[StageSample],
    replies: &[Reply],
    bootstrap: &Bootstrap,
) -> Result<ControlScore, CascadeError> {
    if stage.is_box() {
        let scores = detection_scores(&detection_cases(samples, replies), bootstrap)?;
        return Ok(ControlScore {
            n: scores.n,
            n_unparsed: scores.n_unparsed,
            iou_mean: Some(scores.iou_mean),
            accuracy: None,
            auroc: None,
            ci95: scores.iou_ci95,
        });
    }
    let scores = binary_scores(&binary_cases(samples, replies), bootstrap)?;
    Ok(ControlScore {
        n: scores.n,
        n_unparsed: scores.n_unparsed,
        iou_mean: None,
        accuracy: Some(scores.accuracy),
        auroc: scores.auroc,
        ci95: scores.ci95.accuracy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_repeat() {
        assert_eq!(evenly_drawn(5, 9, 1), [0, 1, 2, 3, 4]);
        let drawn = evenly_drawn(1000, 100, 1);
        assert_eq!(drawn, evenly_drawn(1000, 100, 1));
        assert_ne!(drawn, evenly_drawn(1000, 100, 2));
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
        let n_low = drawn.iter().filter(|place| **place < 500).count();
        assert!((35..=65).contains(&n_low), "{n_low}");
    }
}
