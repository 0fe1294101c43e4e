//! One update of the model.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use fused_ops::in_pool;
use vlm_model::{
    AttentionMask, BlockCheckpointing, LossAndGradients, MiniGpt, ModelError, VisionConfig, VisionTower,
};

use crate::{BatchImages, TrainError, TrainingBatch, clip_global_norm, global_norm};

/// How a step is made.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepOptions {
    /// What is kept of the language model's blocks between forward and backward.
    pub checkpointing: BlockCheckpointing,
    /// Largest norm of all gradients together; none: no clipping, as published.
    pub max_norm: Option<f32>,
    /// Seed of this step's dropout.
    pub dropout_seed: u64,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Mean cross-entropy before the update.
    pub loss: f32,
    /// Norm of all gradients together, before clipping.
    pub grad_norm: f32,
    /// Answer tokens that the loss is over.
    pub n_targets: usize,
}

/// Forward, backward and one update at learning rate `lr`.
///
/// The model must have learning parameters ([`MiniGpt::with_trainable`]). Without gradients of the
/// vision tower its parameters are not touched, so a tower that was never loaded (features
/// computed before) takes no memory.
///
/// # Errors
/// [`TrainError::Model`] if the batch does not fit the model or a number cannot be read back. The
/// model is lost then, as burn's optimizer takes it by value; keep a clone (cheap, tensors are
/// shared) to go on.
///
/// # Panics
/// If no parameter that the loss depends on learns.
pub fn train_step(
    model: MiniGpt,
    optimizer: &mut ModuleOptimizer,
    batch: &TrainingBatch,
    lr: f64,
    options: &StepOptions,
) -> Result<(MiniGpt, StepReport), TrainError> {
    let computed = forward_backward(&model, batch, options.checkpointing, options.dropout_seed)?;
    let (gradients, grad_norm) = match options.max_norm {
        Some(max_norm) => clip_global_norm(&model, computed.gradients, max_norm)?,
        None => {
            let norm = global_norm(&model, &computed.gradients)?;
            (computed.gradients, norm)
        }
    };
    let report = StepReport { loss: computed.loss, grad_norm, n_targets: computed.n_targets };
    Ok((update(model, optimizer, gradients, lr), report))
}

/// Loss and gradients of a batch, nothing applied.
pub(crate) fn forward_backward(
    model: &MiniGpt,
    batch: &TrainingBatch,
    checkpointing: BlockCheckpointing,
    dropout_seed: u64,
) -> Result<LossAndGradients, ModelError> {
    in_pool(&model.device(), || {
        let (embeddings, mask) = embed(model, batch)?;
        model.loss_and_gradients(embeddings, &mask, &batch.labels, checkpointing, dropout_seed)
    })
}

/// Images and text of a batch as embeddings, on the autodiff graph of what learns.
fn embed(model: &MiniGpt, batch: &TrainingBatch) -> Result<(Tensor<3>, AttentionMask), ModelError> {
    let features = match &batch.images {
        BatchImages::Pixels(pixels) => Some(model.vision_features(pixels.clone())?),
        BatchImages::Features(features) => Some(features.clone()),
        BatchImages::Nothing => None,
    };
    let images = features.map(|features| model.project(features));
    model.assemble(&batch.sequences, images.as_ref(), batch.padding)
}

/// One update of all parameters that have a gradient.
pub(crate) fn update(
    mut model: MiniGpt,
    optimizer: &mut ModuleOptimizer,
    gradients: GradientsParams,
    lr: f64,
) -> MiniGpt {
    let device = model.device();
    let cls_token = &model.vision_tower.cls_token;
    if cls_token.is_initialized() && cls_token.is_require_grad() {
        return in_pool(&device, || optimizer.step(lr, model, gradients));
    }
    // burn's optimizer visits every parameter and so would make a tower's lazy parameters real.
    let stub = VisionTower::empty(&smallest_tower(), burn::tensor::DType::F32, &device);
    let tower = std::mem::replace(&mut model.vision_tower, stub);
    model = in_pool(&device, || optimizer.step(lr, model, gradients));
    model.vision_tower = tower;
    model
}

fn smallest_tower() -> VisionConfig {
    VisionConfig {
        image_size: 1,
        patch_size: 1,
        stem_channels: Vec::new(),
        width: 1,
        depth: 1,
        n_heads: 1,
        mlp_hidden: 1,
        norm_eps: 1e-6,
        ln_vision_eps: 1e-5,
    }
}
