//! Layers that both halves of the model use, with weights in the published layout.

use burn::module::{Module, Param, ParamId};
use burn::nn::{Initializer, RmsNorm, RmsNormConfig};
use burn::tensor::{DType, Device, Shape, Tensor};

/// A parameter that holds no memory until it is loaded or first used (then zeros).
pub(crate) fn empty_param<const D: usize>(
    shape: [usize; D],
    dtype: DType,
    device: &Device,
) -> Param<Tensor<D>> {
    Param::uninitialized(
        ParamId::new(),
        move |device, require_grad| Tensor::zeros(shape, (device, dtype)).set_require_grad(require_grad),
        device.clone(),
        false,
        Shape::from(shape),
    )
}

/// A linear map with its weight as the published files hold it, `[d_output, d_input]`.
///
/// burn's own `Linear` holds the transpose. Here tensors, gradients and optimizer moments have the
/// files' shapes.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[d_output, d_input]`
    pub weight: Param<Tensor<2>>,
    /// `[d_output]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// A map of zeros that takes memory only when loaded or used.
    #[must_use]
    pub fn empty(d_input: usize, d_output: usize, bias: bool, dtype: DType, device: &Device) -> Self {
        Self {
            weight: empty_param([d_output, d_input], dtype, device),
            bias: bias.then(|| empty_param([d_output], dtype, device)),
        }
    }

    /// This map with its weight, where it is there, in the order of memory that suits many rows.
    #[must_use]
    pub(crate) fn for_many_rows(mut self) -> Self {
        if self.weight.is_initialized() {
            self.weight = self.weight.map(fused_ops::lay_out_for_many_rows);
        }
        self
    }

    /// Computes `x · Wᵀ + b` in the weight's number type.
    ///
    /// # Shapes
    /// - `x`: `[..., d_input]`, any float type; it is cast to the weight's
    /// - returns `[..., d_output]`, the weight's type
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_input`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.val();
        let bias = self.bias.as_ref().map(|bias| bias.val());
        let x = cast(x, weight.dtype());
        fused_ops::linear(x, weight, bias)
    }
}

/// `x` in another number type; nothing is done where it has it already.
pub(crate) fn cast<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    if x.dtype() == dtype { x } else { x.cast(dtype) }
}

/// A layer norm, computed in f32 whatever the input's type.
///
/// burn's own does not say its epsilon, which the fused operation needs.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// The weight, `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// The bias, `[d_model]`.
    pub beta: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

impl LayerNorm {
    /// A norm of ones and zeros that takes memory only when loaded or used.
    #[must_use]
    pub fn empty(d_model: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            gamma: Initializer::Ones.init([d_model], device),
            beta: Initializer::Zeros.init([d_model], device),
            epsilon,
        }
    }

    /// # Shapes
    /// - `x`: `[..., d_model]`
    /// - returns `[..., d_model]`, f32
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_model`.
    ///
    /// # Source
    /// SPEC 3.2, 3.4: norms and `ln_vision` run in f32.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        fused_ops::layer_norm(cast(x, DType::F32), self.gamma.val(), self.beta.val(), self.epsilon)
    }
}

/// A root-mean-square norm of ones that takes memory only when loaded or used.
pub(crate) fn empty_rms_norm(d_model: usize, epsilon: f64, device: &Device) -> RmsNorm {
    RmsNormConfig::new(d_model).with_epsilon(epsilon).init(device)
}

/// Root-mean-square norm computed in f32 and returned in `dtype`.
///
/// # Shapes
/// - `x`: `[..., d_model]`
/// - returns `[..., d_model]`, `dtype`
///
/// # Source
/// SPEC 3.5: the mean of squares, the product and the weight are f32; the cast comes last.
pub(crate) fn rms_norm<const D: usize>(norm: &RmsNorm, x: Tensor<D>, dtype: DType) -> Tensor<D> {
    cast(fused_ops::rms_norm(cast(x, DType::F32), norm.gamma.val(), norm.epsilon), dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC 3.5: the worked vectors of the norms and of GELU.
    #[test]
    #[cfg(feature = "flex")]
    fn worked_vectors() {
        use burn::tensor::{TensorData, Tolerance};
        let device = Device::flex();
        let x = || Tensor::<2>::from_data([[1.0, 2.0, 3.0, 4.0]], &device);
        let check = |got: Tensor<2>, expected: [f32; 4]| {
            let expected = TensorData::from([expected]);
            got.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(3e-7));
        };
        for (eps, outer, inner) in [(1e-5, 1.341_635_4, 0.447_211_8), (1e-6, 1.341_640_2, 0.447_213_4)] {
            let norm = LayerNorm::empty(4, eps, &device);
            check(norm.forward(x()), [-outer, -inner, inner, outer]);
        }
        let norm = empty_rms_norm(4, 1e-5, &device);
        check(rms_norm(&norm, x(), DType::F32), [0.365_148_13, 0.730_296_3, 1.095_444_4, 1.460_592_5]);
        let x = Tensor::<2>::from_data([[-1.0, 0.5, 1.0, 2.0]], &device);
        check(fused_ops::gelu(x), [-0.158_655_25, 0.345_731_23, 0.841_344_8, 1.954_499_7]);
    }
}
