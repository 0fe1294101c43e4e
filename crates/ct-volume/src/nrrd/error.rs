//! The error of everything NRRD.

use std::io;
use std::path::Path;

use crate::error::VolumeError;
use crate::geometry::GeometryError;
use crate::limits::LimitExceeded;
use crate::nifti::NiftiError;

/// Why a NRRD file cannot be used. Values from the file are cut at 80 characters and escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NrrdError {
    /// The first line is not that of the format.
    #[error("the first line is `{found}`, expected `NRRD0001` to `NRRD0005`")]
    Magic {
        /// The first line.
        found: String,
    },
    /// Without it the voxels cannot be read.
    #[error("the header has no `{field}`")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// Which of two is meant, nobody knows.
    #[error("the header has `{field}` twice")]
    Duplicate {
        /// The field.
        field: &'static str,
    },
    /// Forbidden by the format.
    #[error("`{field}` is `{value}`, expected {expected}")]
    Malformed {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What the format allows.
        expected: &'static str,
    },
    /// Allowed by the format, but not by this reader.
    #[error("`{field}: {value}` is not read, only {supported}")]
    Unsupported {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is read.
        supported: &'static str,
    },
    /// Not three axes of space.
    #[error("{spatial} of {dimension} axes are axes of space, expected 3")]
    Rank {
        /// Axes there are.
        dimension: usize,
        /// Those of space.
        spatial: usize,
    },
    /// An axis that counts something else than places, such as layers of overlapping segments.
    #[error(
        "axis {axis} (kind `{kind}`) is no axis of space and has length {length}, expected 1: it holds \
         overlapping segments, or channels; export one label map"
    )]
    NonSpatialAxis {
        /// Which, from 0.
        axis: usize,
        /// Its kind in the header.
        kind: String,
        /// Its length.
        length: u64,
    },
    /// Said by the voxel decoder, which is shared with NIfTI.
    #[error("the voxels cannot be used")]
    Voxels(#[source] NiftiError),
    /// Above a limit.
    #[error("the header asks for too much")]
    Limit(#[from] LimitExceeded),
    /// The geometry cannot be used.
    #[error("the header's geometry is unusable")]
    Geometry(#[from] GeometryError),
    /// The system would not read it.
    #[error("cannot read")]
    Read(#[from] io::Error),
}

impl From<NiftiError> for NrrdError {
    fn from(error: NiftiError) -> Self {
        match error {
            NiftiError::Limit(source) => Self::Limit(source),
            NiftiError::Geometry(source) => Self::Geometry(source),
            NiftiError::Read(source) => Self::Read(source),
            other => Self::Voxels(other),
        }
    }
}

impl NrrdError {
    /// Adds the file's name.
    pub(super) fn at(self, path: &Path) -> VolumeError {
        let path = path.to_owned();
        match self {
            Self::Limit(source) => VolumeError::Limit { path, source },
            Self::Geometry(source) => VolumeError::Geometry { path, source },
            Self::Read(source) => VolumeError::Read { path, source },
            source => VolumeError::Nrrd { path, source },
        }
    }

    pub(super) fn malformed(field: &'static str, value: &str, expected: &'static str) -> Self {
        Self::Malformed { field, value: excerpt(value), expected }
    }

    pub(super) fn unsupported(field: &'static str, value: &str, supported: &'static str) -> Self {
        Self::Unsupported { field, value: excerpt(value), supported }
    }
}

/// The beginning of a value, fit for a message.
pub(super) fn excerpt(value: &str) -> String {
    value.chars().take(80).flat_map(char::escape_default).collect()
}
