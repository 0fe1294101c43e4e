//! Attention of the image encoder.

use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Tensor};
use fused_ops::Attended;

use crate::VisionConfig;
use crate::layers::{Linear, cast, empty_param};

/// Attention over all tokens with one weight for queries, keys and values.
///
/// Queries and values have a bias, keys have none (SPEC 3.2).
#[derive(Module, Debug)]
pub struct VisionAttention {
    /// `[3 · width, width]`, rows of queries, keys, values.
    pub qkv: Linear,
    /// `[width]`
    pub q_bias: Param<Tensor<1>>,
    /// `[width]`
    pub v_bias: Param<Tensor<1>>,
    /// Output map, with bias.
    pub proj: Linear,
    #[module(skip)]
    n_heads: usize,
}

impl VisionAttention {
    pub(crate) fn empty(config: &VisionConfig, dtype: DType, device: &Device) -> Self {
        let width = config.width;
        Self {
            qkv: Linear::empty(width, 3 * width, false, dtype, device),
            q_bias: empty_param([width], dtype, device),
            v_bias: empty_param([width], dtype, device),
            proj: Linear::empty(width, width, true, dtype, device),
            n_heads: config.n_heads,
        }
    }

    /// # Shapes
    /// - `x`: `[batch, n_tokens, width]`
    /// - returns the same, in the weights' type
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, n_tokens, width] = x.dims();
        let [q, k, v] = self.heads(x);
        let out = fused_ops::attention(Attended {
            queries: q,
            keys: k,
            values: v,
            hidden: None,
            is_causal: false,
            is_training: false,
        });
        self.proj.forward(out.swap_dims(1, 2).reshape([batch, n_tokens, width]))
    }

    /// The attention probabilities, for inspection: [`VisionAttention::forward`] never holds them.
    ///
    /// # Shapes
    /// - `x`: `[batch, n_tokens, width]`
    /// - returns `[batch, n_heads, n_tokens, n_tokens]`, rows sum to 1
    pub fn probabilities(&self, x: Tensor<3>) -> Tensor<4> {
        let [q, k, _] = self.heads(x);
        let [_, _, _, head_dim] = q.dims();
        #[expect(clippy::cast_precision_loss, reason = "a head is narrow")]
        let scale = (head_dim as f64).powf(-0.5);
        softmax(cast(q.mul_scalar(scale).matmul(k.swap_dims(2, 3)), DType::F32), 3)
    }

    /// Queries, keys and values, each `[batch, n_heads, n_tokens, head_dim]`.
    fn heads(&self, x: Tensor<3>) -> [Tensor<4>; 3] {
        let [batch, n_tokens, width] = x.dims();
        let weight = self.qkv.weight.val();
        let x = cast(x, weight.dtype());
        // Rows of the weight, and not columns of the product: their gradients are smaller.
        let part = |index: usize, bias: Option<Tensor<1>>| {
            let rows = weight.clone().narrow(0, index * width, width);
            let part = fused_ops::linear(x.clone(), rows, bias);
            part.reshape([batch, n_tokens, self.n_heads, width / self.n_heads]).swap_dims(1, 2)
        };
        [part(0, Some(self.q_bias.val())), part(1, None), part(2, Some(self.v_bias.val()))]
    }
}
