//! Receiver operating characteristic and precision against recall.

use serde::{Deserialize, Serialize};

use super::{FOOT, HALF, finite, line_class, subtitle};
use crate::canvas::{Canvas, LegendEntry, MARGIN, Swatch};
use crate::error::{check_count, check_range};
use crate::panel::{Panel, PanelSpec, left_edge};
use crate::scale::Range;
use crate::style::N_SERIES;
use crate::text::{count, decimal};
use crate::thinning::thin_line;
use crate::{ReportError, Svg};

/// One scorer's curve.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OperatingCurve {
    /// What the legend says.
    pub name: String,
    /// (false positive rate, true positive rate) or (recall, precision), in the order of the
    /// threshold.
    pub points: Vec<(f64, f64)>,
    /// The area under it, by the convention of the evaluation.
    pub area: Option<f64>,
}

/// Curves over all thresholds of a yes/no score.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OperatingCurves {
    /// The title.
    pub title: String,
    /// The curves, at most 8.
    pub curves: Vec<OperatingCurve>,
    /// Positive samples.
    pub n_positive: u64,
    /// Negative samples.
    pub n_negative: u64,
}

/// Draws ROC curves with the diagonal of chance.
///
/// # Errors
/// [`ReportError::TooMany`] for more than 8 curves, [`ReportError::OutOfRange`] for a finite rate
/// outside 0 to 1.
pub fn roc_curve(input: &OperatingCurves) -> Result<Svg, ReportError> {
    let chance = [(0.0, 0.0), (1.0, 1.0)];
    draw(
        input,
        "false positive rate (1 \u{2212} specificity)",
        "true positive rate (sensitivity)",
        "AUROC",
        &chance,
        false,
    )
}

/// Draws precision over recall, as steps, with the share of positives that guessing would reach.
///
/// # Errors
/// Those of [`roc_curve`].
pub fn precision_recall_curve(input: &OperatingCurves) -> Result<Svg, ReportError> {
    let n = input.n_positive as f64 + input.n_negative as f64;
    let share = if n > 0.0 { input.n_positive as f64 / n } else { 0.0 };
    draw(input, "recall (sensitivity)", "precision", "AUPRC", &[(0.0, share), (1.0, share)], true)
}

fn draw(
    input: &OperatingCurves,
    x_label: &str,
    y_label: &str,
    area_name: &str,
    chance: &[(f64, f64)],
    is_stepped: bool,
) -> Result<Svg, ReportError> {
    check_count("curves of one figure", input.curves.len(), N_SERIES)?;
    let prepared: Vec<_> = input.curves.iter().map(|curve| finite(&curve.points)).collect();
    for (x, y) in prepared.iter().flat_map(|(points, _)| points) {
        check_range("a rate", *x, 0.0, 1.0)?;
        check_range("a rate", *y, 0.0, 1.0)?;
    }
    let mut legend: Vec<LegendEntry> = Vec::new();
    for (place, curve) in input.curves.iter().enumerate() {
        let area = curve.area.map(|area| format!(" ({area_name} {})", decimal(area, 3)));
        let label = format!("{}{}", curve.name, area.unwrap_or_default());
        legend.push((Swatch::Line, line_class(place), label));
    }
    legend.push((Swatch::Line, "ref".to_owned(), "chance".to_owned()));
    let parts =
        vec![format!("n = {} positive, {} negative", count(input.n_positive), count(input.n_negative))];
    let left_out = prepared.iter().map(|(_, left_out)| left_out).sum();
    let mut canvas = Canvas::new(HALF, &input.title, &subtitle(parts, left_out), &legend);
    let top = canvas.top;
    let left = left_edge(Range::UNIT, 5);
    let right = HALF - MARGIN - 8.0;
    let spec = PanelSpec {
        x: Range::UNIT,
        y: Range::UNIT,
        x_label,
        y_label,
        left,
        right,
        top,
        bottom: top + (right - left),
        n_y_ticks: 5,
    };
    let panel = Panel::draw(&mut canvas, spec);
    canvas.polyline("ref", &panel.path(chance));
    for (place, (points, _)) in prepared.iter().enumerate() {
        let mut path = panel.path(&thin_line(points));
        if is_stepped {
            path = steps(&path);
        }
        canvas.polyline(&line_class(place), &path);
    }
    if prepared.iter().all(|(points, _)| points.is_empty()) {
        panel.say_empty(&mut canvas, "no finite values to show");
    }
    let height = panel.bottom + FOOT;
    Ok(canvas.finish(height))
}

/// Joins points by a level and an upright line: between two recalls precision is not interpolated.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut path = Vec::with_capacity(2 * points.len());
    for point in points {
        if let Some((_, last_y)) = path.last().copied() {
            path.push((point.0, last_y));
        }
        path.push(*point);
    }
    path
}
