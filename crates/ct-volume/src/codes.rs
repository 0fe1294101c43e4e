//! Stable codes of errors, for programs: kebab case, the format first. `docs/DATA.md` lists them.

use crate::dicom::DicomError;
use crate::error::VolumeError;
use crate::geometry::GeometryError;
use crate::nifti::NiftiError;
use crate::nrrd::NrrdError;

impl GeometryError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EmptyAxis { .. } => "geometry-empty-axis",
            Self::NotFinite { .. } => "geometry-not-finite",
            Self::Singular { .. } => "geometry-singular",
            Self::ShapeMismatch { .. } => "geometry-shape-mismatch",
            Self::PositionMismatch { .. } => "geometry-position-mismatch",
        }
    }
}

impl NiftiError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::HeaderTooShort { .. } => "nifti-header-too-short",
            Self::NotNifti { .. } => "nifti-magic",
            Self::Analyze => "nifti-analyze",
            Self::LineEnds { .. } => "nifti-line-ends",
            Self::Rank { .. } => "nifti-rank",
            Self::AxisLength { .. } => "nifti-axis-length",
            Self::VoxelCount { .. } => "nifti-voxel-count",
            Self::UnsupportedDatatype { .. } => "nifti-datatype-unsupported",
            Self::UnknownDatatype { .. } => "nifti-datatype-unknown",
            Self::VoxelOffset { .. } => "nifti-voxel-offset",
            Self::PairHeader => "nifti-pair-header",
            Self::PairMissing { .. } => "nifti-pair-missing",
            Self::Intercept { .. } => "nifti-intercept",
            Self::Quaternion { .. } => "nifti-quaternion",
            Self::FrameNeeded { .. } => "nifti-frame-needed",
            Self::FrameOutOfRange { .. } => "nifti-frame-out-of-range",
            Self::Truncated { .. } => "nifti-truncated",
            Self::GzipTooSmall { .. } => "gzip-too-small",
            Self::Gzip { .. } => "gzip-damaged",
            Self::LabelRange { .. } => "label-range",
            Self::VoxelRange { .. } => "nifti-voxel-range",
            Self::AxisTooLong { .. } => "nifti-axis-too-long",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::Limit(_) => "limit",
            Self::Geometry(source) => source.code(),
            Self::Read(_) => "read",
        }
    }
}

impl NrrdError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Magic { .. } => "nrrd-magic",
            Self::Missing { .. } => "nrrd-missing-field",
            Self::Duplicate { .. } => "nrrd-duplicate-field",
            Self::Malformed { .. } => "nrrd-malformed-field",
            Self::Unsupported { .. } => "nrrd-unsupported",
            Self::Rank { .. } => "nrrd-rank",
            Self::NonSpatialAxis { .. } => "nrrd-non-spatial-axis",
            Self::Voxels(source) => source.code(),
            Self::Limit(_) => "limit",
            Self::Geometry(source) => source.code(),
            Self::Read(_) => "read",
        }
    }
}

impl DicomError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotDicom => "dicom-prefix",
            Self::Read(_) => "read",
            Self::Limit(_) => "limit",
            Self::Truncated { .. } => "dicom-truncated",
            Self::Structure { .. } => "dicom-structure",
            Self::MissingAttribute { .. } => "dicom-missing-attribute",
            Self::BadAttribute { .. } => "dicom-bad-attribute",
            Self::UnsupportedSyntax { .. } => "dicom-unsupported-syntax",
            Self::Codec { .. } => "dicom-codec",
            Self::NoImages { .. } => "dicom-no-images",
            Self::SeveralSeries { .. } => "dicom-several-series",
            Self::NoSuchSeries { .. } => "dicom-no-such-series",
            Self::Irregular { .. } => "dicom-irregular",
            Self::Changed => "dicom-changed",
            Self::NotWritable { .. } => "dicom-not-writable",
            Self::Geometry(source) => source.code(),
        }
    }
}

impl VolumeError {
    /// The stable code of this error: that of the format's own error where there is one.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::UnknownFormat { .. } => "unknown-format",
            Self::Limit { .. } => "limit",
            Self::Geometry { source, .. } => source.code(),
            Self::Nifti { source, .. } => source.code(),
            Self::Nrrd { source, .. } => source.code(),
            Self::Dicom { source, .. } => source.code(),
        }
    }
}
