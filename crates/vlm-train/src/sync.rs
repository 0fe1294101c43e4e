//! Data-parallel ranks: the seam between one step and many processes.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::TensorData;
use sha2::{Digest, Sha256};
use vlm_model::MiniGpt;

use crate::TrainError;
use crate::mixture::RankOf;
use crate::parameters::{gradients_of, learning_shapes, named_gradients};

/// Exchanges numbers between the processes of a run, which all make the same steps.
///
/// Sums must be the same bits on every rank, or the ranks' weights drift apart; the loop compares
/// the weights of all ranks before it writes a checkpoint.
///
/// Ranks that are threads of one process need models of their own, not clones of one: burn 0.22.1
/// joins the graphs of clones through their shared parameters, and a backward pass on one thread
/// then frees what the other still needs ("graph tape has already been consumed").
pub trait GradientSync {
    /// This process and their number.
    fn ranks(&self) -> RankOf;

    /// Replaces each value by its sum over all ranks, which give equally many.
    ///
    /// # Errors
    /// [`TrainError::Sync`] if a rank is gone.
    fn sum(&mut self, values: &mut [f64]) -> Result<(), TrainError>;

    /// Replaces each value of a long row by its sum over all ranks, rounded once.
    ///
    /// # Errors
    /// [`TrainError::Sync`] if a rank is gone.
    fn sum_row(&mut self, values: &mut [f32]) -> Result<(), TrainError> {
        let mut sums: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
        self.sum(&mut sums)?;
        #[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
        values.iter_mut().zip(&sums).for_each(|(value, sum)| *value = *sum as f32);
        Ok(())
    }

    /// Replaces each gradient by its sum over all ranks. A parameter that some rank has a gradient
    /// of gets one on all: a rank whose samples have no image has none of the projector.
    ///
    /// # Errors
    /// [`TrainError::Sync`] if a rank is gone, [`TrainError::Model`] if a gradient cannot be read
    /// from the device.
    fn sum_gradients(
        &mut self,
        model: &MiniGpt,
        gradients: GradientsParams,
    ) -> Result<GradientsParams, TrainError> {
        if self.ranks().world_size <= 1 {
            return Ok(gradients);
        }
        let mut flat = flat_gradients(model, &gradients)?;
        self.sum(&mut flat.n_ranks)?;
        self.sum_row(&mut flat.values)?;
        flat.restore(model)
    }
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

    fn sum_row(&mut self, _values: &mut [f32]) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Words of a SHA-256.
const WORDS: usize = 8;

/// Fails on all ranks alike where one of them holds something else than rank 0. Each thing has a
/// name and what tells it from another; all ranks give the same names.
///
/// # Errors
/// [`TrainError::RanksDiffer`] naming thing and rank, [`TrainError::Sync`].
pub fn check_same(sync: &mut dyn GradientSync, things: &[(&'static str, &[u8])]) -> Result<(), TrainError> {
    let RankOf { rank, world_size } = sync.ranks();
    if world_size <= 1 {
        return Ok(());
    }
    // Each rank writes into its own part and leaves the rest zero: the sum is everything.
    let of_rank = things.len() * WORDS;
    let mut words = vec![0.0; world_size * of_rank];
    for (slot, (_, bytes)) in words[rank * of_rank..].chunks_exact_mut(WORDS).zip(things) {
        for (slot, word) in slot.iter_mut().zip(Sha256::digest(bytes).as_chunks::<4>().0) {
            *slot = f64::from(u32::from_le_bytes(*word));
        }
    }
    sync.sum(&mut words)?;
    let of = |rank: usize, thing: usize| &words[rank * of_rank + thing * WORDS..][..WORDS];
    for (thing, (what, _)) in things.iter().enumerate() {
        if let Some(rank) = (1..world_size).find(|rank| of(*rank, thing) != of(0, thing)) {
            return Err(TrainError::RanksDiffer { what, rank });
        }
    }
    Ok(())
}

/// Gradients of all learning parameters in one row, ordered by published name: the same order and
/// length on every rank.
#[derive(Debug, Clone)]
pub struct FlatGradients {
    /// The numbers; zeros for a parameter without gradient.
    pub values: Vec<f32>,
    /// How many ranks have a gradient, for each parameter: 1 or 0 before it is summed.
    pub n_ranks: Vec<f64>,
    shapes: BTreeMap<String, Vec<usize>>,
}

/// Copies all gradients to the host as one row.
///
/// # Errors
/// [`TrainError::Model`] if they cannot be read from the device.
pub fn flat_gradients(model: &MiniGpt, gradients: &GradientsParams) -> Result<FlatGradients, TrainError> {
    let shapes = learning_shapes(model);
    let mut named = named_gradients(model, gradients)?;
    let mut values = Vec::with_capacity(shapes.values().map(|shape| n_values(shape)).sum());
    let mut n_ranks = Vec::with_capacity(shapes.len());
    for (name, shape) in &shapes {
        let gradient = named.remove(name);
        n_ranks.push(f64::from(u8::from(gradient.is_some())));
        match gradient {
            Some(data) => values.extend(data.iter::<f32>()),
            None => values.resize(values.len() + n_values(shape), 0.0),
        }
    }
    Ok(FlatGradients { values, n_ranks, shapes })
}

fn n_values(shape: &[usize]) -> usize {
    shape.iter().product()
}

impl FlatGradients {
    /// The gradients again, in f32 on the model's device; none where no rank has one.
    ///
    /// # Errors
    /// [`TrainError::Setting`] if their number was changed or they are of another model.
    pub fn restore(self, model: &MiniGpt) -> Result<GradientsParams, TrainError> {
        let n: usize = self.shapes.values().map(|shape| n_values(shape)).sum();
        if n != self.values.len() || self.shapes.len() != self.n_ranks.len() {
            let value = self.values.len();
            return Err(crate::error::setting("flat gradients", value, "their number was changed"));
        }
        let mut rest = self.values.as_slice();
        let mut named = BTreeMap::new();
        for ((name, shape), n_ranks) in self.shapes.into_iter().zip(&self.n_ranks) {
            let (values, after) = rest.split_at(n_values(&shape));
            rest = after;
            if *n_ranks > 0.0 {
                named.insert(name, TensorData::new(values.to_vec(), shape));
            }
        }
        gradients_of(model, named)
            .map_err(|names| crate::error::setting("flat gradients", names.join(", "), "not the model's"))
    }
}
