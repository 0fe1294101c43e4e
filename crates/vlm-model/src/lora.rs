//! Low-rank adapters in activation space.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Distribution, Tensor};

use crate::layers::{Linear, cast, empty_param};
use crate::{LoraConfig, LoraTarget};

/// What a forward pass is for.
///
/// Said at each call and not read off the tensors: a block that is run without a graph and computed
/// again for its gradients must draw and round the same both times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pass {
    /// Nothing is dropped; attention is the backend's fused call.
    #[default]
    Inference,
    /// Adapters drop parts of their input, drawn from the device's generator; attention on a
    /// GPU is the decomposed form that can be differentiated.
    Training,
}

/// The factors of a low-rank update, `ΔW = scale · B · A`.
#[derive(Module, Debug)]
pub struct LoraAdapter {
    /// `[rank, d_input]`
    pub a: Param<Tensor<2>>,
    /// `[d_output, rank]`
    pub b: Param<Tensor<2>>,
    /// `alpha / rank`
    #[module(skip)]
    pub scale: f64,
    /// Probability of dropping an entry of the input in training.
    #[module(skip)]
    pub dropout: f64,
}

impl LoraAdapter {
    /// An adapter of zeros that takes memory only when loaded or used: it changes nothing.
    #[must_use]
    pub fn empty(d_input: usize, d_output: usize, config: &LoraConfig, device: &Device) -> Self {
        Self {
            a: empty_param([config.rank, d_input], DType::F32, device),
            b: empty_param([d_output, config.rank], DType::F32, device),
            scale: config.scale(),
            dropout: config.dropout,
        }
    }

    /// The update of the activation, `scale · (drop(x) · Aᵀ) · Bᵀ`, in f32.
    ///
    /// # Shapes
    /// - `x`: `[..., d_input]`
    /// - returns `[..., d_output]`, f32
    ///
    /// # Source
    /// SPEC 3.6.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, pass: Pass) -> Tensor<D> {
        let mut x = cast(x, DType::F32);
        if pass == Pass::Training && self.dropout > 0.0 {
            let keep = 1.0 - self.dropout;
            let kept = x.random_like(Distribution::Bernoulli(keep));
            x = x * kept * keep.recip();
        }
        let low = fused_ops::linear(x, self.a.val(), None); // [..., rank]
        let update = fused_ops::linear(low, self.b.val(), None); // [..., d_output]
        update.mul_scalar(self.scale)
    }

    /// The update of the weight, `scale · B · A`.
    ///
    /// # Shapes
    /// - returns `[d_output, d_input]`, f32
    pub fn delta(&self) -> Tensor<2> {
        self.b.val().matmul(self.a.val()).mul_scalar(self.scale)
    }
}

/// A linear map without bias, and the adapter beside it.
///
/// burn's `apply_lora` adds `B · A` to the weight and so computes the full weight gradient; here
/// the update is made in activation space, which costs rank instead of width and allows dropout.
/// Its results are compared with burn's in tests.
#[derive(Module, Debug)]
pub struct LoraLinear {
    /// The frozen map.
    pub base: Linear,
    /// Its update; none when not adapted or merged.
    pub adapter: Option<LoraAdapter>,
}

impl LoraLinear {
    /// A map of zeros, with an adapter where `lora` adapts `target`.
    #[must_use]
    pub fn empty(
        d_input: usize,
        d_output: usize,
        target: LoraTarget,
        lora: Option<&LoraConfig>,
        dtype: DType,
        device: &Device,
    ) -> Self {
        Self {
            base: Linear::empty(d_input, d_output, false, dtype, device),
            adapter: lora
                .filter(|lora| lora.adapts(target))
                .map(|lora| LoraAdapter::empty(d_input, d_output, lora, device)),
        }
    }

    /// `x · Wᵀ + scale · (drop(x) · Aᵀ) · Bᵀ`, the second term in f32, the sum in the weight's type.
    ///
    /// # Shapes
    /// - `x`: `[..., d_input]`
    /// - returns `[..., d_output]`, the base weight's type
    ///
    /// # Source
    /// SPEC 3.6.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, pass: Pass) -> Tensor<D> {
        let base = self.base.forward(x.clone());
        match &self.adapter {
            None => base,
            Some(adapter) => {
                let dtype = base.dtype();
                base + cast(adapter.forward(x, pass), dtype)
            }
        }
    }

    /// Adds the adapter's update to the weight and drops the adapter.
    ///
    /// The sum is made in f32 and then cast to the weight's type.
    #[must_use]
    pub fn merge(mut self) -> Self {
        if let Some(adapter) = self.adapter.take() {
            let delta = adapter.delta().without_autodiff();
            self.base.weight = self.base.weight.map(|weight| {
                let dtype = weight.dtype();
                cast(cast(weight, DType::F32) + delta, dtype)
            });
        }
        self
    }

    /// This map with an empty adapter where `lora` adapts `target`, in place of the one it has.
    #[must_use]
    pub(crate) fn adapted(mut self, target: LoraTarget, lora: &LoraConfig, device: &Device) -> Self {
        let [d_output, d_input] = self.base.weight.lazy_shape().dims();
        let is_adapted = lora.adapts(target);
        self.adapter = is_adapted.then(|| LoraAdapter::empty(d_input, d_output, lora, device));
        self
    }

    /// Takes the adapter's update out of a merged weight and puts the adapter beside it again.
    ///
    /// Exact up to rounding of the weight's type.
    #[must_use]
    pub fn unmerge(mut self, adapter: LoraAdapter) -> Self {
        let delta = adapter.delta().without_autodiff();
        self.base.weight = self.base.weight.map(|weight| {
            let dtype = weight.dtype();
            cast(cast(weight, DType::F32) - delta, dtype)
        });
        self.adapter = Some(adapter);
        self
    }
}
