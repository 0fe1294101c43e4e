//! Which weights answer.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cascade::StudyModels;

/// Which weights answer.
#[derive(Debug, Clone)]
pub(crate) enum Checkpoints {
    /// Those that the program carries.
    Embedded,
    /// Those of a run folder.
    Run(PathBuf),
    /// One for everything.
    One(PathBuf),
}

impl Checkpoints {
    /// Does something with the folders. Embedded checkpoints lie in files as long as that takes.
    pub(crate) fn with_folders<T>(&self, work: impl FnOnce(&StudyModels) -> Result<T>) -> Result<T> {
        match self {
            Self::Embedded => {
                let unpacked = tempfile::tempdir().context("no place for the embedded checkpoints")?;
                work(&StudyModels::embedded(unpacked.path())?)
            }
            Self::Run(run) => work(&StudyModels::of_run(run)?),
            Self::One(folder) => work(&StudyModels {
                pancreas_box: folder.clone(),
                tumor_yes_no: None,
                tumor_box: None,
                organs: None,
            }),
        }
    }
}
