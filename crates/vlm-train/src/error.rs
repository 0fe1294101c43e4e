//! What can go wrong in training.

use std::path::PathBuf;

use vlm_model::{ExportError, ModelError, WeightsError};
use vlm_prompt::PromptError;

/// An error of code that the training loop calls and does not know.
pub type CallerError = Box<dyn std::error::Error + Send + Sync>;

/// An error of the training library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The model cannot compute a batch.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A setting of the run is impossible.
    #[error("`{field}` is `{value}`: {reason}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        reason: &'static str,
    },
    /// The optimizer's state is not of the form that this crate knows.
    #[error("cannot read the optimizer's state: {0}")]
    OptimizerState(String),
    /// A source of samples has no sample for its turn.
    #[error("sample `{index}` of source `{name}` cannot be made")]
    Sample {
        /// The source.
        name: String,
        /// The sample's place in it.
        index: u64,
        /// Why.
        source: CallerError,
    },
    /// A sample cannot be written as a prompt.
    #[error("sample `{index}` of source `{name}` is no conversation")]
    Prompt {
        /// The source.
        name: String,
        /// The sample's place in it.
        index: u64,
        /// Why.
        source: PromptError,
    },
    /// A file of conversations is not of the form that is read.
    #[error("`{}`, {place}: {reason}", path.display())]
    Conversation {
        /// The file.
        path: PathBuf,
        /// Line or record.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The images of a batch cannot be had.
    #[error("the images of a batch cannot be had")]
    Images {
        /// Why.
        source: CallerError,
    },
    /// A table of features has no row for an image.
    #[error("no features of image `{image}`, `{n_images}` images are known")]
    UnknownImage {
        /// The image.
        image: u64,
        /// How many there are.
        n_images: usize,
    },
    /// Features have another size than their table.
    #[error("features of image `{image}` have `{got}` values, expected `{expected}`")]
    Features {
        /// The image.
        image: u64,
        /// Values given.
        got: usize,
        /// Values of one image.
        expected: usize,
    },
    /// The loss or a gradient is no number: the weights before it are in the last checkpoint.
    #[error("step `{step}` has loss `{loss}` and gradient norm `{grad_norm}`, training cannot go on")]
    NotFinite {
        /// The step, counted from 0.
        step: u64,
        /// Its loss.
        loss: f64,
        /// The norm of its gradients, zero where they were not computed.
        grad_norm: f32,
    },
    /// The caller's validation failed.
    #[error("validation after step `{step}` failed")]
    Validation {
        /// Steps done.
        step: u64,
        /// Why.
        source: CallerError,
    },
    /// Ranks could not exchange numbers.
    #[error("ranks could not exchange their gradients")]
    Sync {
        /// Why.
        source: CallerError,
    },
    /// Another process trains in the run folder.
    #[error(transparent)]
    Lock(#[from] run_folder::LockError),
    /// Ranks of a run do not hold the same.
    #[error("the {what} of rank `{rank}` is not that of rank `0`: all ranks need the same")]
    RanksDiffer {
        /// What they compared.
        what: &'static str,
        /// The first rank that differs.
        rank: usize,
    },
    /// A new run would write over an old one.
    #[error("`{}` holds a run of `{step}` steps already: resume it or choose another folder", folder.display())]
    RunExists {
        /// The run folder.
        folder: PathBuf,
        /// Its latest checkpoint.
        step: u64,
    },
    /// A checkpoint is not whole, or not this program's.
    #[error("checkpoint `{}` cannot be used: {reason}", folder.display())]
    Checkpoint {
        /// Its folder.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A run cannot be resumed with something else than it was started with.
    #[error("`{what}` is `{now}`, but the run was started with `{saved}`")]
    Changed {
        /// The setting, with dots between its levels.
        what: String,
        /// As in the checkpoint.
        saved: String,
        /// As asked for now.
        now: String,
    },
    /// A log is shorter than the checkpoint says.
    #[error("`{}` has `{got}` bytes, but the checkpoint was made after `{expected}`", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Its size.
        got: u64,
        /// Its size when the checkpoint was made, at least.
        expected: u64,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not the JSON that is expected.
    #[error("`{}` is not the JSON that is expected", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Weights cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Fails unless `value` is finite and not negative.
pub(crate) fn check_not_negative(field: &'static str, value: f64) -> Result<(), TrainError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(setting(field, value, "expected a finite number, 0 or more"))
}

pub(crate) fn setting(field: &'static str, value: impl ToString, reason: &'static str) -> TrainError {
    TrainError::Setting { field, value: value.to_string(), reason }
}
