//! Training steps: everything where the model has no adapters, else adapters and projector.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::optim::ModuleOptimizer;
use vlm_model::{BlockCheckpointing, MiniGpt, Trainable};
use vlm_train::{
    BatchImages, OptimizerConfig, StepOptions, TrainingBatch, TrainingSample, global_norm, optimizer,
    train_step,
};

use crate::{Work, inputs};

const LEARNING_RATE: f64 = 1e-4;
/// A token that no text has.
const PAD: u32 = 0;

struct Setup {
    model: MiniGpt,
    optimizer: ModuleOptimizer,
    batch: TrainingBatch,
}

fn setup(folder: &Path) -> Result<Setup> {
    let model = inputs::open(folder)?;
    let is_adapted = model.config().lora.is_some();
    let (trainable, batch) =
        if is_adapted { (Trainable::AdaptersAndProjector, 4) } else { (Trainable::Everything, 16) };
    let samples: Vec<TrainingSample> = (0..batch)
        .map(|row| {
            let (condition, answer) = inputs::condition_and_answer(&model, row);
            TrainingSample { condition, answer }
        })
        .collect();
    let config = model.config();
    let images = inputs::pixels(batch, config.vision.image_size, &model.device());
    let batch = TrainingBatch::new(
        &samples,
        BatchImages::Pixels(images),
        config.n_image_tokens(),
        config.llama.bos_token,
        PAD,
    );
    let model = model.with_trainable(trainable);
    let optimizer = optimizer(&model, &OptimizerConfig::default())?;
    Ok(Setup { model, optimizer, batch })
}

/// Forward, backward and update; loss and norm of the gradients.
pub(crate) fn step(folder: &Path) -> Result<Work> {
    let Setup { model, mut optimizer, batch } = setup(folder)?;
    let mut model = Some(model);
    Ok(Box::new(move |_| {
        let start = Instant::now();
        let before = model.take().context("the model of the step before")?;
        let options = StepOptions::default();
        let (after, report) = train_step(before, &mut optimizer, &batch, LEARNING_RATE, &options)?;
        model = Some(after);
        Ok((start.elapsed(), vec![f64::from(report.loss), f64::from(report.grad_norm)]))
    }))
}

/// The step's parts in ms: tower, assembly, forward of the language model without a graph, forward
/// and backward together, norm, update.
pub(crate) fn parts(folder: &Path) -> Result<Work> {
    let Setup { model, mut optimizer, batch } = setup(folder)?;
    let mut model = Some(model);
    Ok(Box::new(move |_| {
        let start = Instant::now();
        let before = model.take().context("the model of the step before")?;
        let BatchImages::Pixels(pixels) = &batch.images else { anyhow::bail!("pixels were put there") };
        let mut clock = Clock { last: start, laps: Vec::new() };
        let features = before.vision_features(pixels.clone())?;
        clock.lap();
        let images = before.project(features);
        let (embeddings, mask) = before.assemble(&batch.sequences, Some(&images), batch.padding)?;
        clock.lap();
        let checkpointing = BlockCheckpointing::Off;
        let computed = before.loss_and_gradients(embeddings, &mask, &batch.labels, checkpointing, 0)?;
        clock.lap();
        global_norm(&before, &computed.gradients)?;
        clock.lap();
        // Without the detour of `train_step` around a tower that was never loaded.
        model = Some(optimizer.step(LEARNING_RATE, before, computed.gradients));
        clock.lap();
        Ok((start.elapsed(), clock.laps.iter().map(|lap| lap.as_secs_f64() * 1e3).collect()))
    }))
}

struct Clock {
    last: Instant,
    laps: Vec<Duration>,
}

impl Clock {
    fn lap(&mut self) {
        let now = Instant::now();
        self.laps.push(now - self.last);
        self.last = now;
    }
}
