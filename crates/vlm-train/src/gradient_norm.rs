//! The norm of all gradients together.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use vlm_model::{MiniGpt, ModelError};

use crate::TrainError;

/// The Euclidean norm of all gradients together, in f32.
///
/// # Errors
/// [`TrainError::Model`] if it cannot be read from the device.
pub fn global_norm(model: &MiniGpt, gradients: &GradientsParams) -> Result<f32, TrainError> {
    let mut sum = SumOfSquares { gradients, total: None };
    model.visit(&mut sum);
    let Some(total) = sum.total else { return Ok(0.0) };
    let norm = total.sqrt().try_into_scalar::<f32>();
    norm.map_err(|error| ModelError::ReadBack(error.to_string()).into())
}

/// Scales all gradients by one factor so that their norm is at most `max_norm`, and returns the
/// norm from before. Gradients that are small enough, or not finite, stay as they are.
///
/// # Errors
/// As [`global_norm`].
pub fn clip_global_norm(
    model: &MiniGpt,
    gradients: GradientsParams,
    max_norm: f32,
) -> Result<(GradientsParams, f32), TrainError> {
    let norm = global_norm(model, &gradients)?;
    if !norm.is_finite() || norm <= max_norm {
        return Ok((gradients, norm));
    }
    // torch's own guard against a norm of zero
    let mut scale = Scale { gradients, factor: max_norm / (norm + 1e-6) };
    model.visit(&mut scale);
    Ok((scale.gradients, norm))
}

struct SumOfSquares<'a> {
    gradients: &'a GradientsParams,
    total: Option<Tensor<1>>,
}

impl ModuleVisitor for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            // Summed on the device: one number is read back for the whole model.
            let sum = gradient.cast(DType::F32).square().sum();
            self.total = Some(match self.total.take() {
                Some(total) => total + sum,
                None => sum,
            });
        }
    }
}

struct Scale {
    gradients: GradientsParams,
    factor: f32,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;
    use vlm_model::{MiniGptConfig, Precision};

    use super::*;

    #[test]
    fn one_factor_for_all_gradients() {
        let model = MiniGpt::empty(&MiniGptConfig::nano(), Precision::F32, &Device::flex()).unwrap();
        let gradients = || {
            let mut gradients = GradientsParams::new();
            let norm = &model.language_model.norm.gamma;
            gradients.register(norm.id, norm.val().full_like(3.0));
            let bias = model.projector.bias.as_ref().unwrap();
            gradients.register(bias.id, bias.val().full_like(4.0));
            gradients
        };
        // as many entries of 3 as of 4: the norm is 5 of their root
        let norm = model.config().llama.hidden_size as f32;
        let norm = 5.0 * norm.sqrt();
        assert!((global_norm(&model, &gradients()).unwrap() - norm).abs() < 1e-4);
        for (max_norm, expected) in [(100.0, norm), (8.0, 8.0), (1.0, 1.0)] {
            let (clipped, before) = clip_global_norm(&model, gradients(), max_norm).unwrap();
            let after = global_norm(&model, &clipped).unwrap();
            assert!((before - norm).abs() < 1e-4 && (after - expected).abs() < 1e-4, "{max_norm}: {after}");
        }
        assert_eq!(global_norm(&model, &GradientsParams::new()).unwrap(), 0.0, "nothing learns");
    }
}
