//! `AdamW` with the published groups, and its moments by published names.

use std::collections::BTreeMap;

use burn::module::ParamGroup;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use vlm_model::MiniGpt;

use crate::TrainError;
use crate::adamw::OnDevice;
use crate::error::{check_not_negative, setting};
use crate::optimizer_state::OptimizerState;
use crate::parameters::parameters;

/// Numbers of `AdamW`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay of the decaying group.
    pub weight_decay: f64,
}

impl Default for OptimizerConfig {
    /// The published numbers (SPEC 4.3).
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.05 }
    }
}

impl OptimizerConfig {
    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        for (field, beta) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(setting(field, beta, "expected 0 or more and below 1"));
            }
        }
        check_not_negative("epsilon", self.epsilon)?;
        check_not_negative("weight_decay", self.weight_decay)
    }
}

/// `AdamW` for a model, with the published groups: weights decay where they have two or more axes
/// and a published name without `bias`, `ln` and `bn`.
///
/// # Errors
/// [`TrainError::Setting`] for impossible numbers.
///
/// # Source
/// SPEC 4.3.
pub fn optimizer(model: &MiniGpt, config: &OptimizerConfig) -> Result<ModuleOptimizer, TrainError> {
    config.validate()?;
    let decaying = parameters(model).into_iter().filter(|parameter| parameter.decays).map(|p| p.path);
    // By path and not by id: a loaded model has new ids.
    let group = ParamGroup::from_paths(decaying.collect());
    let adamw = |weight_decay| OnDevice::new(config, weight_decay, model.device());
    let plain = ModuleOptimizer::from(AdamWConfig::new().build());
    let plain = plain.with_group(ParamGroup::all(), adamw(0.0), None);
    Ok(plain.with_group(group, adamw(config.weight_decay), None))
}

/// `AdamW`'s two running means of one parameter.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Of the gradient: torch's `exp_avg`.
    pub first: TensorData,
    /// Of its square: torch's `exp_avg_sq`.
    pub second: TensorData,
}

/// The optimizer's moments by the parameters' published names.
///
/// # Errors
/// [`TrainError::OptimizerState`] if the state is of another form.
pub fn moments(
    optimizer: &ModuleOptimizer,
    model: &MiniGpt,
) -> Result<BTreeMap<String, Moments>, TrainError> {
    Ok(OptimizerState::read(optimizer, model)?.moments)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::optim::GradientsParams;
    use burn::tensor::Device;
    use vlm_model::{MiniGptConfig, Precision, Trainable};

    use super::*;

    #[test]
    fn one_step_decays_by_group() {
        let device = Device::flex();
        let mut model = MiniGpt::empty(&MiniGptConfig::nano(), Precision::F32, &device).unwrap();
        model.projector.weight = model.projector.weight.map(|w| w.ones_like());
        model.projector.bias = model.projector.bias.map(|b| b.map(|b| b.ones_like()));
        let model = model.with_trainable(Trainable::AdaptersAndProjector);
        let mut optimizer = optimizer(&model, &OptimizerConfig::default()).unwrap();
        let mut gradients = GradientsParams::new();
        let weight = &model.projector.weight;
        gradients.register(weight.id, weight.val().inner().full_like(0.5));
        let bias = model.projector.bias.as_ref().unwrap();
        gradients.register(bias.id, bias.val().inner().full_like(0.5));
        let model = optimizer.step(1e-3, model, gradients);
        // SPEC 4.3: p = 1, g = 0.5, lr 1e-3, decay 0.05
        let weight: f32 = model.projector.weight.val().max().into_scalar();
        assert!((weight - 0.998_95).abs() < 1e-6, "{weight}");
        let bias: f32 = model.projector.bias.as_ref().unwrap().val().max().into_scalar();
        assert!((bias - 0.999).abs() < 1e-6, "{bias}");
        let moments = moments(&optimizer, &model).unwrap();
        assert_eq!(moments.keys().collect::<Vec<_>>(), ["llama_proj.bias", "llama_proj.weight"]);
        let first: Vec<f32> = moments["llama_proj.bias"].first.iter::<f32>().collect();
        assert!(first.iter().all(|value| (value - 0.05).abs() < 1e-7));
    }

    #[test]
    fn the_published_groups() {
        let model = MiniGpt::empty(&MiniGptConfig::nano(), Precision::F32, &Device::flex()).unwrap();
        for parameter in parameters(&model) {
            let name = &parameter.published;
            let expected =
                !(name.ends_with("bias") || name.contains("norm") || name.starts_with("ln_vision"));
            assert_eq!(parameter.decays, expected, "{name}");
        }
        for wrong in [
            OptimizerConfig { beta_1: 1.0, ..OptimizerConfig::default() },
            OptimizerConfig { epsilon: f64::NAN, ..OptimizerConfig::default() },
            OptimizerConfig { weight_decay: -0.1, ..OptimizerConfig::default() },
        ] {
            assert!(optimizer(&model, &wrong).is_err(), "{wrong:?}");
        }
    }
}
