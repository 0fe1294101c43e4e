//! A run's folder of steps, as a training run resumes from it; damage with and without the right checksum.
//!
//! An input is one file of the checkpoint: its first byte says which, the others are its content. Odd variants
//! write its true size and SHA-256 into `checkpoint.json`, so that damage reaches what reads the file.

use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use vlm_train::{TrainError, checkpoint_folder, latest_checkpoint, load_trained_weights};

use self::tiny::{Options, full_config, model, run};
use super::checkpoint::{as_inputs, damaged_file, files_below};
use crate::inputs::format::{Format, outcome};
use crate::inputs::mutate::Random;

#[path = "../../../../../crates/vlm-train/tests/tiny/mod.rs"]
mod tiny;

const MANIFEST: &str = "checkpoint.json";

/// The folder of a run that ended.
pub(super) struct TrainingCheckpoint {
    folder: TempDir,
    /// Everything in the run's folder.
    all: Vec<(PathBuf, Vec<u8>)>,
    /// What is in the checkpoint, by name.
    files: Vec<(PathBuf, Vec<u8>)>,
    seeds: Vec<Vec<u8>>,
    step: u64,
}

impl TrainingCheckpoint {
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let options = Options { dropout: 0.0, ..Options::default() };
        run(folder.path(), &full_config(false), options)?;
        let latest = latest_checkpoint(folder.path())?.unwrap_or_default();
        let step = latest.file_name().and_then(|name| name.to_str()?.strip_prefix("step-")?.parse().ok());
        let step = step.unwrap_or(12);
        anyhow::ensure!(
            latest == checkpoint_folder(folder.path(), step),
            "the last checkpoint is `{}`",
            latest.display()
        );
        let files = files_below(&latest)?;
        let (all, seeds) = (files_below(folder.path())?, as_inputs(&files));
        Ok(Self { folder, all, files, seeds, step })
    }

    fn resume(&self) -> Result<(), TrainError> {
        let options = Options { dropout: 0.0, resume: true, ..Options::default() };
        run(self.folder.path(), &full_config(false), options).map(drop)
    }
}

impl Format for TrainingCheckpoint {
    fn name(&self) -> String {
        "training-checkpoint".to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        damaged_file(random, &self.files, &self.seeds, seed, 0.6)
    }

    fn read(&mut self, bytes: &[u8], variant: u64) -> Result<String, String> {
        let Some((which, content)) = bytes.split_first() else { return Ok("empty".to_owned()) };
        let Some((name, _)) = self.files.get(usize::from(*which)) else {
            return Ok("no such file".to_owned());
        };
        let failed = |error: std::io::Error| error.to_string();
        for (name, bytes) in &self.all {
            fs_err::write(self.folder.path().join(name), bytes).map_err(failed)?;
        }
        let checkpoint = checkpoint_folder(self.folder.path(), self.step);
        fs_err::write(checkpoint.join(name), content).map_err(failed)?;
        let name = name.to_string_lossy();
        if variant % 2 == 1 && name != MANIFEST {
            let path = checkpoint.join(MANIFEST);
            let text = fs_err::read(&path).map_err(failed)?;
            let mut manifest: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
            let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
            manifest["files"][&*name] = json!({"bytes": content.len(), "sha256": sha256});
            fs_err::write(&path, manifest.to_string()).map_err(failed)?;
        }
        if variant % 4 == 3 {
            return Ok(outcome(&load_trained_weights(model(0.0), &checkpoint)));
        }
        Ok(outcome(&self.resume()))
    }
}
