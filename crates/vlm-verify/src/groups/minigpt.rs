//! The composed model: image tokens, logits, losses, gradients, generation, checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use serde_json::Value;
use vlm_model::{
    BlockCheckpointing, LlamaConfig, LoraConfig, LoraTarget, MiniGpt, MiniGptConfig, ModelFiles, Padding,
    Precision, Sequence, SequencePart, Trainable, VisionConfig,
};
use vlm_train::{BatchImages, TrainingBatch, TrainingSample};

use super::{decode, llama};
use crate::check::Checker;
use crate::error::InGroup;
use crate::golden_file::{GoldenFile, read_json};
use crate::model_files::{first_file, load_model};
use crate::parameters::{Named, gradients, learning_parameters, of_file};
use crate::{Tolerance, VerifyError};

/// Sizes of the image encoder in `inputs.json`.
#[derive(Debug, Deserialize)]
struct VitSizes {
    image: usize,
    patch: usize,
    dim: usize,
    depth: usize,
    heads: usize,
    mlp: usize,
}

/// `inputs.json`: token ids and the sizes that no weight tells.
#[derive(Debug, Deserialize)]
struct Inputs {
    before: Vec<Vec<u32>>,
    after: Vec<Vec<u32>>,
    answers: Vec<Vec<u32>>,
    bos: u32,
    pad: u32,
    lora_r: usize,
    lora_alpha: f64,
    ln_vision_eps: f64,
    vit_block_eps: f64,
    merge: usize,
    vit: VitSizes,
    /// `targets_V` for each variant V, `loss_V`, `generate_V`.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// A golden group of a composed model, opened.
pub(crate) struct Composed {
    folder: PathBuf,
    inputs: Inputs,
    llama: LlamaConfig,
}

impl Composed {
    pub(crate) fn open(folder: &Path) -> Result<Self, VerifyError> {
        let inputs: Inputs = read_json(&folder.join("inputs.json"))?;
        if inputs.after.len() != inputs.before.len() || inputs.answers.len() != inputs.before.len() {
            let what = "as many `after` and `answers` as `before` in `inputs.json`".to_owned();
            return Err(VerifyError::MissingPart { path: folder.to_path_buf(), what });
        }
        let llama = llama::read_config(&folder.join("llama"))?;
        Ok(Self { folder: folder.to_path_buf(), inputs, llama })
    }

    /// Variants that differ in the adapted maps.
    fn variants(&self) -> Vec<String> {
        let names = self.inputs.others.keys();
        let variants = names.filter_map(|name| name.strip_prefix("targets_")).map(str::to_owned);
        variants.filter(|variant| self.trainable_file(variant).is_file()).collect()
    }

    fn trainable_file(&self, variant: &str) -> PathBuf {
        self.folder.join(format!("trainable_{variant}.safetensors"))
    }

    /// A file of a variant, none where it is not there.
    fn file(&self, kind: &str, variant: &str) -> Result<Option<GoldenFile>, VerifyError> {
        let path = first_file(&self.folder, &[&format!("{kind}_{variant}.safetensors")]);
        path.as_deref().map(GoldenFile::open).transpose()
    }

    fn config(&self, variant: &str) -> MiniGptConfig {
        let vit = &self.inputs.vit;
        let targets = self.inputs.others.get(&format!("targets_{variant}")).and_then(Value::as_array);
        let targets =
            targets.into_iter().flatten().filter_map(Value::as_str).filter_map(LoraTarget::from_name);
        MiniGptConfig {
            vision: VisionConfig {
                image_size: vit.image,
                patch_size: vit.patch,
                stem_channels: Vec::new(),
                width: vit.dim,
                depth: vit.depth,
                n_heads: vit.heads,
                mlp_hidden: vit.mlp,
                norm_eps: self.inputs.vit_block_eps,
                ln_vision_eps: self.inputs.ln_vision_eps,
            },
            merge: self.inputs.merge,
            llama: self.llama.clone(),
            lora: Some(LoraConfig {
                rank: self.inputs.lora_r,
                alpha: self.inputs.lora_alpha,
                dropout: 0.0,
                targets: targets.collect(),
            }),
        }
    }

    /// The model of a variant, its learned part from `checkpoint`.
    fn load(
        &self,
        variant: &str,
        checkpoint: PathBuf,
        precision: Precision,
        device: &Device,
    ) -> Result<MiniGpt, VerifyError> {
        let files = ModelFiles {
            vision_tower: Some(self.folder.join("visual_encoder.safetensors")),
            ln_vision: first_file(&self.folder, &["ln_vision.safetensors"]),
            language_model: Some(self.folder.join("llama")),
            checkpoint: Some(checkpoint),
            adapter: None,
        };
        load_model(&files, &self.config(variant), precision, device)
    }

    /// The model of a variant before any training.
    pub(crate) fn model(
        &self,
        variant: &str,
        precision: Precision,
        device: &Device,
    ) -> Result<MiniGpt, VerifyError> {
        self.load(variant, self.trainable_file(variant), precision, device)
    }

    fn pixels(&self, device: &Device) -> Result<Tensor<4>, VerifyError> {
        let file = GoldenFile::open(&self.folder.join("inputs.safetensors"))?;
        let size = self.inputs.vit.image;
        file.check_shape("pixel_values", &[self.inputs.before.len(), 3, size, size])?;
        Ok(file.need_floats("pixel_values", 4)?.tensor(device))
    }

    /// What stands before each answer, without the first token.
    fn condition(&self, row: usize) -> Sequence {
        let tokens = |ids: &Vec<u32>| SequencePart::Tokens(ids.clone());
        vec![tokens(&self.inputs.before[row]), SequencePart::Image(row), tokens(&self.inputs.after[row])]
    }

    /// All rows with answers, as training has them.
    pub(crate) fn batch(&self, model: &MiniGpt, device: &Device) -> Result<TrainingBatch, VerifyError> {
        let sample = |(row, answer): (usize, &Vec<u32>)| TrainingSample {
            condition: self.condition(row),
            answer: answer.clone(),
        };
        let samples: Vec<_> = self.inputs.answers.iter().enumerate().map(sample).collect();
        let images = BatchImages::Pixels(self.pixels(device)?);
        let n_image_tokens = model.config().n_image_tokens();
        Ok(TrainingBatch::new(&samples, images, n_image_tokens, self.inputs.bos, self.inputs.pad))
    }
}

pub(crate) fn check(folder: &Path, device: &Device, checker: &mut Checker<'_>) -> Result<(), VerifyError> {
    let group = Composed::open(folder)?;
    llama::check_config(&folder.join("llama"), &group.llama, checker)?;
    for variant in &group.variants() {
        let model = group.model(variant, checker.precision, device)?;
        if let Some(expected) = group.file("forward", variant)? {
            check_forward(&group, variant, &model, &expected, device, checker)?;
        }
        let some = Trainable::AdaptersAndProjector;
        if let Some(expected) = group.file("grads", variant)? {
            check_gradients(&group, variant, &model, some, &of_file(&expected)?, device, checker)?;
        }
        if let Some(expected) = group.file("generate", variant)? {
            check_generation(&group, variant, &model, &expected, device, checker)?;
        }
        check_checkpoints(&group, variant, device, checker)?;
    }
    check_full_gradients(&group, device, checker)
}

fn check_forward(
    group: &Composed,
    variant: &str,
    model: &MiniGpt,
    file: &GoldenFile,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let case = |part: &str| format!("{variant}: {part}");
    let folder = &group.folder;
    let tokens = model.vision_tokens(group.pixels(device)?);
    if let Some(expected) = file.floats("vit_tokens", 3)? {
        checker.tensor(&case("vit_tokens"), Tolerance::Hidden, tokens.clone(), &expected);
    }
    let images = model.project(model.merge_patches(tokens));
    if let Some(expected) = file.floats("img_embeds", 3)? {
        checker.tensor(&case("img_embeds"), Tolerance::Embeddings, images.clone(), &expected);
    }
    let batch = group.batch(model, device)?;
    let (embeddings, mask) =
        model.assemble(&batch.sequences, Some(&images), batch.padding).in_group(folder)?;
    if let Some(expected) = file.floats("inputs_embeds", 3)? {
        checker.tensor(&case("inputs_embeds"), Tolerance::Embeddings, embeddings.clone(), &expected);
    }
    let golden_mask = file.need_integers("attention_mask", 2)?;
    checker.equal(&case("attention_mask"), &mask, &golden_mask.mask());
    if let Some(expected) = file.integers("labels", 2)? {
        checker.equal(&case("labels"), &batch.labels.rows().to_vec(), &expected.rows());
    }
    let context = model.context(&mask).in_group(folder)?;
    let hidden = model.language_model.blocks(embeddings, &context, None);
    if let Some(expected) = file.floats("logits", 3)? {
        let logits = model.language_model.head(model.language_model.final_norm(hidden.clone()));
        let kind = Tolerance::ComposedLogits;
        checker.real_positions(&case("logits"), kind, logits, &expected, &golden_mask);
    }
    if let Some(expected) = file.floats("loss", 1)? {
        let loss: f32 = model.loss(hidden, &batch.labels).in_group(folder)?.into_scalar();
        let expected = expected.values.first().copied().unwrap_or(f32::NAN);
        checker.number(&case("loss"), Tolerance::Loss, f64::from(loss), f64::from(expected));
    }
    Ok(())
}

/// Gradients with every activation kept, and with blocks computed again.
fn check_gradients(
    group: &Composed,
    name: &str,
    model: &MiniGpt,
    trainable: Trainable,
    expected: &Named,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let model = model.clone().with_trainable(trainable);
    let batch = group.batch(&model, device)?;
    for (mode, checkpointing) in
        [("gradients", BlockCheckpointing::Off), ("gradients, blocks recomputed", BlockCheckpointing::On)]
    {
        let computed = || {
            let images = model.project(model.vision_features(group_pixels(&batch))?);
            let (embeddings, mask) = model.assemble(&batch.sequences, Some(&images), batch.padding)?;
            let computed = model.loss_and_gradients(embeddings, &mask, &batch.labels, checkpointing, 0)?;
            gradients(&model, &computed.gradients)
        };
        let actual = computed().in_group(&group.folder)?;
        checker.named(&format!("{name}: {mode}"), Tolerance::GradientShare, &actual, expected);
    }
    Ok(())
}

fn group_pixels(batch: &TrainingBatch) -> Tensor<4> {
    match &batch.images {
        BatchImages::Pixels(pixels) => pixels.clone(),
        BatchImages::Features(_) | BatchImages::Nothing => unreachable!("a golden batch has pixels"),
    }
}

/// Gradients of everything, of the variant whose adapters they hold.
fn check_full_gradients(
    group: &Composed,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let Some(file) = group.file("grads", "full")? else { return Ok(()) };
    let expected = of_file(&file)?;
    for variant in group.variants() {
        let trainable = GoldenFile::open(&group.trainable_file(&variant))?;
        if trainable.names().all(|name| expected.contains_key(name)) {
            let model = group.model(&variant, checker.precision, device)?;
            return check_gradients(group, "full", &model, Trainable::Everything, &expected, device, checker);
        }
    }
    checker.failed("full: gradients", Tolerance::GradientShare, "of no variant's adapters".to_owned());
    Ok(())
}

fn check_generation(
    group: &Composed,
    variant: &str,
    model: &MiniGpt,
    file: &GoldenFile,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let case = |part: &str| format!("{variant}: generate {part}");
    let folder = &group.folder;
    let images = model.project(model.vision_features(group.pixels(device)?).in_group(folder)?);
    let mut rows: Vec<Sequence> = (0..group.inputs.before.len()).map(|row| group.condition(row)).collect();
    rows.iter_mut().for_each(|row| row.insert(0, SequencePart::Tokens(vec![group.inputs.bos])));
    let (embeddings, mask) = model.assemble(&rows, Some(&images), Padding::Left).in_group(folder)?;
    if let Some(expected) = file.floats("inputs_embeds", 3)? {
        checker.tensor(&case("inputs_embeds"), Tolerance::Embeddings, embeddings.clone(), &expected);
    }
    if let Some(expected) = file.integers("attention_mask", 2)? {
        checker.equal(&case("attention_mask"), &mask, &expected.mask());
    }
    let Some(tokens) = file.integers("tokens", 2)? else { return Ok(()) };
    let tokens: Vec<Vec<u32>> = tokens.rows().iter().map(|row| llama::ids(row)).collect();
    let n_steps = tokens.first().map_or(0, Vec::len);
    let llama = &model.language_model;
    if checker.precision == Precision::F32 {
        let actual = decode::greedy(llama, embeddings.clone(), &mask, n_steps, None);
        checker.computed(&case("tokens"), actual, &tokens);
    } else {
        checker.skip(&case("tokens"), decode::ROUNDED_TOKENS);
    }
    if let Some(expected) = file.floats("logits", 3)? {
        let fed = decode::without_last(&tokens);
        let (prompt, steps) = decode::feed_tokens(llama, embeddings, &mask, &fed).in_group(folder)?;
        checker.tensor(
            &case("logits"),
            Tolerance::ComposedLogits,
            decode::stack_last(prompt, steps),
            &expected,
        );
    }
    Ok(())
}

/// Training checkpoints as torch saves them: the learned tensors must come out as they went in.
fn check_checkpoints(
    group: &Composed,
    variant: &str,
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let expected = of_file(&GoldenFile::open(&group.trainable_file(variant))?)?;
    for (name, kind) in [
        (format!("checkpoint_{variant}.pth"), Tolerance::Exact),
        (format!("checkpoint_{variant}_f16.pth"), Tolerance::HalfShare),
    ] {
        let Some(path) = first_file(&group.folder, &[&name]) else { continue };
        let model = group.load(variant, path, checker.precision, device)?;
        let model = model.with_trainable(Trainable::AdaptersAndProjector);
        let actual = learning_parameters(&model).in_group(&group.folder)?;
        checker.named(&name, kind, &actual, &expected);
    }
    Ok(())
}
