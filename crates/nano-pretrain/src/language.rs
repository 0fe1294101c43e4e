//! Phase 2: the language model learns to ask the tower.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use vlm_model::{MiniGpt, ModelError, SequencePart, Trainable};
use vlm_prompt::{PromptPart, Tokenizer};
use vlm_train::{
    BatchImages, OptimizerConfig, Schedule, ScheduleMode, StepOptions, TrainingBatch, TrainingSample,
    optimizer, train_step,
};

use crate::tower::normalized;
use crate::{LanguageRecipe, PhantomSlices, PretrainError, PretrainEvent, Questions};

/// Trains the language model and the projector on features of the frozen tower.
///
/// # Errors
/// [`PretrainError::Stopped`], [`PretrainError::Step`], [`PretrainError::Prompt`].
pub fn train_language(
    model: MiniGpt,
    slices: &PhantomSlices,
    recipe: &LanguageRecipe,
    device: &Device,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(PretrainEvent),
) -> Result<MiniGpt, PretrainError> {
    recipe.check()?;
    let (bos, pad) = (Tokenizer::nano().bos_id(), Tokenizer::nano().pad_id());
    let features = features(&model, slices, device, stop)?;
    let questions = Questions::new(slices, recipe);

    let schedule = Schedule {
        warmup_lr: Some(recipe.rate / 50.0),
        init_lr: recipe.rate,
        min_lr: recipe.rate / 100.0,
        warmup_steps: recipe.warmup_steps,
        steps_per_epoch: recipe.steps,
        n_epochs: 1,
        mode: ScheduleMode::Corrected,
    };
    let (n_tokens, width) = (model.config().n_image_tokens(), model.config().merged_width());
    let mut optimizer = optimizer(&model, &OptimizerConfig { beta_2: 0.98, ..OptimizerConfig::default() })?;
    // The tower has no gradients on features, so it stays as it is.
    let mut model = model.with_trainable(Trainable::Everything);
    for step in 0..recipe.steps {
        if stop.load(Ordering::Relaxed) {
            return Err(PretrainError::Stopped);
        }
        let mut samples = Vec::with_capacity(recipe.batch_size);
        let mut gathered = Vec::with_capacity(recipe.batch_size * n_tokens * width);
        for (place, question) in questions.batch(step)?.into_iter().enumerate() {
            let parts = question.condition.into_iter();
            let condition = parts.map(|part| match part {
                PromptPart::Tokens(ids) => SequencePart::Tokens(ids),
                PromptPart::Image(_) => SequencePart::Image(place),
            });
            samples.push(TrainingSample { condition: condition.collect(), answer: question.answer });
            let slice = question.slice;
            gathered.extend_from_slice(&features[slice * n_tokens * width..(slice + 1) * n_tokens * width]);
        }
        let images =
            Tensor::<3>::from_data(TensorData::new(gathered, [recipe.batch_size, n_tokens, width]), device);
        let batch = TrainingBatch::new(&samples, BatchImages::Features(images), n_tokens, bos, pad);
        let options = StepOptions { max_norm: Some(1.0), ..StepOptions::default() };
        let (next, report) = train_step(model, &mut optimizer, &batch, schedule.lr(step), &options)?;
        model = next;
        if step % recipe.report_every == 0 {
            on_event(PretrainEvent::LanguageStep { step, n_steps: recipe.steps, loss: report.loss });
        }
    }
    Ok(model.with_trainable(Trainable::Nothing).valid())
}

/// Vision features of every slice, `[n, n_image_tokens, merge · width]`.
fn features(
    model: &MiniGpt,
    slices: &PhantomSlices,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Vec<f32>, PretrainError> {
    let size = slices.size;
    let mut all = Vec::new();
    let every: Vec<usize> = (0..slices.len()).collect();
    for part in every.chunks(64) {
        if stop.load(Ordering::Relaxed) {
            return Err(PretrainError::Stopped);
        }
        let mut pixels = Vec::new();
        for slice in part {
            let gray: Vec<f32> = slices.image(*slice).iter().map(|gray| f32::from(*gray)).collect();
            pixels.extend(normalized(&gray));
        }
        let pixels = Tensor::from_data(TensorData::new(pixels, [part.len(), 3, size, size]), device);
        let features = model.vision_features(pixels)?.into_data().try_into_vec::<f32>();
        all.extend(features.map_err(|error| ModelError::ReadBack(format!("{error:?}")))?);
    }
    Ok(all)
}
