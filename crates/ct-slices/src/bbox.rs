//! Boxes in pixels.

use serde::{Deserialize, Serialize};

/// A box in pixels of a slice, origin top left; **all four edges are inside** (the largest column
/// and row that the mask touches), as the published records have it (SPEC 1.4).
///
/// Serialized as `[x_min, y_min, x_max, y_max]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "[u32; 4]", into = "[u32; 4]")]
pub struct BoxPx {
    /// Smallest column.
    pub x_min: u32,
    /// Smallest row.
    pub y_min: u32,
    /// Largest column, inside the box.
    pub x_max: u32,
    /// Largest row, inside the box.
    pub y_max: u32,
}

impl BoxPx {
    /// What the published records hold for an absent organ.
    pub const ZEROS: Self = Self { x_min: 0, y_min: 0, x_max: 0, y_max: 0 };

    /// `(x_max - x_min) * (y_max - y_min)`, without the +1 of an inclusive box: a box one pixel wide
    /// has area 0. This is the area that slices are selected by (SPEC 1.4, D7).
    #[must_use]
    pub fn selection_area(&self) -> u64 {
        u64::from(self.x_max.saturating_sub(self.x_min)) * u64::from(self.y_max.saturating_sub(self.y_min))
    }

    /// Number of columns that the box covers.
    #[must_use]
    pub fn width_px(&self) -> u32 {
        self.x_max.saturating_sub(self.x_min) + 1
    }

    /// Number of rows that the box covers.
    #[must_use]
    pub fn height_px(&self) -> u32 {
        self.y_max.saturating_sub(self.y_min) + 1
    }

    /// True if the box has its edges in order and lies in an image of this size.
    #[must_use]
    pub fn is_inside(&self, width_px: u32, height_px: u32) -> bool {
        self.x_min <= self.x_max
            && self.y_min <= self.y_max
            && self.x_max < width_px
            && self.y_max < height_px
    }

    /// All of an image; of an image without pixels its first one.
    #[must_use]
    pub fn whole([width_px, height_px]: [u32; 2]) -> Self {
        Self { x_min: 0, y_min: 0, x_max: width_px.saturating_sub(1), y_max: height_px.saturating_sub(1) }
    }

    /// The square of about `side` pixels (at least one) around a point, moved into the image where it
    /// sticks out. Where the image is smaller than the square it is as much of it as there is.
    ///
    /// `center` is on the continuous axis, on which a pixel covers `[x, x + 1)`. A center that is no
    /// number counts as 0.
    #[must_use]
    pub fn square_around(center: [f64; 2], side: f64, size_px: [u32; 2]) -> Self {
        let along = |center: f64, size: u32| -> (u32, u32) {
            let size = f64::from(size.max(1));
            let n = side.round().max(1.0).min(size);
            let low = (center - n / 2.0).round().max(0.0).min(size - n);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole numbers from 0 to a u32"
            )]
            let edges = (low as u32, (low + n - 1.0) as u32);
            edges
        };
        let ((x_min, x_max), (y_min, y_max)) = (along(center[0], size_px[0]), along(center[1], size_px[1]));
        Self { x_min, y_min, x_max, y_max }
    }

    /// What of the box lies in `region`, in the region's own pixels; none if nothing does.
    #[must_use]
    pub fn within(&self, region: Self) -> Option<Self> {
        let (x_min, y_min) = (self.x_min.max(region.x_min), self.y_min.max(region.y_min));
        let (x_max, y_max) = (self.x_max.min(region.x_max), self.y_max.min(region.y_max));
        (x_min <= x_max && y_min <= y_max).then(|| Self {
            x_min: x_min - region.x_min,
            y_min: y_min - region.y_min,
            x_max: x_max - region.x_min,
            y_max: y_max - region.y_min,
        })
    }
}

impl From<[u32; 4]> for BoxPx {
    fn from([x_min, y_min, x_max, y_max]: [u32; 4]) -> Self {
        Self { x_min, y_min, x_max, y_max }
    }
}

impl From<BoxPx> for [u32; 4] {
    fn from(b: BoxPx) -> Self {
        [b.x_min, b.y_min, b.x_max, b.y_max]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_of_the_papers_record() {
        assert_eq!(BoxPx::from([196, 235, 237, 260]).selection_area(), 1025);
        assert_eq!(BoxPx::from([220, 238, 237, 255]).selection_area(), 289);
        assert_eq!(BoxPx::from([3, 1, 3, 9]).selection_area(), 0);
    }

    #[test]
    fn squares_stay_in_the_image() {
        let square = |center, side, size| <[u32; 4]>::from(BoxPx::square_around(center, side, size));
        assert_eq!(square([50.0, 40.0], 20.0, [100, 100]), [40, 30, 59, 49]);
        assert_eq!(square([3.0, 98.0], 20.0, [100, 100]), [0, 80, 19, 99]);
        assert_eq!(square([50.0, 40.0], 80.0, [100, 60]), [10, 0, 89, 59]);
        assert_eq!(square([50.0, 40.0], 0.0, [100, 60]), [50, 40, 50, 40]);
        assert_eq!(square([f64::NAN, -1e300], f64::INFINITY, [7, 0]), [0, 0, 6, 0]);
        for side in 1..40 {
            for center in [-3.0, 0.4, 11.5, 30.0, 99.0] {
                let region = BoxPx::square_around([center, 20.0 - center], f64::from(side), [31, 37]);
                assert!(region.is_inside(31, 37));
                assert_eq!((region.width_px(), region.height_px()), (side.min(31), side.min(37)));
            }
        }
    }

    #[test]
    fn boxes_within_a_region() {
        let region = BoxPx::from([10, 20, 29, 39]);
        let within = |bbox: [u32; 4]| BoxPx::from(bbox).within(region).map(<[u32; 4]>::from);
        assert_eq!(within([12, 25, 14, 30]), Some([2, 5, 4, 10]));
        assert_eq!(within([0, 0, 99, 99]), Some([0, 0, 19, 19]));
        assert_eq!(within([29, 39, 50, 50]), Some([19, 19, 19, 19]));
        assert_eq!(within([30, 20, 31, 22]), None);
        assert_eq!(BoxPx::whole([5, 4]).within(region), None);
    }
}
