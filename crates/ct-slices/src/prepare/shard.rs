//! What makes a folder one shard of a run, and what a merge holds it against.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::PrepareError;
use super::options::Shard;
use super::part::{PARTS_FOLDER, PartImage, SLICES_FOLDER, VolumePart};
use crate::hex::hex;

/// The mark inside the folder of the parts. No study has this name: those that start with `.` are left out.
const MARK_FILE: &str = ".shard";
/// Largest mark that is read.
const MAX_MARK_BYTES: u64 = 4096;

/// Which share of which run a folder holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    /// Number of the shard, from 0.
    pub(super) index: usize,
    /// Shards of the run.
    pub(super) count: usize,
    /// Hash of the configuration.
    pub(super) config_sha256: String,
    /// Volumes of the dataset.
    pub(super) n_volumes: usize,
}

impl Mark {
    fn path(out: &Path) -> PathBuf {
        out.join(PARTS_FOLDER).join(MARK_FILE)
    }

    /// The mark of a folder; `None` if it has none.
    pub(super) fn read(out: &Path) -> Result<Option<Self>, PrepareError> {
        let path = Self::path(out);
        let unusable = |reason: String| PrepareError::Output { path: path.clone(), reason };
        let file = match fs_err::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PrepareError::io(&path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_MARK_BYTES).read_to_end(&mut bytes).map_err(PrepareError::io(&path))?;
        let mark: Self = serde_json::from_slice(&bytes)
            .map_err(|e| unusable(format!("is not the mark of a shard: {e}")))?;
        if mark.index >= mark.count {
            return Err(unusable(format!("says shard {} of {}", mark.index, mark.count)));
        }
        Ok(Some(mark))
    }
}

/// Marks a folder as this shard's, or finds that it is.
///
/// A run of all volumes takes over what a shard left, since its parts hold for both.
///
/// # Errors
/// [`PrepareError::Output`] if the folder is another shard's, of another configuration, or no shard's.
pub(super) fn claim(
    out: &Path,
    shard: Option<Shard>,
    config_sha256: &str,
    n_volumes: usize,
) -> Result<(), PrepareError> {
    let path = Mark::path(out);
    let in_the_way = |reason: String| PrepareError::Output {
        path: out.to_owned(),
        reason: format!("{reason}; choose another folder"),
    };
    let Some(shard) = shard else {
        return match fs_err::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(PrepareError::io(&path)(error)),
            _ => Ok(()),
        };
    };
    let mark = Mark {
        index: shard.number(),
        count: shard.count(),
        config_sha256: config_sha256.to_owned(),
        n_volumes,
    };
    match Mark::read(out)? {
        Some(found) if (found.index, found.count) != (mark.index, mark.count) => {
            return Err(in_the_way(format!(
                "holds shard {}/{}, not {}/{}",
                found.index, found.count, mark.index, mark.count
            )));
        }
        Some(found) if found.config_sha256 != mark.config_sha256 => {
            return Err(in_the_way("holds this shard with other options".to_owned()));
        }
        Some(found) if found == mark => return Ok(()),
        // A study came or went: which parts still hold is found one by one.
        Some(_) => {}
        None if part_files(out)?.is_empty() => {}
        None => return Err(in_the_way("holds a run that is no shard".to_owned())),
    }
    let json = serde_json::to_vec(&mark).map_err(|error| PrepareError::Output {
        path: path.clone(),
        reason: format!("cannot be written: {error}"),
    })?;
    Ok(ct_volume::write_atomic(&path, &json)?)
}

/// Removes what a shard's folder holds beside its parts and their images: what belongs to studies that are another
/// shard's since one came or went, and images of a killed run that the finished part has not.
pub(super) fn remove_leftovers(out: &Path, parts: &[VolumePart]) -> Result<(), PrepareError> {
    let kept: BTreeSet<PathBuf> = parts
        .iter()
        .flat_map(|part| {
            let images = part.images.iter().map(|image| out.join(part.image_path(image)));
            images.chain([VolumePart::path(out, &part.stem)])
        })
        .collect();
    for path in part_files(out)?.into_iter().chain(files(&out.join(SLICES_FOLDER))?) {
        if !kept.contains(&path) {
            fs_err::remove_file(&path).map_err(PrepareError::io(&path))?;
        }
    }
    Ok(())
}

/// The part files of a folder, sorted.
pub(super) fn part_files(out: &Path) -> Result<Vec<PathBuf>, PrepareError> {
    let is_part = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "json")
            && path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'))
    };
    Ok(files(&out.join(PARTS_FOLDER))?.into_iter().filter(is_part).collect())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, PrepareError> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(PrepareError::io(folder))? {
        paths.push(entry.map_err(PrepareError::io(folder))?.path());
    }
    paths.sort_unstable();
    Ok(paths)
}

/// True if an image file is there as it was written.
pub(super) fn is_intact(path: &Path, image: &PartImage) -> bool {
    read_image(path, image).is_ok()
}

/// The bytes of an image file, checked against its part.
///
/// # Errors
/// [`PrepareError::Image`] if it is missing, of another size or hash; [`PrepareError::Io`].
pub(super) fn read_image(path: &Path, image: &PartImage) -> Result<Vec<u8>, PrepareError> {
    let damaged = |reason: String| PrepareError::Image { path: path.to_owned(), reason };
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(damaged("is missing".to_owned())),
        Err(error) => return Err(PrepareError::io(path)(error)),
    };
    let size = file.metadata().map_err(PrepareError::io(path))?.len();
    if size != image.bytes {
        return Err(damaged(format!("has {size} bytes, its shard wrote {}", image.bytes)));
    }
    // One more than there should be, so that a file that grows meanwhile is noticed.
    let mut bytes = Vec::new();
    file.take(image.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(PrepareError::io(path))?;
    let sha256 = hex(&Sha256::digest(&bytes));
    if sha256 != image.sha256 {
        return Err(damaged(format!("has SHA-256 {sha256}, its shard wrote {}", image.sha256)));
    }
    Ok(bytes)
}
