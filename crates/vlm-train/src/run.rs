//! The training loop.

mod events;
mod session;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use vlm_model::MiniGpt;
use vlm_prompt::Tokenizer;

use crate::error::CallerError;
use crate::step::{forward_backward, update};
use crate::{Best, GradientSync, ImageProvider, MixtureEntry, TrainError, TrainingConfig};
use session::{Session, StepTotals};

pub use events::TrainingEvent;

/// Scores a model on data that is not trained on; higher is better. It must not depend on a clock
/// or on how often it was called.
pub type Validate<'a> = &'a mut dyn FnMut(&MiniGpt) -> Result<f64, CallerError>;

/// Where a run comes from. All of it is kept in checkpoints, and a run is not resumed with
/// anything else.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Provenance {
    /// The caller's whole resolved configuration.
    pub config: serde_json::Value,
    /// SHA-256 of the split that decides who is trained on.
    pub split_sha256: String,
    /// SHA-256 of the weights that the run starts from.
    pub base_weights_sha256: String,
}

/// Everything that a run needs.
pub struct TrainingRun<'a> {
    /// The weights that the run starts from; a resumed run too is given these.
    pub model: MiniGpt,
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The settings.
    pub config: &'a TrainingConfig,
    /// What is trained on.
    pub sources: Vec<MixtureEntry>,
    /// The images of the samples.
    pub images: &'a mut dyn ImageProvider,
    /// Where checkpoints and logs go; made where it is missing.
    pub folder: &'a Path,
    /// Whether a run that the folder holds goes on. Without one it begins.
    pub resume: bool,
    /// Where the run comes from.
    pub provenance: Provenance,
    /// Set by anyone to save and stop after the step that is being made.
    pub stop: &'a AtomicBool,
    /// The validation, called as often as the settings say.
    pub validate: Option<Validate<'a>>,
    /// Told what happens.
    pub observe: &'a mut dyn FnMut(&TrainingEvent),
    /// The other processes of the run, or [`Single`](crate::Single).
    pub sync: &'a mut dyn GradientSync,
}

impl std::fmt::Debug for TrainingRun<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TrainingRun")
            .field("config", &self.config)
            .field("sources", &self.sources)
            .field("folder", &self.folder)
            .field("resume", &self.resume)
            .field("provenance", &self.provenance)
            .finish_non_exhaustive()
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps were made.
    Completed,
    /// The score did not improve any more.
    EarlyStopped,
    /// It was asked to stop and can be resumed.
    Stopped,
}

/// A checkpoint with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct BestCheckpoint {
    /// Its step and score.
    pub best: Best,
    /// Its folder.
    pub folder: PathBuf,
}

/// What a run led to.
#[derive(Debug)]
pub struct TrainingOutcome {
    /// The model after the last step, with the means of its weights where they are kept.
    pub model: MiniGpt,
    /// Why it ended.
    pub ending: Ending,
    /// Steps done.
    pub step: u64,
    /// The last checkpoint.
    pub last: PathBuf,
    /// The checkpoint with the best validation, if there was one.
    pub best: Option<BestCheckpoint>,
}

/// Trains a model.
///
/// ```text
/// batch -> loss -> backward (added up over batches) -> sum over ranks -> clip -> AdamW -> log
///   -> mean of the weights -> validation -> checkpoint
/// ```
///
/// On the CPU the same inputs give the same weights, checkpoints and metrics, bit for bit, however
/// often the run was stopped or killed and resumed. Only rank 0 writes and validates.
///
/// # Errors
/// - [`TrainError::Setting`] for impossible settings or sources
/// - [`TrainError::Lock`] if another process trains in the folder
/// - [`TrainError::RunExists`] if the folder holds a run and `resume` is not set
/// - [`TrainError::Changed`] if it holds a run of other settings, data or weights
/// - [`TrainError::NotFinite`] if the loss or a gradient is no number
/// - others if samples, images, files, validation or ranks fail
///
/// # Source
/// SPEC 4.
pub fn train(run: TrainingRun<'_>) -> Result<TrainingOutcome, TrainError> {
    let (mut session, mut model) = Session::open(run)?;
    let config = session.config.clone();
    let schedule = &config.schedule;
    while session.state.step < schedule.n_steps() && !session.is_early_stopped() {
        if session.is_asked_to_stop()? {
            session.save(&model)?;
            return session.finish(model, Ending::Stopped);
        }
        let step = session.state.step;
        let lr = schedule.lr(step);
        let mut totals = StepTotals::default();
        for batch_idx in 0..session.batches_per_step() {
            let batch = session.next_batch(&model, &mut totals)?;
            let seed = session.dropout_seed(batch_idx);
            let computed = forward_backward(&model, &batch, config.checkpointing(), seed)?;
            totals.add_loss(&computed);
            session.pending.add(&model, computed, session.weigh);
        }
        let loss = session.mean_loss(&mut totals)?;
        let mut grad_norm = None;
        if session.is_update_due() {
            let mode = config.accumulation.mode;
            let max_norm = config.max_norm_f32();
            let ready = session.pending.take(&model, mode, session.weigh, max_norm, session.sync)?;
            if !ready.grad_norm.is_finite() {
                return Err(TrainError::NotFinite { step, loss, grad_norm: ready.grad_norm });
            }
            grad_norm = Some(ready.grad_norm);
            model = update(model, &mut session.optimizer, ready.gradients, lr);
        }
        session.state.step += 1;
        if let Some(mean) = session.mean.as_mut().filter(|_| grad_norm.is_some()) {
            mean.add(&model, session.state.step);
        }
        session.log_step(&totals, loss, lr, grad_norm)?;
        let is_best = session.validate_if_due(&model)?;
        if is_best || session.is_checkpoint_due() {
            session.save(&model)?;
        }
    }
    session.save(&model)?;
    let ending = if session.is_early_stopped() { Ending::EarlyStopped } else { Ending::Completed };
    session.finish(model, ending)
}
