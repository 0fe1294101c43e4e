//! Image files to what the vision tower takes.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::TensorData;
use ct_slices::pixels::{Normalization, PngLimits, decode_png, resize_bicubic};

use crate::InferError;

/// Largest image file that is read.
const MAX_FILE_BYTES: u64 = 128 << 20;

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A PNG file.
    File(PathBuf),
    /// The bytes of a PNG file.
    Bytes {
        /// What errors call it.
        name: String,
        /// The bytes.
        bytes: Arc<[u8]>,
    },
}

impl ImageSource {
    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes { name, .. } => name.clone(),
        }
    }

    pub(crate) fn read(&self) -> Result<Arc<[u8]>, InferError> {
        let bytes = match self {
            Self::Bytes { bytes, .. } => bytes.clone(),
            Self::File(path) => {
                let read = |source| InferError::ReadImage { path: path.clone(), source };
                let mut bytes = Vec::new();
                let file = fs_err::File::open(path).map_err(read)?;
                file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
                bytes.into()
            }
        };
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(InferError::LargeImage { name: self.name(), limit: MAX_FILE_BYTES });
        }
        Ok(bytes)
    }
}

/// An image as the model takes it.
#[derive(Debug, Clone)]
pub struct ModelImage {
    /// `[3, size, size]`, f32, normalized.
    pub pixels: TensorData,
    /// Columns of the original.
    pub width_px: u32,
    /// Rows of the original.
    pub height_px: u32,
}

/// Reads a PNG, resizes it to a square without keeping its shape, and normalizes it.
///
/// # Shapes
/// - returns pixels `[3, size_px, size_px]`
///
/// # Errors
/// [`InferError::ReadImage`], [`InferError::LargeImage`] or [`InferError::Image`], all naming the
/// image.
///
/// # Source
/// SPEC 1.8, bit for bit: alpha dropped, Pillow's bicubic, CLIP's constants.
pub fn image_pixels(source: &ImageSource, size_px: usize) -> Result<ModelImage, InferError> {
    pixels_of(&source.read()?, &source.name(), size_px)
}

pub(crate) fn pixels_of(bytes: &[u8], name: &str, size_px: usize) -> Result<ModelImage, InferError> {
    let refused = |source| InferError::Image { name: name.to_owned(), source };
    let image = decode_png(bytes, &PngLimits::default()).map_err(refused)?;
    let side = |side| u32::try_from(side).expect("the decoder's limits are below 2^32");
    let (width_px, height_px) = (side(image.width_px()), side(image.height_px()));
    let resized = resize_bicubic(image.to_rgb().view(), size_px, size_px).map_err(refused)?;
    let normalized = Normalization::CLIP.rgb(resized.view()).map_err(refused)?;
    let pixels = TensorData::new(normalized.iter().copied().collect::<Vec<f32>>(), [3, size_px, size_px]);
    Ok(ModelImage { pixels, width_px, height_px })
}

#[cfg(test)]
mod tests {
    use ct_slices::pixels::{PixelError, encode_gray};
    use ndarray::Array2;

    use super::*;

    #[test]
    fn gray_levels_become_the_published_values() {
        // SPEC 1.8
        for (gray, expected) in [
            (0, [-1.792_262_6_f32, -1.752_097_1, -1.480_219_8]),
            (128, [0.076_336_1, 0.168_897_3, 0.339_948_8]),
            (255, [1.930_336_1, 2.074_883_7, 2.145_897]),
        ] {
            let png = encode_gray(Array2::from_elem((20, 30), gray).view()).unwrap();
            let source = ImageSource::Bytes { name: "gray".to_owned(), bytes: png.into() };
            let got = image_pixels(&source, 14).unwrap();
            assert_eq!((got.width_px, got.height_px), (30, 20));
            let values = got.pixels.try_to_vec::<f32>().unwrap();
            for (channel, expected) in values.chunks(14 * 14).zip(expected) {
                assert!(channel.iter().all(|value| (value - expected).abs() < 1e-6), "{gray}");
            }
        }
    }

    #[test]
    fn errors_name_the_image() {
        let missing = ImageSource::File("no/such.png".into());
        let error = image_pixels(&missing, 14).unwrap_err();
        assert!(error.to_string().contains("no/such.png"), "{error}");
        let text = ImageSource::Bytes { name: "notes.txt".to_owned(), bytes: b"hello"[..].into() };
        let error = image_pixels(&text, 14).unwrap_err();
        assert!(matches!(&error, InferError::Image { source: PixelError::Decode(_), .. }));
        assert!(error.to_string().contains("notes.txt"), "{error}");
    }
}
