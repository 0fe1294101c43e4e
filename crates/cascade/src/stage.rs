//! The four stages: what each asks, learns and is judged by.

use std::fmt;
use std::str::FromStr;

use ct_slices::{Organ, Task};
use serde::{Deserialize, Serialize};
use vlm_metrics::published::{self, PublishedNumber};
use vlm_prompt::{
    DetectionTarget, InstructionPool, InstructionSeed, classification_evaluation_prompt,
    detection_evaluation_prompt,
};

use crate::CascadeError;

/// A task of the cascade with its own questions, data and score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Where is the pancreas?
    PancreasBox,
    /// Is there a tumor?
    TumorYesNo,
    /// Where is the tumor?
    TumorBox,
    /// Where are liver, right kidney, spleen and pancreas?
    Organs,
}

/// Which question a yes/no stage is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum YesNoQuestion {
    /// The first of the instructions that training draws from.
    #[default]
    Trained,
    /// The published one, which occurs in no training (SPEC 2.3, D18).
    Published,
}

impl Stage {
    /// All stages, in the order in which they run.
    pub const ALL: [Self; 4] = [Self::PancreasBox, Self::TumorYesNo, Self::TumorBox, Self::Organs];

    /// The name in files and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PancreasBox => "pancreas_box",
            Self::TumorYesNo => "tumor_yes_no",
            Self::TumorBox => "tumor_box",
            Self::Organs => "organs",
        }
    }

    /// The name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::PancreasBox => "Pancreas box",
            Self::TumorYesNo => "Tumor yes/no",
            Self::TumorBox => "Tumor box",
            Self::Organs => "Organ boxes",
        }
    }

    /// The task of the index that selects its slices.
    #[must_use]
    pub fn task(self) -> Task {
        match self {
            Self::PancreasBox => Task::PancreasDetection,
            Self::TumorYesNo => Task::TumorClassification,
            Self::TumorBox => Task::TumorDetection,
            Self::Organs => Task::OrganDetection,
        }
    }

    /// The organs whose boxes it asks for, in the order of the published records.
    #[must_use]
    pub fn organs(self) -> &'static [Organ] {
        match self {
            Self::PancreasBox => &[Organ::Pancreas],
            Self::TumorYesNo => &[],
            Self::TumorBox => &[Organ::Tumor],
            Self::Organs => &Organ::ABDOMEN,
        }
    }

    /// Whether the answer is a box, else yes or no.
    #[must_use]
    pub fn is_box(self) -> bool {
        self != Self::TumorYesNo
    }

    /// The score that chooses checkpoints and that goals are set for.
    #[must_use]
    pub fn score_name(self) -> &'static str {
        if self.is_box() { "iou_mean" } else { "accuracy" }
    }

    /// The stage whose checkpoint this one starts from, as published (SPEC 4.6); none: the base.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        match self {
            Self::PancreasBox | Self::Organs => None,
            Self::TumorYesNo => Some(Self::PancreasBox),
            Self::TumorBox => Some(Self::TumorYesNo),
        }
    }

    /// The file of the reference's predictions (SPEC 5.2, 5.6), without ending; one per dataset.
    #[must_use]
    pub fn reference_name(self, dataset: &str) -> String {
        match self {
            Self::PancreasBox => format!("{dataset}_pancreas_detection"),
            Self::TumorYesNo => "TC_predictions".to_owned(),
            Self::TumorBox => format!("{dataset}_tumor_detection"),
            Self::Organs => dataset.to_owned(),
        }
    }

    /// An instruction for one training sample.
    #[must_use]
    pub fn instruction(self, pool: InstructionPool, target: &str, draw: InstructionSeed) -> String {
        if self.is_box() { pool.draw_detection(target, draw) } else { pool.draw_classification(draw) }
    }

    /// The question that it is judged by.
    #[must_use]
    pub fn evaluation_question(self, target: &str, pool: InstructionPool, question: YesNoQuestion) -> String {
        match (self.is_box(), question) {
            (true, _) => detection_evaluation_prompt(target),
            (false, YesNoQuestion::Published) => classification_evaluation_prompt().to_owned(),
            (false, YesNoQuestion::Trained) => {
                pool.classification_instructions().into_iter().next().unwrap_or_default()
            }
        }
    }

    /// The published numbers beside which its score stands, the one to beat first (SPEC 7).
    #[must_use]
    pub fn published(self) -> Vec<PublishedNumber> {
        match self {
            Self::PancreasBox => vec![
                published::PANCREAS_NIH_IOU,
                published::PANCREAS_MSD_IOU,
                published::PANCREAS_AVERAGE_IOU,
            ],
            Self::TumorYesNo => vec![
                published::TUMOR_ACCURACY,
                published::TUMOR_PRECISION,
                published::TUMOR_RECALL,
                published::TUMOR_F1,
            ],
            Self::TumorBox => vec![published::TUMOR_BOX_IOU],
            Self::Organs => vec![
                published::ORGANS_AVERAGE_IOU,
                published::LIVER_IOU,
                published::RIGHT_KIDNEY_IOU,
                published::SPLEEN_IOU,
                published::ORGAN_PANCREAS_IOU,
            ],
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = CascadeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|stage| stage.name() == text);
        found.ok_or_else(|| {
            CascadeError::setting("stage", text, "expected pancreas_box, tumor_yes_no, tumor_box or organs")
        })
    }
}

/// What an organ is called in a prompt (SPEC 2.1).
#[must_use]
pub fn target_name(organ: Organ) -> &'static str {
    match organ {
        Organ::Liver => DetectionTarget::Liver,
        Organ::Kidney => DetectionTarget::Kidney,
        Organ::Spleen => DetectionTarget::Spleen,
        Organ::Pancreas => DetectionTarget::Pancreas,
        Organ::Tumor => DetectionTarget::PancreaticTumor,
    }
    .as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_ask_as_published() {
        let question = |stage: Stage, target| {
            stage.evaluation_question(target, InstructionPool::Code, YesNoQuestion::Published)
        };
        // SPEC 2.3
        assert_eq!(
            question(Stage::PancreasBox, target_name(Organ::Pancreas)),
            "[refer] give me the location of the pancreas"
        );
        assert_eq!(
            question(Stage::TumorBox, target_name(Organ::Tumor)),
            "[refer] give me the location of the pancreatic tumor"
        );
        assert!(
            question(Stage::TumorYesNo, "").starts_with("[vqa] Based on the image, respond to this question")
        );
        let trained =
            Stage::TumorYesNo.evaluation_question("", InstructionPool::Paper, YesNoQuestion::Trained);
        assert_eq!(trained, "[vqa] Does the pancreas in the image present a tumor?");
    }

    #[test]
    fn the_cascade_is_the_published_one() {
        // SPEC 4.6
        let starts: Vec<_> = Stage::ALL.iter().map(|stage| stage.previous()).collect();
        assert_eq!(starts, [None, Some(Stage::PancreasBox), Some(Stage::TumorYesNo), None]);
        for stage in Stage::ALL {
            assert_eq!(stage.name().parse::<Stage>().unwrap(), stage);
            assert!(!stage.published().is_empty());
        }
        assert!("pancreas".parse::<Stage>().is_err());
    }
}
