//! The kernels as operations of the backend, so that burn's dispatch finds them under autodiff.

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, ExtensionType, Flex, backend_extension};

use crate::kernels::{activation, attention, linear, norm, rotary};

/// Keys that no query looks at.
#[derive(Debug, Clone, ExtensionType)]
pub(crate) enum Hidden<B: Backend> {
    /// `[batch, 1, n_queries, n_keys]`, true where hidden.
    Mask(BoolTensor<B>),
    /// Nothing is hidden.
    Nothing,
}

impl<B: Backend> Hidden<B> {
    fn mask(&self) -> Option<&BoolTensor<B>> {
        match self {
            Self::Mask(mask) => Some(mask),
            Self::Nothing => None,
        }
    }
}

/// Operations of one kernel each, and their gradients.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    /// `x · Wᵀ`
    fn kernel_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `x · Wᵀ + b`
    fn kernel_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// The gradient of `x`.
    fn kernel_linear_x(dy: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The gradient of the weight.
    fn kernel_linear_weight(dy: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The sum over rows: the gradient of a bias.
    fn kernel_sum_of_rows(dy: FloatTensor<Self>) -> FloatTensor<Self>;

    /// A norm without bias: the normed rows, and moments of each row.
    fn kernel_rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// A norm with mean and bias: the normed rows, and moments of each row.
    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// The gradient of the input of a norm.
    fn kernel_norm_x(
        dy: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        has_mean: bool,
    ) -> FloatTensor<Self>;
    /// The gradient of the weight of a norm.
    fn kernel_norm_weight(
        dy: FloatTensor<Self>,
        x: FloatTensor<Self>,
        moments: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `x · Φ(x)`
    fn kernel_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Its gradient.
    fn kernel_gelu_x(dy: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `gate · σ(gate) · up`
    fn kernel_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Its gradients.
    fn kernel_swiglu_inputs(
        dy: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Pairs of entries turned by angles, or back.
    fn kernel_rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        is_back: bool,
    ) -> FloatTensor<Self>;

    /// Weighted values, and the log of each query's sum of exponentials.
    fn kernel_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        #[extension_type] hidden: Hidden<Self>,
        is_causal: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// The gradients of queries, keys and values.
    #[allow(clippy::too_many_arguments, reason = "an operation takes its tensors one by one")]
    fn kernel_attention_inputs(
        d_out: FloatTensor<Self>,
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        out: FloatTensor<Self>,
        log_sums: FloatTensor<Self>,
        #[extension_type] hidden: Hidden<Self>,
        is_causal: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl Kernels for Flex {
    fn kernel_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::forward(&x, &weight, None)
    }

    fn kernel_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        linear::forward(&x, &weight, Some(&bias))
    }

    fn kernel_linear_x(dy: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::x_gradient(&dy, &weight)
    }

    fn kernel_linear_weight(dy: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::weight_gradient(&dy, &x)
    }

    fn kernel_sum_of_rows(dy: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::bias_gradient(&dy)
    }

    fn kernel_rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        norm::forward(&x, &weight, None, norm::Centre::Zero, epsilon)
    }

    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        norm::forward(&x, &weight, Some(&bias), norm::Centre::Mean, epsilon)
    }

    fn kernel_norm_x(
        dy: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        has_mean: bool,
    ) -> FloatTensor<Self> {
        let centre = if has_mean { norm::Centre::Mean } else { norm::Centre::Zero };
        norm::x_gradient(&dy, &x, &weight, &moments, centre)
    }

    fn kernel_norm_weight(
        dy: FloatTensor<Self>,
        x: FloatTensor<Self>,
        moments: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        norm::weight_gradient(&dy, &x, &moments)
    }

    fn kernel_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        activation::gelu(&x)
    }

    fn kernel_gelu_x(dy: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        activation::gelu_gradient(&dy, &x)
    }

    fn kernel_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        activation::swiglu(&gate, &up)
    }

    fn kernel_swiglu_inputs(
        dy: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        activation::swiglu_gradients(&dy, &gate, &up)
    }

    fn kernel_rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        is_back: bool,
    ) -> FloatTensor<Self> {
        rotary::rotate(&x, &cos, &sin, is_back)
    }

    fn kernel_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        hidden: Hidden<Self>,
        is_causal: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        attention::forward([&q, &k, &v], hidden.mask(), is_causal)
    }

    fn kernel_attention_inputs(
        d_out: FloatTensor<Self>,
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        out: FloatTensor<Self>,
        log_sums: FloatTensor<Self>,
        hidden: Hidden<Self>,
        is_causal: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let kept = attention::Kept {
            q: &q,
            k: &k,
            v: &v,
            out: &out,
            log_sums: &log_sums,
            hidden: hidden.mask(),
            is_causal,
        };
        let [dq, dk, dv] = attention::gradients(&d_out, &kept);
        (dq, dk, dv)
    }
}
