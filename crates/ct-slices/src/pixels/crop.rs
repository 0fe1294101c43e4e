//! Pieces of an image.

use ndarray::{Array2, ArrayView2, s};

use super::error::PixelError;
use super::resample::{Filter, MAX_SIDE_PX, resize_gray};
use crate::bbox::BoxPx;

/// Whether a crop holds the largest column and row of its box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CropEdges {
    /// No, as in the published crops: a box one pixel wide has none (SPEC 1.9, D11).
    HalfOpen,
    /// Yes.
    #[default]
    Inclusive,
}

/// Cuts a box out of an image; nothing is copied.
///
/// # Shapes
/// - `image`: `[row, col]`
/// - returns `[row, col]` of the size of the box, without its last row and column if half-open
///
/// # Errors
/// [`PixelError::Crop`] if nothing is left, or the box is not inside the image.
pub fn crop(
    image: ArrayView2<'_, u8>,
    bbox: BoxPx,
    edges: CropEdges,
) -> Result<ArrayView2<'_, u8>, PixelError> {
    let (height_px, width_px) = image.dim();
    let refused = PixelError::Crop { bbox, width_px, height_px };
    let [x_min, y_min, x_max, y_max] = <[u32; 4]>::from(bbox).map(|edge| edge as usize);
    let is_inside = x_min <= x_max && y_min <= y_max && x_max < width_px && y_max < height_px;
    let last = usize::from(edges == CropEdges::Inclusive);
    if !is_inside || x_max + last == x_min || y_max + last == y_min {
        return Err(refused);
    }
    Ok(image.slice_move(s![y_min..y_max + last, x_min..x_max + last]))
}

/// Fits an image into a black square, centered, with its aspect ratio kept.
///
/// # Shapes
/// - `image`: `[row, col]`
/// - returns `[size_px, size_px]`
///
/// # Errors
/// [`PixelError::Size`] if the image or the square is empty or too large.
///
/// # Source
/// SPEC 1.9, the published crops of one size: Pillow's Lanczos, sizes truncated. Bit-identical to it but
/// for images so narrow that their short side would be 0 pixels, which Pillow refuses and which get 1.
pub fn letterbox(image: ArrayView2<'_, u8>, size_px: usize) -> Result<Array2<u8>, PixelError> {
    let (height_px, width_px) = image.dim();
    super::resample::check_size(width_px, height_px)?;
    super::resample::check_size(size_px, size_px)?;
    let scale = (size_px as f64 / width_px as f64).min(size_px as f64 / height_px as f64);
    let fit = |side: usize| scaled(side, scale).clamp(1, size_px);
    let (width, height) = (fit(width_px), fit(height_px));
    let fitted = resize_gray(image, width, height, Filter::Lanczos3)?;
    let (left, top) = ((size_px - width) / 2, (size_px - height) / 2);
    let mut square = Array2::zeros((size_px, size_px));
    square.slice_mut(s![top..top + height, left..left + width]).assign(&fitted);
    Ok(square)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "meant to truncate; sides are below 2^17 and the scale is positive"
)]
fn scaled(side: usize, scale: f64) -> usize {
    debug_assert!(side <= MAX_SIDE_PX, "checked by the caller");
    (side as f64 * scale) as usize
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn published_crop() {
        let image = Array2::from_shape_fn((5, 5), |(r, c)| u8::try_from(5 * r + c).unwrap());
        let check = |bbox: [u32; 4], edges, expected: Option<Array2<u8>>| {
            let got = crop(image.view(), bbox.into(), edges).ok();
            assert_eq!(got.map(|view| view.to_owned()), expected, "{bbox:?} {edges:?}");
        };
        check([1, 1, 3, 3], CropEdges::HalfOpen, Some(array![[6, 7], [11, 12]]));
        check([1, 1, 3, 3], CropEdges::Inclusive, Some(array![[6, 7, 8], [11, 12, 13], [16, 17, 18]]));
        check([3, 1, 3, 2], CropEdges::HalfOpen, None);
        check([3, 1, 3, 2], CropEdges::Inclusive, Some(array![[8], [13]]));
        check([4, 4, 4, 4], CropEdges::Inclusive, Some(array![[24]]));
        check([4, 4, 5, 4], CropEdges::HalfOpen, None);
        check([3, 3, 2, 4], CropEdges::Inclusive, None);
        check([u32::MAX; 4], CropEdges::Inclusive, None);
    }

    #[test]
    fn letterbox_keeps_the_aspect() {
        let image = Array2::from_elem((3, 6), 200_u8);
        let square = letterbox(image.view(), 8).unwrap();
        assert!(square.slice(s![2..6, ..]).iter().all(|&v| v == 200), "{square}");
        assert!(square.slice(s![..2, ..]).iter().chain(square.slice(s![6.., ..])).all(|&v| v == 0));

        let line = Array2::from_elem((1, 1000), 90_u8);
        let square = letterbox(line.view(), 10).unwrap();
        assert_eq!(square.iter().filter(|&&v| v == 90).count(), 10);

        assert!(letterbox(Array2::<u8>::zeros((0, 4)).view(), 8).is_err());
        assert!(letterbox(image.view(), 0).is_err());
        assert!(letterbox(image.view(), usize::MAX).is_err());
    }
}
