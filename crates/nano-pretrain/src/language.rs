//! Phase 2: the language model learns to ask the tower.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use vlm_model::{MiniGpt, ModelError, SequencePart, Trainable};
use vlm_prompt::{InstructionPool, PixelBox, PromptPart, PromptPhase, Template, Tokenizer, TrainingTarget};
use vlm_train::{
    BatchImages, OptimizerConfig, Schedule, ScheduleMode, StepOptions, TrainingBatch, TrainingSample,
    optimizer, train_step,
};

use crate::augment::{below, sample_rng, uniform};
use crate::recipe::prompt_settings;
use crate::tower::normalized;
use crate::{LanguageRecipe, PhantomSlices, PretrainError, PretrainEvent, Structure};

const YES_NO: [&str; 4] = [
    "[vqa] Based on the image, respond to this question with yes or no: is the {} visible?",
    "[vqa] Based on the image, answer to the following question with yes or no: does the image show the {}?",
    "[vqa] Based on the image, respond to this question with a short answer: is there a {} in the image?",
    "[vqa] Can you see the {} in this picture?",
];

/// A structure shown in a slice.
struct Shown {
    slice: usize,
    structure: &'static Structure,
    place: [usize; 4],
}

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
    let tokenizer = Tokenizer::nano();
    let template = Template::new(prompt_settings().mode, PromptPhase::Training);
    let features = features(&model, slices, device, stop)?;
    let asked: Vec<&'static Structure> = Structure::ALL.iter().filter(|s| s.is_asked).collect();
    let mut shown: Vec<Vec<Shown>> = asked.iter().map(|_| Vec::new()).collect();
    for slice in 0..slices.len() {
        for (structure, list) in asked.iter().zip(&mut shown) {
            if let Some(place) = structure.place(slices.label(slice), slices.size) {
                list.push(Shown { slice, structure, place });
            }
        }
    }
    let ask = Ask { slices, shown: &shown, asked: &asked, recipe };

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
        for place in 0..recipe.batch_size {
            let mut rng = sample_rng(recipe.seed, step, place as u64);
            let (slice, question, answer) = ask.draw(&mut rng)?;
            let parts = template.single(1, &question)?.encode(&tokenizer)?;
            let condition = parts
                .into_iter()
                .map(|part| match part {
                    PromptPart::Tokens(ids) => SequencePart::Tokens(ids),
                    PromptPart::Image(_) => SequencePart::Image(place),
                })
                .collect();
            samples
                .push(TrainingSample { condition, answer: TrainingTarget::single(&tokenizer, &answer)?.ids });
            gathered.extend_from_slice(&features[slice * n_tokens * width..(slice + 1) * n_tokens * width]);
        }
        let images =
            Tensor::<3>::from_data(TensorData::new(gathered, [recipe.batch_size, n_tokens, width]), device);
        let batch = TrainingBatch::new(
            &samples,
            BatchImages::Features(images),
            n_tokens,
            tokenizer.bos_id(),
            tokenizer.pad_id(),
        );
        let options = StepOptions { max_norm: Some(1.0), ..StepOptions::default() };
        let (next, report) = train_step(model, &mut optimizer, &batch, schedule.lr(step), &options)?;
        model = next;
        if step % recipe.report_every == 0 {
            on_event(PretrainEvent::LanguageStep { step, n_steps: recipe.steps, loss: report.loss });
        }
    }
    Ok(model.with_trainable(Trainable::Nothing).valid())
}

/// Draws questions.
struct Ask<'a> {
    slices: &'a PhantomSlices,
    shown: &'a [Vec<Shown>],
    asked: &'a [&'static Structure],
    recipe: &'a LanguageRecipe,
}

impl Ask<'_> {
    /// A slice, a question about it and the answer. Structures are drawn first, so that rare ones
    /// are asked for as often as the liver.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<(usize, String, String), PretrainError> {
        if uniform(rng, 0.0, 1.0) < self.recipe.yes_no_share {
            let structure = self.asked[below(rng, self.asked.len())];
            let slice = below(rng, self.slices.len());
            let is_shown = structure.place(self.slices.label(slice), self.slices.size).is_some();
            let question = YES_NO[below(rng, YES_NO.len())].replacen("{}", structure.name, 1);
            return Ok((slice, question, if is_shown { "yes" } else { "no" }.to_owned()));
        }
        let list = &self.shown[below(rng, self.shown.len())];
        let Shown { slice, structure, place } = &list[below(rng, list.len())];
        let pools = [InstructionPool::Code, InstructionPool::Paper];
        let instructions = pools[below(rng, 2)].detection_instructions(structure.name);
        let question = instructions[below(rng, instructions.len())].clone();
        let side = u32::try_from(self.slices.size).unwrap_or(u32::MAX);
        #[expect(clippy::cast_precision_loss, reason = "images are small")]
        let [x_min, y_min, x_max, y_max] = place.map(|edge| edge as f64);
        let answer =
            prompt_settings().box_format.encode_text(PixelBox { x_min, y_min, x_max, y_max }, side, side);
        let answer = answer.map_err(|_| PretrainError::Recipe {
            field: "size",
            value: side.to_string(),
            reason: "expected an image with pixels",
        })?;
        Ok((*slice, question, answer))
    }
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
