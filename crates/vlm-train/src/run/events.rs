//! What a run tells while it goes on.

use std::path::PathBuf;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TrainingEvent {
    /// The run goes on from a checkpoint.
    Resumed {
        /// Steps done before.
        step: u64,
        /// Steps of the run.
        n_steps: u64,
    },
    /// A checkpoint cannot be used; an earlier one is.
    Damaged {
        /// Its folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A step was made.
    StepDone {
        /// Steps done, this one included.
        step: u64,
        /// Steps of the run.
        n_steps: u64,
        /// Mean cross-entropy before the update.
        loss: f64,
        /// Learning rate.
        lr: f64,
        /// Norm of all gradients before clipping; none for a step without update.
        grad_norm: Option<f32>,
        /// Samples of all ranks in a second, a running mean.
        samples_per_s: f64,
        /// Seconds to the end at this speed.
        eta_s: f64,
    },
    /// A validation was made.
    Validated {
        /// Steps done.
        step: u64,
        /// Its score.
        score: f64,
        /// Whether it is the best so far.
        is_best: bool,
    },
    /// A checkpoint was written.
    Saved {
        /// Steps done.
        step: u64,
        /// Its folder.
        folder: PathBuf,
    },
}
