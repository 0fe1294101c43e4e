//! One entry point for every kind of study.

use std::path::Path;

use crate::dicom::{self, DicomOptions};
use crate::error::VolumeError;
use crate::limits::Limits;
use crate::nifti;
use crate::nrrd;
use crate::volume::{LabelVolume, Volume};

/// What a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyKind {
    /// NIfTI-1 or NIfTI-2, also gzip or a pair.
    Nifti,
    /// NRRD, with its voxels or with them in a file beside it.
    Nrrd,
    /// A DICOM file, or a folder of them.
    Dicom,
}

/// How to read a study.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Bounds checked before memory is taken.
    pub limits: Limits,
    /// Which frame of a 4-D NIfTI file, from 0; needed if it has more than one.
    pub frame: Option<usize>,
    /// What only DICOM needs.
    pub dicom: DicomOptions,
}

/// Tells what `path` holds: a folder is DICOM, a file is told by its first bytes (and for gzip and
/// `.hdr`/`.img`, and where they are damaged, by its name).
///
/// # Errors
/// [`VolumeError::Read`]; [`VolumeError::UnknownFormat`].
pub fn detect_kind(path: &Path) -> Result<StudyKind, VolumeError> {
    let read = |source| VolumeError::Read { path: path.to_owned(), source };
    if fs_err::metadata(path).map_err(read)?.is_dir() {
        return Ok(StudyKind::Dicom);
    }
    if nifti::is_nifti(path)? {
        Ok(StudyKind::Nifti)
    } else if nrrd::is_nrrd(path)? {
        Ok(StudyKind::Nrrd)
    } else if dicom::is_dicom(path)? {
        Ok(StudyKind::Dicom)
    } else {
        Err(VolumeError::UnknownFormat { path: path.to_owned() })
    }
}

/// Reads a CT study in HU.
///
/// # Errors
/// A [`VolumeError`] that names the file and the values.
pub fn read_study(path: &Path, options: &ReadOptions) -> Result<Volume, VolumeError> {
    match detect_kind(path)? {
        StudyKind::Nifti => nifti::read_volume(path, &options.limits, options.frame),
        StudyKind::Nrrd => nrrd::read_volume(path, &options.limits),
        StudyKind::Dicom => dicom::read_series(&[path.to_owned()], &options.limits, &options.dicom),
    }
}

/// Reads a mask.
///
/// # Errors
/// A [`VolumeError`]; [`VolumeError::UnknownFormat`] for DICOM.
pub fn read_labels(path: &Path, options: &ReadOptions) -> Result<LabelVolume, VolumeError> {
    match detect_kind(path)? {
        StudyKind::Nifti => nifti::read_labels(path, &options.limits, options.frame),
        StudyKind::Nrrd => nrrd::read_labels(path, &options.limits),
        StudyKind::Dicom => Err(VolumeError::UnknownFormat { path: path.to_owned() }),
    }
}
