//! How box IoU is distributed.

use serde::{Deserialize, Serialize};

use super::{FOOT, WIDE, subtitle};
use crate::canvas::{Anchor, Canvas, MARGIN, Swatch};
use crate::error::{check_count, check_range};
use crate::panel::{Panel, PanelSpec, left_edge};
use crate::scale::Range;
use crate::text::{count, decimal, width_px};
use crate::{ReportError, Svg};

const MAX_BINS: usize = 100;

/// The IoU of every box of an evaluation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct IouHistogram {
    /// The title.
    pub title: String,
    /// IoU, 0 to 1, one per sample; samples without a usable answer count as 0 if they are to count.
    pub values: Vec<f64>,
    /// Number of bins over 0 to 1, 1 to 100.
    pub n_bins: usize,
    /// The least acceptable mean.
    pub floor: Option<f64>,
    /// The aim for the mean.
    pub goal: Option<f64>,
}

/// Counts per bin over 0 to 1. Bins are half-open, the last holds 1.
fn bin_counts(values: &[f64], n_bins: usize) -> Vec<usize> {
    let mut counts = vec![0; n_bins];
    for value in values {
        // A share of a small whole number is found by comparing, which no cast can get wrong.
        let above = (1..n_bins).take_while(|edge| *value * n_bins as f64 >= *edge as f64).count();
        counts[above] += 1;
    }
    counts
}

/// Draws how many samples have which IoU, with mean and median, and floor and goal where given.
///
/// # Errors
/// [`ReportError::OutOfRange`] for a finite value outside 0 to 1 or for no bins,
/// [`ReportError::TooMany`] for more than 100 bins.
pub fn iou_histogram(input: &IouHistogram) -> Result<Svg, ReportError> {
    check_range("the number of bins", input.n_bins as f64, 1.0, f64::MAX)?;
    check_count("bins of the histogram", input.n_bins, MAX_BINS)?;
    let mut values: Vec<f64> = input.values.iter().copied().filter(|value| value.is_finite()).collect();
    for value in values.iter().copied().chain(input.floor).chain(input.goal) {
        check_range("an IoU", value, 0.0, 1.0)?;
    }
    values.sort_by(f64::total_cmp);
    let left_out = input.values.len() - values.len();
    let counts = bin_counts(&values, input.n_bins);
    let mut parts = vec![format!("n = {} boxes", count(values.len()))];
    let mut lines: Vec<(f64, &str, String)> = Vec::new();
    if !values.is_empty() {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let middle = values.len() / 2;
        let even = values.len().is_multiple_of(2);
        let median = if even { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] };
        let at_half = values.iter().filter(|value| **value >= 0.5).count();
        parts.push(format!("{} % at 0.5 or more", decimal(100.0 * at_half as f64 / values.len() as f64, 1)));
        lines.push((mean, "line s1", format!("mean {}", decimal(mean, 3))));
        lines.push((median, "line s3 d3", format!("median {}", decimal(median, 3))));
    }
    lines.extend(input.floor.map(|floor| (floor, "limit floor", format!("floor {}", decimal(floor, 3)))));
    lines.extend(input.goal.map(|goal| (goal, "limit goal", format!("goal {}", decimal(goal, 3)))));
    let legend: Vec<_> =
        lines.iter().map(|(_, class, text)| (Swatch::Line, (*class).to_owned(), text.clone())).collect();
    let mut canvas = Canvas::new(WIDE, &input.title, &subtitle(parts, left_out), &legend);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    // Room for the number above the highest bar.
    let y = Range::covering([0.0, most as f64 * 1.08].into_iter()).unwrap_or(Range::UNIT);
    let top = canvas.top + 8.0;
    let spec = PanelSpec {
        x: Range::UNIT,
        y,
        x_label: "IoU of predicted and true box",
        y_label: "boxes",
        left: left_edge(y, 4),
        right: WIDE - MARGIN - 8.0,
        top,
        bottom: top + 230.0,
        n_y_ticks: 4,
    };
    let panel = Panel::draw(&mut canvas, spec);
    let bin_px = (panel.right - panel.left) / input.n_bins as f64;
    let gap = if bin_px > 6.0 { 1.0 } else { 0.0 };
    for (place, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let (low, high) = (place as f64 / input.n_bins as f64, (place + 1) as f64 / input.n_bins as f64);
        let (left, right) = (panel.x.px(low), panel.x.px(high));
        let y = panel.y.px(*n as f64);
        let tip = format!("IoU {} to {}: {} boxes", decimal(low, 2), decimal(high, 2), count(n));
        canvas.rect("f0 soft", left + gap / 2.0, y, right - left - gap, panel.bottom - y, Some(&tip));
    }
    for (value, class, _) in &lines {
        let x = panel.x.px(*value);
        canvas.line(class, (x, panel.top), (x, panel.bottom));
    }
    let is_labeled = |n: usize| n > 0 && width_px(&count(n), 11.5) < bin_px;
    // Above the lines, so that no number is struck through.
    for (place, n) in counts.iter().enumerate().filter(|(_, n)| is_labeled(**n)) {
        let x = panel.left + bin_px * (place as f64 + 0.5);
        canvas.text("tick knock", x, panel.y.px(*n as f64) - 5.0, Anchor::Middle, &count(n));
    }
    if values.is_empty() {
        panel.say_empty(&mut canvas, "no finite values to show");
    }
    let height = panel.bottom + FOOT;
    Ok(canvas.finish(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_half_open_and_the_last_holds_one() {
        assert_eq!(bin_counts(&[0.0, 0.099, 0.1, 0.5, 0.95, 1.0], 10), [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(bin_counts(&[0.3], 1), [1]);
        // 0.7 * 10 is 7.000000000000001 or 6.999…: the edge belongs to the bin above.
        assert_eq!(bin_counts(&[0.7], 10)[7], 1);
    }
}
