//! Lines and letters on an RGB image.

use ct_slices::pixels::{PixelError, encode_rgb};
use font8x8::legacy::BASIC_LEGACY;
use ndarray::{Array3, ArrayView2, Axis};

use crate::plane_box::PlaneBox;

/// Side of a letter in px.
pub(super) const LETTER: usize = 8;

/// An RGB image, `[row, column, channel]`.
pub(super) struct Canvas(Array3<u8>);

impl Canvas {
    pub(super) fn black(width: usize, height: usize) -> Self {
        Self(Array3::zeros((height, width, 3)))
    }

    pub(super) fn of_gray(gray: ArrayView2<'_, u8>) -> Self {
        let (height, width) = gray.dim();
        Self(Array3::from_shape_fn((height, width, 3), |(row, column, _)| gray[[row, column]]))
    }

    pub(super) fn size(&self) -> [usize; 2] {
        let (height, width, _) = self.0.dim();
        [width, height]
    }

    /// Draws on the pixels just inside of a box.
    pub(super) fn outline(&mut self, box_px: &PlaneBox, color: [u8; 3]) {
        let size = self.size().map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let [columns, rows] = box_px.pixels(size);
        let (Some(right), Some(bottom)) = (columns.clone().next_back(), rows.clone().next_back()) else {
            return;
        };
        for column in columns.clone() {
            self.set(column, rows.start, color);
            self.set(column, bottom, color);
        }
        for row in rows {
            self.set(columns.start, row, color);
            self.set(right, row, color);
        }
    }

    /// Writes ASCII on a black ground; what does not fit is cut off.
    pub(super) fn text(&mut self, left: usize, top: usize, text: &str, color: [u8; 3]) {
        for (place, letter) in text.bytes().enumerate() {
            let glyph = BASIC_LEGACY[usize::from(letter) % BASIC_LEGACY.len()];
            for (row, bits) in glyph.into_iter().enumerate() {
                for column in 0..LETTER {
                    // The lowest bit is the leftmost pixel.
                    let is_set = bits >> column & 1 == 1;
                    let pixel = if is_set { color } else { [0; 3] };
                    self.set(left + place * LETTER + column, top + row, pixel);
                }
            }
        }
    }

    /// Copies another image to a place.
    pub(super) fn paste(&mut self, left: usize, top: usize, other: &Self) {
        let [width, height] = other.size();
        for row in 0..height {
            for column in 0..width {
                let pixel = [0, 1, 2].map(|channel| other.0[[row, column, channel]]);
                self.set(left + column, top + row, pixel);
            }
        }
    }

    pub(super) fn png(&self) -> Result<Vec<u8>, PixelError> {
        let [red, green, blue] = [0, 1, 2].map(|channel| self.0.index_axis(Axis(2), channel));
        encode_rgb([red, green, blue])
    }

    fn set(&mut self, column: usize, row: usize, color: [u8; 3]) {
        for (channel, value) in color.into_iter().enumerate() {
            if let Some(pixel) = self.0.get_mut([row, column, channel]) {
                *pixel = value;
            }
        }
    }
}
