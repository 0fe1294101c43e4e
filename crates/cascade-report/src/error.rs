//! What can go wrong between numbers and a figure.

use std::path::PathBuf;

/// An error of drawing or writing. Values that are not finite are none: figures leave them out and
/// say how many.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A number outside what its meaning allows.
    #[error("{what} is {value}, expected {low} to {high}")]
    OutOfRange {
        /// What the number is.
        what: &'static str,
        /// The number.
        value: f64,
        /// The least allowed.
        low: f64,
        /// The greatest allowed.
        high: f64,
    },
    /// A list of the wrong length.
    #[error("{what} has {got} values, expected {expected}")]
    Length {
        /// What the list is.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length that fits the rest.
        expected: usize,
    },
    /// More parts than a figure can show legibly.
    #[error("{got} {what}, a figure shows at most {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// An example image is not a usable PNG.
    #[error("cannot use image {index} of the example grid, expected a PNG")]
    Image {
        /// Its place in the list, from 0.
        index: usize,
        /// Why.
        source: png::DecodingError,
    },
    /// An example image is too large.
    #[error(
        "image {index} of the example grid has {width} x {height} px, expected at most {limit} px an edge"
    )]
    ImageSize {
        /// Its place in the list, from 0.
        index: usize,
        /// Its width in px.
        width: u32,
        /// Its height in px.
        height: u32,
        /// The longest allowed edge in px.
        limit: u32,
    },
    /// Pixels could not be written as PNG.
    #[error("cannot encode an image of {width} x {height} px as PNG")]
    Encode {
        /// Its width in px.
        width: u32,
        /// Its height in px.
        height: u32,
        /// Why.
        source: png::EncodingError,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Refuses numbers outside `low..=high`, and those that are not finite.
pub(crate) fn check_range(what: &'static str, value: f64, low: f64, high: f64) -> Result<(), ReportError> {
    // Sums of fractions may exceed 1 by rounding alone.
    let slack = 1e-9;
    if value >= low - slack && value <= high + slack {
        Ok(())
    } else {
        Err(ReportError::OutOfRange { what, value, low, high })
    }
}

/// Refuses lists longer than `limit`.
pub(crate) fn check_count(what: &'static str, got: usize, limit: usize) -> Result<(), ReportError> {
    if got <= limit { Ok(()) } else { Err(ReportError::TooMany { what, got, limit }) }
}
