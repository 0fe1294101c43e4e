//! The mean of the weights over steps, which wavers less than the weights themselves.

use std::collections::BTreeMap;

use burn::tensor::{DType, Shape, Tensor, TensorData};
use vlm_model::MiniGpt;

use crate::TrainError;
use crate::parameters::{flat_weights, read_rows, with_weights};

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

    /// The mean of a checkpoint.
    ///
    /// # Errors
    /// The names of means that are missing, of another shape or type, or of no learning parameter.
    pub(crate) fn restore(self, saved: BTreeMap<String, TensorData>) -> Result<Self, Vec<String>> {
        let mut means = self.means;
        let mut wrong: Vec<String> =
            means.keys().filter(|name| !saved.contains_key(*name)).cloned().collect();
        for (name, data) in saved {
            match means.get_mut(&name) {
                Some((mean, shape)) if data.shape() == shape && data.dtype() == DType::F32 => {
                    let (bytes, shape, dtype) = data.into_parts();
                    let row = TensorData::from_bytes(bytes, [shape.num_elements()], dtype);
                    *mean = Tensor::from_data(row, (&mean.device(), dtype));
                }
                _ => wrong.push(name),
            }
        }
        if wrong.is_empty() { Ok(Self { means, ..self }) } else { Err(wrong) }
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
        read_rows(&self.means)
    }

    /// The model with the means as its weights.
    pub(crate) fn model(&self, model: &MiniGpt) -> Result<MiniGpt, TrainError> {
        let with = with_weights(model.clone(), self.weights()?);
        Ok(with.unwrap_or_else(|_| unreachable!("the means are of the model's own parameters")))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;
    use vlm_model::{MiniGptConfig, Precision, Trainable};

    use super::*;

    #[test]
    fn means_of_another_model_are_named() {
        let model = MiniGpt::empty(&MiniGptConfig::nano(), Precision::F32, &Device::flex()).unwrap();
        let model = model.with_trainable(Trainable::AdaptersAndProjector);
        let mean = || WeightMean::new(0.9, &model);
        let saved = mean().weights().unwrap();
        mean().restore(saved.clone()).unwrap();
        let name = saved.keys().next().unwrap().clone();
        let mut missing = saved.clone();
        missing.remove(&name);
        assert_eq!(mean().restore(missing).err(), Some(vec![name.clone()]));
        let mut other_shape = saved.clone();
        other_shape.insert(name.clone(), TensorData::zeros::<f32, _>([1, 1, 1]));
        assert_eq!(mean().restore(other_shape).err(), Some(vec![name]));
        let mut unknown = saved;
        unknown.insert("other".to_owned(), TensorData::zeros::<f32, _>([1]));
        assert_eq!(mean().restore(unknown).err(), Some(vec!["other".to_owned()]));
    }
}
