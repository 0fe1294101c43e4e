//! Loss, metrics and learning rate over the steps of training.

use serde::{Deserialize, Serialize};

use super::{FOOT, WIDE, line_class, subtitle};
use crate::canvas::{Anchor, Canvas, MARGIN, Swatch};
use crate::error::{check_count, check_range};
use crate::panel::{Panel, PanelSpec, left_edge};
use crate::scale::Range;
use crate::style::N_SERIES;
use crate::text::{count, decimal, width_px};
use crate::thinning::{smooth, thin_line};
use crate::{ReportError, Svg};

const HEIGHT: f64 = 250.0;

/// What a series of values was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurveRole {
    /// Every step of training: drawn faint as it is, and smoothed on top.
    #[default]
    Training,
    /// A now-and-then measurement: a marker per point, joined, never smoothed.
    Validation,
}

/// Values over steps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CurveSeries {
    /// What the legend says.
    pub name: String,
    /// What it was measured on.
    pub role: CurveRole,
    /// (step, value), in any order.
    pub points: Vec<(u64, f64)>,
}

/// The point that was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestPoint {
    /// Its step.
    pub step: u64,
    /// Its value.
    pub value: f64,
}

/// A loss or a metric over the steps of training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TrainingCurves {
    /// The title.
    pub title: String,
    /// What the values are, with their unit.
    pub y_label: String,
    /// The series, at most 8.
    pub series: Vec<CurveSeries>,
    /// The chosen checkpoint.
    pub best: Option<BestPoint>,
    /// Weight of the past in the moving average of training series, 0 (none) to 0.999.
    pub smoothing: f64,
}

/// The learning rate over the steps of training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LearningRateCurve {
    /// The title.
    pub title: String,
    /// (step, learning rate), in any order.
    pub points: Vec<(u64, f64)>,
    /// Where warm-up ends.
    pub warmup_steps: Option<u64>,
}

/// Sorted finite points, and how many were not.
fn prepare(points: &[(u64, f64)]) -> (Vec<(f64, f64)>, usize) {
    let mut sorted: Vec<(u64, f64)> = points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    sorted.sort_by_key(|(step, _)| *step);
    let left_out = points.len() - sorted.len();
    (sorted.into_iter().map(|(step, value)| (step as f64, value)).collect(), left_out)
}

/// Draws a loss or a metric over steps: training raw and smoothed, validation with markers, the best
/// point named. Long series are thinned so that every spike stays.
///
/// # Errors
/// [`ReportError::TooMany`] for more than 8 series, [`ReportError::OutOfRange`] for a smoothing
/// weight outside 0 to 0.999.
pub fn training_curves(input: &TrainingCurves) -> Result<Svg, ReportError> {
    check_count("series of training curves", input.series.len(), N_SERIES)?;
    check_range("the smoothing weight", input.smoothing, 0.0, 0.999)?;
    let prepared: Vec<_> = input.series.iter().map(|series| prepare(&series.points)).collect();
    let left_out = prepared.iter().map(|(_, left_out)| left_out).sum();
    let n_points: usize = prepared.iter().map(|(points, _)| points.len()).sum();
    let best = input.best.as_ref().filter(|best| best.value.is_finite());
    let mut parts = vec![format!("n = {} points", count(n_points))];
    let has_training = input.series.iter().any(|series| series.role == CurveRole::Training);
    if input.smoothing > 0.0 && has_training {
        parts.push(format!("bold: moving average, weight {}; faint: every step", input.smoothing));
    }
    let legend: Vec<_> = input
        .series
        .iter()
        .enumerate()
        .map(|(place, series)| (Swatch::Line, line_class(place), series.name.clone()))
        .collect();
    let mut canvas = Canvas::new(WIDE, &input.title, &subtitle(parts, left_out), &legend);
    let xs = || prepared.iter().flat_map(|(points, _)| points).map(|point| point.0);
    let ys = || {
        let best = best.map(|best| best.value);
        prepared.iter().flat_map(|(points, _)| points).map(|point| point.1).chain(best)
    };
    let last_step = xs().chain(best.map(|best| best.step as f64)).fold(0.0, f64::max);
    let y = Range::covering(ys()).unwrap_or(Range::UNIT);
    let panel = step_panel(&mut canvas, last_step, y, &input.y_label);
    for (place, (series, (points, _))) in input.series.iter().zip(&prepared).enumerate() {
        match series.role {
            CurveRole::Training => {
                let smoothed = smooth(points, input.smoothing);
                if input.smoothing > 0.0 {
                    canvas.polyline(&format!("raw s{place}"), &panel.path(&thin_line(points)));
                }
                canvas.polyline(&line_class(place), &panel.path(&thin_line(&smoothed)));
                if let [only] = points.as_slice() {
                    let (x, y) = panel.at(*only);
                    canvas.dot(&format!("f{place}"), x, y, 3.5, None);
                }
            }
            CurveRole::Validation => {
                let path = panel.path(&thin_line(points));
                canvas.polyline(&line_class(place), &path);
                let markers = if path.len() <= 120 { path.as_slice() } else { &[] };
                for (x, y) in markers {
                    canvas.dot(&format!("f{place}"), *x, *y, 3.5, None);
                }
            }
        }
    }
    if n_points == 0 {
        panel.say_empty(&mut canvas, "no finite values to show");
    }
    if let Some(best) = best {
        mark_best(&mut canvas, &panel, best);
    }
    let height = panel.bottom + FOOT;
    Ok(canvas.finish(height))
}

fn mark_best(canvas: &mut Canvas, panel: &Panel, best: &BestPoint) {
    let (x, y) = panel.at((best.step as f64, best.value));
    let text = format!("best {} at step {}", decimal(best.value, 3), count(best.step));
    canvas.line("ref", (x, panel.top), (x, panel.bottom));
    canvas.dot("whisker", x, y, 6.5, Some(&text));
    let fits_right = x + 10.0 + width_px(&text, 12.0) < panel.right;
    let (anchor, at) = if fits_right { (Anchor::Start, x + 10.0) } else { (Anchor::End, x - 10.0) };
    // Loss leaves room at the top where it ends, a score at the bottom.
    let is_low = y > f64::midpoint(panel.top, panel.bottom);
    let beside = if is_low { panel.top + 14.0 } else { panel.bottom - 10.0 };
    canvas.text("strong knock", at, beside, anchor, &text);
}

fn step_panel(canvas: &mut Canvas, last_step: f64, y: Range, y_label: &str) -> Panel {
    let top = canvas.top;
    let spec = PanelSpec {
        x: Range::exact(0.0, last_step.max(1.0)),
        y,
        x_label: "step (optimizer updates)",
        y_label,
        left: left_edge(y, 5),
        right: canvas.width() - MARGIN - 8.0,
        top,
        bottom: top + HEIGHT,
        n_y_ticks: 5,
    };
    Panel::draw(canvas, spec)
}

/// Draws the learning rate over steps, with the end of warm-up.
///
/// # Errors
/// None for now; the form is that of every figure.
pub fn learning_rate_curve(input: &LearningRateCurve) -> Result<Svg, ReportError> {
    let (points, left_out) = prepare(&input.points);
    let peak = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let mut parts = vec![format!("n = {} steps", count(points.len()))];
    if peak.is_finite() {
        parts.push(format!("peak {peak:.3e}").replace('-', "\u{2212}"));
    }
    let mut canvas = Canvas::new(WIDE, &input.title, &subtitle(parts, left_out), &[]);
    let last_step = points.last().map_or(0.0, |point| point.0);
    let y = Range::covering(points.iter().map(|point| point.1)).unwrap_or(Range::UNIT).down_to_zero();
    let panel = step_panel(&mut canvas, last_step, y, "learning rate");
    if points.is_empty() {
        panel.say_empty(&mut canvas, "no finite values to show");
    } else {
        canvas.polyline("line s0", &panel.path(&thin_line(&points)));
        if let Some(step) = input.warmup_steps.filter(|step| *step as f64 <= last_step) {
            let x = panel.x.px(step as f64);
            let text = format!("warm-up ends at {}", count(step));
            canvas.line("ref", (x, panel.top), (x, panel.bottom));
            let fits_right = x + 8.0 + width_px(&text, 12.0) < panel.right;
            let (anchor, at) = if fits_right { (Anchor::Start, x + 8.0) } else { (Anchor::End, x - 8.0) };
            canvas.text("muted", at, panel.bottom - 8.0, anchor, &text);
        }
    }
    let height = panel.bottom + FOOT;
    Ok(canvas.finish(height))
}
