//! Files and bytes to volumes and masks.

use std::borrow::Cow;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use super::error::NrrdError;
use super::fields::Fields;
use super::header::Header;
use crate::error::VolumeError;
use crate::limits::Limits;
use crate::nifti::NiftiError;
use crate::nifti::frame::Frame;
use crate::nifti::header::Span;
use crate::nifti::source::Source;
use crate::nifti::voxels::Stored;
use crate::volume::{LabelVolume, Volume};

/// True if the file holds NRRD: by its first bytes, or by its name where it is not DICOM, so that a
/// damaged `.nrrd` is called a damaged NRRD file.
///
/// # Errors
/// [`VolumeError::Read`].
pub fn is_nrrd(path: &Path) -> Result<bool, VolumeError> {
    let mut head = Vec::with_capacity(132);
    let file = fs_err::File::open(path);
    let read = file.and_then(|file| file.take(132).read_to_end(&mut head));
    read.map_err(|error| NrrdError::Read(error).at(path))?;
    let is_named =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("nrrd") || e.eq_ignore_ascii_case("nhdr"));
    Ok(head.starts_with(b"NRRD0") || (is_named && head.get(128..) != Some(b"DICM")))
}

/// Reads a volume; voxels are taken as HU, NaN and infinite ones become -1024 HU, with a warning.
///
/// # Errors
/// [`VolumeError::Read`], [`VolumeError::Limit`], [`VolumeError::Geometry`], or
/// [`VolumeError::Nrrd`] with a [`NrrdError`].
pub fn read_volume(path: &Path, limits: &Limits) -> Result<Volume, VolumeError> {
    let (frame, voxel_path) = open::<f32>(path, limits)?;
    frame.into_volume(limits, Vec::new()).map_err(|error| NrrdError::from(error).at(&voxel_path))
}

/// Reads a label map, such as a `.seg.nrrd` without overlaps. Values that are not whole are rounded,
/// with a warning.
///
/// # Errors
/// As [`read_volume`]; [`NrrdError::NonSpatialAxis`] for overlapping segments, and
/// [`NrrdError::Voxels`] for a label below 0 or above 65,535.
pub fn read_labels(path: &Path, limits: &Limits) -> Result<LabelVolume, VolumeError> {
    let (frame, voxel_path) = open::<u16>(path, limits)?;
    frame.into_labels(limits).map_err(|error| NrrdError::from(error).at(&voxel_path))
}

/// Reads a label map from the bytes of a `.nrrd` file.
///
/// # Errors
/// A [`NrrdError`]; [`NrrdError::Unsupported`] if the bytes are a header only.
pub fn decode_labels(bytes: &[u8], limits: &Limits) -> Result<LabelVolume, NrrdError> {
    let fields = Fields::parse(bytes)?;
    if let Some(name) = fields.get("data file") {
        return Err(NrrdError::unsupported("data file", name, "a header and its voxels together"));
    }
    let header = Header::new(&fields)?;
    check_limits(&header, limits, size_of::<u16>())?;
    let source = if header.is_gzip {
        let start = usize::try_from(fields.len).unwrap_or(usize::MAX);
        Source::Gzip(Cow::Borrowed(bytes.get(start..).unwrap_or_default()))
    } else {
        Source::Bytes(bytes)
    };
    Ok(frame_of(header, source, fields.len)?.into_labels(limits)?)
}

/// A header, the file with its voxels, and that file's name; nothing large has been read.
fn open<T>(path: &Path, limits: &Limits) -> Result<(Frame<'static>, PathBuf), VolumeError> {
    let read = || {
        let fields = Fields::parse(BufReader::new(fs_err::File::open(path)?))?;
        let header = Header::new(&fields)?;
        check_limits(&header, limits, size_of::<T>())?;
        let (voxel_path, start) = match fields.get("data file") {
            Some(name) => (beside(path, name)?, 0),
            None => (path.to_owned(), fields.len),
        };
        Ok((header, voxel_path, start))
    };
    let (header, voxel_path, start) = read().map_err(|error: NrrdError| error.at(path))?;
    let source = Source::open_at(&voxel_path, header.is_gzip, start, limits).map_err(NrrdError::from);
    match source.and_then(|source| frame_of(header, source, start)) {
        Ok(frame) => Ok((frame, voxel_path)),
        Err(error) => Err(error.at(&voxel_path)),
    }
}

/// The one data file of a detached header, in the header's folder or below.
fn beside(header: &Path, data_file: &str) -> Result<PathBuf, NrrdError> {
    let words: Vec<&str> = data_file.split_whitespace().collect();
    // `LIST`, or a pattern with the first number, the last, and the step.
    let is_pattern = words.len() >= 4 && data_file.contains('%');
    let is_inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    let is_one_file = words.first().is_some_and(|&word| word != "LIST") && !is_pattern;
    if !is_one_file || !Path::new(data_file).components().all(is_inside) {
        return Err(NrrdError::unsupported("data file", data_file, "one file in the header's folder"));
    }
    Ok(header.with_file_name(data_file))
}

fn check_limits(header: &Header, limits: &Limits, bytes_in_memory: usize) -> Result<(), NrrdError> {
    let axes = header.geometry.shape().map(|n| n as u64);
    limits.check_array(&axes, header.datatype.size().max(bytes_in_memory) as u64)?;
    Limits::check("byte offset of the voxels", header.skip.unwrap_or(0), limits.max_bytes)?;
    Ok(())
}

/// Where the voxels are; `start` is where what the encoding made of them begins.
fn frame_of(header: Header, source: Source<'_>, start: u64) -> Result<Frame<'_>, NrrdError> {
    let too_large = || NrrdError::Voxels(NiftiError::OutOfMemory { bytes: u64::MAX });
    let size = header.datatype.size();
    let n_voxels = header.geometry.shape().into_iter().try_fold(1_usize, usize::checked_mul);
    let n_voxels = n_voxels.ok_or_else(too_large)?;
    let len = n_voxels.checked_mul(size).ok_or_else(too_large)?;
    let start = match header.skip {
        // Bytes are skipped after inflating, and a gzip source begins where its stream does.
        Some(skip) if header.is_gzip => skip,
        Some(skip) => start.saturating_add(skip),
        // An attached header must not be read as voxels; if there are too few, the source says so.
        None => source.plain_len().saturating_sub(len as u64).max(start),
    };
    let end_of_frames = start.checked_add(len as u64).ok_or_else(too_large)?;
    let Header { geometry, datatype, order, warnings, .. } = header;
    let stored = Stored { n: n_voxels, datatype, order, scaling: None };
    let span = Span { start, len, n_voxels, end_of_frames, is_whole: true };
    Ok(Frame { geometry, source, span, stored, warnings })
}
