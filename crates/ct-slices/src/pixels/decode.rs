//! PNG files to images.

use std::io::Cursor;

use ndarray::{Array2, Array3, Axis, Ix3, s};
use png::{ColorType, Decoder, Limits, Transformations};

use super::error::PixelError;
use super::normalize::gray_to_rgb;

/// Bounds on what a PNG may ask for, checked before memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PngLimits {
    /// Longest side. Default 16,384.
    pub max_side_px: u32,
    /// Largest decoded image, in bytes of the file's own depth or of 8 bits and up to four channels,
    /// whichever is larger. Default 256 MiB.
    pub max_bytes: u64,
}

impl Default for PngLimits {
    fn default() -> Self {
        Self { max_side_px: 16_384, max_bytes: 256 << 20 }
    }
}

impl PngLimits {
    /// Sets the limit for a side.
    #[must_use]
    pub fn with_max_side_px(mut self, max_side_px: u32) -> Self {
        self.max_side_px = max_side_px;
        self
    }

    /// Sets the byte limit.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    fn check(what: &'static str, got: u64, limit: u64) -> Result<(), PixelError> {
        if got > limit { Err(PixelError::Limit { what, got, limit }) } else { Ok(()) }
    }
}

/// An 8-bit image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodedImage {
    /// `[row, col]`.
    Gray(Array2<u8>),
    /// `[row, col, 3]`.
    Rgb(Array3<u8>),
    /// `[row, col, 4]`, alpha last and not multiplied in.
    Rgba(Array3<u8>),
}

impl DecodedImage {
    /// Columns.
    #[must_use]
    pub fn width_px(&self) -> usize {
        match self {
            Self::Gray(image) => image.len_of(Axis(1)),
            Self::Rgb(image) | Self::Rgba(image) => image.len_of(Axis(1)),
        }
    }

    /// Rows.
    #[must_use]
    pub fn height_px(&self) -> usize {
        match self {
            Self::Gray(image) => image.len_of(Axis(0)),
            Self::Rgb(image) | Self::Rgba(image) => image.len_of(Axis(0)),
        }
    }

    /// Three channels, `[row, col, 3]`: gray repeated, alpha dropped without blending (SPEC 1.8).
    #[must_use]
    pub fn to_rgb(&self) -> Array3<u8> {
        match self {
            Self::Gray(image) => gray_to_rgb(image),
            Self::Rgb(image) => image.clone(),
            Self::Rgba(image) => image.slice(s![.., .., ..3]).as_standard_layout().into_owned(),
        }
    }

    /// The gray image, if it is one: one channel, or red, green and blue equal everywhere. Alpha is
    /// dropped without blending.
    #[must_use]
    pub fn into_gray(self) -> Option<Array2<u8>> {
        match self {
            Self::Gray(image) => Some(image),
            Self::Rgb(image) | Self::Rgba(image) => {
                let is_gray = image.rows().into_iter().all(|p| p[0] == p[1] && p[1] == p[2]);
                is_gray.then(|| image.index_axis(Axis(2), 0).as_standard_layout().into_owned())
            }
        }
    }
}

/// Most bytes that one byte of a deflate stream can stand for (a bit of length code gives 258 bytes,
/// another its distance).
const MAX_DEFLATE_RATIO: u64 = 1032;

/// Reads a PNG file: gray, color or palette, with or without alpha, 1 to 16 bits, interlaced or not.
///
/// Fewer than 8 bits are widened, 16 bits keep their high byte, a palette becomes its colors, a
/// transparent color becomes alpha. Of an animation the default image is read.
///
/// # Errors
/// [`PixelError::Limit`] if a side or the decoded size is above its limit, and
/// [`PixelError::Truncated`] if the file is too short for its pixels, both before memory is taken;
/// [`PixelError::Palette`]; [`PixelError::Decode`] for everything else that is wrong with the file.
pub fn decode_png(bytes: &[u8], limits: &PngLimits) -> Result<DecodedImage, PixelError> {
    let max_bytes = usize::try_from(limits.max_bytes).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: max_bytes });
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);

    let header = decoder.read_header_info().map_err(PixelError::Decode)?;
    let (width_px, height_px) = (header.width, header.height);
    PngLimits::check("width", u64::from(width_px), u64::from(limits.max_side_px))?;
    PngLimits::check("height", u64::from(height_px), u64::from(limits.max_side_px))?;
    let n_pixels = u64::from(width_px) * u64::from(height_px);
    let bits = u64::try_from(header.bits_per_pixel()).unwrap_or(u64::MAX);
    let file_bytes = n_pixels.saturating_mul(bits) / 8;
    let decoded_channels = match header.color_type {
        ColorType::Grayscale => 2, // a transparent gray may follow
        _ => 4,
    };
    let decoded_bytes = n_pixels.saturating_mul(decoded_channels);
    PngLimits::check("size in bytes", file_bytes.max(decoded_bytes), limits.max_bytes)?;
    if file_bytes > MAX_DEFLATE_RATIO.saturating_mul(bytes.len() as u64) {
        return Err(PixelError::Truncated { bytes: bytes.len(), width_px, height_px });
    }

    let mut reader = decoder.read_info().map_err(PixelError::Decode)?;
    // The decoder takes colors by threes and panics where the last one is not whole.
    if let Some(palette) = &reader.info().palette
        && (palette.is_empty() || palette.len() > 3 * 256 || !palette.len().is_multiple_of(3))
    {
        return Err(PixelError::Palette { bytes: palette.len() });
    }
    let size = reader.output_buffer_size().unwrap_or(usize::MAX);
    PngLimits::check("size in bytes", size as u64, limits.max_bytes)?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(PixelError::Decode)?;
    let (height, width) = (frame.height as usize, frame.width as usize);
    pixels.truncate(frame.buffer_size());
    Ok(match frame.color_type {
        ColorType::Grayscale => DecodedImage::Gray(channels(pixels, height, width, 1).remove_axis(Axis(2))),
        ColorType::GrayscaleAlpha => {
            let image = channels(pixels, height, width, 2);
            DecodedImage::Rgba(image.select(Axis(2), &[0, 0, 0, 1]))
        }
        ColorType::Rgba => DecodedImage::Rgba(channels(pixels, height, width, 4)),
        // a palette has been expanded
        ColorType::Rgb | ColorType::Indexed => DecodedImage::Rgb(channels(pixels, height, width, 3)),
    })
}

fn channels(pixels: Vec<u8>, height: usize, width: usize, n_channels: usize) -> Array3<u8> {
    Array3::from_shape_vec(Ix3(height, width, n_channels), pixels).expect("the decoder fills the image")
}
