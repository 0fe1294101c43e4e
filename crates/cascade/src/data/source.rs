//! Training samples as the training loop draws them.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use vlm_prompt::{InstructionPool, InstructionSeed};
use vlm_train::{CallerError, SampleSource, TrainingItem};

use super::answer_text::AnswerStyle;
use super::sample::StageSample;
use crate::Stage;
use crate::images::{Augmentation, ImageTable, View};

/// The training samples of one stage and one dataset.
///
/// A sample's instruction, and its view of an augmented image, follow from (seed, pass, place).
#[derive(Debug, Clone)]
pub struct StageSource {
    name: String,
    stage: Stage,
    samples: Arc<Vec<StageSample>>,
    pool: InstructionPool,
    style: AnswerStyle,
    augmentation: Augmentation,
    augmentation_seed: u64,
    /// Whether every pass has views of its own, else views repeat.
    is_endless: bool,
    fingerprint: [u8; 32],
}

impl StageSource {
    /// A source of these samples, whose images are in `table`. With `is_endless` every pass shows
    /// a new view of an augmented image, else one of the augmentation's `views`.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        stage: Stage,
        samples: Vec<StageSample>,
        pool: InstructionPool,
        style: AnswerStyle,
        table: &ImageTable,
        is_endless: bool,
    ) -> Self {
        let (augmentation, augmentation_seed) = table.augmentation(stage);
        let mut hash = Sha256::new();
        hash.update(format!(
            "{stage} {pool:?} {style:?} {augmentation:?} {augmentation_seed} {is_endless}\n"
        ));
        for sample in &samples {
            let truth = (sample.truth, sample.size_px, sample.target, sample.frame());
            hash.update(format!("{}\t{}\t{truth:?}\n", sample.patient_key(), sample.name));
        }
        Self {
            name: name.into(),
            stage,
            samples: Arc::new(samples),
            pool,
            style,
            augmentation,
            augmentation_seed,
            is_endless,
            fingerprint: hash.finalize().into(),
        }
    }

    fn view(&self, image: u32, pass: u64) -> View {
        match (self.augmentation.is_none(), self.is_endless, self.augmentation.views) {
            (true, _, _) | (_, false, 0) => View::plain(image),
            (_, true, _) => View::of_stage(image, self.stage, pass),
            (_, false, views) => View::of_stage(image, self.stage, pass % u64::from(views)),
        }
    }

    /// All views that passes can ask for, where they repeat.
    pub(crate) fn repeated_views(&self) -> Vec<vlm_train::ImageId> {
        if self.is_endless {
            return Vec::new();
        }
        let n_views = if self.augmentation.is_none() { 1 } else { u64::from(self.augmentation.views.max(1)) };
        let of_pass = |pass| self.samples.iter().map(move |sample| self.view(sample.image, pass).id());
        (0..n_views).flat_map(of_pass).collect()
    }
}

impl SampleSource for StageSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn item(&self, index: usize, draw: InstructionSeed) -> Result<TrainingItem, CallerError> {
        let missing = || CallerError::from(format!("there are {} samples", self.samples.len()));
        let sample = self.samples.get(index).ok_or_else(missing)?;
        let view = self.view(sample.image, draw.epoch);
        let change = self.augmentation.draw(self.augmentation_seed, view);
        let question = self.stage.instruction(self.pool, sample.target, draw);
        let outside = || CallerError::from(format!("{}: the box is not in what is shown", sample.name));
        let (truth, size_px) = (sample.framed_truth().ok_or_else(outside)?, sample.frame_size_px());
        let answer = self.style.text(truth, size_px, |pixels| change.box_px(pixels, size_px))?;
        Ok(TrainingItem::single(view.id(), question, answer))
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

#[cfg(test)]
mod tests {
    use vlm_metrics::TargetEdges;
    use vlm_prompt::BoxFormat;

    use super::*;
    use crate::data::Truth;

    fn sample(image: u32) -> StageSample {
        StageSample {
            image,
            name: format!("slices/{image}.png"),
            dataset: "MSD".to_owned(),
            patient: "p".to_owned(),
            volume: "p".to_owned(),
            slice_index: 3,
            size_px: [512, 512],
            region: None,
            spacing_mm: None,
            target: "pancreas",
            truth: Truth::Box([196, 235, 237, 260].into()),
            lesion_mm: None,
            box_ratio: Some(0.9),
        }
    }

    fn source(augmentation: Augmentation, is_endless: bool) -> StageSource {
        let mut table = ImageTable::new(32);
        table.set_augmentation(Stage::PancreasBox, augmentation, 5);
        let style = AnswerStyle { format: BoxFormat::Percent100, edges: TargetEdges::Stored };
        let samples = vec![sample(0), sample(1)];
        StageSource::new("MSD", Stage::PancreasBox, samples, InstructionPool::Code, style, &table, is_endless)
    }

    #[test]
    fn items_follow_from_their_draw() {
        let source = source(Augmentation::default(), false);
        let item = |epoch, index| source.item(1, InstructionSeed { seed: 1, epoch, index }).unwrap();
        assert_eq!(item(0, 1), item(0, 1));
        let questions: std::collections::BTreeSet<_> =
            (0..40).map(|epoch| item(epoch, 1).turns[0].question.clone()).collect();
        assert_eq!(questions.len(), 7, "all published instructions are drawn");
        assert_eq!(item(0, 1).turns[0].answer, "{<38><45><46><50>}");
        assert_eq!(item(3, 1).images, [View::plain(1).id()]);
        assert!(source.item(2, InstructionSeed { seed: 1, epoch: 0, index: 2 }).is_err());
        assert_eq!(source.repeated_views().len(), 2);
    }

    #[test]
    fn augmented_items_change_with_the_pass() {
        let augmentation = Augmentation { shift: 0.2, views: 3, ..Augmentation::default() };
        let repeated = source(augmentation, false);
        let answer = |source: &StageSource, epoch| {
            let item = source.item(0, InstructionSeed { seed: 1, epoch, index: 0 }).unwrap();
            (item.images[0], item.turns[0].answer.clone())
        };
        assert_eq!(answer(&repeated, 0), answer(&repeated, 3));
        assert_ne!(answer(&repeated, 0), answer(&repeated, 1));
        assert_eq!(repeated.repeated_views().len(), 6);
        let endless = source(augmentation, true);
        assert_ne!(answer(&endless, 0), answer(&endless, 3));
        assert!(endless.repeated_views().is_empty());
        assert_ne!(repeated.fingerprint(), endless.fingerprint());
    }
}
