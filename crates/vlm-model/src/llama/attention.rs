//! Causal attention with grouped keys and values.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use fused_ops::Attended;

use super::{AttentionContext, KvCache, rope};
use crate::{LlamaConfig, LoraConfig, LoraLinear, LoraTarget, Pass};

/// Causal self-attention of one block.
#[derive(Module, Debug)]
pub struct Attention {
    /// `[n_heads · head_dim, hidden]`
    pub q_proj: LoraLinear,
    /// `[n_kv_heads · head_dim, hidden]`
    pub k_proj: LoraLinear,
    /// `[n_kv_heads · head_dim, hidden]`
    pub v_proj: LoraLinear,
    /// `[hidden, n_heads · head_dim]`
    pub o_proj: LoraLinear,
    #[module(skip)]
    n_heads: usize,
    #[module(skip)]
    n_kv_heads: usize,
}

impl Attention {
    pub(crate) fn empty(
        config: &LlamaConfig,
        lora: Option<&LoraConfig>,
        dtype: DType,
        device: &Device,
    ) -> Self {
        let map = |input, output, target| LoraLinear::empty(input, output, target, lora, dtype, device);
        Self {
            q_proj: map(config.hidden_size, config.query_width(), LoraTarget::QProj),
            k_proj: map(config.hidden_size, config.key_width(), LoraTarget::KProj),
            v_proj: map(config.hidden_size, config.key_width(), LoraTarget::VProj),
            o_proj: map(config.query_width(), config.hidden_size, LoraTarget::OProj),
            n_heads: config.n_heads,
            n_kv_heads: config.n_kv_heads,
        }
    }

    /// # Shapes
    /// - `x`: `[batch, n, hidden]`, the new positions
    /// - returns the same; with a cache, the new positions see those that it holds
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        context: &AttentionContext,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let [batch, n, _] = x.dims();
        let heads = |x: Tensor<3>, n_heads: usize| {
            let [_, _, width] = x.dims();
            x.reshape([batch, n, n_heads, width / n_heads]).swap_dims(1, 2)
        };
        let q = heads(self.q_proj.forward(x.clone(), context.pass), self.n_heads);
        let k = heads(self.k_proj.forward(x.clone(), context.pass), self.n_kv_heads);
        let v = heads(self.v_proj.forward(x, context.pass), self.n_kv_heads);
        let q = rope::rotate(q, &context.cos, &context.sin);
        let k = rope::rotate(k, &context.cos, &context.sin);
        let (k, v) = match cache {
            Some((cache, layer_idx)) => cache.append(layer_idx, k, v),
            None => (k, v),
        };
        let [_, _, _, head_dim] = q.dims();
        // The last query sees the last key, which fits a cache.
        let out = fused_ops::attention(Attended {
            queries: q,
            keys: k,
            values: v,
            hidden: context.hidden.clone(),
            is_causal: true,
            is_training: context.pass == Pass::Training,
        }); // [batch, n_heads, n, head_dim]
        let out = out.swap_dims(1, 2).reshape([batch, n, self.n_heads * head_dim]);
        self.o_proj.forward(out, context.pass)
    }
}
