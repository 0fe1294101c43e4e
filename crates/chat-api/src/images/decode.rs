//! PNG and JPEG files to pixels.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ct_slices::pixels::{PixelError, PngLimits, decode_png};
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::RasterImage;

/// Why a file is no usable picture. Messages hold sizes and no content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Neither PNG nor JPEG.
    #[error("the image is neither a PNG nor a JPEG file")]
    UnknownFormat,
    /// Above a limit.
    #[error("the image's {what} is {got}, above the limit of {limit}")]
    Limit {
        /// What was measured.
        what: &'static str,
        /// The size.
        got: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A PNG file that cannot be decoded.
    #[error("the PNG file is damaged or of a kind that is not read")]
    Png(#[source] PixelError),
    /// A JPEG file that cannot be decoded.
    #[error("the JPEG file is damaged or of a kind that is not read")]
    Jpeg,
    /// Pixels that cannot be written as PNG.
    #[error("the image cannot be written as PNG")]
    Encode(#[source] PixelError),
}

/// Bounds on one image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageLimits {
    pub(crate) max_bytes: usize,
    pub(crate) max_pixels: u64,
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";
/// Longest side that both formats and the encoder have.
const MAX_SIDE_PX: u32 = 16_384;
/// A progressive file may ask for its pixels to be gone over again and again.
const MAX_SCANS: usize = 64;

/// Whether a file begins as one of the formats that are read.
pub(crate) fn is_image(bytes: &[u8]) -> bool {
    bytes.starts_with(PNG) || bytes.starts_with(JPEG)
}

/// Reads a PNG or JPEG file; transparency is dropped without blending.
pub(crate) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<RasterImage, ImageError> {
    check("size in bytes", bytes.len() as u64, limits.max_bytes as u64)?;
    if bytes.starts_with(PNG) {
        png(bytes, limits)
    } else if bytes.starts_with(JPEG) {
        // A decoder of others' bytes that is not ours: a bug in it must cost the request alone.
        catch_unwind(AssertUnwindSafe(|| jpeg(bytes, limits))).unwrap_or(Err(ImageError::Jpeg))
    } else {
        Err(ImageError::UnknownFormat)
    }
}

fn check(what: &'static str, got: u64, limit: u64) -> Result<(), ImageError> {
    if got > limit { Err(ImageError::Limit { what, got, limit }) } else { Ok(()) }
}

fn png(bytes: &[u8], limits: &ImageLimits) -> Result<RasterImage, ImageError> {
    // The header's own place (PNG 3rd edition, 11.2.2), so that pixels are counted before bytes are.
    let side = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    if let (Some(width), Some(height)) = (side(16), side(20)) {
        check("number of pixels", u64::from(width) * u64::from(height), limits.max_pixels)?;
    }
    let bounds = PngLimits::default()
        .with_max_side_px(MAX_SIDE_PX)
        .with_max_bytes(limits.max_pixels.saturating_mul(8));
    let image = decode_png(bytes, &bounds).map_err(|error| match error {
        PixelError::Limit { what, got, limit } => ImageError::Limit { what, got, limit },
        error => ImageError::Png(error),
    })?;
    let (width, height) = (image.width_px(), image.height_px());
    let made = match image.clone().into_gray() {
        Some(gray) => RasterImage::gray(width, height, gray.iter().copied().collect()),
        None => RasterImage::rgb(width, height, image.to_rgb().iter().copied().collect()),
    };
    made.ok_or(ImageError::UnknownFormat)
}

fn jpeg(bytes: &[u8], limits: &ImageLimits) -> Result<RasterImage, ImageError> {
    let options = DecoderOptions::default()
        .set_max_width(MAX_SIDE_PX as usize)
        .set_max_height(MAX_SIDE_PX as usize)
        .set_strict_mode(false)
        .jpeg_set_max_scans(MAX_SCANS);
    let mut headers = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    headers.decode_headers().map_err(|_| ImageError::Jpeg)?;
    let info = headers.info().ok_or(ImageError::Jpeg)?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    check("number of pixels", width as u64 * height as u64, limits.max_pixels)?;
    let is_gray = headers.input_colorspace() == Some(ColorSpace::Luma);
    let out = if is_gray { ColorSpace::Luma } else { ColorSpace::RGB };
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options.jpeg_set_out_colorspace(out));
    let pixels = decoder.decode().map_err(|_| ImageError::Jpeg)?;
    let made = if is_gray {
        RasterImage::gray(width, height, pixels)
    } else {
        RasterImage::rgb(width, height, pixels)
    };
    made.ok_or(ImageError::Jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ImageLimits = ImageLimits { max_bytes: 1 << 20, max_pixels: 1_000_000 };

    #[test]
    fn pngs_keep_their_pixels_and_nothing_else() {
        let image = RasterImage::rgb(2, 2, vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]).unwrap();
        assert_eq!(decode(&image.png().unwrap(), &LIMITS).unwrap(), image);
        let gray = RasterImage::gray(3, 1, vec![0, 128, 255]).unwrap();
        assert_eq!(decode(&gray.png().unwrap(), &LIMITS).unwrap(), gray);
        assert!(RasterImage::gray(3, 1, vec![0]).is_none());
        assert!(RasterImage::gray(0, 1, vec![]).is_none());
    }

    #[test]
    fn large_images_are_refused_before_they_are_decoded() {
        let mut bytes = RasterImage::gray(1, 1, vec![0]).unwrap().png().unwrap();
        bytes[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        assert!(matches!(decode(&bytes, &LIMITS), Err(ImageError::Limit { what: "number of pixels", .. })));
        let long = vec![0; 2 << 20];
        assert!(matches!(decode(&long, &LIMITS), Err(ImageError::Limit { what: "size in bytes", .. })));
        // A JPEG header of 65,535 by 65,535 pixels.
        let frame = [0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0xff, 0xff, 0xff, 0xff, 1, 1, 0x11, 0];
        assert!(decode(&frame, &LIMITS).is_err());
    }

    #[test]
    fn other_files_are_refused() {
        assert!(matches!(decode(b"GIF89a", &LIMITS), Err(ImageError::UnknownFormat)));
        assert!(matches!(decode(b"\x89PNG\r\n\x1a\n", &LIMITS), Err(ImageError::Png(_))));
        assert!(matches!(decode(b"\xff\xd8\xff\xe0", &LIMITS), Err(ImageError::Jpeg)));
        assert!(!is_image(b""));
    }
}
