//! The error of everything that reads or writes a study.

use std::io;
use std::path::PathBuf;

use crate::dicom::DicomError;
use crate::geometry::GeometryError;
use crate::limits::LimitExceeded;
use crate::nifti::NiftiError;
use crate::nrrd::NrrdError;

/// Why a study could not be read or written; names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// The operating system would not read it.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system would not write it.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// None of NIfTI, NRRD and DICOM.
    #[error("`{}` is neither a NIfTI nor a NRRD file, nor a DICOM file or folder", path.display())]
    UnknownFormat {
        /// The file or folder.
        path: PathBuf,
    },
    /// Above a limit.
    #[error("`{}` asks for too much", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// Which limit.
        source: LimitExceeded,
    },
    /// The geometry cannot be used.
    #[error("`{}` has an unusable geometry", path.display())]
    Geometry {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: GeometryError,
    },
    /// Not a usable NIfTI file.
    #[error("cannot use NIfTI file `{}`", path.display())]
    Nifti {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NiftiError,
    },
    /// Not a usable NRRD file.
    #[error("cannot use NRRD file `{}`", path.display())]
    Nrrd {
        /// The file; of a detached header's voxels, that with the voxels.
        path: PathBuf,
        /// Why.
        source: NrrdError,
    },
    /// Not a usable DICOM file or series.
    #[error("cannot use DICOM `{}`", path.display())]
    Dicom {
        /// The file, or the folder of the series.
        path: PathBuf,
        /// Why.
        source: Box<DicomError>,
    },
}
