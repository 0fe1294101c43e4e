//! Where boxes lie: truth and prediction as two maps with one color scale.

use serde::{Deserialize, Serialize};

use super::{FOOT, WIDE};
use crate::canvas::{Anchor, Canvas, MARGIN};
use crate::error::check_range;
use crate::panel::Panel;
use crate::raster::{MISSING, encode_map};
use crate::scale::Range;
use crate::style::byte;
use crate::text::{count, fit};
use crate::{ReportError, Svg};

/// Cells per edge that a map shows; finer grids are averaged in blocks.
const MAX_CELLS: usize = 192;
/// Edge of a map in px.
const MAP_PX: f64 = 335.0;

/// How often each pixel is covered by true and by predicted boxes (the published article's figure 3).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HeatMaps {
    /// The title.
    pub title: String,
    /// Cells per edge of both grids.
    pub n: usize,
    /// Edge of the image in px that the grid covers; the axes are labeled with it.
    pub extent_px: f64,
    /// `[n, n]` row by row from the top left, 0 to 1: cover by true boxes.
    pub truth: Vec<f64>,
    /// `[n, n]` the same for predicted boxes.
    pub prediction: Vec<f64>,
    /// Number of true boxes.
    pub n_truth: usize,
    /// Number of predicted boxes.
    pub n_prediction: usize,
}

/// A grid in at most [`MAX_CELLS`] cells an edge, as color indices; blocks without a finite value are
/// [`MISSING`].
fn color_indices(values: &[f64], n: usize) -> (Vec<u8>, usize) {
    let block = n.div_ceil(MAX_CELLS).max(1);
    let edge = n.div_ceil(block);
    let mut indices = Vec::with_capacity(edge * edge);
    for row in 0..edge {
        for column in 0..edge {
            let (mut sum, mut known) = (0.0, 0_u32);
            for y in row * block..((row + 1) * block).min(n) {
                for x in column * block..((column + 1) * block).min(n) {
                    let value = values[y * n + x];
                    if value.is_finite() {
                        sum += value;
                        known += 1;
                    }
                }
            }
            let top = f64::from(MISSING - 1);
            indices.push(if known == 0 {
                MISSING
            } else {
                byte((sum / f64::from(known) * top).clamp(0.0, top))
            });
        }
    }
    (indices, edge)
}

/// Draws two maps side by side with one color scale from 0 to 1 and axes in px. Cells that are not
/// finite are gray; grids finer than 192 cells an edge are averaged in blocks.
///
/// # Shapes
/// - `truth`, `prediction`: `[n, n]`, row by row, the first row on top
///
/// # Errors
/// [`ReportError::Length`] for a grid that has not `n * n` values, [`ReportError::OutOfRange`] for a
/// finite value outside 0 to 1.
///
/// # Source
/// SPEC 5.6, "Heatmaps".
pub fn heat_maps(input: &HeatMaps) -> Result<Svg, ReportError> {
    let expected = input.n.saturating_mul(input.n);
    let mut missing = 0_usize;
    for (what, grid) in [("the true heat map", &input.truth), ("the predicted heat map", &input.prediction)] {
        if grid.len() != expected {
            return Err(ReportError::Length { what, got: grid.len(), expected });
        }
        for value in grid {
            if value.is_finite() {
                check_range("a cell of a heat map", *value, 0.0, 1.0)?;
            } else {
                missing += 1;
            }
        }
    }
    let mut parts = vec!["share of the most covered pixel, one color scale".to_owned()];
    if input.n > MAX_CELLS {
        parts.push(format!("averaged in blocks of {0} x {0} cells", input.n.div_ceil(MAX_CELLS)));
    }
    if missing > 0 {
        parts.push(format!("{} cells not finite (gray)", count(missing)));
    }
    let mut canvas = Canvas::new(WIDE, &input.title, &parts.join(" · "), &[]);
    let extent = if input.extent_px.is_finite() && input.extent_px > 0.0 {
        input.extent_px
    } else {
        (input.n as f64).max(1.0)
    };
    let top = canvas.top + 22.0;
    let left = MARGIN + 50.0;
    let maps = [
        ("Ground truth", input.n_truth, &input.truth, left),
        ("Prediction", input.n_prediction, &input.prediction, left + MAP_PX + 28.0),
    ];
    for (place, (name, n_boxes, grid, left)) in maps.into_iter().enumerate() {
        let heading = fit(&format!("{name} (n = {} boxes)", count(n_boxes)), 12.0, MAP_PX);
        canvas.text("strong", left, top - 9.0, Anchor::Start, &heading);
        let panel = map_axes(&mut canvas, extent, left, top, place == 0);
        if grid.is_empty() || n_boxes == 0 {
            panel.say_empty(&mut canvas, "no boxes to show");
        } else {
            let (indices, edge) = color_indices(grid, input.n);
            let png = encode_map(&indices, edge, edge)?;
            canvas.image("map", left, top, MAP_PX, MAP_PX, &png);
        }
    }
    color_bar(&mut canvas, left + 2.0 * MAP_PX + 46.0, top)?;
    Ok(canvas.finish(top + MAP_PX + FOOT))
}

/// Axes in px with y downward, as in images.
fn map_axes(canvas: &mut Canvas, extent: f64, left: f64, top: f64, has_y_axis: bool) -> Panel {
    let axis = Range::exact(0.0, extent);
    let (right, bottom) = (left + MAP_PX, top + MAP_PX);
    let (x, y) = (axis.place(left, right), axis.place(top, bottom));
    canvas.polygon("axis", &[(left, top), (right, top), (right, bottom), (left, bottom)]);
    for (value, label) in axis.ticks(5) {
        let (at_x, at_y) = (x.px(value), y.px(value));
        canvas.line("axis", (at_x, bottom), (at_x, bottom + 4.0));
        canvas.text("tick", at_x, bottom + 17.0, Anchor::Middle, &label);
        canvas.line("axis", (left - 4.0, at_y), (left, at_y));
        if has_y_axis {
            canvas.text("tick", left - 7.0, at_y + 4.0, Anchor::End, &label);
        }
    }
    canvas.text("", f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, "x (px)");
    if has_y_axis {
        canvas.text_upward("", MARGIN + 8.0, f64::midpoint(top, bottom), "y (px)");
    }
    Panel { x, y, left, right, top, bottom }
}

fn color_bar(canvas: &mut Canvas, left: f64, top: f64) -> Result<(), ReportError> {
    let column: Vec<u8> = (0..MISSING).rev().collect();
    let png = encode_map(&column, 1, column.len())?;
    canvas.image("map", left, top, 14.0, MAP_PX, &png);
    let scale = Range::UNIT.place(top + MAP_PX, top);
    for (value, label) in Range::UNIT.ticks(5) {
        let at = scale.px(value);
        canvas.line("axis", (left + 14.0, at), (left + 18.0, at));
        canvas.text("tick", left + 21.0, at + 4.0, Anchor::Start, &label);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_colors_in_reading_order() {
        let (indices, edge) = color_indices(&[0.0, 1.0, f64::NAN, 0.5], 2);
        assert_eq!((indices.as_slice(), edge), ([0, 254, MISSING, 127].as_slice(), 2));
    }

    #[test]
    fn a_fine_grid_is_averaged() {
        let n = 2 * MAX_CELLS;
        let mut values = vec![0.0; n * n];
        values[1] = 1.0; // one of the four cells of the first block
        values[n * n - 1] = f64::NAN;
        let (indices, edge) = color_indices(&values, n);
        assert_eq!((edge, indices.len()), (MAX_CELLS, MAX_CELLS * MAX_CELLS));
        assert_eq!(indices[0], byte(254.0 / 4.0));
        assert_eq!(indices[indices.len() - 1], 0, "three known cells remain");
    }
}
