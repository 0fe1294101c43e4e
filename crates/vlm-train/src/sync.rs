//! Data-parallel ranks: the seam between one step and many processes.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::TensorData;
use vlm_model::MiniGpt;

use crate::TrainError;
use crate::mixture::RankOf;
use crate::parameters::{gradients_of, named_gradients};

/// Exchanges numbers between the processes of a run, which all make the same steps.
///
/// Sums must be the same bits on every rank, or the ranks' weights drift apart.
///
/// Ranks that are threads of one process need models of their own, not clones of one: burn 0.22.1
/// joins the graphs of clones through their shared parameters, and a backward pass on one thread
/// then frees what the other still needs ("graph tape has already been consumed").
pub trait GradientSync {
    /// This process and their number.
    fn ranks(&self) -> RankOf;

    /// Replaces each value by its sum over all ranks.
    ///
    /// # Errors
    /// [`TrainError::Sync`] if a rank is gone.
    fn sum(&mut self, values: &mut [f64]) -> Result<(), TrainError>;

    /// Replaces each gradient by its sum over all ranks. [`flat_gradients`] and
    /// [`FlatGradients::restore`] make one row of numbers of them and back.
    ///
    /// # Errors
    /// [`TrainError::Sync`] if a rank is gone.
    fn sum_gradients(
        &mut self,
        model: &MiniGpt,
        gradients: GradientsParams,
    ) -> Result<GradientsParams, TrainError>;
}

/// One process alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Single;

impl GradientSync for Single {
    fn ranks(&self) -> RankOf {
        RankOf::default()
    }

    fn sum(&mut self, _values: &mut [f64]) -> Result<(), TrainError> {
        Ok(())
    }

    fn sum_gradients(
        &mut self,
        _model: &MiniGpt,
        gradients: GradientsParams,
    ) -> Result<GradientsParams, TrainError> {
        Ok(gradients)
    }
}

/// All gradients in one row, ordered by published name: the same order on every rank.
#[derive(Debug, Clone)]
pub struct FlatGradients {
    /// The numbers.
    pub values: Vec<f32>,
    shapes: BTreeMap<String, Vec<usize>>,
}

/// Copies all gradients to the host as one row.
///
/// # Errors
/// [`TrainError::Model`] if they cannot be read from the device.
pub fn flat_gradients(model: &MiniGpt, gradients: &GradientsParams) -> Result<FlatGradients, TrainError> {
    let mut values = Vec::new();
    let mut shapes = BTreeMap::new();
    for (name, data) in named_gradients(model, gradients)? {
        values.extend(data.iter::<f32>());
        shapes.insert(name, data.shape().iter().copied().collect());
    }
    Ok(FlatGradients { values, shapes })
}

impl FlatGradients {
    /// The gradients again, in f32 on the model's device.
    ///
    /// # Errors
    /// [`TrainError::Setting`] if their number was changed or they are of another model.
    pub fn restore(self, model: &MiniGpt) -> Result<GradientsParams, TrainError> {
        let n: usize = self.shapes.values().map(|shape| shape.iter().product::<usize>()).sum();
        if n != self.values.len() {
            let value = self.values.len();
            return Err(crate::error::setting("flat gradients", value, "their number was changed"));
        }
        let mut rest = self.values.as_slice();
        let mut named = BTreeMap::new();
        for (name, shape) in self.shapes {
            let (values, after) = rest.split_at(shape.iter().product());
            rest = after;
            named.insert(name, TensorData::new(values.to_vec(), shape));
        }
        gradients_of(model, named)
            .map_err(|names| crate::error::setting("flat gradients", names.join(", "), "not the model's"))
    }
}
