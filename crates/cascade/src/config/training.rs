//! Training settings of a file: what all stages share, and what a stage changes.

use serde::{Deserialize, Serialize};
use vlm_prompt::PromptMode;
use vlm_train::{
    Accumulation, EarlyStopping, MixMode, OptimizerConfig, Schedule, ScheduleMode, TrainableParts,
    TrainingConfig,
};

use crate::images::Augmentation;

/// A `[training]` table. What a stage's table leaves out is as in the shared one, and what that
/// leaves out has the defaults of [`TrainingConfig`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TrainingFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps_per_epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_steps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    optimizer: Option<OptimizerConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accumulation: Option<Accumulation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mix: Option<MixMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_norm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trainable: Option<TrainableParts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recompute_blocks: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_txt_len: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_every: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_last: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validate_every: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    early_stopping: Option<EarlyStopping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_every: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    augmentation: Option<Augmentation>,
}

impl TrainingFile {
    /// This table's settings, and the other's where this one is silent.
    pub(super) fn over(&self, shared: &Self) -> Self {
        // Lengths belong together: a stage that says `steps` means nothing else.
        let says_length = self.steps.is_some() || self.epochs.is_some() || self.steps_per_epoch.is_some();
        let length = if says_length { self } else { shared };
        Self {
            steps: length.steps,
            steps_per_epoch: length.steps_per_epoch,
            epochs: length.epochs,
            batch_size: self.batch_size.or(shared.batch_size),
            learning_rate: self.learning_rate.or(shared.learning_rate),
            min_learning_rate: self.min_learning_rate.or(shared.min_learning_rate),
            warmup_learning_rate: self.warmup_learning_rate.or(shared.warmup_learning_rate),
            warmup_steps: self.warmup_steps.or(shared.warmup_steps),
            schedule: self.schedule.or(shared.schedule),
            optimizer: self.optimizer.clone().or_else(|| shared.optimizer.clone()),
            accumulation: self.accumulation.or(shared.accumulation),
            mix: self.mix.or(shared.mix),
            max_norm: self.max_norm.or(shared.max_norm),
            weight_mean: self.weight_mean.or(shared.weight_mean),
            trainable: self.trainable.or(shared.trainable),
            recompute_blocks: self.recompute_blocks.or(shared.recompute_blocks),
            max_txt_len: self.max_txt_len.or(shared.max_txt_len),
            checkpoint_every: self.checkpoint_every.or(shared.checkpoint_every),
            keep_last: self.keep_last.or(shared.keep_last),
            validate_every: self.validate_every.or(shared.validate_every),
            early_stopping: self.early_stopping.or(shared.early_stopping),
            log_every: self.log_every.or(shared.log_every),
            augmentation: self.augmentation.or(shared.augmentation),
        }
    }

    pub(super) fn augmentation(&self) -> Augmentation {
        self.augmentation.unwrap_or_default()
    }

    /// The training loop's settings.
    pub(super) fn resolve(&self, seed: u64, prompt_mode: PromptMode) -> TrainingConfig {
        let published = Schedule::published();
        let (steps_per_epoch, n_epochs) = match (self.steps, self.steps_per_epoch, self.epochs) {
            (Some(steps), _, _) => (steps, 1),
            (None, per_epoch, epochs) => {
                (per_epoch.unwrap_or(published.steps_per_epoch), epochs.unwrap_or(published.n_epochs))
            }
        };
        let init_lr = self.learning_rate.unwrap_or(published.init_lr);
        let schedule = Schedule {
            warmup_lr: Some(self.warmup_learning_rate.unwrap_or(init_lr / 10.0)),
            init_lr,
            min_lr: self.min_learning_rate.unwrap_or(init_lr / 10.0),
            warmup_steps: self.warmup_steps.unwrap_or(0),
            steps_per_epoch,
            n_epochs,
            mode: self.schedule.unwrap_or_default(),
        };
        let plain = TrainingConfig::new(seed, self.batch_size.unwrap_or(16), schedule);
        TrainingConfig {
            optimizer: self.optimizer.clone().unwrap_or_default(),
            accumulation: self.accumulation.unwrap_or_default(),
            mix: self.mix.unwrap_or_default(),
            max_norm: self.max_norm,
            weight_mean: self.weight_mean,
            trainable: self.trainable.unwrap_or_default(),
            recompute_blocks: self.recompute_blocks.unwrap_or_default(),
            max_txt_len: self.max_txt_len.unwrap_or(plain.max_txt_len),
            prompt_mode,
            checkpoint_every: self.checkpoint_every.unwrap_or(plain.checkpoint_every),
            keep_last: self.keep_last.unwrap_or(plain.keep_last),
            validate_every: self.validate_every,
            early_stopping: self.early_stopping,
            log_every: self.log_every.unwrap_or(plain.log_every),
            ..plain
        }
    }
}
