//! Which file and frame each slice of a series comes from.

use std::path::{Path, PathBuf};

use dicom_core::Tag;

use super::error::DicomError;
use super::file::OpenFile;
use super::series::at;
use super::source::Source;
use crate::error::VolumeError;
use crate::geometry::Geometry;
use crate::limits::Limits;

/// Where a slice is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceInstance {
    /// Its file.
    pub path: PathBuf,
    /// Its frame in the file, from 0 (DICOM counts frames from 1).
    pub frame_idx: usize,
    /// Frames of the file; 1 for an ordinary CT image.
    pub n_frames: usize,
    /// ImagePositionPatient: the middle of the first pixel, LPS mm.
    pub position_lps_mm: [f64; 3],
    /// Whether the pixels were compressed with losses.
    pub is_lossy: bool,
}

/// The slices of a series in the order of the volume's third axis.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInstances {
    /// Shape and affine of the volume that [`read_series`](super::read_series) gives.
    pub geometry: Geometry,
    /// One for each slice.
    pub slices: Vec<SliceInstance>,
}

/// The bytes of some elements of a file, of its meta information and of the data set's top level before
/// its pixels, as they are stored; in the order of the file. Text is in the character set that the file names, padded to even length.
///
/// Everything else is stepped over. The bytes may identify a patient: they are for objects that must refer
/// to the file, and belong in no message.
///
/// # Errors
/// [`VolumeError::Read`]; [`VolumeError::Limit`]; [`VolumeError::Dicom`], also for a value above 256 KiB.
pub fn read_raw_elements(
    path: &Path,
    tags: &[Tag],
    limits: &Limits,
) -> Result<Vec<(Tag, Vec<u8>)>, VolumeError> {
    let open =
        || -> Result<_, DicomError> { Ok(OpenFile::open_with_raw(Source::File(path), limits, tags)?.raw) };
    open().map_err(|error| at(path, error))
}

/// As [`read_raw_elements`], of a file in memory.
///
/// # Errors
/// A [`DicomError`], also for a value above 256 KiB.
pub fn decode_raw_elements(
    bytes: &[u8],
    tags: &[Tag],
    limits: &Limits,
) -> Result<Vec<(Tag, Vec<u8>)>, DicomError> {
    Ok(OpenFile::open_with_raw(Source::Bytes(bytes), limits, tags)?.raw)
}
