//! The error of everything that makes or reads an image.

use crate::bbox::BoxPx;

/// Why an image could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PixelError {
    /// A window that maps nothing.
    #[error("window level {level_hu}, width {width_hu} is not usable: both finite and the width above 0")]
    Window {
        /// Its center.
        level_hu: f64,
        /// Its width.
        width_hu: f64,
    },
    /// An image without pixels, or with a side that PNG or the resampler cannot hold.
    #[error("image of {width_px}x{height_px} pixels: each side must be 1 to {max_px}")]
    Size {
        /// Columns.
        width_px: usize,
        /// Rows.
        height_px: usize,
        /// Longest side allowed.
        max_px: usize,
    },
    /// Planes of one color image that differ in size.
    #[error("planes of {first:?} and {other:?} [rows, columns] cannot be one image")]
    PlaneSizes {
        /// Size of the first, `[rows, columns]`.
        first: [usize; 2],
        /// Size of another.
        other: [usize; 2],
    },
    /// A number of channels that is not known.
    #[error("image has {got} channels, expected {expected}")]
    Channels {
        /// What it has.
        got: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// A crop that is empty or not inside its image.
    #[error("crop {bbox:?} is empty or not inside the image of {width_px}x{height_px} pixels")]
    Crop {
        /// The box asked for.
        bbox: BoxPx,
        /// Columns of the image.
        width_px: usize,
        /// Rows of the image.
        height_px: usize,
    },
    /// A PNG that asks for more than allowed.
    #[error("PNG {what} is {got}, above the limit of {limit}")]
    Limit {
        /// What was measured.
        what: &'static str,
        /// The size asked for.
        got: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A PNG whose header promises more pixels than its bytes can hold.
    #[error("PNG of {bytes} bytes cannot hold {width_px}x{height_px} pixels")]
    Truncated {
        /// Length of the file.
        bytes: usize,
        /// Columns promised.
        width_px: u32,
        /// Rows promised.
        height_px: u32,
    },
    /// A PNG palette that is no list of colors.
    #[error("PNG palette has {bytes} bytes, expected 3 for each of 1 to 256 colors")]
    Palette {
        /// Its length.
        bytes: usize,
    },
    /// Not a usable PNG.
    #[error("cannot decode PNG")]
    Decode(#[source] png::DecodingError),
    /// The PNG encoder failed.
    #[error("cannot encode PNG")]
    Encode(#[source] png::EncodingError),
}
