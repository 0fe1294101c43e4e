//! The settings of a run.

use serde::{Deserialize, Serialize};
use vlm_model::{BlockCheckpointing, Trainable};
use vlm_prompt::PromptMode;

use crate::error::setting;
use crate::{MixMode, OptimizerConfig, Schedule, TrainError};

/// Which parameters a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainableParts {
    /// The adapters and the projector, as published (SPEC 3.9).
    #[default]
    AdaptersAndProjector,
    /// Everything, as small models are trained from scratch.
    Everything,
}

impl From<TrainableParts> for Trainable {
    fn from(parts: TrainableParts) -> Self {
        match parts {
            TrainableParts::AdaptersAndProjector => Self::AdaptersAndProjector,
            TrainableParts::Everything => Self::Everything,
        }
    }
}

/// How the gradients of several batches become one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccumulationMode {
    /// A step is an update, made from all its batches and averaged over all their target tokens:
    /// the same as one large batch. Nothing is ever left over.
    #[default]
    Corrected,
    /// As published: a step is a batch; gradients are summed, not averaged; every n-th step of an
    /// epoch updates, and what an epoch leaves over goes into the next one's first update
    /// (SPEC 4.3).
    Published,
}

/// Gradient accumulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accumulation {
    /// Batches of one update.
    pub n_batches: u64,
    /// How they are joined.
    #[serde(default)]
    pub mode: AccumulationMode,
}

impl Default for Accumulation {
    /// None: an update is made of one batch.
    fn default() -> Self {
        Self { n_batches: 1, mode: AccumulationMode::default() }
    }
}

/// When a run that does not improve ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Validations without a gain after which the run ends.
    pub patience: u64,
    /// What a score must be better by to count as a gain.
    #[serde(default)]
    pub min_delta: f64,
}

/// The settings of a run. What a field leaves out is as in [`TrainingConfig::new`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of order, draws and dropout.
    pub seed: u64,
    /// Samples of a batch, of all ranks together.
    pub batch_size: usize,
    /// Steps and learning rates.
    pub schedule: Schedule,
    /// Numbers of `AdamW`.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Gradient accumulation.
    #[serde(default)]
    pub accumulation: Accumulation,
    /// How sources are mixed.
    #[serde(default)]
    pub mix: MixMode,
    /// Largest norm of all gradients together; none: no clipping, as published.
    #[serde(default)]
    pub max_norm: Option<f64>,
    /// Weight, at each update, of the mean of the weights so far (0.99: over about a hundred updates). The mean
    /// is what is validated and chosen; none: the weights themselves.
    #[serde(default)]
    pub weight_mean: Option<f64>,
    /// What is trained.
    #[serde(default)]
    pub trainable: TrainableParts,
    /// Whether the language model's blocks are computed again in the backward pass: slower, and in
    /// far less memory.
    #[serde(default)]
    pub recompute_blocks: bool,
    /// Tokens that an answer is cut to.
    #[serde(default = "default_max_txt_len")]
    pub max_txt_len: usize,
    /// How prompts are written.
    #[serde(default)]
    pub prompt_mode: PromptMode,
    /// Steps between checkpoints; the last step, a stop and a best score save too.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: u64,
    /// Checkpoints that are kept besides the best.
    #[serde(default = "default_keep_last")]
    pub keep_last: usize,
    /// Steps between validations, the last step has one too; none: no validation.
    #[serde(default)]
    pub validate_every: Option<u64>,
    /// When a run that does not improve ends; none: never.
    #[serde(default)]
    pub early_stopping: Option<EarlyStopping>,
    /// Steps between lines of the log.
    #[serde(default = "default_log_every")]
    pub log_every: u64,
}

/// The published training's (SPEC 4.5: 1024 in its configuration).
fn default_max_txt_len() -> usize {
    1024
}

fn default_checkpoint_every() -> u64 {
    1000
}

fn default_keep_last() -> usize {
    2
}

fn default_log_every() -> u64 {
    1
}

impl TrainingConfig {
    /// The defaults around what has none.
    #[must_use]
    pub fn new(seed: u64, batch_size: usize, schedule: Schedule) -> Self {
        Self {
            seed,
            batch_size,
            schedule,
            optimizer: OptimizerConfig::default(),
            accumulation: Accumulation::default(),
            mix: MixMode::default(),
            max_norm: None,
            weight_mean: None,
            trainable: TrainableParts::default(),
            recompute_blocks: false,
            max_txt_len: default_max_txt_len(),
            prompt_mode: PromptMode::default(),
            checkpoint_every: default_checkpoint_every(),
            keep_last: default_keep_last(),
            validate_every: None,
            early_stopping: None,
            log_every: default_log_every(),
        }
    }

    /// The published run: 50 epochs of 1000 batches of 16, a checkpoint an epoch (SPEC 4.2 to 4.5).
    #[must_use]
    pub fn published() -> Self {
        Self {
            accumulation: Accumulation { n_batches: 1, mode: AccumulationMode::Published },
            mix: MixMode::Batch,
            prompt_mode: PromptMode::Reference,
            keep_last: 50,
            ..Self::new(42, 16, Schedule::published())
        }
    }

    /// Checks that a run can be made.
    ///
    /// # Errors
    /// [`TrainError::Setting`] naming the first impossible setting.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.schedule.validate()?;
        self.optimizer.validate()?;
        let counts = [
            ("batch_size", self.batch_size as u64),
            ("max_txt_len", self.max_txt_len as u64),
            ("keep_last", self.keep_last as u64),
            ("accumulation.n_batches", self.accumulation.n_batches),
            ("checkpoint_every", self.checkpoint_every),
            ("log_every", self.log_every),
            ("validate_every", self.validate_every.unwrap_or(1)),
            ("early_stopping.patience", self.early_stopping.map_or(1, |stopping| stopping.patience)),
        ];
        if let Some((field, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(setting(field, 0, "expected at least 1"));
        }
        if self.batch_size > 1 << 20 {
            return Err(setting("batch_size", self.batch_size, "expected at most 1048576"));
        }
        if let Some(norm) = self.max_norm.filter(|norm| !(norm.is_finite() && *norm > 0.0)) {
            return Err(setting("max_norm", norm, "expected a finite number above 0"));
        }
        if let Some(decay) = self.weight_mean.filter(|decay| !(*decay > 0.0 && *decay < 1.0)) {
            return Err(setting("weight_mean", decay, "expected a number above 0 and below 1"));
        }
        if let Some(stopping) = self.early_stopping {
            crate::error::check_not_negative("early_stopping.min_delta", stopping.min_delta)?;
            if self.validate_every.is_none() {
                return Err(setting("validate_every", "none", "early stopping needs validation"));
            }
        }
        Ok(())
    }

    pub(crate) fn checkpointing(&self) -> BlockCheckpointing {
        if self.recompute_blocks { BlockCheckpointing::On } else { BlockCheckpointing::Off }
    }

    #[expect(clippy::cast_possible_truncation, reason = "norms are computed in f32")]
    pub(crate) fn max_norm_f32(&self) -> Option<f32> {
        self.max_norm.map(|norm| norm as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_the_defaults() {
        let schedule = Schedule::published();
        let text = serde_json::json!({"seed": 3, "batch_size": 4, "schedule": schedule});
        let config: TrainingConfig = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(config, TrainingConfig::new(3, 4, schedule));
        let mut unknown = text;
        unknown["batchsize"] = 3.into();
        assert!(serde_json::from_value::<TrainingConfig>(unknown).is_err());
    }

    #[test]
    fn the_published_run() {
        let config = TrainingConfig::published();
        config.validate().unwrap();
        assert_eq!((config.batch_size, config.schedule.n_steps()), (16, 50_000), "SPEC 4.2");
        assert_eq!((config.max_norm, config.accumulation.n_batches), (None, 1), "SPEC 4.3");
        assert_eq!((config.seed, config.checkpoint_every), (42, 1000), "SPEC 4.5");
    }

    #[test]
    fn impossible_settings_are_named() {
        let ok = TrainingConfig::new(1, 4, Schedule::published());
        ok.validate().unwrap();
        for (field, wrong) in [
            ("batch_size", TrainingConfig { batch_size: 0, ..ok.clone() }),
            ("batch_size", TrainingConfig { batch_size: usize::MAX, ..ok.clone() }),
            ("checkpoint_every", TrainingConfig { checkpoint_every: 0, ..ok.clone() }),
            ("keep_last", TrainingConfig { keep_last: 0, ..ok.clone() }),
            ("log_every", TrainingConfig { log_every: 0, ..ok.clone() }),
            ("max_norm", TrainingConfig { max_norm: Some(0.0), ..ok.clone() }),
            ("validate_every", TrainingConfig { validate_every: Some(0), ..ok.clone() }),
            ("weight_mean", TrainingConfig { weight_mean: Some(1.0), ..ok.clone() }),
            ("weight_mean", TrainingConfig { weight_mean: Some(f64::NAN), ..ok.clone() }),
            (
                "validate_every",
                TrainingConfig {
                    early_stopping: Some(EarlyStopping { patience: 1, min_delta: 0.0 }),
                    ..ok.clone()
                },
            ),
            (
                "early_stopping.min_delta",
                TrainingConfig {
                    early_stopping: Some(EarlyStopping { patience: 1, min_delta: f64::NAN }),
                    validate_every: Some(1),
                    ..ok.clone()
                },
            ),
            (
                "accumulation.n_batches",
                TrainingConfig {
                    accumulation: Accumulation { n_batches: 0, mode: AccumulationMode::Published },
                    ..ok
                },
            ),
        ] {
            match wrong.validate() {
                Err(TrainError::Setting { field: got, .. }) => assert_eq!(got, field),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}
