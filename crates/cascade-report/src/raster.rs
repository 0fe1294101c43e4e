//! PNGs for figures: maps in, images read and made smaller.

use png::{BitDepth, ColorType, Encoder};

use crate::ReportError;
use crate::style::{byte, viridis};

/// The color index of a cell without a value.
pub(crate) const MISSING: u8 = 255;
/// The longest edge of an example image in px.
const MAX_EDGE: u32 = 4096;

/// Encodes color indices, row by row from the top, with the heat maps' palette.
pub(crate) fn encode_map(indices: &[u8], width: usize, height: usize) -> Result<Vec<u8>, ReportError> {
    let mut palette: Vec<u8> =
        (0..MISSING).flat_map(|index| viridis(f64::from(index) / f64::from(MISSING - 1))).collect();
    palette.extend([0x9a, 0x9a, 0x9a]);
    encode(indices, width, height, Some(palette))
}

fn encode(
    pixels: &[u8],
    width: usize,
    height: usize,
    palette: Option<Vec<u8>>,
) -> Result<Vec<u8>, ReportError> {
    let [width, height] = [width, height].map(|edge| u32::try_from(edge).unwrap_or(u32::MAX));
    let mut bytes = Vec::new();
    let write = |bytes: &mut Vec<u8>| {
        let mut encoder = Encoder::new(bytes, width, height);
        encoder.set_depth(BitDepth::Eight);
        match palette {
            Some(palette) => {
                encoder.set_color(ColorType::Indexed);
                encoder.set_palette(palette);
            }
            None => encoder.set_color(ColorType::Grayscale),
        }
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()
    };
    write(&mut bytes).map_err(|source| ReportError::Encode { width, height, source })?;
    Ok(bytes)
}

/// A gray image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GrayImage {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pixels: Vec<u8>,
}

impl GrayImage {
    /// Reads a PNG of any kind; colors become gray, transparency is ignored. `index` is for errors.
    pub(crate) fn decode(png_bytes: &[u8], index: usize) -> Result<Self, ReportError> {
        let failed = |source| ReportError::Image { index, source };
        let mut decoder = png::Decoder::new_with_limits(
            std::io::Cursor::new(png_bytes),
            // A 4096 x 4096 px image of 8 bytes a pixel.
            png::Limits { bytes: 1 << 27 },
        );
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(failed)?;
        let (width, height) = reader.info().size();
        if width > MAX_EDGE || height > MAX_EDGE {
            return Err(ReportError::ImageSize { index, width, height, limit: MAX_EDGE });
        }
        let too_large = ReportError::ImageSize { index, width, height, limit: MAX_EDGE };
        let mut data = vec![0; reader.output_buffer_size().ok_or(too_large)?];
        let frame = reader.next_frame(&mut data).map_err(failed)?;
        data.truncate(frame.buffer_size());
        let gray = |pixel: &[u8]| match pixel {
            [red, green, blue, ..] => {
                byte(0.299 * f64::from(*red) + 0.587 * f64::from(*green) + 0.114 * f64::from(*blue))
            }
            [gray, ..] => *gray,
            [] => 0,
        };
        let pixels = data.chunks_exact(frame.color_type.samples()).map(gray).collect();
        let edge = |edge: u32| usize::try_from(edge).unwrap_or(usize::MAX);
        Ok(Self { width: edge(width), height: edge(height), pixels })
    }

    /// The image with every block of `block` x `block` px averaged into one.
    pub(crate) fn shrink(&self, block: usize) -> Self {
        let (width, height) = (self.width.div_ceil(block), self.height.div_ceil(block));
        let mut pixels = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let (mut sum, mut n) = (0.0, 0.0);
                for y in row * block..((row + 1) * block).min(self.height) {
                    for x in column * block..((column + 1) * block).min(self.width) {
                        sum += f64::from(self.pixels[y * self.width + x]);
                        n += 1.0;
                    }
                }
                pixels.push(byte(sum / n));
            }
        }
        Self { width, height, pixels }
    }

    /// The image as PNG.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ReportError> {
        encode(&self.pixels, self.width, self.height, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gray_images_survive_and_shrink_by_averaging() {
        let image = GrayImage { width: 3, height: 2, pixels: vec![0, 100, 7, 100, 200, 9] };
        assert_eq!(GrayImage::decode(&image.encode().unwrap(), 0).unwrap(), image);
        assert_eq!(image.shrink(2), GrayImage { width: 2, height: 1, pixels: vec![100, 8] });
        assert_eq!(image.shrink(1), image);
    }

    #[test]
    fn maps_are_read_back_in_their_colors() {
        let png = encode_map(&[0, 254, MISSING, MISSING], 2, 2).unwrap();
        let gray = GrayImage::decode(&png, 0).unwrap();
        // viridis runs from dark to bright; the missing color is its own.
        assert!(gray.pixels[0] < 40 && gray.pixels[1] > 200, "{gray:?}");
        assert_eq!(gray.pixels[2..], [0x9a, 0x9a]);
    }

    #[test]
    fn what_is_no_png_is_named_by_its_place() {
        let good = GrayImage { width: 8, height: 8, pixels: vec![5; 64] }.encode().unwrap();
        for bytes in [b"".as_slice(), b"not a png", &good[..good.len() / 2]] {
            let error = GrayImage::decode(bytes, 7).unwrap_err();
            assert!(error.to_string().contains("image 7"), "{error}");
        }
        let wide = GrayImage { width: 5000, height: 1, pixels: vec![0; 5000] }.encode().unwrap();
        assert!(matches!(GrayImage::decode(&wide, 0), Err(ReportError::ImageSize { width: 5000, .. })));
    }
}
