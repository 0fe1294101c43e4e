//! The error of the crate.

use ct_volume::{GeometryError, LimitExceeded, VolumeError};
use findings::FindingsError;

/// Why no DICOM object could be made. Messages hold no value of the source series.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DicomFindingsError {
    /// The source series cannot be read.
    #[error(transparent)]
    Source(#[from] VolumeError),
    /// An instance lacks a UID that must be referred to, or has one that is none.
    #[error("slice {slice_idx} of the source has no usable `{name}`")]
    Uid {
        /// Slice along the third axis of the series.
        slice_idx: usize,
        /// Keyword of the attribute.
        name: &'static str,
    },
    /// Instances that do not belong together.
    #[error("slice {slice_idx} of the source has another `{name}` than slice 0")]
    Mixed {
        /// Slice along the third axis of the series.
        slice_idx: usize,
        /// Keyword of the attribute.
        name: &'static str,
    },
    /// The findings are not about this series.
    #[error("the findings do not lie on the grid of the source series")]
    Grid(#[source] GeometryError),
    /// Findings that cannot be used.
    #[error(transparent)]
    Findings(#[from] FindingsError),
    /// The slices of the findings are not the images of the series.
    #[error("a report needs axial images: slices lie along axis {axis} of the series, expected 2")]
    NotAxial {
        /// The axis of the series along which the slices lie.
        axis: usize,
    },
    /// Above a limit.
    #[error("the segmentation is too large")]
    Limit(#[from] LimitExceeded),
    /// A text of the caller that does not fit its attribute.
    #[error("{what} is `{got}`, expected {expected}")]
    Text {
        /// What it is.
        what: &'static str,
        /// The text, made printable.
        got: String,
        /// What would do.
        expected: &'static str,
    },
    /// A key for anonymous UIDs that could be guessed.
    #[error("the key for anonymous UIDs has {got} bytes, expected at least {least}")]
    Key {
        /// Its length.
        got: usize,
        /// The least length.
        least: usize,
    },
    /// A text of the caller holds what must stay out of anonymous objects.
    #[error("{what} holds the source's `{name}`, which an anonymous object must not")]
    Identifier {
        /// Which text.
        what: &'static str,
        /// Keyword of the attribute.
        name: &'static str,
    },
    /// The object could not be encoded.
    #[error("cannot encode the DICOM object: {reason}")]
    Encode {
        /// What the encoder said.
        reason: String,
    },
}
