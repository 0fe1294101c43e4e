//! What a run holds between its steps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use rand_chacha::rand_core::Rng;
use run_folder::{RunLock, remove_partial};
use sha2::{Digest, Sha256};
use vlm_model::{LossAndGradients, MiniGpt};

use super::{BestCheckpoint, Ending, TrainingEvent, TrainingOutcome, TrainingRun, Validate};
use crate::atomic::io_error;
use crate::checkpoint::{
    ResumePoint, RunIdentity, RunState, Tensors, load_state, manifest_bytes, remove_old, resume_point, save,
};
use crate::draws::{Purpose, stream};
use crate::error::setting;
use crate::hex::to_hex;
use crate::log::{RunLog, StepLine, ValidationLine};
use crate::optimizer_state::OptimizerState;
use crate::parameters::{gradients_of, learning_weights, named_gradients, with_weights};
use crate::pending::PendingGradients;
use crate::weight_mean::WeightMean;
use crate::{
    AccumulationMode, BatchImages, Best, CHECKPOINTS_FOLDER, GradientSync, ImageId, ImageProvider, Mixture,
    SampleEncoder, TrainError, TrainingBatch, TrainingConfig, check_same, checkpoint_folder, optimizer,
};

/// Weight of the newest step in the running mean of a step's time.
const SPEED_WEIGHT: f64 = 0.05;

pub(super) struct Session<'a> {
    pub(super) config: TrainingConfig,
    pub(super) state: RunState,
    pub(super) optimizer: ModuleOptimizer,
    pub(super) pending: PendingGradients,
    /// None where the settings ask for none.
    pub(super) mean: Option<WeightMean>,
    pub(super) sync: &'a mut dyn GradientSync,
    /// Whether gradients are weighed by targets before they are added.
    pub(super) weigh: bool,
    mixture: Mixture,
    encoder: SampleEncoder,
    images: &'a mut dyn ImageProvider,
    folder: PathBuf,
    identity: RunIdentity,
    /// None on ranks that do not write.
    log: Option<RunLog>,
    /// The run folder is this process's, on the rank that writes.
    _lock: Option<RunLock>,
    stop: &'a AtomicBool,
    validate: Option<Validate<'a>>,
    observe: &'a mut dyn FnMut(&TrainingEvent),
    last_saved: Option<u64>,
    step_started: Instant,
    seconds_per_step: Option<f64>,
}

/// Sums over the batches of a step.
#[derive(Debug, Default)]
pub(super) struct StepTotals {
    loss_times_targets: f64,
    n_targets: f64,
    /// Samples by source.
    by_source: BTreeMap<usize, u64>,
}

impl StepTotals {
    #[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^53 targets")]
    pub(super) fn add_loss(&mut self, computed: &LossAndGradients) {
        self.loss_times_targets += f64::from(computed.loss) * computed.n_targets as f64;
        self.n_targets += computed.n_targets as f64;
    }
}

impl<'a> Session<'a> {
    /// Checks everything, and begins or goes on.
    pub(super) fn open(run: TrainingRun<'a>) -> Result<(Self, MiniGpt), TrainError> {
        let config = run.config.clone();
        config.validate()?;
        if config.validate_every.is_some() && run.validate.is_none() {
            return Err(setting("validate_every", "set", "the caller gave no validation"));
        }
        let ranks = run.sync.ranks();
        let mut mixture = Mixture::new(run.sources, config.mix, config.seed, config.batch_size, ranks)?;
        let mut model = run.model.with_trainable(config.trainable.into());
        let of_source = |entry: &crate::MixtureEntry| {
            (entry.source.name().to_owned(), to_hex(&entry.source.fingerprint()))
        };
        let identity = RunIdentity {
            training: to_json(&config),
            model: to_json(model.config()),
            config: run.provenance.config,
            split_sha256: run.provenance.split_sha256,
            base_weights_sha256: run.provenance.base_weights_sha256,
            sources: mixture.entries().iter().map(of_source).collect(),
            world_size: ranks.world_size,
        };
        let folder = run.folder.to_owned();
        let checkpoints = folder.join(CHECKPOINTS_FOLDER);
        let lock = (ranks.rank == 0).then(|| RunLock::take(&folder)).transpose()?;
        if lock.is_some() {
            fs_err::create_dir_all(&checkpoints).map_err(io_error(&checkpoints))?;
            remove_partial(&checkpoints).map_err(io_error(&checkpoints))?;
        }
        let ResumePoint { step: latest, damaged } = resume_point(&folder)?;
        for (folder, error) in damaged {
            (run.observe)(&TrainingEvent::Damaged { folder, reason: error.to_string() });
        }
        let checkpoint =
            latest.map_or(Ok(Vec::new()), |step| manifest_bytes(&checkpoint_folder(&folder, step)))?;
        check_identity(&identity, &checkpoint, run.sync)?;
        let mut optimizer = optimizer(&model, &config.optimizer)?;
        let mut state = RunState { mixture: mixture.position().clone(), ..RunState::default() };
        let mut pending = PendingGradients::default();
        let mut mean = config.weight_mean.map(|decay| WeightMean::new(decay, &model));
        if let Some(step) = latest {
            if !run.resume {
                return Err(TrainError::RunExists { folder, step });
            }
            let place = checkpoint_folder(&folder, step);
            let loaded = load_state(&place)?;
            loaded.identity.check(&identity, &place)?;
            let unusable = |names: Vec<String>| TrainError::Checkpoint {
                folder: place.clone(),
                reason: format!("the model has no `{}`", names.join("`, `")),
            };
            state = loaded.state;
            mixture.seek(state.mixture.clone())?;
            model = with_weights(model, loaded.tensors.weights).map_err(unusable)?;
            let unfit = |names: Vec<String>| TrainError::Checkpoint {
                folder: place.clone(),
                reason: format!("its means do not fit the model: `{}`", names.join("`, `")),
            };
            mean = mean.map(|mean| mean.restore(loaded.tensors.mean)).transpose().map_err(unfit)?;
            optimizer = loaded.tensors.optimizer.restore(optimizer, &model)?;
            let gradients = gradients_of(&model, loaded.tensors.gradients).map_err(unusable)?;
            pending = PendingGradients {
                // Those of all ranks together.
                gradients: if ranks.rank == 0 { gradients } else { GradientsParams::new() },
                n_batches: state.n_pending_batches,
                n_targets: state.n_pending_targets,
            };
            (run.observe)(&TrainingEvent::Resumed { step, n_steps: config.schedule.n_steps() });
        }
        let log = (ranks.rank == 0).then(|| RunLog::open(&folder, state.log)).transpose()?;
        let is_corrected = config.accumulation.mode == AccumulationMode::Corrected;
        let session = Self {
            weigh: is_corrected && (config.accumulation.n_batches > 1 || ranks.world_size > 1),
            encoder: SampleEncoder::new(run.tokenizer.clone(), config.prompt_mode, config.max_txt_len),
            config,
            state,
            optimizer,
            pending,
            mean,
            sync: run.sync,
            mixture,
            images: run.images,
            folder,
            identity,
            log,
            _lock: lock,
            stop: run.stop,
            validate: run.validate,
            observe: run.observe,
            last_saved: latest,
            step_started: Instant::now(),
            seconds_per_step: None,
        };
        Ok((session, model))
    }

    /// Batches that a step is made of.
    pub(super) fn batches_per_step(&self) -> u64 {
        match self.config.accumulation.mode {
            AccumulationMode::Corrected => self.config.accumulation.n_batches,
            AccumulationMode::Published => 1,
        }
    }

    /// Whether the step that is being made ends with an update.
    ///
    /// # Source
    /// SPEC 4.3: the published code updates where the place in the epoch, counted from 1, is a
    /// multiple of the number of batches, so that an epoch's rest waits for the next epoch.
    pub(super) fn is_update_due(&self) -> bool {
        match self.config.accumulation.mode {
            AccumulationMode::Corrected => true,
            AccumulationMode::Published => {
                let place = self.state.step % self.config.schedule.steps_per_epoch;
                (place + 1).is_multiple_of(self.config.accumulation.n_batches)
            }
        }
    }

    /// The next batch with its images, this rank's part.
    pub(super) fn next_batch(
        &mut self,
        model: &MiniGpt,
        totals: &mut StepTotals,
    ) -> Result<TrainingBatch, TrainError> {
        let draws = self.mixture.next_batch();
        self.state.mixture = self.mixture.position().clone();
        let mut images: Vec<ImageId> = Vec::new();
        let mut samples = Vec::with_capacity(draws.len());
        for draw in &draws {
            let item = self.mixture.item(draw)?;
            let places: Vec<usize> = item.images.iter().map(|image| place_of(&mut images, *image)).collect();
            let sample = self.encoder.encode(&item, &places).map_err(|source| TrainError::Prompt {
                name: self.mixture.entries()[draw.source_idx].source.name().to_owned(),
                index: draw.draw.index,
                source,
            })?;
            samples.push(sample);
            *totals.by_source.entry(draw.source_idx).or_default() += 1;
        }
        let images =
            if images.is_empty() { BatchImages::Nothing } else { self.images.batch(model, &images)? };
        let tokenizer = self.encoder.tokenizer();
        let (bos, pad) = (tokenizer.bos_id(), tokenizer.pad_id());
        Ok(TrainingBatch::from_encoded(samples, images, model.config().n_image_tokens(), bos, pad))
    }

    /// A seed for the dropout of a batch: another one for every step, batch and rank.
    pub(super) fn dropout_seed(&self, batch_idx: u64) -> u64 {
        let rank = self.sync.ranks().rank as u64;
        let place = [self.state.step, (rank << 32) | batch_idx];
        stream(self.config.seed, Purpose::Dropout, place).next_u64()
    }

    /// The mean loss over all targets of the step, of all ranks; fails where it is no number.
    pub(super) fn mean_loss(&mut self, totals: &mut StepTotals) -> Result<f64, TrainError> {
        let mut values = vec![totals.loss_times_targets, totals.n_targets];
        #[expect(clippy::cast_precision_loss, reason = "counts of samples are small")]
        for place in 0..self.mixture.entries().len() {
            values.push(totals.by_source.get(&place).copied().unwrap_or(0) as f64);
        }
        self.sync.sum(&mut values)?;
        (totals.loss_times_targets, totals.n_targets) = (values[0], values[1]);
        for (place, n) in values[2..].iter().enumerate().filter(|(_, n)| **n > 0.0) {
            totals.by_source.insert(place, count(*n));
        }
        let loss = totals.loss_times_targets / totals.n_targets;
        if loss.is_finite() {
            return Ok(loss);
        }
        Err(TrainError::NotFinite { step: self.state.step, loss, grad_norm: 0.0 })
    }

    /// Whether any rank was asked to stop.
    pub(super) fn is_asked_to_stop(&mut self) -> Result<bool, TrainError> {
        let mut asked = [f64::from(u8::from(self.stop.load(Ordering::Relaxed)))];
        self.sync.sum(&mut asked)?;
        Ok(asked[0] > 0.0)
    }

    pub(super) fn is_early_stopped(&self) -> bool {
        self.config.early_stopping.is_some_and(|stopping| self.state.n_without_gain >= stopping.patience)
    }

    pub(super) fn is_checkpoint_due(&self) -> bool {
        self.state.step.is_multiple_of(self.config.checkpoint_every)
    }

    /// Writes down a step that was made and tells the observer.
    pub(super) fn log_step(
        &mut self,
        totals: &StepTotals,
        loss: f64,
        lr: f64,
        grad_norm: Option<f32>,
    ) -> Result<(), TrainError> {
        let step = self.state.step;
        let n_steps = self.config.schedule.n_steps();
        let seconds = self.step_started.elapsed().as_secs_f64();
        self.step_started = Instant::now();
        let mean = self.seconds_per_step.map_or(seconds, |mean| mean + SPEED_WEIGHT * (seconds - mean));
        self.seconds_per_step = Some(mean);
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let (n_samples, n_left) =
            (totals.by_source.values().sum::<u64>() as f64, n_steps.saturating_sub(step) as f64);
        let samples_per_s = n_samples / mean.max(1e-9);
        let is_due = step.is_multiple_of(self.config.log_every) || step == n_steps;
        if let Some(log) = self.log.as_mut().filter(|_| is_due) {
            let entries = self.mixture.entries();
            let sources: BTreeMap<&str, u64> =
                totals.by_source.iter().map(|(place, n)| (entries[*place].source.name(), *n)).collect();
            let n_targets = count(totals.n_targets);
            let line = StepLine { step, loss, lr, grad_norm, n_targets, sources: &sources };
            log.step(&line, seconds, samples_per_s)?;
        }
        let eta_s = n_left * mean;
        (self.observe)(&TrainingEvent::StepDone { step, n_steps, loss, lr, grad_norm, samples_per_s, eta_s });
        Ok(())
    }

    /// Validates if it is time. Returns whether the score is the best so far.
    pub(super) fn validate_if_due(&mut self, model: &MiniGpt) -> Result<bool, TrainError> {
        let step = self.state.step;
        let Some(every) = self.config.validate_every else { return Ok(false) };
        if !(step.is_multiple_of(every) || step == self.config.schedule.n_steps()) {
            return Ok(false);
        }
        let mut score = [0.0];
        if self.log.is_some()
            && let Some(validate) = &mut self.validate
        {
            let shown = self.mean.as_ref().map_or_else(|| Ok(model.clone()), |mean| mean.model(model))?;
            score[0] = validate(&shown.valid()).map_err(|source| TrainError::Validation { step, source })?;
        }
        // Only rank 0 has one: the sum is its score everywhere.
        self.sync.sum(&mut score)?;
        let [score] = score;
        if !score.is_finite() {
            return Err(TrainError::Validation { step, source: format!("its score is {score}").into() });
        }
        let is_best = self.state.best.is_none_or(|best| score > best.score);
        if is_best {
            self.state.best = Some(Best { step, score });
        }
        // Small gains add up: each is measured from the last one that counted.
        let min_delta = self.config.early_stopping.map_or(0.0, |stopping| stopping.min_delta);
        if self.state.last_gain.is_none_or(|last| score > last + min_delta) {
            self.state.last_gain = Some(score);
            self.state.n_without_gain = 0;
        } else {
            self.state.n_without_gain += 1;
        }
        if let Some(log) = &mut self.log {
            log.validation(&ValidationLine { step, validation_score: score, is_best })?;
        }
        (self.observe)(&TrainingEvent::Validated { step, score, is_best });
        // A validation is not part of a step's time.
        self.step_started = Instant::now();
        Ok(is_best)
    }

    /// Writes a checkpoint of this step, unless there is one, and removes old ones. All ranks come
    /// here together: their weights are compared first.
    pub(super) fn save(&mut self, model: &MiniGpt) -> Result<(), TrainError> {
        let step = self.state.step;
        if self.last_saved == Some(step) {
            return Ok(());
        }
        self.last_saved = Some(step);
        let weights = learning_weights(model)?;
        if self.sync.ranks().world_size > 1 {
            let mut hash = Sha256::new();
            weights.values().for_each(|data| hash.update(data.as_bytes()));
            check_same(self.sync, &[("weights after a step", &hash.finalize())])?;
            self.pending.join(model, self.sync)?;
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        // Before the checkpoint, which says that so much of the log is there.
        self.state.log = log.sync()?;
        self.state.n_pending_batches = self.pending.n_batches;
        self.state.n_pending_targets = self.pending.n_targets;
        let tensors = Tensors {
            weights,
            mean: self.mean.as_ref().map(WeightMean::weights).transpose()?.unwrap_or_default(),
            optimizer: OptimizerState::read(&self.optimizer, model)?,
            gradients: named_gradients(model, &self.pending.gradients)?,
        };
        save(&self.folder, &self.identity, self.state.clone(), tensors)?;
        remove_old(&self.folder, self.config.keep_last, self.state.best.map(|best| best.step))?;
        (self.observe)(&TrainingEvent::Saved { step, folder: checkpoint_folder(&self.folder, step) });
        self.step_started = Instant::now();
        Ok(())
    }

    pub(super) fn finish(self, model: MiniGpt, ending: Ending) -> Result<TrainingOutcome, TrainError> {
        let model = self.mean.as_ref().map_or_else(|| Ok(model.clone()), |mean| mean.model(&model))?;
        let step = self.state.step;
        let best = self.state.best.map(|best| {
            let folder = checkpoint_folder(&self.folder, best.step);
            BestCheckpoint { best, folder }
        });
        Ok(TrainingOutcome { model, ending, step, last: checkpoint_folder(&self.folder, step), best })
    }
}

/// Fails on all ranks where one was started with something else, or sees another run folder.
fn check_identity(
    identity: &RunIdentity,
    checkpoint: &[u8],
    sync: &mut dyn GradientSync,
) -> Result<(), TrainError> {
    let sources = to_json(&identity.sources).to_string();
    check_same(
        sync,
        &[
            ("configuration", identity.config.to_string().as_bytes()),
            ("settings of the training", identity.training.to_string().as_bytes()),
            ("size of the model", identity.model.to_string().as_bytes()),
            ("split", identity.split_sha256.as_bytes()),
            ("base weights", identity.base_weights_sha256.as_bytes()),
            ("samples", sources.as_bytes()),
            ("latest checkpoint in the run folder", checkpoint),
        ],
    )
}

/// The place of an image among those of a batch, a new one if it is not there yet.
fn place_of(images: &mut Vec<ImageId>, image: ImageId) -> usize {
    images.iter().position(|other| *other == image).unwrap_or_else(|| {
        images.push(image);
        images.len() - 1
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of counts")]
fn count(sum: f64) -> u64 {
    sum as u64
}

fn to_json(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("numbers, texts and names of settings")
}
