//! Whether a stated probability is how often it is right.

use serde::{Deserialize, Serialize};

use super::{FOOT, HALF, subtitle};
use crate::canvas::{Canvas, MARGIN, Swatch};
use crate::error::{check_count, check_range};
use crate::panel::{Panel, PanelSpec, left_edge};
use crate::scale::Range;
use crate::text::{count, decimal};
use crate::{ReportError, Svg};

const MAX_BINS: usize = 100;

/// A bin of the stated probability.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Least probability of the bin.
    pub low: f64,
    /// Greatest probability of the bin.
    pub high: f64,
    /// Answers in it.
    pub n: u64,
    /// Mean stated probability of them; anything where `n` is 0.
    pub probability_mean: f64,
    /// Share of them that is positive; anything where `n` is 0.
    pub positive_share: f64,
}

/// A reliability curve.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ReliabilityCurve {
    /// The title.
    pub title: String,
    /// The bins, at most 100.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error, 0 to 1.
    pub ece: Option<f64>,
}

/// Draws observed shares over stated probabilities, the diagonal of perfect calibration, and below
/// them the number of answers per bin.
///
/// # Errors
/// [`ReportError::TooMany`] for more than 100 bins, [`ReportError::OutOfRange`] for bin edges or finite
/// shares outside 0 to 1.
pub fn reliability_curve(input: &ReliabilityCurve) -> Result<Svg, ReportError> {
    check_count("bins of the reliability curve", input.bins.len(), MAX_BINS)?;
    for bin in &input.bins {
        for edge in [bin.low, bin.high] {
            check_range("a bin edge", edge, 0.0, 1.0)?;
        }
    }
    let filled: Vec<&ReliabilityBin> = input.bins.iter().filter(|bin| bin.n > 0).collect();
    let is_finite = |bin: &ReliabilityBin| bin.probability_mean.is_finite() && bin.positive_share.is_finite();
    let shown: Vec<&ReliabilityBin> = filled.iter().copied().filter(|bin| is_finite(bin)).collect();
    for bin in &shown {
        check_range("a mean probability", bin.probability_mean, 0.0, 1.0)?;
        check_range("a share of positives", bin.positive_share, 0.0, 1.0)?;
    }
    let n: u64 = filled.iter().map(|bin| bin.n).fold(0, u64::saturating_add);
    let mut parts = vec![format!("n = {}", count(n))];
    parts.extend(input.ece.map(|ece| format!("ECE {}", decimal(ece, 3))));
    let legend = [
        (Swatch::Line, "line s0".to_owned(), "model".to_owned()),
        (Swatch::Line, "ref".to_owned(), "perfect".to_owned()),
    ];
    let left_out = filled.len() - shown.len();
    let mut canvas = Canvas::new(HALF, &input.title, &subtitle(parts, left_out), &legend);
    let most = input.bins.iter().map(|bin| bin.n).max().unwrap_or(0).max(1);
    let n_axis = Range::covering([0.0, most as f64].into_iter()).unwrap_or(Range::UNIT);
    let top = canvas.top;
    let spec = PanelSpec {
        x: Range::UNIT,
        y: Range::UNIT,
        x_label: "",
        y_label: "observed share of positives",
        left: left_edge(n_axis, 2).max(left_edge(Range::UNIT, 5)),
        right: HALF - MARGIN - 8.0,
        top,
        bottom: top + 260.0,
        n_y_ticks: 5,
    };
    let panel = Panel::draw(&mut canvas, spec);
    canvas.line("ref", panel.at((0.0, 0.0)), panel.at((1.0, 1.0)));
    let mut points: Vec<(f64, f64)> =
        shown.iter().map(|bin| (bin.probability_mean, bin.positive_share)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    for point in &points {
        // The gap to the diagonal is what calibration error sums up.
        canvas.line("raw s1", panel.at(*point), panel.at((point.0, point.0)));
    }
    canvas.polyline("line s0", &panel.path(&points));
    for bin in &shown {
        let (x, y) = panel.at((bin.probability_mean, bin.positive_share));
        let tip = format!(
            "stated {}, observed {}, n = {}",
            decimal(bin.probability_mean, 3),
            decimal(bin.positive_share, 3),
            count(bin.n)
        );
        canvas.dot("f0", x, y, 4.5, Some(&tip));
    }
    if shown.is_empty() {
        panel.say_empty(&mut canvas, "no finite values to show");
    }
    let below = panel.bottom + 30.0;
    let counts = PanelSpec {
        y: n_axis,
        x_label: "stated probability of \u{201c}yes\u{201d}",
        y_label: "answers",
        top: below,
        bottom: below + 64.0,
        n_y_ticks: 2,
        ..spec
    };
    let counts = Panel::draw(&mut canvas, counts);
    for bin in &filled {
        let (left, right) = (counts.x.px(bin.low), counts.x.px(bin.high));
        let y = counts.y.px(bin.n as f64);
        let tip = format!("{} to {}: {}", decimal(bin.low, 2), decimal(bin.high, 2), count(bin.n));
        canvas.rect("f5 soft", left + 0.5, y, right - left - 1.0, counts.bottom - y, Some(&tip));
    }
    Ok(canvas.finish(counts.bottom + FOOT))
}
