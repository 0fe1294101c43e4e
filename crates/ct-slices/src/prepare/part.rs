//! One volume's share of a run, kept on disk until the run is finished.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::PrepareError;
use super::shard::part_files;
use crate::hex::hex;
use crate::index::IndexRecord;
use crate::records::png_name;

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
    /// The image files, as they were written.
    pub(super) images: Vec<PartImage>,
    /// What was noticed.
    pub(super) warnings: Vec<PartWarning>,
}

/// An image file: what a merge, and a run that goes on, hold it against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartImage {
    /// Number of the slice; with the volume's stem it gives the file's name.
    pub(super) slice_index: usize,
    /// Size of the file.
    pub(super) bytes: u64,
    /// Hash of the file.
    pub(super) sha256: String,
}

/// The second line of a part file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    /// Hash of the first line.
    sha256: String,
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

    /// Where an image lies, relative to the output folder.
    pub(super) fn image_path(&self, image: &PartImage) -> String {
        format!("{SLICES_FOLDER}/{}", png_name(&self.stem, image.slice_index))
    }

    /// Writes the part whole or not at all: its JSON on one line, and the hash of that line on a second,
    /// so that a changed number is as plain as a cut file.
    pub(super) fn write(&self, out: &Path) -> Result<(), PrepareError> {
        let path = Self::path(out, &self.stem);
        let unwritable = |error| PrepareError::Output {
            path: path.clone(),
            reason: format!("cannot be written: {error}"),
        };
        let mut lines = serde_json::to_vec(self).map_err(unwritable)?;
        let seal = serde_json::to_vec(&Seal { sha256: hex(&Sha256::digest(&lines)) }).map_err(unwritable)?;
        for bytes in [b"\n", seal.as_slice(), b"\n"] {
            lines.extend_from_slice(bytes);
        }
        Ok(ct_volume::write_atomic(&path, &lines)?)
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
        let mut lines = bytes.split(|&b| b == b'\n');
        let (json, seal) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let seal: Seal = serde_json::from_slice(seal)
            .map_err(|e| unusable(format!("is damaged, or of another version of this program: {e}")))?;
        if seal.sha256 != hex(&Sha256::digest(json)) {
            return Err(unusable("is damaged: its hash is not the one that was written".to_owned()));
        }
        let part: Self = serde_json::from_slice(json).map_err(|e| unusable(format!("is not a part: {e}")))?;
        part.check().map_err(unusable)?;
        Ok(Some(part))
    }

    /// Checks what others rely on: names that stay in the folder, and records that tell of the images.
    fn check(&self) -> Result<(), String> {
        if self.position >= self.n_volumes {
            return Err(format!("is volume {} of {}", self.position, self.n_volumes));
        }
        let named = self.records.iter().enumerate().filter(|(_, r)| r.image.is_some());
        let mut images = self.images.iter();
        for (slice_index, record) in named {
            let image = images.next().filter(|image| image.slice_index == slice_index);
            if image.map(|image| self.image_path(image)) != record.image {
                return Err(format!("tells of no file for the image of slice {slice_index}"));
            }
            record.check().map_err(|problem| format!("slice {slice_index}: {problem}"))?;
        }
        match images.next() {
            Some(image) => Err(format!("tells of an image of slice {}, which has none", image.slice_index)),
            None => Ok(()),
        }
    }

    /// All parts of an output folder, sorted by file name.
    pub(super) fn read_all(out: &Path) -> Result<Vec<Self>, PrepareError> {
        let paths = part_files(out)?;
        let mut parts = Vec::with_capacity(paths.len());
        for path in paths {
            parts.extend(Self::read(&path)?);
        }
        Ok(parts)
    }
}
