//! Boxes on the continuous axis of a slice.

use std::ops::Range;

use ct_slices::BoxPx;
use serde::{Deserialize, Serialize};

/// A box of a slice in px on the continuous axis: column `c` covers `c..c+1`, so that the whole image is
/// `[0, 0, width, height]` and areas are products of differences. Origin top left. Its integer cousin
/// with all edges inside is [`BoxPx`].
///
/// Serialized as `[x_min, y_min, x_max, y_max]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 4]", into = "[f64; 4]")]
pub struct PlaneBox {
    /// Left edge.
    pub x_min: f64,
    /// Top edge.
    pub y_min: f64,
    /// Right edge.
    pub x_max: f64,
    /// Bottom edge.
    pub y_max: f64,
}

impl PlaneBox {
    /// `[x_min, y_min, x_max, y_max]`.
    #[must_use]
    pub fn to_array(self) -> [f64; 4] {
        self.into()
    }

    /// Columns covered, in px; 0 where the edges are out of order.
    #[must_use]
    pub fn width_px(&self) -> f64 {
        (self.x_max - self.x_min).max(0.0)
    }

    /// Rows covered, in px; 0 where the edges are out of order.
    #[must_use]
    pub fn height_px(&self) -> f64 {
        (self.y_max - self.y_min).max(0.0)
    }

    /// In px².
    #[must_use]
    pub fn area_px2(&self) -> f64 {
        self.width_px() * self.height_px()
    }

    /// True if no edge is NaN or infinite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.to_array().iter().all(|edge| edge.is_finite())
    }

    /// Area that both cover, in px².
    #[must_use]
    pub fn intersection_px2(&self, other: &Self) -> f64 {
        let both = Self {
            x_min: self.x_min.max(other.x_min),
            y_min: self.y_min.max(other.y_min),
            x_max: self.x_max.min(other.x_max),
            y_max: self.y_max.min(other.y_max),
        };
        both.area_px2()
    }

    /// Intersection over union; 0 for two boxes without area.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f64 {
        let both = self.intersection_px2(other);
        let union = self.area_px2() + other.area_px2() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }

    /// The part inside an image of this size; `None` if that has no area.
    #[must_use]
    pub fn clipped(&self, [width_px, height_px]: [u32; 2]) -> Option<Self> {
        let (width, height) = (f64::from(width_px), f64::from(height_px));
        let clipped = Self {
            x_min: self.x_min.clamp(0.0, width),
            y_min: self.y_min.clamp(0.0, height),
            x_max: self.x_max.clamp(0.0, width),
            y_max: self.y_max.clamp(0.0, height),
        };
        (clipped.area_px2() > 0.0).then_some(clipped)
    }

    /// The smallest box that holds both.
    #[must_use]
    pub fn hull(&self, other: &Self) -> Self {
        Self {
            x_min: self.x_min.min(other.x_min),
            y_min: self.y_min.min(other.y_min),
            x_max: self.x_max.max(other.x_max),
            y_max: self.y_max.max(other.y_max),
        }
    }

    /// Columns and rows whose centers the box covers, in an image of this size; in each direction at
    /// least the pixel that the box's own center lies in. So a box of whole pixels is those pixels.
    #[must_use]
    pub fn pixels(&self, [width_px, height_px]: [u32; 2]) -> [Range<usize>; 2] {
        [covered(self.x_min, self.x_max, width_px), covered(self.y_min, self.y_max, height_px)]
    }
}

fn covered(low: f64, high: f64, side: u32) -> Range<usize> {
    if side == 0 || !low.is_finite() || !high.is_finite() {
        return 0..0;
    }
    let (start, end) = ((low - 0.5).ceil(), (high - 0.5).ceil());
    let center = (0.5 * (low + high)).floor();
    let (start, end) = if start < end { (start, end) } else { (center, center + 1.0) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the image")]
    let place = |value: f64| value.clamp(0.0, f64::from(side)) as usize;
    place(start)..place(end)
}

impl From<[f64; 4]> for PlaneBox {
    fn from([x_min, y_min, x_max, y_max]: [f64; 4]) -> Self {
        Self { x_min, y_min, x_max, y_max }
    }
}

impl From<PlaneBox> for [f64; 4] {
    fn from(b: PlaneBox) -> Self {
        [b.x_min, b.y_min, b.x_max, b.y_max]
    }
}

impl From<BoxPx> for PlaneBox {
    /// The largest column and row are inside of a [`BoxPx`]; its continuous edges are one px farther.
    fn from(b: BoxPx) -> Self {
        [b.x_min, b.y_min, b.x_max.saturating_add(1), b.y_max.saturating_add(1)].map(f64::from).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_of_whole_and_small_boxes() {
        let check = |edges: [f64; 4], columns: Range<usize>, rows: Range<usize>| {
            assert_eq!(PlaneBox::from(edges).pixels([10, 8]), [columns, rows], "{edges:?}");
        };
        check([2.0, 3.0, 5.0, 6.0], 2..5, 3..6);
        check([2.4, 3.6, 5.4, 6.6], 2..5, 4..7);
        check([2.6, 2.7, 2.9, 2.8], 2..3, 2..3);
        check([-4.0, -4.0, 40.0, 40.0], 0..10, 0..8);
        check([f64::NAN, 0.0, 1.0, 1.0], 0..0, 0..1);
        let inclusive = BoxPx::from([2, 3, 4, 5]);
        assert_eq!(PlaneBox::from(inclusive).to_array(), [2.0, 3.0, 5.0, 6.0]);
    }

    #[test]
    fn worked_iou() {
        let (a, b) = (PlaneBox::from([0.0, 0.0, 4.0, 4.0]), PlaneBox::from([2.0, 2.0, 6.0, 6.0]));
        assert!((a.iou(&b) - 4.0 / 28.0).abs() < 1e-15);
        assert_eq!(a.iou(&a), 1.0);
        assert_eq!(PlaneBox::from([1.0; 4]).iou(&PlaneBox::from([1.0; 4])), 0.0);
    }
}
