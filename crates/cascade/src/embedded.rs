//! The small checkpoints that the program carries: the base, and the quickstart's stages beside it.

use std::path::{Path, PathBuf};

use ct_volume::write_atomic;
use vlm_model::MANIFEST_FILE;

use crate::{CascadeError, Stage};

/// Files by their path in `assets/nano`: `base/…`, and a folder a stage.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
const BASE: &str = "base";

/// Whether this program carries a base checkpoint.
#[must_use]
pub fn has_embedded_base() -> bool {
    embedded_base_manifest().is_some()
}

/// Whether this program carries a trained checkpoint of a stage.
#[must_use]
pub fn has_embedded_stage(stage: Stage) -> bool {
    manifest(stage.name()).is_some()
}

pub(crate) fn embedded_base_manifest() -> Option<&'static [u8]> {
    manifest(BASE)
}

fn manifest(checkpoint: &str) -> Option<&'static [u8]> {
    files_of(checkpoint).find(|(name, _)| *name == MANIFEST_FILE).map(|(_, bytes)| bytes)
}

/// Files of a checkpoint by their path in it.
fn files_of(checkpoint: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().filter_map(move |(name, bytes)| {
        let name = name.strip_prefix(checkpoint)?.strip_prefix('/')?;
        Some((name, *bytes))
    })
}

/// Writes the embedded base checkpoint into a folder, unless its files are there already.
///
/// # Errors
/// [`CascadeError::NoEmbeddedBase`], [`CascadeError::Io`], [`CascadeError::Volume`].
pub fn write_embedded_base(folder: &Path) -> Result<(), CascadeError> {
    if !has_embedded_base() {
        return Err(CascadeError::NoEmbeddedBase);
    }
    write(BASE, folder)
}

/// Writes the embedded checkpoint of a stage, and those that it points to (the base, and for tumor stages
/// the pancreas stage), side by side into a folder, and returns the checkpoint's own.
///
/// # Errors
/// [`CascadeError::NoEmbeddedStage`], and those of [`write_embedded_base`].
pub fn write_embedded_stage(stage: Stage, folder: &Path) -> Result<PathBuf, CascadeError> {
    if !has_embedded_stage(stage) {
        return Err(CascadeError::NoEmbeddedStage { stage: stage.name() });
    }
    write_embedded_base(&folder.join(BASE))?;
    if matches!(stage, Stage::TumorYesNo | Stage::TumorBox) {
        write(Stage::PancreasBox.name(), &folder.join(Stage::PancreasBox.name()))?;
    }
    let checkpoint = folder.join(stage.name());
    write(stage.name(), &checkpoint)?;
    Ok(checkpoint)
}

fn write(checkpoint: &str, folder: &Path) -> Result<(), CascadeError> {
    for (name, bytes) in files_of(checkpoint) {
        let path = folder.join(name);
        if fs_err::read(&path).is_ok_and(|found| found == bytes) {
            continue;
        }
        let parent = path.parent().unwrap_or(folder);
        fs_err::create_dir_all(parent).map_err(CascadeError::io(parent))?;
        write_atomic(&path, bytes)?;
    }
    Ok(())
}
