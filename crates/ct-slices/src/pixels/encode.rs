//! Images to PNG files.

use ndarray::{ArrayView2, Axis};
use png::{BitDepth, ColorType, DeflateCompression, Encoder, Filter, Writer};

use super::error::PixelError;
use super::resample::check_size;
use super::rgba_stream;

/// A gray image as an 8-bit gray PNG. Equal images give equal bytes.
///
/// # Shapes
/// - `image`: `[row, col]`, any strides
///
/// # Errors
/// [`PixelError::Size`] if a side is 0 or above 65,536.
pub fn encode_gray(image: ArrayView2<'_, u8>) -> Result<Vec<u8>, PixelError> {
    match image.to_slice() {
        Some(pixels) => encode(image.dim(), ColorType::Grayscale, pixels),
        None => encode(image.dim(), ColorType::Grayscale, &image.iter().copied().collect::<Vec<_>>()),
    }
}

/// A gray image as an 8-bit RGBA PNG, R = G = B and alpha 255, as the published images are.
///
/// # Shapes
/// - `image`: `[row, col]`, any strides
///
/// # Errors
/// [`PixelError::Size`] if a side is 0 or above 65,536.
pub fn encode_rgba(image: ArrayView2<'_, u8>) -> Result<Vec<u8>, PixelError> {
    let (height_px, width_px) = image.dim();
    check_size(width_px, height_px)?;
    let stream = match image.to_slice() {
        Some(pixels) => rgba_stream::compress(pixels, width_px),
        None => rgba_stream::compress(&image.iter().copied().collect::<Vec<_>>(), width_px),
    };
    let mut bytes = Vec::with_capacity(stream.len() + 1024);
    let mut writer = header(&mut bytes, (height_px, width_px), ColorType::Rgba)?;
    for part in stream.chunks(MAX_CHUNK) {
        writer.write_chunk(png::chunk::IDAT, part).map_err(PixelError::Encode)?;
    }
    writer.finish().map_err(PixelError::Encode)?;
    Ok(bytes)
}

/// Three images as the channels of an 8-bit RGB PNG: slices z-1, z, z+1 as R, G, B.
///
/// # Shapes
/// - `planes`: `[row, col]` each, any strides, all of one size
///
/// # Errors
/// [`PixelError::PlaneSizes`] if they differ; [`PixelError::Size`] if a side is 0 or above 65,536.
pub fn encode_rgb(planes: [ArrayView2<'_, u8>; 3]) -> Result<Vec<u8>, PixelError> {
    let [red, green, blue] = &planes;
    for other in [green, blue] {
        if other.dim() != red.dim() {
            let size = |plane: &ArrayView2<'_, u8>| [plane.len_of(Axis(0)), plane.len_of(Axis(1))];
            return Err(PixelError::PlaneSizes { first: size(red), other: size(other) });
        }
    }
    encode(red.dim(), ColorType::Rgb, &interleaved(planes))
}

/// Pixels, channel after channel.
fn interleaved<const N: usize>(planes: [ArrayView2<'_, u8>; N]) -> Vec<u8> {
    let mut pixels = vec![0; N * planes[0].len()];
    let (targets, _) = pixels.as_chunks_mut::<N>();
    for (channel, plane) in planes.iter().enumerate() {
        for (target, &value) in targets.iter_mut().zip(plane) {
            target[channel] = value;
        }
    }
    pixels
}

/// Longest part of the image data that is written as one chunk (the standard allows 2^31 - 1).
const MAX_CHUNK: usize = 1 << 30;

fn header(
    bytes: &mut Vec<u8>,
    (height_px, width_px): (usize, usize),
    color: ColorType,
) -> Result<Writer<&mut Vec<u8>>, PixelError> {
    check_size(width_px, height_px)?;
    let [width, height] = [width_px, height_px].map(|side| u32::try_from(side).expect("checked above"));
    let mut encoder = Encoder::new(bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_deflate_compression(DeflateCompression::FdeflateUltraFast);
    encoder.set_filter(Filter::Sub);
    encoder.write_header().map_err(PixelError::Encode)
}

fn encode(size: (usize, usize), color: ColorType, pixels: &[u8]) -> Result<Vec<u8>, PixelError> {
    let mut bytes = Vec::with_capacity(pixels.len() + 1024);
    let mut writer = header(&mut bytes, size, color)?;
    writer.write_image_data(pixels).map_err(PixelError::Encode)?;
    writer.finish().map_err(PixelError::Encode)?;
    Ok(bytes)
}
