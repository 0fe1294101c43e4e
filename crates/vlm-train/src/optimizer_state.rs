//! `AdamW`'s state out of burn and back, by published names.
//!
//! burn keys its state by parameter ids, which change with every loading, and hides the fields of
//! its record; the record's file form is open. Names in it, of burn 0.22.1:
//!
//! ```text
//! tensors   <id>.momentum.moment_1, <id>.momentum.moment_2
//! scalars   <id>.momentum.time, <id>.__rank
//! metadata  <id> = module path
//! ```

use std::collections::BTreeMap;

use burn::optim::ModuleOptimizer;
use burn::tensor::TensorData;
use burn_store::burn_pack::{Reader, Scalar, Tensor as PackTensor, Writer};
use vlm_model::MiniGpt;

use crate::parameters::{Parameter, parameters};
use crate::{Moments, TrainError};

const FIRST: &str = "momentum.moment_1";
const SECOND: &str = "momentum.moment_2";
const TIME: &str = "momentum.time";
const RANK: &str = "__rank";

/// What `AdamW` remembers.
#[derive(Debug, Clone, Default)]
pub(crate) struct OptimizerState {
    pub(crate) moments: BTreeMap<String, Moments>,
    /// Updates that each parameter had.
    pub(crate) n_updates: BTreeMap<String, u64>,
}

fn unreadable(error: impl std::fmt::Display) -> TrainError {
    TrainError::OptimizerState(error.to_string())
}

impl OptimizerState {
    /// # Errors
    /// [`TrainError::OptimizerState`] if the state is of another form.
    pub(crate) fn read(optimizer: &ModuleOptimizer, model: &MiniGpt) -> Result<Self, TrainError> {
        let reader = Reader::from_bytes(optimizer.into_bytes().map_err(unreadable)?).map_err(unreadable)?;
        let names: BTreeMap<u64, String> =
            parameters(model).into_iter().map(|parameter| (parameter.id, parameter.published)).collect();
        let mut n_updates = BTreeMap::new();
        for (key, scalar) in reader.scalars() {
            let Some((id, TIME)) = key.split_once('.') else { continue };
            let name = id.parse().ok().and_then(|id: u64| names.get(&id));
            let name = name.ok_or_else(|| unreadable(format!("`{key}`")))?;
            let time = usize::try_from(*scalar).map_err(|_| unreadable(format!("`{key}`")))?;
            n_updates.insert(name.clone(), time as u64);
        }
        let mut first = BTreeMap::new();
        let mut second = BTreeMap::new();
        for tensor in reader.into_tensors().map_err(unreadable)? {
            let (field, dtype, shape, id, bytes) = tensor.into_parts().map_err(unreadable)?;
            let name = id.and_then(|id| names.get(&id)).ok_or_else(|| unreadable(format!("`{field}`")))?;
            let data = TensorData::from_bytes(bytes, shape, dtype);
            if field.ends_with(FIRST) {
                first.insert(name.clone(), data);
            } else if field.ends_with(SECOND) {
                second.insert(name.clone(), data);
            }
        }
        let moments: BTreeMap<String, Moments> = first
            .into_iter()
            .map(|(name, first)| match second.remove(&name) {
                Some(second) => Ok((name, Moments { first, second })),
                None => Err(unreadable(format!("`{name}` has no second moment"))),
            })
            .collect::<Result<_, _>>()?;
        if !moments.keys().eq(n_updates.keys()) {
            return Err(unreadable("moments and counts are of different parameters"));
        }
        Ok(Self { moments, n_updates })
    }

    /// The optimizer with this state, keyed by the ids of `model`.
    ///
    /// # Errors
    /// [`TrainError::OptimizerState`] if the model has not every parameter with its shape.
    pub(crate) fn restore(
        self,
        optimizer: ModuleOptimizer,
        model: &MiniGpt,
    ) -> Result<ModuleOptimizer, TrainError> {
        let by_name: BTreeMap<String, Parameter> =
            parameters(model).into_iter().map(|one| (one.published.clone(), one)).collect();
        let mut tensors = Vec::with_capacity(2 * self.moments.len());
        let mut scalars = Vec::with_capacity(2 * self.moments.len());
        let mut paths = Vec::with_capacity(self.moments.len());
        for (name, moments) in self.moments {
            let parameter = by_name.get(&name).ok_or_else(|| unreadable(format!("no parameter `{name}`")))?;
            let n_updates = self.n_updates.get(&name).copied();
            let n_updates = n_updates.and_then(|n| usize::try_from(n).ok());
            let n_updates = n_updates.ok_or_else(|| unreadable(format!("no count of `{name}`")))?;
            let id = parameter.id;
            let rank = moments.first.rank();
            scalars.push((format!("{id}.{TIME}"), Scalar::from(n_updates)));
            scalars.push((format!("{id}.{RANK}"), Scalar::from(rank)));
            paths.push((id.to_string(), parameter.path.clone()));
            for (field, data) in [(FIRST, moments.first), (SECOND, moments.second)] {
                let (bytes, shape, dtype) = data.into_parts();
                tensors.push(PackTensor::new(format!("{id}.{field}"), dtype, shape, Some(id), bytes));
            }
        }
        let mut writer = Writer::new(tensors);
        for (key, scalar) in scalars {
            writer = writer.with_scalar(&key, scalar);
        }
        for (key, path) in &paths {
            writer = writer.with_metadata(key, path);
        }
        let bytes = writer.into_bytes().map_err(unreadable)?;
        optimizer.from_bytes(bytes).map_err(unreadable)
    }
}
