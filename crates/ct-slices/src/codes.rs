//! Stable codes of errors about images, masks and the index, for programs: kebab case. `docs/DATA.md` lists them.

use crate::annotate::AnnotateError;
use crate::index::{IndexError, LineProblem, RecordProblem};
use crate::pixels::PixelError;

impl PixelError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Window { .. } => "window",
            Self::Size { .. } => "image-size",
            Self::PlaneSizes { .. } => "image-planes",
            Self::Channels { .. } => "image-channels",
            Self::Crop { .. } => "crop-outside",
            Self::Limit { .. } => "limit",
            Self::Truncated { .. } => "png-truncated",
            Self::Palette { .. } | Self::Decode(_) => "png-damaged",
            Self::Encode(_) => "png-not-written",
        }
    }
}

impl AnnotateError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AxisTooLong { .. } => "mask-axis-too-long",
            Self::NoBoxArea { .. } => "mask-no-box-area",
        }
    }
}

impl RecordProblem {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SchemaVersion { .. } => "record-schema-version",
            Self::Name { .. } => "record-name",
            Self::Path { .. } => "record-path",
            Self::Hash { .. } => "record-hash",
            Self::SliceIndex { .. } => "record-slice-index",
            Self::Neighbor { .. } => "record-neighbor",
            Self::Size { .. } => "record-size",
            Self::Spacing { .. } => "record-spacing",
            Self::BoxOutside { .. } => "box-outside",
            Self::BoxWithoutPixels { .. } => "box-without-pixels",
            Self::TooManyPixels { .. } => "record-too-many-pixels",
            Self::Ratio { .. } => "record-ratio",
            Self::Tasks => "record-tasks",
        }
    }
}

impl LineProblem {
    /// The stable code of this error: that of the record's problem where it is one.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "line-too-long",
            Self::Blank => "line-blank",
            Self::Json(_) => "line-json",
            Self::Csv(_) => "line-csv",
            Self::Cell { .. } => "line-cell",
            Self::Record(source) => source.code(),
        }
    }
}

impl IndexError {
    /// The stable code of this error: that of the line's problem where it is one.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Limit { .. } => "limit",
            Self::Line { source, .. } => source.code(),
            Self::Columns { .. } => "table-columns",
            Self::Image { .. } => "table-image",
            Self::Write(_) => "write",
        }
    }
}
