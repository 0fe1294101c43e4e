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
}
