//! Pixels of one image.

use std::fmt;
use std::sync::Arc;

use ct_slices::pixels::{PixelError, encode_gray, encode_rgb};
use ndarray::{ArrayView2, ShapeBuilder};

use crate::model::ChatImage;

/// Pixels of one image, gray or RGB, 8 bits a channel.
#[derive(Clone, PartialEq, Eq)]
pub struct RasterImage {
    width_px: usize,
    height_px: usize,
    channels: usize,
    /// Row after row, channels together.
    pixels: Arc<[u8]>,
}

impl RasterImage {
    /// A gray image; `None` unless there is a byte for every pixel and a pixel at all.
    #[must_use]
    pub fn gray(width_px: usize, height_px: usize, pixels: Vec<u8>) -> Option<Self> {
        Self::new(width_px, height_px, 1, pixels)
    }

    /// An RGB image; `None` unless there are three bytes for every pixel and a pixel at all.
    #[must_use]
    pub fn rgb(width_px: usize, height_px: usize, pixels: Vec<u8>) -> Option<Self> {
        Self::new(width_px, height_px, 3, pixels)
    }

    fn new(width_px: usize, height_px: usize, channels: usize, pixels: Vec<u8>) -> Option<Self> {
        let expected = width_px.checked_mul(height_px)?.checked_mul(channels)?;
        let fits = expected > 0 && pixels.len() == expected && u32::try_from(width_px.max(height_px)).is_ok();
        fits.then(|| Self { width_px, height_px, channels, pixels: pixels.into() })
    }

    /// Columns.
    #[must_use]
    pub fn width_px(&self) -> usize {
        self.width_px
    }

    /// Rows.
    #[must_use]
    pub fn height_px(&self) -> usize {
        self.height_px
    }

    /// Whether it has one channel.
    #[must_use]
    pub fn is_gray(&self) -> bool {
        self.channels == 1
    }

    /// Row after row, channels together.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// A PNG file of the pixels and nothing else.
    pub(crate) fn png(&self) -> Result<Vec<u8>, PixelError> {
        let (n, row) = (self.channels, self.width_px * self.channels);
        let plane = |channel: usize| {
            let shape = (self.height_px, self.width_px).strides((row, n));
            ArrayView2::from_shape(shape, &self.pixels[channel..]).expect("checked when it was made")
        };
        if n == 1 { encode_gray(plane(0)) } else { encode_rgb([plane(0), plane(1), plane(2)]) }
    }

    /// The image as a model gets it.
    pub(crate) fn to_chat_image(&self) -> Result<ChatImage, PixelError> {
        let side = |px: usize| u32::try_from(px).expect("checked when it was made");
        Ok(ChatImage { png: self.png()?.into(), size_px: [side(self.width_px), side(self.height_px)] })
    }
}

/// Sizes, never pixels.
impl fmt::Debug for RasterImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RasterImage({} x {} px, {} channels)", self.width_px, self.height_px, self.channels)
    }
}
