//! One pair of axes on a canvas.

use crate::canvas::{Anchor, Canvas, MARGIN};
use crate::scale::{Range, Scale};
use crate::text::{fit, width_px};

/// Font size of tick labels in px.
const TICK_PX: f64 = 11.5;

/// What a panel shows and where. Lengths in px; left and bottom are those of the plotting area, the
/// labels come outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PanelSpec<'a> {
    pub(crate) x: Range,
    pub(crate) y: Range,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) n_y_ticks: usize,
}

/// Axes in their place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panel {
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

/// The left edge of a plotting area whose y axis has these ticks and a label.
pub(crate) fn left_edge(y: Range, n_ticks: usize) -> f64 {
    let widest = y.ticks(n_ticks).iter().map(|(_, label)| width_px(label, TICK_PX)).fold(0.0, f64::max);
    MARGIN + 18.0 + widest + 8.0
}

impl Panel {
    /// Draws grid, axes, ticks and labels.
    pub(crate) fn draw(canvas: &mut Canvas, spec: PanelSpec<'_>) -> Self {
        let PanelSpec { left, right, top, bottom, .. } = spec;
        let x = spec.x.place(left, right);
        let y = spec.y.place(bottom, top);
        for (value, label) in spec.y.ticks(spec.n_y_ticks) {
            let at = y.px(value);
            canvas.line("grid", (left, at), (right, at));
            canvas.text("tick", left - 7.0, at + 4.0, Anchor::End, &label);
        }
        let n_x_ticks = if right - left > 400.0 { 8 } else { 5 };
        let mut free_from = f64::NEG_INFINITY;
        for (value, label) in spec.x.ticks(n_x_ticks) {
            let at = x.px(value);
            canvas.line("axis", (at, bottom), (at, bottom + 4.0));
            // Logarithmic ticks crowd at the end of a decade.
            let half = width_px(&label, TICK_PX) / 2.0;
            if at - half > free_from {
                canvas.text("tick", at, bottom + 17.0, Anchor::Middle, &label);
                free_from = at + half + 4.0;
            }
        }
        canvas.polyline("axis", &[(left, top), (left, bottom), (right, bottom)]);
        if !spec.x_label.is_empty() {
            let label = fit(spec.x_label, 12.0, right - left);
            canvas.text("", f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, &label);
        }
        if !spec.y_label.is_empty() {
            let label = fit(spec.y_label, 12.0, bottom - top + 40.0);
            canvas.text_upward("", MARGIN + 8.0, f64::midpoint(top, bottom), &label);
        }
        Self { x, y, left, right, top, bottom }
    }

    /// Where a point is, in px.
    pub(crate) fn at(&self, point: (f64, f64)) -> (f64, f64) {
        (self.x.px(point.0), self.y.px(point.1))
    }

    /// [`at`](Self::at) for a list.
    pub(crate) fn path(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        points.iter().map(|point| self.at(*point)).collect()
    }

    /// Says in the middle of the panel that there is nothing to show.
    pub(crate) fn say_empty(&self, canvas: &mut Canvas, what: &str) {
        canvas.rect("empty", self.left, self.top, self.right - self.left, self.bottom - self.top, None);
        let (x, y) = (f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom));
        canvas.text("muted", x, y + 4.0, Anchor::Middle, what);
    }
}
