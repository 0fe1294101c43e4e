//! What an evaluation says: `evaluation.json`.

use serde::{Deserialize, Serialize};
use vlm_metrics::{
    BinaryScores, DetectionScores, FormatCeiling, Stratum, ThresholdSweepRow, VolumeLevelScores,
};

use super::control::Controls;
use crate::Stage;

/// The scores of a stage on held-out samples, with what they must be read against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What the numbers are for.
    pub note: String,
    /// The stage.
    pub stage: Stage,
    /// `test`, or another part that was asked for.
    pub part: String,
    /// Patients of the samples.
    pub n_patients: usize,
    /// The scores, and for boxes or yes/no alone what belongs to them.
    #[serde(flatten)]
    pub scores: StageScores,
    /// The same model without sight; none if it was not asked for.
    pub controls: Option<Controls>,
    /// The published numbers beside the score, the one to beat first.
    pub paper: Vec<PublishedScore>,
    /// What a reader should know.
    pub remarks: Vec<String>,
}

/// Scores of boxes or of yes/no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StageScores {
    /// Of boxes.
    Box(Box<BoxEvaluation>),
    /// Of yes and no.
    YesNo(Box<YesNoEvaluation>),
}

/// Scores of boxes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoxEvaluation {
    /// Over all samples; mean over targets of what COCO defines.
    #[serde(flatten)]
    pub scores: DetectionScores,
    /// Mean over targets of their mean IoU: the published average of the organs.
    pub iou_target_mean: f64,
    /// Mean IoU of the position prior: the mean box of the training part, per target.
    pub probe_iou_mean: Option<f64>,
    /// Mean IoU of perfect answers in the format that the model answers in.
    pub format_ceiling: FormatCeiling,
    /// Per target.
    pub by_target: Vec<TargetScore>,
    /// Per source.
    pub by_dataset: Vec<Stratum<DetectionScores>>,
    /// Per size of the lesion, where sizes are known.
    pub by_size: Vec<Stratum<DetectionScores>>,
    /// Over slices whose box is larger than a share of the largest of their volume.
    pub threshold_sweep: Vec<ThresholdSweepRow>,
}

/// One target's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetScore {
    /// The target as it is asked for.
    pub target: String,
    /// Samples.
    pub n: usize,
    /// Mean IoU.
    pub iou_mean: f64,
    /// Its 95 % interval over patients.
    pub iou_ci95: Option<[f64; 2]>,
    /// Mean IoU of the target's mean box of the training part.
    pub probe_iou_mean: Option<f64>,
}

/// Scores of yes and no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct YesNoEvaluation {
    /// Over all samples.
    #[serde(flatten)]
    pub scores: BinaryScores,
    /// Accuracy of a forest that knows sizes and gray levels, grown on the training part.
    pub probe_accuracy: Option<f64>,
    /// Its area under the ROC curve.
    pub probe_auroc: Option<f64>,
    /// Per source.
    pub by_dataset: Vec<Stratum<BinaryScores>>,
    /// Positives per size of the lesion against all negatives, where sizes are known.
    pub by_size: Vec<Stratum<BinaryScores>>,
    /// Volumes told apart by the scores of their slices, by several rules.
    pub by_volume: Vec<VolumeLevelScores>,
}

/// A published number beside ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedScore {
    /// What was measured.
    pub what: String,
    /// What came out, a range where no more is known.
    pub value: String,
    /// The number to beat.
    pub at_least: f64,
    /// Section of the specification.
    pub section: String,
    /// Where it was published.
    pub source: String,
}

impl Evaluation {
    /// The score that chooses checkpoints and that goals are set for.
    #[must_use]
    pub fn score(&self) -> f64 {
        match &self.scores {
            StageScores::Box(boxes) if self.stage == Stage::Organs => boxes.iou_target_mean,
            StageScores::Box(boxes) => boxes.scores.iou_mean,
            StageScores::YesNo(answers) => answers.scores.accuracy,
        }
    }

    /// Its 95 % interval over patients.
    #[must_use]
    pub fn ci95(&self) -> Option<[f64; 2]> {
        match &self.scores {
            StageScores::Box(boxes) => boxes.scores.iou_ci95,
            StageScores::YesNo(answers) => answers.scores.ci95.accuracy,
        }
    }

    /// Samples.
    #[must_use]
    pub fn n(&self) -> usize {
        match &self.scores {
            StageScores::Box(boxes) => boxes.scores.n,
            StageScores::YesNo(answers) => answers.scores.n,
        }
    }

    /// Answers that could not be read.
    #[must_use]
    pub fn n_unparsed(&self) -> usize {
        match &self.scores {
            StageScores::Box(boxes) => boxes.scores.n_unparsed,
            StageScores::YesNo(answers) => answers.scores.n_unparsed,
        }
    }

    /// The score of the shortcut probe.
    #[must_use]
    pub fn probe(&self) -> Option<f64> {
        match &self.scores {
            StageScores::Box(boxes) => boxes.probe_iou_mean,
            StageScores::YesNo(answers) => answers.probe_accuracy,
        }
    }

    /// The boxes' scores.
    #[must_use]
    pub fn boxes(&self) -> Option<&BoxEvaluation> {
        match &self.scores {
            StageScores::Box(boxes) => Some(boxes),
            StageScores::YesNo(_) => None,
        }
    }

    /// The yes/no scores.
    #[must_use]
    pub fn yes_no(&self) -> Option<&YesNoEvaluation> {
        match &self.scores {
            StageScores::Box(_) => None,
            StageScores::YesNo(answers) => Some(answers),
        }
    }
}
