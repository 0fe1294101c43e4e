//! A plane as one slice of numbers in memory order, and bytes in that order back to image order.

use std::borrow::Cow;

use ndarray::{Array2, ArrayView2, Axis};

/// The pixels of a plane in the order in which they lie in memory.
#[derive(Debug)]
pub(super) struct Flat<'a> {
    /// All pixels.
    pub(super) values: Cow<'a, [f32]>,
    order: Order,
}

/// How memory order relates to image order.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// Rows and columns of the image.
    shape: (usize, usize),
    /// Columns of the image lie together in memory, not rows.
    is_transposed: bool,
    /// Rows run backwards.
    rows_reversed: bool,
    /// Columns run backwards.
    columns_reversed: bool,
}

impl<'a> Flat<'a> {
    /// Borrows the numbers where the plane is contiguous in some order of its axes, as a slice of a
    /// volume is in any orientation; copies them otherwise.
    pub(super) fn new(plane: ArrayView2<'a, f32>) -> Self {
        let shape = plane.dim();
        let [row_stride, column_stride] = [plane.stride_of(Axis(0)), plane.stride_of(Axis(1))];
        let order = Order {
            shape,
            is_transposed: row_stride.unsigned_abs() < column_stride.unsigned_abs(),
            rows_reversed: row_stride < 0,
            columns_reversed: column_stride < 0,
        };
        let mut view = plane;
        if order.rows_reversed {
            view.invert_axis(Axis(0));
        }
        if order.columns_reversed {
            view.invert_axis(Axis(1));
        }
        if order.is_transposed {
            view.swap_axes(0, 1);
        }
        let values = match view.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(view.iter().copied().collect()),
        };
        Self { values, order }
    }

    /// Puts one byte per number into image order.
    ///
    /// # Panics
    /// If there is not one byte per pixel.
    pub(super) fn image(&self, bytes: &[u8]) -> Array2<u8> {
        let Order { shape: (height, width), is_transposed, rows_reversed, columns_reversed } = self.order;
        assert_eq!(bytes.len(), height * width, "bytes for an image of {height} rows, {width} columns");
        let mut bytes = if is_transposed { transpose(bytes, height, width) } else { bytes.to_vec() };
        match (rows_reversed, columns_reversed) {
            (true, true) => bytes.reverse(),
            (false, true) => bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse),
            (true, false) => reverse_rows(&mut bytes, width),
            (false, false) => {}
        }
        Array2::from_shape_vec((height, width), bytes).expect("length was checked above")
    }
}

/// Swaps rows in place, the first with the last and so on.
fn reverse_rows(bytes: &mut [u8], width: usize) {
    let mut rows = bytes.chunks_exact_mut(width);
    while let (Some(first), Some(last)) = (rows.next(), rows.next_back()) {
        first.swap_with_slice(last);
    }
}

/// Side of the tiles that are transposed in registers.
const TILE: usize = 8;

/// Rows that are transposed together: the bytes of one cache line of the source.
const BAND: usize = 64;

/// Bytes `[col, row]` to `[row, col]`.
fn transpose(source: &[u8], height: usize, width: usize) -> Vec<u8> {
    let mut image = vec![0; source.len()];
    let (tiled_height, tiled_width) = (height - height % TILE, width - width % TILE);
    let mut move_tile = |first_row: usize, first_column: usize| {
        let at = |column| source[(first_column + column) * height + first_row..].first_chunk::<TILE>();
        let columns = std::array::from_fn(|column| u64::from_le_bytes(*at(column).expect("inside")));
        for (row, bytes) in transpose_tile(columns).into_iter().enumerate() {
            let start = (first_row + row) * width + first_column;
            image[start..start + TILE].copy_from_slice(&bytes.to_le_bytes());
        }
    };
    for band in (0..tiled_height).step_by(BAND) {
        for first_column in (0..tiled_width).step_by(TILE) {
            for first_row in (band..tiled_height.min(band + BAND)).step_by(TILE) {
                move_tile(first_row, first_column);
            }
        }
    }
    let mut copy = |row: usize, column: usize| image[row * width + column] = source[column * height + row];
    for row in 0..height {
        let done = if row < tiled_height { tiled_width } else { 0 };
        for column in done..width {
            copy(row, column);
        }
    }
    image
}

/// Transposes 8x8 bytes: exchanges halves of 4, then 2, then 1 bytes between lines that far apart.
fn transpose_tile(mut lines: [u64; TILE]) -> [u64; TILE] {
    exchange::<4>(&mut lines, 0x0000_0000_FFFF_FFFF);
    exchange::<2>(&mut lines, 0x0000_FFFF_0000_FFFF);
    exchange::<1>(&mut lines, 0x00FF_00FF_00FF_00FF);
    lines
}

fn exchange<const DISTANCE: usize>(lines: &mut [u64; TILE], mask: u64) {
    for first in 0..TILE {
        if first & DISTANCE == 0 {
            let (upper, lower) = (lines[first], lines[first + DISTANCE]);
            lines[first] = (upper & mask) | (lower & mask) << (8 * DISTANCE);
            lines[first + DISTANCE] = (upper >> (8 * DISTANCE) & mask) | (lower & !mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, ShapeBuilder, s};

    use super::*;

    fn check(plane: ArrayView2<'_, f32>, is_borrowed: bool) {
        let flat = Flat::new(plane);
        assert_eq!(matches!(flat.values, Cow::Borrowed(_)), is_borrowed, "{plane:?}");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test values are bytes")]
        let bytes: Vec<u8> = flat.values.iter().map(|&v| v as u8).collect();
        let image = flat.image(&bytes);
        assert!(image.is_standard_layout());
        assert_eq!(image.mapv(f32::from), plane);
    }

    #[test]
    fn every_orientation_comes_back() {
        let number = |(i, j, k): (usize, usize, usize)| ((i * 37 + j * 5 + k * 111) % 251) as f32;
        for shape in [(23, 35, 2), (1, 7, 2), (7, 1, 2), (1, 1, 2), (40, 16, 2)] {
            let volume = Array3::from_shape_fn(shape.f(), number);
            for plane in [volume.slice(s![.., .., 1]), volume.slice(s![.., .., 1]).reversed_axes()] {
                check(plane, true);
                check(plane.slice(s![..;-1, ..]), true);
                check(plane.slice(s![.., ..;-1]), true);
                check(plane.slice(s![..;-1, ..;-1]), true);
            }
            check(volume.slice(s![0, .., ..]), shape.0 == 1);
            if shape.0 > 3 {
                check(volume.slice(s![1..;2, ..;-1, 0]), false);
            }
        }
    }
}
