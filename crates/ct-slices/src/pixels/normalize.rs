//! Bytes to what the vision tower takes.

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis, Zip};

use super::error::PixelError;

/// Mean and standard deviation per color channel (R, G, B), of bytes over 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// What is subtracted.
    pub mean: [f32; 3],
    /// What is then divided by.
    pub std: [f32; 3],
}

impl Normalization {
    /// The constants of CLIP, which EVA-CLIP and so the published model use (SPEC 1.8).
    #[expect(clippy::excessive_precision, reason = "digits as published")]
    pub const CLIP: Self = Self {
        mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        std: [0.268_629_54, 0.261_302_58, 0.275_777_11],
    };

    /// `(value / 255 - mean) / std` in `f32`, for each of the 256 bytes.
    fn table(&self, channel: usize) -> [f32; 256] {
        std::array::from_fn(|byte| (byte as f32 / 255.0 - self.mean[channel]) / self.std[channel])
    }

    /// Normalizes a gray image as if its three channels were equal.
    ///
    /// # Shapes
    /// - `image`: `[row, col]`
    /// - returns `[3, row, col]`
    #[must_use]
    pub fn gray(&self, image: ArrayView2<'_, u8>) -> Array3<f32> {
        let (height, width) = image.dim();
        self.channels((height, width), |_| image)
    }

    /// Normalizes a color image.
    ///
    /// # Shapes
    /// - `image`: `[row, col, 3]`
    /// - returns `[3, row, col]`
    ///
    /// # Errors
    /// [`PixelError::Channels`] if there are not three.
    pub fn rgb(&self, image: ArrayView3<'_, u8>) -> Result<Array3<f32>, PixelError> {
        let (height, width, channels) = image.dim();
        if channels != 3 {
            return Err(PixelError::Channels { got: channels, expected: "3" });
        }
        Ok(self.channels((height, width), |channel| image.index_axis_move(Axis(2), channel)))
    }

    fn channels<'a>(
        &self,
        (height, width): (usize, usize),
        plane: impl Fn(usize) -> ArrayView2<'a, u8>,
    ) -> Array3<f32> {
        let mut normalized = Array3::zeros((3, height, width));
        for (channel, output) in normalized.outer_iter_mut().enumerate() {
            let table = self.table(channel);
            Zip::from(output).and(plane(channel)).for_each(|value, &byte| *value = table[usize::from(byte)]);
        }
        normalized
    }
}

/// Three equal channels, `[row, col, 3]`.
#[must_use]
pub(super) fn gray_to_rgb(image: &Array2<u8>) -> Array3<u8> {
    let (height, width) = image.dim();
    Array3::from_shape_fn((height, width, 3), |(row, column, _)| image[[row, column]])
}
