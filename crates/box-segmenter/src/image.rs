//! A gray slice as an encoder takes it, and places of the slice in that image.

use ct_slices::BoxPx;
use ct_slices::pixels::{Filter, PixelError, resize_gray};
use ndarray::{Array4, ArrayView2, s};

use crate::options::{ImageInput, PixelScale, SquareFit};

/// How a slice lies in the encoder's square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Rows and columns of the slice.
    pub(crate) size: [usize; 2],
    /// Rows and columns of the square that show it, from the top left corner.
    pub(crate) shown: [usize; 2],
}

impl Placement {
    /// # Source
    /// segment-anything, `utils/transforms.py`, `ResizeLongestSide.get_preprocess_shape`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a side of the square"
    )]
    pub(crate) fn new([rows, columns]: [usize; 2], side: usize, fit: SquareFit) -> Self {
        let shown = match fit {
            SquareFit::Stretch => [side, side],
            SquareFit::Pad => {
                let scale = side as f64 / rows.max(columns) as f64;
                // A very narrow slice still has a pixel.
                [rows, columns].map(|n| ((n as f64 * scale + 0.5) as usize).clamp(1, side))
            }
        };
        Self { size: [rows, columns], shown }
    }

    /// A box as left, top, right, bottom in px of the square. Edges are those pixels that the box holds,
    /// as in SAM's training.
    pub(crate) fn corners(&self, box_px: BoxPx) -> [f32; 4] {
        let [y, x] = [0, 1].map(|axis| self.shown[axis] as f64 / self.size[axis] as f64);
        let BoxPx { x_min, y_min, x_max, y_max } = box_px;
        #[expect(clippy::cast_possible_truncation, reason = "the model takes f32")]
        [(x_min, x), (y_min, y), (x_max, x), (y_max, y)].map(|(edge, scale)| (f64::from(edge) * scale) as f32)
    }
}

/// What the encoder takes of a slice.
///
/// # Shapes
/// - `gray`: `[row, column]`
/// - returns `[1, 3, side, side]`, three equal channels but for the scale
///
/// # Source
/// segment-anything, `predictor.py` and `modeling/sam.py` (`preprocess`: scaled first, padded with zeros
/// after); MedSAM, `MedSAM_Inference.py`, with Pillow's bicubic kernel for scikit-image's spline.
pub(crate) fn encoder_image(
    gray: ArrayView2<'_, u8>,
    side: usize,
    input: &ImageInput,
    placement: &Placement,
) -> Result<Array4<f32>, PixelError> {
    let filter = match input.fit {
        SquareFit::Pad => Filter::Bilinear,
        SquareFit::Stretch => Filter::Bicubic,
    };
    let [rows, columns] = placement.shown;
    let resized = resize_gray(gray, columns, rows, filter)?;
    let (mean, std) = match input.scale {
        PixelScale::MeanStd { mean, std } => (mean, std),
        PixelScale::MinMax => {
            let low = f32::from(resized.iter().copied().min().unwrap_or(0));
            let high = f32::from(resized.iter().copied().max().unwrap_or(0));
            ([low; 3], [(high - low).max(1e-8); 3])
        }
    };
    let mut image = Array4::zeros([1, 3, side, side]);
    for channel in 0..3 {
        let scaled = resized.mapv(|value| (f32::from(value) - mean[channel]) / std[channel]);
        image.slice_mut(s![0, channel, ..rows, ..columns]).assign(&scaled);
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_longer_side_fills_the_square() {
        let placed = |size, fit| Placement::new(size, 64, fit).shown;
        assert_eq!(placed([30, 44], SquareFit::Pad), [44, 64]);
        assert_eq!(placed([80, 50], SquareFit::Pad), [64, 40]);
        assert_eq!(placed([1, 4000], SquareFit::Pad), [1, 64]);
        assert_eq!(placed([30, 44], SquareFit::Stretch), [64, 64]);
    }

    #[test]
    fn boxes_move_with_the_pixels() {
        let placement = Placement::new([512, 256], 1024, SquareFit::Pad);
        assert_eq!(placement.corners(BoxPx::from([10, 20, 30, 511])), [20.0, 40.0, 60.0, 1022.0]);
        let placement = Placement::new([512, 256], 1024, SquareFit::Stretch);
        assert_eq!(placement.corners(BoxPx::from([10, 20, 30, 511])), [40.0, 40.0, 120.0, 1022.0]);
    }

    #[test]
    fn zeros_stand_beside_a_padded_slice_and_flat_slices_are_zero() {
        let gray = array![[10, 20], [30, 40], [50, 60], [70, 80_u8]];
        let placement = Placement::new([4, 2], 4, SquareFit::Pad);
        let image = encoder_image(gray.view(), 4, &ImageInput::SAM, &placement).unwrap();
        assert_eq!(image[[0, 0, 3, 1]], (80.0 - 123.675) / 58.395);
        assert!(image.slice(s![.., .., .., 2..]).iter().all(|value| *value == 0.0));
        let flat = ndarray::Array2::from_elem((3, 3), 7_u8);
        let placement = Placement::new([3, 3], 4, SquareFit::Stretch);
        let image = encoder_image(flat.view(), 4, &ImageInput::MEDSAM, &placement).unwrap();
        assert!(image.iter().all(|value| *value == 0.0));
    }
}
