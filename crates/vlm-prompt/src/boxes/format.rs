//! Between pixels and the numbers of an answer.

use serde::{Deserialize, Serialize};

use super::grid::{GridBox, PixelBox};

/// Errors of writing and reading boxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoxError {
    /// An image without pixels has no places.
    #[error("image of `{width}` by `{height}` px has no place for a box")]
    EmptyImage {
        /// Width in px.
        width: u32,
        /// Height in px.
        height: u32,
    },
}

/// How an edge becomes a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum BoxFormat {
    /// Published: hundredths of the image, floored, 0..=100 (SPEC 2.4). A perfect answer loses much of a small box
    /// (SPEC 5.5).
    #[default]
    #[serde(rename = "percent")]
    Percent100,
    /// Thousandths of the image, rounded to nearest, 0..=1000: ten times finer and without the bias of flooring.
    #[serde(rename = "permille")]
    Permille1000,
}

/// Where inside its bin a written number is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxDecode {
    /// At the number itself: the published rule, always the default.
    #[default]
    GridLine,
    /// In the middle of the values that are written as this number: half a bin higher where the format floors,
    /// at the number itself where it rounds. The zero box stays zero, since it says "nothing here".
    BinCenter,
}

impl BoxFormat {
    /// The largest number of the grid, 100 or 1000.
    pub fn max_value(self) -> u32 {
        match self {
            Self::Percent100 => 100,
            Self::Permille1000 => 1000,
        }
    }

    /// Most digits that a number of this format may have in an answer: 3 (as published) or 4.
    pub fn max_digits(self) -> usize {
        match self {
            Self::Percent100 => 3,
            Self::Permille1000 => 4,
        }
    }

    /// Whether all four numbers lie on the grid.
    pub fn contains(self, grid: GridBox) -> bool {
        grid.to_array().iter().all(|value| *value <= self.max_value())
    }

    /// Grid numbers of a box in an image of `width` by `height` px (of the picture that was opened, whatever a
    /// record says about its size). Nothing is clamped above in the published format; below, and for values that
    /// are no numbers, the result is 0.
    ///
    /// # Errors
    /// [`EmptyImage`](BoxError::EmptyImage) when a side is 0.
    ///
    /// # Source
    /// SPEC 2.4: divided first, then multiplied, in `f64`. The order matters for some widths: 29 of 100 px is 28.
    pub fn encode(self, pixels: PixelBox, width: u32, height: u32) -> Result<GridBox, BoxError> {
        if width == 0 || height == 0 {
            return Err(BoxError::EmptyImage { width, height });
        }
        let [x_min, y_min, x_max, y_max] = pixels.to_array();
        let x = |edge| self.encode_edge(edge, width);
        let y = |edge| self.encode_edge(edge, height);
        Ok(GridBox { x_min: x(x_min), y_min: y(y_min), x_max: x(x_max), y_max: y(y_max) })
    }

    fn encode_edge(self, edge: f64, side: u32) -> u32 {
        let scaled = edge / f64::from(side) * f64::from(self.max_value());
        let value = match self {
            Self::Percent100 => scaled.trunc(),
            Self::Permille1000 => scaled.round().min(f64::from(self.max_value())),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturating is the documented rule"
        )]
        let value = value as u32;
        value
    }

    /// Pixels of an answer in an image of `width` by `height` px, not rounded.
    ///
    /// # Errors
    /// [`EmptyImage`](BoxError::EmptyImage) when a side is 0.
    ///
    /// # Source
    /// SPEC 5.3 (`p / 100 · W`, in this order) and 5.5 for bin centers.
    pub fn decode(self, grid: GridBox, width: u32, height: u32, at: BoxDecode) -> Result<PixelBox, BoxError> {
        if width == 0 || height == 0 {
            return Err(BoxError::EmptyImage { width, height });
        }
        let offset = match (at, self) {
            (BoxDecode::BinCenter, Self::Percent100) if !grid.is_zero() => 0.5,
            _ => 0.0,
        };
        let place = |value: u32, side: u32| {
            (f64::from(value) + offset) / f64::from(self.max_value()) * f64::from(side)
        };
        Ok(PixelBox {
            x_min: place(grid.x_min, width),
            y_min: place(grid.y_min, height),
            x_max: place(grid.x_max, width),
            y_max: place(grid.y_max, height),
        })
    }

    /// The answer text of a box in pixels, as in `{<38><45><46><50>}`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_text(self, pixels: PixelBox, width: u32, height: u32) -> Result<String, BoxError> {
        Ok(self.encode(pixels, width, height)?.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_at_512() {
        let rows = [
            ([196, 235, 237, 260], "{<38><45><46><50>}"),
            ([220, 238, 237, 255], "{<42><46><46><49>}"),
            ([511, 511, 511, 511], "{<99><99><99><99>}"),
            ([128, 256, 384, 511], "{<25><50><75><99>}"),
            ([5, 6, 10, 11], "{<0><1><1><2>}"),
            ([0, 0, 0, 0], "{<0><0><0><0>}"),
            ([512, 512, 600, 512], "{<100><100><117><100>}"),
        ];
        for (edges, expected) in rows {
            let text = BoxFormat::Percent100.encode_text(edges.into(), 512, 512).unwrap();
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn published_vectors_of_odd_widths() {
        let rows = [
            (100, 29, 28),
            (100, 57, 56),
            (100, 58, 57),
            (200, 114, 56),
            (500, 145, 28),
            (512, 51, 9),
            (512, 52, 10),
        ];
        for (width, edge, expected) in rows {
            let grid = BoxFormat::Percent100.encode([edge; 4].into(), width, width).unwrap();
            assert_eq!(grid, [expected; 4].into(), "{edge} of {width}");
        }
    }

    #[test]
    fn the_order_of_the_division_matters_for_the_published_widths_only() {
        // SPEC 2.4: no difference to whole-number division, or exactly three values each.
        let rows = [
            (512, 0),
            (448, 0),
            (431, 0),
            (640, 0),
            (768, 0),
            (1024, 0),
            (100, 3),
            (200, 3),
            (300, 3),
            (400, 3),
            (500, 3),
            (600, 3),
            (1000, 3),
        ];
        for (width, expected) in rows {
            let differing = (0..=width)
                .filter(|edge| {
                    let grid = BoxFormat::Percent100.encode([*edge; 4].into(), width, 1).unwrap();
                    grid.x_min != 100 * edge / width
                })
                .count();
            assert_eq!(differing, expected, "{width}");
        }
    }

    #[test]
    fn width_and_height_are_used_for_their_own_edges() {
        let grid = BoxFormat::Percent100.encode([50, 50, 100, 100].into(), 200, 100).unwrap();
        assert_eq!(grid.to_array(), [25, 50, 50, 100]);
        let pixels = BoxFormat::Percent100.decode(grid, 200, 100, BoxDecode::GridLine).unwrap();
        assert_eq!(pixels.to_array(), [50.0, 50.0, 100.0, 100.0]);
    }

    #[test]
    fn permille_rounds_and_stays_on_the_grid() {
        let rows =
            [(512, 511, 998), (512, 512, 1000), (512, 600, 1000), (1000, 29, 29), (2000, 1, 1), (2001, 1, 0)];
        for (width, edge, expected) in rows {
            let grid = BoxFormat::Permille1000.encode([edge; 4].into(), width, width).unwrap();
            assert_eq!(grid, [expected; 4].into(), "{edge} of {width}");
        }
    }

    #[test]
    fn bin_centers_are_half_a_bin_higher_where_the_format_floors() {
        let grid = GridBox::from([38, 45, 46, 50]);
        let decode = |format: BoxFormat, grid, at| format.decode(grid, 1000, 100, at).unwrap().to_array();
        assert_eq!(decode(BoxFormat::Percent100, grid, BoxDecode::GridLine), [380.0, 45.0, 460.0, 50.0]);
        assert_eq!(decode(BoxFormat::Percent100, grid, BoxDecode::BinCenter), [385.0, 45.5, 465.0, 50.5]);
        assert_eq!(decode(BoxFormat::Percent100, GridBox::default(), BoxDecode::BinCenter), [0.0; 4]);
        assert_eq!(decode(BoxFormat::Permille1000, grid, BoxDecode::BinCenter), [38.0, 4.5, 46.0, 5.0]);
    }

    #[test]
    fn no_number_and_no_image() {
        let odd = PixelBox::from([f64::NAN, -3.0, f64::INFINITY, 1.0]);
        let grid = BoxFormat::Percent100.encode(odd, 100, 100).unwrap();
        assert_eq!(grid.to_array(), [0, 0, u32::MAX, 1]);
        assert!(!BoxFormat::Percent100.contains(grid));
        let error = BoxFormat::Percent100.encode(odd, 0, 5).unwrap_err();
        assert_eq!(error.to_string(), "image of `0` by `5` px has no place for a box");
    }
}
