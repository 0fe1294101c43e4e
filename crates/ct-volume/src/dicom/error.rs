//! Why a DICOM file or series cannot be used.

use std::fmt;
use std::io;

use crate::geometry::GeometryError;
use crate::limits::LimitExceeded;
use crate::warning::{Warning, WarningCode};

/// Why a DICOM file or series cannot be used.
///
/// Messages hold attribute names, counts and geometry, never a patient's data or a UID of a study,
/// series or instance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DicomError {
    /// No `DICM` after a 128-byte preamble.
    #[error("no DICOM prefix `DICM` at byte 128")]
    NotDicom,
    /// The operating system would not read the file.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// Above a limit.
    #[error("the file asks for too much")]
    Limit(#[from] LimitExceeded),
    /// The file ends early, or a length points beyond what holds it.
    #[error("the file ends within {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// The elements are not nested as the format has it.
    #[error("broken structure: {reason}")]
    Structure {
        /// What is wrong.
        reason: &'static str,
    },
    /// An attribute that is needed is absent or empty.
    #[error("attribute `{name}` is missing")]
    MissingAttribute {
        /// Its keyword in PS3.6.
        name: &'static str,
    },
    /// An attribute has a value that cannot be used.
    #[error("attribute `{name}` is `{value}`, expected {expected}")]
    BadAttribute {
        /// Its keyword in PS3.6.
        name: &'static str,
        /// The value found; numbers only.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// A transfer syntax that is not decoded.
    #[error("transfer syntax `{name}` ({uid}) is not supported")]
    UnsupportedSyntax {
        /// Its name in PS3.6, or "unknown".
        name: &'static str,
        /// Its UID.
        uid: String,
    },
    /// Compressed pixel data are broken or of a kind that is not decoded.
    #[error("cannot decode {codec} pixel data: {reason}")]
    Codec {
        /// The compression.
        codec: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// None of the files holds an image that can be used.
    #[error("no CT image among {n_files} files ({kinds})")]
    NoImages {
        /// Files looked at.
        n_files: usize,
        /// What they are, by kind.
        kinds: String,
    },
    /// Several series could be meant; choose one by its index.
    #[error("{} series could be meant, choose one: {}", series.len(), list(series))]
    SeveralSeries {
        /// The series, in the order of their index.
        series: Vec<SeriesInfo>,
    },
    /// The chosen series is not there.
    #[error("series {index} was chosen, but there are {}: {}", series.len(), list(series))]
    NoSuchSeries {
        /// The index that was asked for.
        index: usize,
        /// The series, in the order of their index.
        series: Vec<SeriesInfo>,
    },
    /// The slices do not form one regular grid, and the reader was not told to go on.
    #[error("slices do not form one regular grid: {}", list(troubles))]
    Irregular {
        /// Everything that was found, most basic first.
        troubles: Vec<Irregularity>,
    },
    /// A file changed between the two passes.
    #[error("the file changed while the series was read")]
    Changed,
    /// A volume that DICOM's CT image cannot hold.
    #[error("volume cannot be written as CT images: {reason}")]
    NotWritable {
        /// What is in the way.
        reason: String,
    },
    /// The affine that the headers make cannot be used.
    #[error("unusable geometry")]
    Geometry(#[from] GeometryError),
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// One series of a folder, without anything that identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeriesInfo {
    /// Number to choose it by.
    pub index: usize,
    /// Modality, such as "CT"; "other" for what is not in the standard's usual list.
    pub modality: &'static str,
    /// Files with an image.
    pub n_files: usize,
    /// Columns, rows, frames; of the first file that states them.
    pub shape: [usize; 3],
}

impl fmt::Display for SeriesInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [columns, rows, frames] = self.shape;
        write!(f, "[{}] {}, {} files, {columns}x{rows}x{frames}", self.index, self.modality, self.n_files)
    }
}

/// A gap wider than the spacing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SliceGap {
    /// The slice before the gap, from 0 along the normal.
    pub after_slice: usize,
    /// Distance from the first slice to that slice along the normal, in mm.
    pub at_mm: f64,
    /// Width in mm.
    pub width_mm: f64,
    /// Slices that would fit into it.
    pub missing: usize,
}

/// Why the slices do not form one regular grid. The text is the warning where the reader goes on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Irregularity {
    /// Slices of several orientations.
    MixedOrientation {
        /// Slices in the largest group, which is kept.
        kept: usize,
        /// Slices of other orientations.
        left_out: usize,
    },
    /// Slices of several sizes or pixel spacings.
    MixedSize {
        /// Slices in the largest group, which is kept.
        kept: usize,
        /// Slices of other sizes.
        left_out: usize,
    },
    /// Two or more slices at one position.
    DuplicateSlices {
        /// Positions with more than one slice.
        positions: usize,
        /// Slices beyond the first at their position; these are left out.
        extra: usize,
        /// Those of them whose pixels equal the kept slice's.
        identical: usize,
        /// Distance from the first slice to the first such position, in mm.
        first_at_mm: f64,
    },
    /// Gaps of a multiple of the spacing.
    MissingSlices {
        /// Slices that are missing in all.
        missing: usize,
        /// Slices that are there.
        present: usize,
        /// Median gap, in mm.
        spacing_mm: f64,
        /// The gaps.
        gaps: Vec<SliceGap>,
    },
    /// Gaps of varying width.
    UnevenSpacing {
        /// Narrowest gap, in mm.
        min_gap_mm: f64,
        /// Median gap, in mm.
        median_gap_mm: f64,
        /// Widest gap, in mm.
        max_gap_mm: f64,
        /// Farthest that a slice lies from its place on the grid, in mm along the normal.
        largest_offset_mm: f64,
        /// That slice, from 0 along the normal.
        slice: usize,
    },
    /// Slices shifted within their plane against the line through the first and last.
    ShiftedSlices {
        /// Largest shift in mm.
        largest_mm: f64,
        /// That slice, from 0 along the normal.
        slice: usize,
    },
    /// The line through the positions is not along the normal.
    GantryTilt {
        /// Angle between them, in degrees.
        degrees: f64,
        /// Sideways distance between the first and last slice, in mm.
        drift_mm: f64,
    },
}

impl Irregularity {
    /// The code of the warning where the reader goes on.
    #[must_use]
    pub fn code(&self) -> WarningCode {
        match self {
            Self::MixedOrientation { .. } => WarningCode::MixedOrientation,
            Self::MixedSize { .. } => WarningCode::StrayFiles,
            Self::DuplicateSlices { .. } => WarningCode::DuplicateSlices,
            Self::MissingSlices { .. } => WarningCode::MissingSlices,
            Self::UnevenSpacing { .. } | Self::ShiftedSlices { .. } => WarningCode::UnevenSpacing,
            Self::GantryTilt { .. } => WarningCode::GantryTilt,
        }
    }

    pub(super) fn warning(&self) -> Warning {
        Warning::new(self.code(), self.to_string())
    }
}

impl fmt::Display for Irregularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MixedOrientation { kept, left_out } => {
                write!(f, "{left_out} slices have another orientation than the other {kept}")
            }
            Self::MixedSize { kept, left_out } => {
                write!(f, "{left_out} slices have another size or pixel spacing than the other {kept}")
            }
            Self::DuplicateSlices { positions, extra, identical, first_at_mm } => write!(
                f,
                "{positions} positions hold more than one slice, {extra} slices too many, {identical} of \
                 them with identical pixels; the first {first_at_mm:.3} mm from the first slice"
            ),
            Self::MissingSlices { missing, present, spacing_mm, gaps } => {
                write!(f, "{missing} slices missing beside {present} at {spacing_mm:.3} mm; gaps of ")?;
                const SHOWN: usize = 5;
                for (n, gap) in gaps.iter().take(SHOWN).enumerate() {
                    let comma = if n > 0 { ", " } else { "" };
                    write!(f, "{comma}{:.3} mm after slice {}", gap.width_mm, gap.after_slice)?;
                }
                let more = gaps.len().saturating_sub(SHOWN);
                if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
            Self::UnevenSpacing { min_gap_mm, median_gap_mm, max_gap_mm, largest_offset_mm, slice } => {
                write!(
                    f,
                    "gaps between slices run from {min_gap_mm:.3} to {max_gap_mm:.3} mm, median \
                 {median_gap_mm:.3} mm; slice {slice} lies {largest_offset_mm:.3} mm off the grid"
                )
            }
            Self::ShiftedSlices { largest_mm, slice } => {
                write!(f, "slice {slice} is shifted by {largest_mm:.3} mm within its plane")
            }
            Self::GantryTilt { degrees, drift_mm } => write!(
                f,
                "slices are stacked {degrees:.2} degrees off their normal (gantry tilt), {drift_mm:.3} mm \
                 from the first to the last"
            ),
        }
    }
}
