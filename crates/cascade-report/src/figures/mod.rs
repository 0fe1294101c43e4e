//! The figures, one file per kind.
//!
//! All of them keep three rules. What is not finite is left out and counted in the line under the
//! title. Where nothing remains the axes are drawn and say so. What contradicts its own meaning (an
//! IoU of 3, a grid of the wrong length, a broken PNG) is an error.

pub(crate) mod curves;
pub(crate) mod examples;
pub(crate) mod forest;
pub(crate) mod heat_map;
pub(crate) mod histogram;
pub(crate) mod operating;
pub(crate) mod reliability;
pub(crate) mod scatter;
pub(crate) mod score_bars;
pub(crate) mod threshold;

use crate::text::count;

/// Width of a figure over the whole column, in px.
const WIDE: f64 = 860.0;
/// Width of a figure that shares its row, in px.
const HALF: f64 = 430.0;
/// Room under a plotting area for ticks and an axis label, in px.
const FOOT: f64 = 46.0;

/// The finite part of a list of pairs, and how many were not.
fn finite(points: &[(f64, f64)]) -> (Vec<(f64, f64)>, usize) {
    let kept: Vec<_> = points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let left_out = points.len() - kept.len();
    (kept, left_out)
}

/// Joins the parts of the line under a title, with the number of values left out.
fn subtitle(mut parts: Vec<String>, left_out: usize) -> String {
    if left_out > 0 {
        parts.push(format!("{} not finite, left out", count(left_out)));
    }
    parts.join(" · ")
}

/// Classes of the line of a series.
fn line_class(series: usize) -> String {
    if series == 0 { "line s0".to_owned() } else { format!("line s{series} d{series}") }
}
