//! One block of the language model.

use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::{DType, Device, Tensor};

use super::{Attention, AttentionContext, KvCache};
use crate::layers::{empty_rms_norm, rms_norm};
use crate::{LlamaConfig, LoraConfig, LoraLinear, LoraTarget, Pass};

/// `down(silu(gate x) · up x)`.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[intermediate, hidden]`
    pub gate_proj: LoraLinear,
    /// `[intermediate, hidden]`
    pub up_proj: LoraLinear,
    /// `[hidden, intermediate]`
    pub down_proj: LoraLinear,
}

impl FeedForward {
    /// # Shapes
    /// - `x`: `[batch, n, hidden]`
    /// - returns the same
    pub fn forward(&self, x: Tensor<3>, pass: Pass) -> Tensor<3> {
        let gate = self.gate_proj.forward(x.clone(), pass);
        let up = self.up_proj.forward(x, pass);
        self.down_proj.forward(fused_ops::swiglu(gate, up), pass)
    }
}

/// A pre-norm block: `x += attn(norm x)`, `x += mlp(norm x)`.
#[derive(Module, Debug)]
pub struct LlamaBlock {
    /// Before attention.
    pub input_layernorm: RmsNorm,
    /// Attention.
    pub self_attn: Attention,
    /// Before the feed-forward part.
    pub post_attention_layernorm: RmsNorm,
    /// Feed-forward part.
    pub mlp: FeedForward,
}

impl LlamaBlock {
    pub(crate) fn empty(
        config: &LlamaConfig,
        lora: Option<&LoraConfig>,
        dtype: DType,
        device: &Device,
    ) -> Self {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let map = |input, output, target| LoraLinear::empty(input, output, target, lora, dtype, device);
        Self {
            input_layernorm: empty_rms_norm(hidden, config.rms_norm_eps, device),
            self_attn: Attention::empty(config, lora, dtype, device),
            post_attention_layernorm: empty_rms_norm(hidden, config.rms_norm_eps, device),
            mlp: FeedForward {
                gate_proj: map(hidden, inner, LoraTarget::GateProj),
                up_proj: map(hidden, inner, LoraTarget::UpProj),
                down_proj: map(inner, hidden, LoraTarget::DownProj),
            },
        }
    }

    /// # Shapes
    /// - `x`: `[batch, n, hidden]`, the residual stream in the frozen weights' type (SPEC 3.7)
    /// - returns the same
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        context: &AttentionContext,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let dtype = x.dtype();
        let normed = rms_norm(&self.input_layernorm, x.clone(), dtype);
        let x = x + self.self_attn.forward(normed, context, cache);
        let normed = rms_norm(&self.post_attention_layernorm, x.clone(), dtype);
        x + self.mlp.forward(normed, context.pass)
    }

    /// This block with every adapter merged into its weight.
    #[must_use]
    pub(crate) fn merge(mut self) -> Self {
        self.self_attn.q_proj = self.self_attn.q_proj.merge();
        self.self_attn.k_proj = self.self_attn.k_proj.merge();
        self.self_attn.v_proj = self.self_attn.v_proj.merge();
        self.self_attn.o_proj = self.self_attn.o_proj.merge();
        self.mlp.gate_proj = self.mlp.gate_proj.merge();
        self.mlp.up_proj = self.mlp.up_proj.merge();
        self.mlp.down_proj = self.mlp.down_proj.merge();
        self
    }

    /// This block with empty adapters where `lora` has them, in place of those it has.
    #[must_use]
    pub(crate) fn adapted(mut self, lora: &LoraConfig, device: &Device) -> Self {
        let adapt = |map: LoraLinear, target| map.adapted(target, lora, device);
        self.self_attn.q_proj = adapt(self.self_attn.q_proj, LoraTarget::QProj);
        self.self_attn.k_proj = adapt(self.self_attn.k_proj, LoraTarget::KProj);
        self.self_attn.v_proj = adapt(self.self_attn.v_proj, LoraTarget::VProj);
        self.self_attn.o_proj = adapt(self.self_attn.o_proj, LoraTarget::OProj);
        self.mlp.gate_proj = adapt(self.mlp.gate_proj, LoraTarget::GateProj);
        self.mlp.up_proj = adapt(self.mlp.up_proj, LoraTarget::UpProj);
        self.mlp.down_proj = adapt(self.mlp.down_proj, LoraTarget::DownProj);
        self
    }
}
