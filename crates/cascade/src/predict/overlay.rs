//! Boxes drawn into an image.

use ct_slices::pixels::{PixelError, PngLimits, decode_png, encode_rgb};
use ndarray::{Array3, Axis};
use vlm_prompt::PixelBox;

const GREEN: [u8; 3] = [0, 200, 0];
const RED: [u8; 3] = [255, 0, 0];

/// The image as a color PNG, truths outlined in green and answers over them in red, each on the
/// pixels just inside of its box.
pub(crate) fn outline(png: &[u8], truths: &[PixelBox], answers: &[PixelBox]) -> Result<Vec<u8>, PixelError> {
    let mut image = decode_png(png, &PngLimits::default())?.to_rgb();
    for (boxes, color) in [(truths, GREEN), (answers, RED)] {
        for pixels in boxes {
            draw(&mut image, *pixels, color);
        }
    }
    let [red, green, blue] = [0, 1, 2].map(|channel| image.index_axis(Axis(2), channel));
    encode_rgb([red, green, blue])
}

fn draw(image: &mut Array3<u8>, pixels: PixelBox, color: [u8; 3]) {
    let (height, width, _) = image.dim();
    let columns = inside(pixels.x_min, pixels.x_max, width);
    let rows = inside(pixels.y_min, pixels.y_max, height);
    let (Some((left, right)), Some((top, bottom))) = (columns, rows) else { return };
    let mut set = |row: usize, column: usize| {
        for (channel, value) in color.into_iter().enumerate() {
            image[[row, column, channel]] = value;
        }
    };
    for column in left..=right {
        set(top, column);
        set(bottom, column);
    }
    for row in top..=bottom {
        set(row, left);
        set(row, right);
    }
}

/// First and last pixel that an interval of the continuous axis covers, within the image.
fn inside(low: f64, high: f64, side: usize) -> Option<(usize, usize)> {
    if side == 0 || !low.is_finite() || !high.is_finite() || high <= low {
        return None;
    }
    let last = (side - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the image")]
    let place = |value: f64| value.clamp(0.0, last) as usize;
    Some((place(low.floor()), place(high.ceil() - 1.0)))
}

#[cfg(test)]
mod tests {
    use ct_slices::pixels::encode_gray;
    use ndarray::Array2;

    use super::*;

    #[test]
    fn boxes_are_outlined_on_their_own_pixels() {
        let png = encode_gray(Array2::from_elem((8, 10), 50).view()).unwrap();
        let drawn = outline(&png, &[[1.0, 1.0, 9.0, 7.0].into()], &[[2.0, 3.0, 5.0, 6.0].into()]).unwrap();
        let image = decode_png(&drawn, &PngLimits::default()).unwrap().to_rgb();
        let at = |row: usize, column: usize| [0, 1, 2].map(|channel| image[[row, column, channel]]);
        assert_eq!(at(3, 2), RED);
        assert_eq!(at(5, 4), RED);
        assert_eq!(at(4, 3), [50; 3]);
        assert_eq!(at(1, 1), GREEN);
        assert_eq!(at(6, 8), GREEN);
        assert_eq!(at(7, 9), [50; 3]);
        // Boxes without area and outside draw nothing and do not fail.
        for edges in [[5.0, 5.0, 5.0, 9.0], [f64::NAN, 0.0, 1.0, 1.0], [3.0, 3.0, 1.0, 1.0]] {
            assert_eq!(outline(&png, &[], &[edges.into()]).unwrap(), outline(&png, &[], &[]).unwrap());
        }
    }
}
