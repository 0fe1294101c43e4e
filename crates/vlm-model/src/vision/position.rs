//! Resizing the learned position embedding to another image size.

use crate::ModelError;

/// torch's bicubic coefficient; Pillow's is -0.5.
const KEYS_A: f64 = -0.75;

/// Resizes a position embedding from one square grid of patches to another.
///
/// The first row (CLS) is kept; the grid goes through torch's bicubic interpolation with
/// `align_corners=False` and without antialiasing: Keys' kernel with a = -0.75, edges clamped.
///
/// # Shapes
/// - `table`: `(1 + n²) · width` values, row major: CLS, then the patches in raster order
/// - returns `(1 + new_grid²) · width` values
///
/// # Errors
/// [`ModelError::Input`] if `table` is not CLS and a square grid of rows of `width`.
///
/// # Source
/// SPEC 3.3.
pub fn resize_position_embedding(
    table: &[f32],
    width: usize,
    new_grid: usize,
) -> Result<Vec<f32>, ModelError> {
    let wrong = || ModelError::Input {
        what: "position embedding",
        got: format!("{} values", table.len()),
        expected: format!("(1 + n * n) rows of {width}"),
    };
    if width == 0 || new_grid == 0 || !table.len().is_multiple_of(width) {
        return Err(wrong());
    }
    let patches = (table.len() / width).checked_sub(1).ok_or_else(wrong)?;
    let grid = patches.isqrt();
    if grid == 0 || grid * grid != patches {
        return Err(wrong());
    }
    if grid == new_grid {
        return Ok(table.to_vec());
    }
    let (cls, rows) = table.split_at(width);
    let taps: Vec<_> = (0..new_grid).map(|o| cubic_taps(o, grid, new_grid)).collect();
    // Rows first, then columns: the kernel is separable, and f64 keeps the order immaterial.
    let mut stretched = vec![0.0_f64; new_grid * grid * width];
    for (y, taps_y) in taps.iter().enumerate() {
        for (source, weight) in taps_y {
            let from = &rows[source * grid * width..][..grid * width];
            let to = &mut stretched[y * grid * width..][..grid * width];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += weight * f64::from(*from));
        }
    }
    let mut resized = Vec::with_capacity((1 + new_grid * new_grid) * width);
    resized.extend_from_slice(cls);
    let mut sum = vec![0.0_f64; width];
    for row in stretched.chunks_exact(grid * width) {
        for taps_x in &taps {
            sum.fill(0.0);
            for (source, weight) in taps_x {
                let from = &row[source * width..][..width];
                sum.iter_mut().zip(from).for_each(|(sum, from)| *sum += weight * from);
            }
            #[expect(clippy::cast_possible_truncation, reason = "the table is f32")]
            resized.extend(sum.iter().map(|value| *value as f32));
        }
    }
    Ok(resized)
}

/// The four source indices of one output index, and their weights.
#[expect(clippy::cast_precision_loss, reason = "grids are small")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the grid before")]
fn cubic_taps(output: usize, grid: usize, new_grid: usize) -> [(usize, f64); 4] {
    let position = (output as f64 + 0.5) * (grid as f64 / new_grid as f64) - 0.5;
    let floor = position.floor();
    let t = position - floor;
    let weights = [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)];
    [-1.0, 0.0, 1.0, 2.0]
        .map(|offset| (floor + offset).clamp(0.0, (grid - 1) as f64) as usize)
        .iter()
        .copied()
        .zip(weights)
        .collect::<Vec<_>>()
        .try_into()
        .expect("four taps")
}

fn near(t: f64) -> f64 {
    ((KEYS_A + 2.0) * t - (KEYS_A + 3.0)) * t * t + 1.0
}

fn far(t: f64) -> f64 {
    ((t - 5.0) * t + 8.0) * t * KEYS_A - 4.0 * KEYS_A
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC 3.3: one axis of the kernel, `from` stretched to twice its length.
    fn check(from: &[f64], expected: &[f64]) {
        for (output, expected) in expected.iter().enumerate() {
            let taps = cubic_taps(output, from.len(), expected_len(from));
            let value: f64 = taps.iter().map(|(source, weight)| weight * from[*source]).sum();
            assert!((value - expected).abs() < 1e-6, "output {output}: {value} against {expected}");
        }
    }

    fn expected_len(from: &[f64]) -> usize {
        from.len() * 2
    }

    #[test]
    fn worked_vectors_of_one_axis() {
        check(
            &[0.0, 1.0, 2.0, 4.0],
            &[-0.105469, 0.191406, 0.667969, 1.261719, 1.597656, 2.558594, 3.582031, 4.210938],
        );
        check(
            &[0.0, 0.0, 1.0, 0.0, 0.0],
            &[0.0, -0.035156, -0.105469, 0.261719, 0.878906, 0.878906, 0.261719, -0.105469, -0.035156, 0.0],
        );
        let quarter = cubic_taps(1, 4, 8).map(|(_, weight)| weight);
        assert_eq!(quarter, [-0.10546875, 0.87890625, 0.26171875, -0.03515625]);
    }

    #[test]
    fn the_grid_is_stretched_in_both_axes_and_cls_is_kept() {
        // width 1, a 4x4 grid whose value is its column
        let mut table = vec![9.0];
        table.extend((0..16).map(|i| [0.0, 1.0, 2.0, 4.0][i % 4]));
        let resized = resize_position_embedding(&table, 1, 8).unwrap();
        assert_eq!((resized.len(), resized[0]), (65, 9.0));
        for row in resized[1..].chunks_exact(8) {
            assert!((row[4] - 1.597656).abs() < 1e-6, "{row:?}");
        }
        assert_eq!(resize_position_embedding(&table, 1, 4).unwrap(), table, "the same size is a copy");
    }

    #[test]
    fn other_tables_are_errors() {
        for (len, width, grid) in [(16, 1, 8), (0, 1, 8), (17, 2, 8), (17, 0, 8), (17, 1, 0), (1, 1, 4)] {
            assert!(resize_position_embedding(&vec![0.0; len], width, grid).is_err(), "{len} {width} {grid}");
        }
    }
}
