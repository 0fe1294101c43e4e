//! The two kinds of boxes, kept apart by type.

use serde::{Deserialize, Serialize};

/// A box in the whole numbers of an answer, origin top left. It carries no format: the same numbers mean hundredths
/// or thousandths of the image according to the [`BoxFormat`](crate::BoxFormat) they were written in.
///
/// Models write what they like: the order of the edges and the range are not checked here, see
/// [`is_ordered`](Self::is_ordered) and [`BoxFormat::contains`](crate::BoxFormat::contains).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(from = "[u32; 4]", into = "[u32; 4]")]
pub struct GridBox {
    /// Left edge.
    pub x_min: u32,
    /// Upper edge.
    pub y_min: u32,
    /// Right edge.
    pub x_max: u32,
    /// Lower edge.
    pub y_max: u32,
}

impl GridBox {
    /// The four numbers in the order of the text.
    pub fn to_array(self) -> [u32; 4] {
        [self.x_min, self.y_min, self.x_max, self.y_max]
    }

    /// Whether all four numbers are 0: the published way to say "nothing here".
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Whether neither pair of edges is inverted.
    pub fn is_ordered(self) -> bool {
        self.x_min <= self.x_max && self.y_min <= self.y_max
    }
}

impl From<[u32; 4]> for GridBox {
    fn from([x_min, y_min, x_max, y_max]: [u32; 4]) -> Self {
        Self { x_min, y_min, x_max, y_max }
    }
}

impl From<GridBox> for [u32; 4] {
    fn from(grid: GridBox) -> Self {
        grid.to_array()
    }
}

/// `{<38><45><46><50>}`.
impl std::fmt::Display for GridBox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [x_min, y_min, x_max, y_max] = self.to_array();
        write!(formatter, "{{<{x_min}><{y_min}><{x_max}><{y_max}>}}")
    }
}

/// A box in pixels of one image, origin top left. Ground truth stores the last pixel inside as its maximum
/// (inclusive); a decoded answer is a place on the continuous axis. Whoever compares the two says which rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "[f64; 4]", into = "[f64; 4]")]
pub struct PixelBox {
    /// Left edge in px.
    pub x_min: f64,
    /// Upper edge in px.
    pub y_min: f64,
    /// Right edge in px.
    pub x_max: f64,
    /// Lower edge in px.
    pub y_max: f64,
}

impl PixelBox {
    /// The four edges in the order of the text.
    pub fn to_array(self) -> [f64; 4] {
        [self.x_min, self.y_min, self.x_max, self.y_max]
    }
}

impl From<[f64; 4]> for PixelBox {
    fn from([x_min, y_min, x_max, y_max]: [f64; 4]) -> Self {
        Self { x_min, y_min, x_max, y_max }
    }
}

impl From<[u32; 4]> for PixelBox {
    fn from(edges: [u32; 4]) -> Self {
        edges.map(f64::from).into()
    }
}

impl From<PixelBox> for [f64; 4] {
    fn from(pixels: PixelBox) -> Self {
        pixels.to_array()
    }
}
