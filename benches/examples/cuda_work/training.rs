//! Training steps: adapters and projector learn.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use serde_json::json;
use vlm_model::{MiniGpt, SequencePart, Trainable};
use vlm_train::{
    BatchImages, OptimizerConfig, StepOptions, TrainingBatch, TrainingSample, optimizer, train_step,
};

use crate::options::{Options, Repetitions};
use crate::{inputs, print, weights};

/// A token that no text has.
const PAD: u32 = 0;
const LEARNING_RATE: f64 = 1e-4;

/// One sample a row, each about its own image. `first` is the first row's number.
pub(crate) fn batch(model: &MiniGpt, first: usize, n_rows: usize, images: BatchImages) -> TrainingBatch {
    let samples: Vec<TrainingSample> = (first..first + n_rows)
        .map(|row| {
            let (mut condition, answer) = inputs::condition_and_answer(model, row);
            for part in &mut condition {
                if let SequencePart::Image(index) = part {
                    *index = row - first;
                }
            }
            TrainingSample { condition, answer }
        })
        .collect();
    let config = model.config();
    TrainingBatch::new(&samples, images, config.n_image_tokens(), config.llama.bos_token, PAD)
}

/// In place of the tower's features: the numbers of `pixels` in another shape.
fn features(model: &MiniGpt, n_images: usize, device: &Device) -> Tensor<3> {
    let shape = [n_images, model.config().n_image_tokens(), model.config().merged_width()];
    let n_values: usize = shape.iter().product();
    let size = model.config().vision.image_size;
    let pixels = inputs::pixels(n_values.div_ceil(3 * size * size), size, device);
    pixels.flatten::<1>(0, 3).narrow(0, 0, n_values).reshape(shape)
}

/// Forward, backward and update, repeated on one batch.
pub(crate) fn train(options: &Options) -> Result<()> {
    let device = options.open_device()?;
    let model = weights::open(options, &device)?;
    let images = if options.features {
        BatchImages::Features(features(&model, options.batch, &device))
    } else {
        BatchImages::Pixels(inputs::pixels(options.batch, model.config().vision.image_size, &device))
    };
    let batch = batch(&model, 0, options.batch, images);
    let n_positions = inputs::n_positions(&model);
    let mut model = model.with_trainable(Trainable::AdaptersAndProjector);
    let mut optimizer = optimizer(&model, &OptimizerConfig::default())?;
    let step_options = StepOptions { checkpointing: options.checkpointing, ..StepOptions::default() };
    print(&json!({"positions": n_positions, "batch": options.batch}))?;
    let mut repetitions = Repetitions::new(options, 2);
    while let Some((step, warm)) = repetitions.next() {
        let start = Instant::now();
        let (after, report) = train_step(model, &mut optimizer, &batch, LEARNING_RATE, &step_options)?;
        model = after;
        device.sync()?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let (loss, norm) = (report.loss, report.grad_norm);
        print(&json!({"step": step, "warm": warm, "ms": ms, "loss": loss, "grad_norm": norm}))?;
    }
    let usage = device.memory_pool_usage();
    let mib = |bytes: u64| bytes >> 20;
    print(&json!({"pool_reserved_mib": usage.map(|usage| mib(usage.bytes_reserved))}))
}
