//! Estimates and intervals of parts beside the whole.

use serde::{Deserialize, Serialize};

use super::{FOOT, WIDE, subtitle};
use crate::canvas::{Anchor, Canvas, MARGIN};
use crate::error::check_count;
use crate::scale::Range;
use crate::text::{count, decimal, fit, width_px};
use crate::{ReportError, Svg};

const MAX_ROWS: usize = 60;
const ROW: f64 = 24.0;
/// Bold text of 12 px is as wide as plain text of this size.
const BOLD_PX: f64 = 13.2;

/// A part of the samples, or all of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ForestRow {
    /// Which part it is.
    pub label: String,
    /// Samples in it.
    pub n: u64,
    /// The score.
    pub estimate: f64,
    /// Its 95 % interval.
    pub ci95: Option<(f64, f64)>,
    /// Whether it is the whole: drawn as a diamond, with a line through all rows.
    pub is_overall: bool,
}

/// Scores per stratum.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ForestPlot {
    /// The title.
    pub title: String,
    /// What the values are.
    pub metric: String,
    /// How the intervals were made, such as `patient bootstrap, 2,000 draws`.
    pub method: String,
    /// The rows from top to bottom, at most 60.
    pub rows: Vec<ForestRow>,
}

/// Draws a row per stratum: name, n, estimate with interval, and the numbers.
///
/// # Errors
/// [`ReportError::TooMany`] for more than 60 rows.
pub fn forest_plot(input: &ForestPlot) -> Result<Svg, ReportError> {
    check_count("rows of the forest plot", input.rows.len(), MAX_ROWS)?;
    let left_out = input.rows.iter().filter(|row| !row.estimate.is_finite()).count();
    let mut parts = vec![format!("n = {} rows", input.rows.len())];
    if !input.method.is_empty() {
        parts.push(input.method.clone());
    }
    let mut canvas = Canvas::new(WIDE, &input.title, &subtitle(parts, left_out), &[]);
    let numbers = |row: &ForestRow| match row.ci95 {
        Some((low, high)) => {
            format!("{} [{}, {}]", decimal(row.estimate, 3), decimal(low, 3), decimal(high, 3))
        }
        None => decimal(row.estimate, 3),
    };
    let widest = |texts: Vec<String>| texts.iter().map(|text| width_px(text, BOLD_PX)).fold(0.0, f64::max);
    let label_px = widest(input.rows.iter().map(|row| row.label.clone()).collect()).clamp(60.0, 220.0);
    let n_px = widest(input.rows.iter().map(|row| count(row.n)).collect()).max(20.0);
    let number_px = widest(input.rows.iter().map(numbers).collect()).max(60.0);
    let n_right = MARGIN + label_px + 14.0 + n_px;
    let (left, right) = (n_right + 18.0, WIDE - MARGIN - number_px - 14.0);
    let intervals = input.rows.iter().flat_map(|row| row.ci95).flat_map(|(low, high)| [low, high]);
    let axis = Range::covering(input.rows.iter().map(|row| row.estimate).chain(intervals));
    let scale = axis.unwrap_or(Range::UNIT).place(left, right);
    let head = canvas.top + 12.0;
    canvas.text("strong", MARGIN, head, Anchor::Start, "stratum");
    canvas.text("strong", n_right, head, Anchor::End, "n");
    canvas.text("strong", right + 14.0, head, Anchor::Start, "95 % interval");
    let top = head + 8.0;
    let bottom = top + ROW * input.rows.len().max(2) as f64;
    for (value, label) in scale.range().ticks(5) {
        let at = scale.px(value);
        canvas.line("grid", (at, top), (at, bottom));
        canvas.text("tick", at, bottom + 17.0, Anchor::Middle, &label);
    }
    canvas.line("axis", (left, bottom), (right, bottom));
    for row in input.rows.iter().filter(|row| row.is_overall && row.estimate.is_finite()) {
        canvas.line("ref", (scale.px(row.estimate), top), (scale.px(row.estimate), bottom));
    }
    for (place, row) in input.rows.iter().enumerate() {
        let y = top + ROW * (place as f64 + 0.5);
        let weight = if row.is_overall { "strong" } else { "" };
        canvas.text(weight, MARGIN, y + 4.0, Anchor::Start, &fit(&row.label, 12.0, label_px));
        canvas.text(weight, n_right, y + 4.0, Anchor::End, &count(row.n));
        canvas.text(weight, right + 14.0, y + 4.0, Anchor::Start, &numbers(row));
        if !row.estimate.is_finite() {
            continue;
        }
        let x = scale.px(row.estimate);
        if let Some((low, high)) = row.ci95.filter(|(low, high)| low.is_finite() && high.is_finite()) {
            canvas.line("line s0", (scale.px(low), y), (scale.px(high), y));
        }
        if row.is_overall {
            canvas.polygon("f0", &[(x - 8.0, y), (x, y - 7.0), (x + 8.0, y), (x, y + 7.0)]);
        } else {
            let tip = format!("{}: {}", row.label, numbers(row));
            canvas.rect("f0", x - 4.5, y - 4.5, 9.0, 9.0, Some(&tip));
        }
    }
    if axis.is_none() {
        canvas.rect("empty", left, top, right - left, bottom - top, None);
        let (x, y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        canvas.text("muted", x, y + 4.0, Anchor::Middle, "no finite values to show");
    }
    let label = fit(&input.metric, 12.0, right - left);
    canvas.text("", f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, &label);
    Ok(canvas.finish(bottom + FOOT))
}
