//! One block of the image encoder.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use super::VisionAttention;
use crate::VisionConfig;
use crate::layers::{LayerNorm, Linear, cast};

/// Two linear maps with the exact (erf) GELU between them.
#[derive(Module, Debug)]
pub struct VisionMlp {
    /// `[mlp_hidden, width]`
    pub fc1: Linear,
    /// `[width, mlp_hidden]`
    pub fc2: Linear,
}

impl VisionMlp {
    /// # Shapes
    /// - `x`: `[batch, n_tokens, width]`
    /// - returns the same
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(fused_ops::gelu(self.fc1.forward(x)))
    }
}

/// A pre-norm transformer block: `x += attn(norm1 x)`, `x += mlp(norm2 x)` (SPEC 3.2).
#[derive(Module, Debug)]
pub struct VisionBlock {
    /// Before attention.
    pub norm1: LayerNorm,
    /// Attention.
    pub attn: VisionAttention,
    /// Before the MLP.
    pub norm2: LayerNorm,
    /// MLP.
    pub mlp: VisionMlp,
}

impl VisionBlock {
    pub(crate) fn empty(config: &VisionConfig, dtype: DType, device: &Device) -> Self {
        Self {
            norm1: LayerNorm::empty(config.width, config.norm_eps, device),
            attn: VisionAttention::empty(config, dtype, device),
            norm2: LayerNorm::empty(config.width, config.norm_eps, device),
            mlp: VisionMlp {
                fc1: Linear::empty(config.width, config.mlp_hidden, true, dtype, device),
                fc2: Linear::empty(config.mlp_hidden, config.width, true, dtype, device),
            },
        }
    }

    /// This block with its weights in the order of memory that suits an image's many tokens.
    #[must_use]
    pub(crate) fn for_many_rows(mut self) -> Self {
        self.attn.qkv = self.attn.qkv.for_many_rows();
        self.attn.proj = self.attn.proj.for_many_rows();
        self.mlp.fc1 = self.mlp.fc1.for_many_rows();
        self.mlp.fc2 = self.mlp.fc2.for_many_rows();
        self
    }

    /// # Shapes
    /// - `x`: `[batch, n_tokens, width]`, f32: the residual stream stays f32 as in SPEC 3.7
    /// - returns the same
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let attended = self.attn.forward(self.norm1.forward(x.clone()));
        let x = x + cast(attended, DType::F32);
        let mapped = self.mlp.forward(self.norm2.forward(x.clone()));
        x + cast(mapped, DType::F32)
    }
}
