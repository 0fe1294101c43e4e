//! Checkpoints in.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use vlm_model::{MiniGpt, TensorFile};

use super::folder::{
    GRADIENTS, MANIFEST, MEAN, MOMENTS, STATE, WEIGHTS, checkpoint_folder, checkpoint_steps,
};
use super::state::{FORMAT, Manifest, StateFile};
use super::write::Tensors;
use super::{RunIdentity, RunState};
use crate::atomic::io_error;
use crate::hex::to_hex;
use crate::optimizer_state::OptimizerState;
use crate::parameters::with_weights;
use crate::{Moments, TrainError};

/// Longest JSON file of a checkpoint that is read.
const MAX_JSON: u64 = 256 << 20;

/// A checkpoint that was read and verified.
pub(crate) struct Loaded {
    pub(crate) identity: RunIdentity,
    pub(crate) state: RunState,
    pub(crate) tensors: Tensors,
}

fn unusable(folder: &Path, reason: impl std::fmt::Display) -> TrainError {
    TrainError::Checkpoint { folder: folder.to_owned(), reason: reason.to_string() }
}

/// Checks that a checkpoint is of this format and that all its files are whole.
///
/// # Errors
/// [`TrainError::Checkpoint`] naming the file that is not, [`TrainError::Io`], [`TrainError::Json`].
pub fn verify_checkpoint(folder: &Path) -> Result<(), TrainError> {
    verified(folder).map(|_| ())
}

fn verified(folder: &Path) -> Result<Manifest, TrainError> {
    let manifest: Manifest = read_json(&folder.join(MANIFEST))?;
    if manifest.format != FORMAT {
        return Err(unusable(folder, format!("format `{}`, expected `{FORMAT}`", manifest.format)));
    }
    for needed in [STATE, WEIGHTS, MOMENTS] {
        if !manifest.files.contains_key(needed) {
            return Err(unusable(folder, format!("it lists no `{needed}`")));
        }
    }
    for (name, entry) in &manifest.files {
        if ![STATE, WEIGHTS, MEAN, MOMENTS, GRADIENTS].contains(&name.as_str()) {
            return Err(unusable(folder, format!("it lists an unknown file `{name}`")));
        }
        let path = folder.join(name);
        let bytes = fs_err::metadata(&path).map_err(io_error(&path))?.len();
        if bytes != entry.bytes {
            return Err(unusable(folder, format!("`{name}` has {bytes} bytes, expected {}", entry.bytes)));
        }
        let sha256 = hash_file(&path)?;
        if sha256 != entry.sha256 {
            let expected = &entry.sha256;
            return Err(unusable(folder, format!("`{name}` has SHA-256 {sha256}, expected {expected}")));
        }
    }
    Ok(manifest)
}

/// The list of a checkpoint's files and their hashes, as it lies there.
pub(crate) fn manifest_bytes(folder: &Path) -> Result<Vec<u8>, TrainError> {
    let path = folder.join(MANIFEST);
    fs_err::read(&path).map_err(io_error(&path))
}

fn hash_file(path: &Path) -> Result<String, TrainError> {
    let mut file = fs_err::File::open(path).map_err(io_error(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(io_error(path))?;
        if n == 0 {
            return Ok(to_hex(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let mut text = Vec::new();
    let file = fs_err::File::open(path).map_err(io_error(path))?;
    file.take(MAX_JSON).read_to_end(&mut text).map_err(io_error(path))?;
    serde_json::from_slice(&text).map_err(|source| TrainError::Json { path: path.to_owned(), source })
}

/// The latest whole checkpoint of a run folder, and the damaged ones after it with what is wrong
/// with each.
#[derive(Debug, Default)]
pub(crate) struct ResumePoint {
    pub(crate) step: Option<u64>,
    pub(crate) damaged: Vec<(PathBuf, TrainError)>,
}

pub(crate) fn resume_point(run: &Path) -> Result<ResumePoint, TrainError> {
    let mut damaged = Vec::new();
    for step in checkpoint_steps(run)?.into_iter().rev() {
        let folder = checkpoint_folder(run, step);
        match verify_checkpoint(&folder) {
            Ok(()) => return Ok(ResumePoint { step: Some(step), damaged }),
            Err(error) => damaged.push((folder, error)),
        }
    }
    Ok(ResumePoint { step: None, damaged })
}

/// The folder of the latest whole checkpoint of a run folder, if there is one.
///
/// # Errors
/// [`TrainError::Io`] if the run folder cannot be read.
pub fn latest_checkpoint(run: &Path) -> Result<Option<PathBuf>, TrainError> {
    Ok(resume_point(run)?.step.map(|step| checkpoint_folder(run, step)))
}

/// Reads a checkpoint after verifying it.
pub(crate) fn load_state(folder: &Path) -> Result<Loaded, TrainError> {
    let manifest = verified(folder)?;
    let StateFile { identity, state } = read_json(&folder.join(STATE))?;
    let weights = read_tensors(&folder.join(WEIGHTS))?;
    let mut moments = read_tensors(&folder.join(MOMENTS))?;
    let mut optimizer = OptimizerState { n_updates: state.n_updates.clone(), ..OptimizerState::default() };
    for name in state.n_updates.keys() {
        let mut take = |ending: &str| {
            let name = format!("{name}.{ending}");
            moments.remove(&name).ok_or_else(|| unusable(folder, format!("no moment `{name}`")))
        };
        let of_name = Moments { first: take("exp_avg")?, second: take("exp_avg_sq")? };
        optimizer.moments.insert(name.clone(), of_name);
    }
    let optional = |name: &str| match manifest.files.contains_key(name) {
        true => read_tensors(&folder.join(name)),
        false => Ok(BTreeMap::new()),
    };
    let (mean, gradients) = (optional(MEAN)?, optional(GRADIENTS)?);
    Ok(Loaded { identity, state, tensors: Tensors { weights, mean, optimizer, gradients } })
}

fn read_tensors(path: &Path) -> Result<BTreeMap<String, TensorData>, TrainError> {
    let file = TensorFile::open(path)?;
    file.names().map(|name| Ok((name.to_owned(), file.read(name)?))).collect()
}

/// A model with a checkpoint's weights in its learning parameters, their means over steps where the
/// run kept them; `model` holds the weights that the run started from.
///
/// # Errors
/// Those of [`verify_checkpoint`]; [`TrainError::Checkpoint`] if the model has not all its
/// parameters.
pub fn load_trained_weights(model: MiniGpt, folder: &Path) -> Result<MiniGpt, TrainError> {
    let manifest = verified(folder)?;
    let name = if manifest.files.contains_key(MEAN) { MEAN } else { WEIGHTS };
    let weights = read_tensors(&folder.join(name))?;
    with_weights(model, weights)
        .map_err(|names| unusable(folder, format!("the model has no `{}`", names.join("`, `"))))
}
