//! Losses of a small model that learns the same on every device.

use anyhow::Result;
use serde_json::json;
use vlm_model::{LoraConfig, MiniGptConfig, Trainable, initialized_model};
use vlm_train::{BatchImages, OptimizerConfig, StepOptions, optimizer, train_step};

use crate::options::Options;
use crate::{inputs, print, training};

/// Batches that come in turn.
const N_BATCHES: usize = 4;
const N_ROWS: usize = 8;
/// Large enough that the loss falls by a fifth in 150 steps: most of the model is random and frozen.
const LEARNING_RATE: f64 = 1e-2;

/// Adapters and projector of the preset `nano`, without dropout, from one seed.
pub(crate) fn curve(options: &Options) -> Result<()> {
    let device = options.open_device()?;
    let mut config = MiniGptConfig::nano();
    config.lora = config.lora.map(|lora| LoraConfig { dropout: 0.0, ..lora });
    let model = initialized_model(&config, 1, options.precision(), &device)?;
    let pixels = inputs::pixels(N_BATCHES * N_ROWS, config.vision.image_size, &device);
    let batches: Vec<_> = (0..N_BATCHES)
        .map(|index| {
            let first = index * N_ROWS;
            let images = BatchImages::Pixels(pixels.clone().narrow(0, first, N_ROWS));
            training::batch(&model, first, N_ROWS, images)
        })
        .collect();
    let mut model = model.with_trainable(Trainable::AdaptersAndProjector);
    let mut optimizer = optimizer(&model, &OptimizerConfig::default())?;
    for (step, batch) in (0..options.steps).zip(batches.iter().cycle()) {
        let (after, report) =
            train_step(model, &mut optimizer, batch, LEARNING_RATE, &StepOptions::default())?;
        model = after;
        print(&json!({"step": step, "loss": report.loss}))?;
    }
    Ok(())
}
