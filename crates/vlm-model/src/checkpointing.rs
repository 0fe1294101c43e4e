//! Loss and gradients of one batch, with or without keeping every activation.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Gradients, Tensor};

use crate::layers::cast;
use crate::{AttentionContext, AttentionMask, Labels, MiniGpt, ModelError};

/// What is kept of the language model's blocks between forward and backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlockCheckpointing {
    /// Every activation: fastest.
    #[default]
    Off,
    /// Each block's input only; the block is computed again in the backward pass.
    On,
}

/// One batch's loss and the gradients of all learning parameters.
#[derive(Debug)]
pub struct LossAndGradients {
    /// Mean cross-entropy over the batch's targets.
    pub loss: f32,
    /// Targets that the mean is over.
    pub n_targets: usize,
    /// Gradients by parameter.
    pub gradients: GradientsParams,
}

impl MiniGpt {
    /// Forward and backward of one batch.
    ///
    /// `dropout_seed` fixes the dropout of this step (each block draws from a seed of its own, so
    /// that a recomputed block sees the same draws). burn's generator is one for the whole
    /// process: steps of several models must not run at the same time where dropout is used.
    ///
    /// # Shapes
    /// - `embeddings`: `[batch, n, hidden]` from [`MiniGpt::assemble`]
    ///
    /// # Errors
    /// [`ModelError::Input`] if mask or labels do not fit, [`ModelError::ReadBack`] if the loss
    /// cannot be read from the device.
    ///
    /// # Panics
    /// If no parameter that the loss depends on learns.
    pub fn loss_and_gradients(
        &self,
        embeddings: Tensor<3>,
        mask: &AttentionMask,
        labels: &Labels,
        checkpointing: BlockCheckpointing,
        dropout_seed: u64,
    ) -> Result<LossAndGradients, ModelError> {
        let context = self.context(mask)?.training();
        let n_targets = labels.n_targets();
        let embeddings = cast(embeddings, self.language_model.dtype());
        let (loss, gradients) = match checkpointing {
            BlockCheckpointing::Off => self.plain(embeddings, &context, labels, dropout_seed)?,
            BlockCheckpointing::On => self.recomputed(embeddings, &context, labels, dropout_seed)?,
        };
        Ok(LossAndGradients { loss, n_targets, gradients })
    }

    fn plain(
        &self,
        embeddings: Tensor<3>,
        context: &AttentionContext,
        labels: &Labels,
        seed: u64,
    ) -> Result<(f32, GradientsParams), ModelError> {
        let mut hidden = embeddings;
        for (layer_idx, block) in self.language_model.layers.iter().enumerate() {
            self.seed_block(layer_idx, seed);
            hidden = block.forward(hidden, context, None);
        }
        let loss = self.loss(hidden, labels)?;
        let value = read_scalar(&loss)?;
        // Not `from_grads`, which makes every lazy parameter real.
        let mut total = GradientsParams::new();
        self.collect(&mut loss.backward(), &mut total);
        Ok((value, total))
    }

    fn recomputed(
        &self,
        embeddings: Tensor<3>,
        context: &AttentionContext,
        labels: &Labels,
        seed: u64,
    ) -> Result<(f32, GradientsParams), ModelError> {
        let blocks = &self.language_model.layers;
        let mut inputs = Vec::with_capacity(blocks.len());
        let mut x = embeddings.clone().without_autodiff();
        for (layer_idx, block) in blocks.iter().enumerate() {
            inputs.push(x.clone());
            self.seed_block(layer_idx, seed);
            // Off the autodiff device altogether: a graph that is dropped unused is kept by burn
            // until the next backward pass.
            x = block.valid().forward(x, context, None);
        }
        let mut total = GradientsParams::new();
        let top = x.autodiff().require_grad();
        let loss = self.loss(top.clone(), labels)?;
        let value = read_scalar(&loss)?;
        let mut grads = loss.backward();
        let mut upstream = input_gradient(&top, &grads);
        self.collect(&mut grads, &mut total);
        for (layer_idx, input) in inputs.into_iter().enumerate().rev() {
            let input = input.autodiff().require_grad();
            self.seed_block(layer_idx, seed);
            let output = blocks[layer_idx].forward(input.clone(), context, None);
            let mut grads = pull_back(output, upstream);
            upstream = input_gradient(&input, &grads);
            self.language_model.layers[layer_idx]
                .visit(&mut AddGradients { grads: &mut grads, total: &mut total });
        }
        if embeddings.is_tracked() {
            let mut grads = pull_back(embeddings, upstream);
            self.collect(&mut grads, &mut total);
        }
        Ok((value, total))
    }

    /// Fixes what the adapters of a block draw.
    fn seed_block(&self, layer_idx: usize, seed: u64) {
        if self.config().lora.as_ref().is_some_and(|lora| lora.dropout > 0.0) {
            // An odd multiplier spreads (seed, layer) over all seeds.
            let block_seed = (seed ^ (layer_idx as u64 + 1)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            self.device().seed(block_seed);
        }
    }

    fn collect(&self, grads: &mut Gradients, total: &mut GradientsParams) {
        self.visit(&mut AddGradients { grads, total });
    }
}

/// Gradients of everything that made `output`, given the gradient of the loss by `output`.
fn pull_back(output: Tensor<3>, upstream: Tensor<3>) -> Gradients {
    (cast(output, DType::F32) * cast(upstream, DType::F32)).sum().backward()
}

fn input_gradient(input: &Tensor<3>, grads: &Gradients) -> Tensor<3> {
    input.grad(grads).expect("the loss depends on every block's input")
}

fn read_scalar(loss: &Tensor<1>) -> Result<f32, ModelError> {
    loss.clone().try_into_scalar::<f32>().map_err(|error| ModelError::ReadBack(error.to_string()))
}

/// Adds a module's gradients to those collected before: a tied head has two parts.
struct AddGradients<'a> {
    grads: &'a mut Gradients,
    total: &'a mut GradientsParams,
}

impl ModuleVisitor for AddGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Asking a parameter that was never loaded would make it real.
        if !param.is_initialized() || !param.is_require_grad() {
            return;
        }
        if let Some(grad) = param.val().grad_remove(self.grads) {
            let sum = match self.total.remove::<D>(param.id) {
                Some(held) => held + grad,
                None => grad,
            };
            self.total.register(param.id, sum);
        }
    }
}
