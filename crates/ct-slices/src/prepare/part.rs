//! One volume's share of a run, kept on disk until the run is finished.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::PrepareError;
use crate::index::IndexRecord;

/// Folder of the parts inside an output folder.
pub(super) const PARTS_FOLDER: &str = "parts";
/// Folder of the images.
pub(super) const SLICES_FOLDER: &str = "slices";
/// Largest part file that is read back.
const MAX_PART_BYTES: u64 = 256 << 20;

/// What one volume gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VolumePart {
    /// Hash of the configuration that made it.
    pub(super) config_sha256: String,
    /// Number of the volume in the order of the records.
    pub(super) position: usize,
    /// Volumes of the dataset.
    pub(super) n_volumes: usize,
    /// Studies of the dataset that have no mask.
    pub(super) n_without_mask: usize,
    /// `volume_name` of the published records.
    pub(super) record_name: String,
    /// Name in file names.
    pub(super) stem: String,
    /// One record a slice, in order; `split` and `tasks` are filled in at the end.
    pub(super) records: Vec<IndexRecord>,
    /// What was noticed.
    pub(super) warnings: Vec<PartWarning>,
}

/// A remark about one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartWarning {
    /// Stable code.
    pub(super) code: String,
    /// The sentence.
    pub(super) message: String,
}

impl VolumePart {
    pub(super) fn path(out: &Path, stem: &str) -> PathBuf {
        out.join(PARTS_FOLDER).join(format!("{stem}.json"))
    }

    /// Writes the part whole or not at all.
    pub(super) fn write(&self, out: &Path) -> Result<(), PrepareError> {
        let path = Self::path(out, &self.stem);
        let json = serde_json::to_vec(self).map_err(|error| PrepareError::Output {
            path: path.clone(),
            reason: format!("cannot be written: {error}"),
        })?;
        Ok(ct_volume::write_atomic(&path, &json)?)
    }

    /// Reads a part; `None` if there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, PrepareError> {
        let metadata = match fs_err::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PrepareError::io(path)(error)),
        };
        let unusable = |reason: String| PrepareError::Output { path: path.to_owned(), reason };
        if metadata.len() > MAX_PART_BYTES {
            return Err(unusable(format!("is {} bytes, too large for a part", metadata.len())));
        }
        let bytes = fs_err::read(path).map_err(PrepareError::io(path))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|e| unusable(format!("is not a part: {e}")))
    }

    /// All parts of an output folder, sorted by file name.
    pub(super) fn read_all(out: &Path) -> Result<Vec<Self>, PrepareError> {
        let folder = out.join(PARTS_FOLDER);
        let mut paths = Vec::new();
        for entry in fs_err::read_dir(&folder).map_err(PrepareError::io(&folder))? {
            let path = entry.map_err(PrepareError::io(&folder))?.path();
            if path.extension().is_some_and(|e| e == "json") {
                paths.push(path);
            }
        }
        paths.sort_unstable();
        let mut parts = Vec::with_capacity(paths.len());
        for path in paths {
            parts.extend(Self::read(&path)?);
        }
        Ok(parts)
    }
}
