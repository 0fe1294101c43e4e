//! Checkpoints out.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::TensorData;
use serde::Serialize;
use vlm_model::{TensorHeader, write_safetensors};

use super::folder::{GRADIENTS, MANIFEST, MEAN, MOMENTS, STATE, WEIGHTS, checkpoint_folder};
use super::state::{FORMAT, FileEntry, Manifest, StateFile};
use super::{CHECKPOINTS_FOLDER, RunIdentity, RunState};
use crate::TrainError;
use crate::atomic::{io_error, write_folder, write_synced};
use crate::hex::sha256_hex;
use crate::optimizer_state::OptimizerState;

/// The tensors of a checkpoint, by published names.
pub(crate) struct Tensors {
    pub(crate) weights: BTreeMap<String, TensorData>,
    /// Means of the weights over steps; none where they are not kept.
    pub(crate) mean: BTreeMap<String, TensorData>,
    pub(crate) optimizer: OptimizerState,
    /// Gradients that wait for an update.
    pub(crate) gradients: BTreeMap<String, TensorData>,
}

/// Writes a checkpoint: the folder appears whole or not at all.
pub(crate) fn save(
    run: &Path,
    identity: &RunIdentity,
    mut state: RunState,
    tensors: Tensors,
) -> Result<(), TrainError> {
    let beside = run.join(CHECKPOINTS_FOLDER);
    fs_err::create_dir_all(&beside).map_err(io_error(&beside))?;
    let Tensors { weights, mean, optimizer, gradients } = tensors;
    let mut moments = BTreeMap::new();
    for (name, of_name) in optimizer.moments {
        moments.insert(format!("{name}.exp_avg_sq"), of_name.second);
        moments.insert(format!("{name}.exp_avg"), of_name.first);
    }
    state.n_updates = optimizer.n_updates;
    let state = StateFile { identity: identity.clone(), state };
    write_folder(&checkpoint_folder(run, state.state.step), |folder| {
        let mut files = BTreeMap::new();
        for (name, tensors) in [(WEIGHTS, weights), (MEAN, mean), (MOMENTS, moments), (GRADIENTS, gradients)]
        {
            if [MEAN, GRADIENTS].contains(&name) && tensors.is_empty() {
                continue;
            }
            files.insert(name.to_owned(), tensor_file(&folder.join(name), &tensors)?);
        }
        let text = json(&folder.join(STATE), &state)?;
        write_synced(&folder.join(STATE), text.as_bytes())?;
        let entry = FileEntry { bytes: text.len() as u64, sha256: sha256_hex(text.as_bytes()) };
        files.insert(STATE.to_owned(), entry);
        let manifest = Manifest { format: FORMAT.to_owned(), files };
        let path = folder.join(MANIFEST);
        write_synced(&path, json(&path, &manifest)?.as_bytes())
    })
}

fn tensor_file(path: &Path, tensors: &BTreeMap<String, TensorData>) -> Result<FileEntry, TrainError> {
    let headers: Vec<TensorHeader> = tensors
        .iter()
        .map(|(name, data)| TensorHeader {
            name: name.clone(),
            dtype: data.dtype(),
            shape: data.shape().iter().copied().collect(),
        })
        .collect();
    let data: Vec<&TensorData> = tensors.values().collect();
    let written = write_safetensors(path, &headers, &mut |index| Ok(data[index].clone()))?;
    Ok(FileEntry { bytes: written.bytes, sha256: written.sha256 })
}

fn json(path: &Path, value: &impl Serialize) -> Result<String, TrainError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|source| TrainError::Json { path: path.to_owned(), source })?;
    Ok(format!("{text}\n"))
}
