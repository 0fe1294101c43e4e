//! Where boxes lie.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};
use vlm_prompt::PixelBox;

use crate::detection::DetectionCase;
use crate::error::MetricsError;

/// Largest side of a grid: more places than any figure shows.
const MAX_SIDE: usize = 8192;

/// How many boxes cover each place of a square grid, as a share of the highest count.
///
/// # Source
/// SPEC 5.6: the recommended reading of the paper's Fig. 3, whose program was not published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeatMap {
    /// Places along a side.
    pub side: usize,
    /// Boxes with an area inside of the grid.
    pub n: usize,
    /// The highest count.
    pub max_count: usize,
    /// `[side * side]`, row by row from the top, in `[0, 1]`.
    pub values: Vec<f64>,
}

impl HeatMap {
    /// Places along a side of the paper's images.
    pub const DEFAULT_SIDE: usize = 512;

    /// Counts boxes, each with the width and height of its image in px, which is stretched over the grid.
    ///
    /// Boxes are inclusive: the place that holds a maximum edge is covered. Where the grid is finer than the image, a
    /// pixel covers all of its places. Inverted boxes, edges that are no numbers and images without pixels cover
    /// nothing.
    ///
    /// # Errors
    /// [`Setting`](MetricsError::Setting) for a side of 0 or over 8192.
    pub fn of(
        boxes: impl IntoIterator<Item = (PixelBox, [u32; 2])>,
        side: usize,
    ) -> Result<Self, MetricsError> {
        if !(1..=MAX_SIDE).contains(&side) {
            let value = side.to_string();
            return Err(MetricsError::Setting { what: "side of the grid", value, expected: "1 to 8192" });
        }
        // Corners of differences: summing along both axes afterwards gives the counts.
        let stride = side + 1;
        let mut counts = vec![0_i64; stride * stride];
        let mut n = 0;
        for (pixels, [width, height]) in boxes {
            let columns = places(pixels.x_min, pixels.x_max, width, side);
            let rows = places(pixels.y_min, pixels.y_max, height, side);
            if let (Some((left, right)), Some((top, bottom))) = (columns, rows) {
                counts[top * stride + left] += 1;
                counts[top * stride + right] -= 1;
                counts[bottom * stride + left] -= 1;
                counts[bottom * stride + right] += 1;
                n += 1;
            }
        }
        for row in 0..side {
            for column in 1..stride {
                counts[row * stride + column] += counts[row * stride + column - 1];
            }
            if row > 0 {
                for column in 0..stride {
                    counts[row * stride + column] += counts[(row - 1) * stride + column];
                }
            }
        }
        let inside = || (0..side).flat_map(|row| &counts[row * stride..row * stride + side]);
        let max_count = inside().copied().max().unwrap_or(0);
        let values = inside()
            .map(|count| if max_count == 0 { 0.0 } else { *count as f64 / max_count as f64 })
            .collect();
        Ok(Self { side, n, max_count: usize::try_from(max_count).unwrap_or(0), values })
    }

    /// Counts the true boxes of cases.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_truth<C: Borrow<DetectionCase>>(cases: &[C], side: usize) -> Result<Self, MetricsError> {
        let cases = cases.iter().map(Borrow::borrow);
        Self::of(cases.filter_map(|case| case.truth.map(|truth| (truth, case.image_size))), side)
    }

    /// Counts the boxes of replies that were read and say that something is there.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_answers<C: Borrow<DetectionCase>>(cases: &[C], side: usize) -> Result<Self, MetricsError> {
        let cases = cases.iter().map(Borrow::borrow);
        Self::of(
            cases.filter_map(|case| case.answered_box().map(|predicted| (predicted, case.image_size))),
            side,
        )
    }

    /// The share at a place.
    pub fn at(&self, column: usize, row: usize) -> Option<f64> {
        (column < self.side).then(|| self.values.get(row * self.side + column).copied()).flatten()
    }
}

/// First place and the one after the last.
fn places(low: f64, high: f64, image_side: u32, side: usize) -> Option<(usize, usize)> {
    if image_side == 0 || !low.is_finite() || !high.is_finite() || high < low {
        return None;
    }
    let scale = side as f64 / f64::from(image_side);
    let first = (low.floor() * scale).floor().max(0.0);
    let end = ((high.floor() + 1.0) * scale).ceil().min(side as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and side")]
    (first < end).then_some((first as usize, end as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_a_loop() {
        let boxes: Vec<PixelBox> = (0..40_u32)
            .map(|i| {
                let (x, y) = ((i * 7) % 13, (i * 5) % 11);
                [x, y, x + i % 4, y + (i * 3) % 5].into()
            })
            .collect();
        let map = HeatMap::of(boxes.iter().map(|pixels| (*pixels, [16, 16])), 16).unwrap();
        let mut expected = vec![0_u32; 256];
        for pixels in &boxes {
            for (place, count) in expected.iter_mut().enumerate() {
                let (x, y) = ((place % 16) as f64, (place / 16) as f64);
                let is_inside =
                    pixels.x_min <= x && x <= pixels.x_max && pixels.y_min <= y && y <= pixels.y_max;
                *count += u32::from(is_inside);
            }
        }
        let max = *expected.iter().max().unwrap();
        assert_eq!((map.n, map.max_count), (40, max as usize));
        for (got, expected) in map.values.iter().zip(&expected) {
            assert!((got - f64::from(*expected) / f64::from(max)).abs() < 1e-12);
        }
    }

    #[test]
    fn cases_have_a_map_of_each_kind() {
        let case = DetectionCase {
            image_size: [4, 4],
            truth: Some([0, 0, 1, 1].into()),
            predicted: Some([1, 1, 2, 2].into()),
            ..DetectionCase::default()
        };
        let unread = DetectionCase { is_parsed: false, ..case.clone() };
        let nothing = DetectionCase { predicted: Some(PixelBox::default()), ..case.clone() };
        let cases = [case, unread, nothing];
        let (truth, answers) =
            (HeatMap::of_truth(&cases, 4).unwrap(), HeatMap::of_answers(&cases, 4).unwrap());
        assert_eq!((truth.n, truth.max_count, answers.n, answers.max_count), (3, 3, 1, 1));
        assert_eq!((truth.at(0, 0), answers.at(0, 0), answers.at(2, 2)), (Some(1.0), Some(0.0), Some(1.0)));
    }

    #[test]
    fn images_are_stretched_and_edges_cut() {
        let rows: [([f64; 4], [u32; 2], usize); 6] = [
            ([0.0, 0.0, 0.0, 0.0], [4, 4], 4), // one px of a quarter of the side
            ([3.0, 3.0, 4.0, 4.0], [4, 4], 4), // the answer's edge lies on the image's
            ([0.0, 0.0, 15.0, 15.0], [16, 16], 64),
            ([5.0, 5.0, 2.0, 9.0], [16, 16], 0), // inverted
            ([f64::NAN, 0.0, 1.0, 1.0], [8, 8], 0),
            ([0.0, 0.0, 1.0, 1.0], [0, 8], 0),
        ];
        for (pixels, size, expected) in rows {
            let map = HeatMap::of([(pixels.into(), size)], 8).unwrap();
            let n_covered = map.values.iter().filter(|value| **value == 1.0).count();
            assert_eq!(n_covered, expected, "{pixels:?}");
            assert_eq!(map.n, usize::from(expected > 0), "{pixels:?}");
        }
        assert_eq!(HeatMap::of([([1, 2, 1, 2].into(), [8, 8])], 8).unwrap().at(1, 2), Some(1.0));
        assert!(HeatMap::of([], 0).is_err() && HeatMap::of([], 9000).is_err());
        assert_eq!(HeatMap::of([], 2).unwrap().values, [0.0; 4]);
    }
}
