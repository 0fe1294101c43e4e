//! Where checkpoints are.

use std::path::{Path, PathBuf};

use crate::TrainError;
use crate::atomic::io_error;

/// The folder of checkpoints in a run folder.
pub const CHECKPOINTS_FOLDER: &str = "checkpoints";
const PREFIX: &str = "step-";

pub(super) const MANIFEST: &str = "checkpoint.json";
pub(super) const STATE: &str = "state.json";
pub(super) const WEIGHTS: &str = "weights.safetensors";
/// The mean of the weights over steps, where it is kept.
pub(super) const MEAN: &str = "mean.safetensors";
pub(super) const MOMENTS: &str = "moments.safetensors";
pub(super) const GRADIENTS: &str = "gradients.safetensors";

/// Where the checkpoint after this many steps is, or would be.
#[must_use]
pub fn checkpoint_folder(run: &Path, step: u64) -> PathBuf {
    run.join(CHECKPOINTS_FOLDER).join(format!("{PREFIX}{step:010}"))
}

/// Steps after which there are checkpoints in a run folder, in order; none without the folder.
///
/// # Errors
/// [`TrainError::Io`] if the folder cannot be read.
pub fn checkpoint_steps(run: &Path) -> Result<Vec<u64>, TrainError> {
    let folder = run.join(CHECKPOINTS_FOLDER);
    let entries = match fs_err::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(io_error(&folder))?,
    };
    let mut steps = Vec::new();
    for entry in entries {
        let name = entry.map_err(io_error(&folder))?.file_name();
        steps.extend(name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u64>().ok()));
    }
    steps.sort_unstable();
    Ok(steps)
}
