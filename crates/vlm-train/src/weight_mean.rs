//! The mean of the weights over steps, which wavers less than the weights themselves.

use std::collections::BTreeMap;

use burn::tensor::{Shape, Tensor, TensorData};
use vlm_model::MiniGpt;

use crate::TrainError;
use crate::parameters::{flat_weights, read_back, with_weights};

/// An exponential mean of all learning parameters, in f32 on the model's device.
pub(crate) struct WeightMean {
    /// Weight of the mean so far at each update, once there were many.
    decay: f64,
    means: BTreeMap<String, (Tensor<1>, Shape)>,
}

impl WeightMean {
    /// Begins with the weights as they are.
    pub(crate) fn new(decay: f64, model: &MiniGpt) -> Self {
        Self { decay, means: flat_weights(model) }
    }

    /// The mean of a checkpoint. Names and shapes are the model's own, or `with_weights` would have
    /// refused them.
    pub(crate) fn restore(self, saved: BTreeMap<String, TensorData>) -> Self {
        let mut means = self.means;
        for (name, data) in saved {
            let Some((mean, shape)) = means.get_mut(&name) else { continue };
            *mean = Tensor::from_data(reshaped(data, [shape.num_elements()]), &mean.device());
        }
        Self { means, ..self }
    }

    /// Takes in the weights after `step` steps. Early ones count less: the mean of few steps would
    /// be of weights that have hardly learned.
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
    pub(crate) fn add(&mut self, model: &MiniGpt, step: u64) {
        let keep = self.decay.min((step as f64 + 1.0) / (step as f64 + 10.0));
        for (name, (weights, _)) in flat_weights(model) {
            let Some((mean, _)) = self.means.get_mut(&name) else { continue };
            *mean = mean.clone().mul_scalar(keep) + weights.mul_scalar(1.0 - keep);
        }
    }

    /// The means by published names.
    ///
    /// # Errors
    /// [`TrainError::Model`] if one cannot be read from the device.
    pub(crate) fn weights(&self) -> Result<BTreeMap<String, TensorData>, TrainError> {
        let read = |(name, (mean, shape)): (&String, &(Tensor<1>, Shape))| {
            Ok((name.clone(), reshaped(read_back(mean.clone())?, shape.clone())))
        };
        self.means.iter().map(read).collect()
    }

    /// The model with the means as its weights.
    pub(crate) fn model(&self, model: &MiniGpt) -> Result<MiniGpt, TrainError> {
        let with = with_weights(model.clone(), self.weights()?);
        Ok(with.unwrap_or_else(|_| unreachable!("the means are of the model's own parameters")))
    }
}

fn reshaped(data: TensorData, shape: impl Into<Shape>) -> TensorData {
    let (bytes, _, dtype) = data.into_parts();
    TensorData::from_bytes(bytes, shape, dtype)
}
