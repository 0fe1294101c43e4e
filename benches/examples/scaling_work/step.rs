//! Training steps of one batch size and length.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Tensor, TensorData};
use serde_json::{Value, json};
use vlm_infer::PromptSettings;
use vlm_model::{
    CheckpointOptions, DeviceChoice, MiniGpt, MiniGptConfig, Precision, SequencePart, Trainable,
    init_checkpoint, load_checkpoint,
};
use vlm_prompt::BoxFormat;
use vlm_train::{
    BatchImages, OptimizerConfig, StepOptions, TrainingBatch, TrainingSample, optimizer, train_step,
};

const LEARNING_RATE: f64 = 1e-4;
/// A token that no text has.
const PAD: u32 = 0;
/// Text before the image, and text that is learned.
const N_BEFORE: usize = 5;
const N_ANSWER: usize = 8;
/// Steps that are not timed: memory is taken and the optimizer's moments are made in them.
const N_WARM_UP: usize = 2;

/// Milliseconds of each step, and the process's memory in MB before the first step and at most.
pub(crate) fn step(config: &Path, batch: usize, positions: usize, steps: usize) -> Result<Value> {
    ensure!(batch > 0 && steps > 0, "no batch or no step");
    let mut model = model(config)?.with_trainable(Trainable::Everything);
    let batch = training_batch(&model, batch, positions)?;
    let mut optimizer = optimizer(&model, &OptimizerConfig::default())?;
    let before_mb = memory_mb("VmRSS:")?;
    let mut milliseconds = Vec::with_capacity(steps);
    for n in 0..N_WARM_UP + steps {
        let start = Instant::now();
        let (after, _) = train_step(model, &mut optimizer, &batch, LEARNING_RATE, &StepOptions::default())?;
        model = after;
        if n >= N_WARM_UP {
            milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(json!({ "ms": milliseconds, "before_mb": before_mb, "peak_mb": memory_mb("VmHWM:")? }))
}

/// First weights of a configuration, in f32 on the CPU.
fn model(config: &Path) -> Result<MiniGpt> {
    let config = MiniGptConfig::from_json(&fs_err::read_to_string(config)?)?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("weights");
    let prompt = PromptSettings::consistent(BoxFormat::Percent100).to_json();
    init_checkpoint(&config, 1, Precision::F32, &folder, &prompt, &CheckpointOptions::default())?;
    let device = DeviceChoice::Cpu.open()?;
    Ok(load_checkpoint(&folder, Precision::F32, &device, &mut |_, _| {})?.0)
}

/// Rows of `positions` each, BOS and image included, with an image a row.
fn training_batch(model: &MiniGpt, batch: usize, positions: usize) -> Result<TrainingBatch> {
    let config = model.config();
    let n_image = config.n_image_tokens();
    let n_text = positions
        .checked_sub(1 + n_image)
        .filter(|n| *n >= N_BEFORE + N_ANSWER && positions <= config.llama.max_positions)
        .with_context(|| {
            format!("{positions} positions do not hold an image and an answer, or are too many")
        })?;
    let n_words = config.llama.vocab_size - 3;
    #[expect(clippy::cast_possible_truncation, reason = "below the vocabulary")]
    let word = |row: usize, at: usize| 3 + ((row * 7919 + at * 104_729) % n_words) as u32;
    let samples: Vec<TrainingSample> = (0..batch)
        .map(|row| {
            let text: Vec<u32> = (0..n_text).map(|at| word(row, at)).collect();
            let (before, rest) = text.split_at(N_BEFORE);
            let (after, answer) = rest.split_at(rest.len() - N_ANSWER);
            let tokens = |ids: &[u32]| SequencePart::Tokens(ids.to_vec());
            let condition = vec![tokens(before), SequencePart::Image(row), tokens(after)];
            TrainingSample { condition, answer: answer.to_vec() }
        })
        .collect();
    let images = BatchImages::Pixels(pixels(model, batch));
    Ok(TrainingBatch::new(&samples, images, n_image, config.llama.bos_token, PAD))
}

fn pixels(model: &MiniGpt, n_images: usize) -> Tensor<4> {
    let size = model.config().vision.image_size;
    #[expect(clippy::cast_precision_loss, reason = "below 256")]
    let value = |i: usize| (i.wrapping_mul(2_654_435_761) >> 16 & 0xFF) as f32 / 128.0 - 1.0;
    let values: Vec<f32> = (0..n_images * 3 * size * size).map(value).collect();
    Tensor::from_data(TensorData::new(values, [n_images, 3, size, size]), &model.device())
}

/// What the kernel counts for this process; none where it does not say.
fn memory_mb(name: &str) -> Result<Option<f64>> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<f64>().ok());
    Ok(kib.map(|kib| kib * 1024.0 / 1e6))
}
