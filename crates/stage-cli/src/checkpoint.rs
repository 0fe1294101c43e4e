//! Which checkpoint a command opens.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cascade::{Stage, write_embedded_stage};
use tempfile::TempDir;

use crate::args::CheckpointArgs;

/// A folder, and what keeps it there while it is used.
#[derive(Debug)]
pub(crate) struct CheckpointFolder {
    path: PathBuf,
    _unpacked: Option<TempDir>,
}

impl CheckpointFolder {
    /// The named folder, or the embedded checkpoint of the stage, unpacked for as long as this lives.
    pub(crate) fn of(args: &CheckpointArgs, stage: Stage) -> Result<Self> {
        if let Some(path) = &args.checkpoint {
            return Ok(Self { path: path.clone(), _unpacked: None });
        }
        let folder = tempfile::tempdir().context("no place for the embedded checkpoint")?;
        let path = write_embedded_stage(stage, folder.path())?;
        Ok(Self { path, _unpacked: Some(folder) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
