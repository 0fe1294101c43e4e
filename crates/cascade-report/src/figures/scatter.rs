//! IoU against what it may depend on.

use serde::{Deserialize, Serialize};

use super::{FOOT, HALF, finite, subtitle};
use crate::canvas::{Canvas, MARGIN, Swatch};
use crate::error::check_range;
use crate::panel::{Panel, PanelSpec, left_edge};
use crate::scale::Range;
use crate::text::{count, decimal};
use crate::thinning::thin_cloud;
use crate::{ReportError, Svg};

/// Points drawn at most; more are a cloud anyway.
const MAX_POINTS: usize = 2000;
/// Points that a mean of the trend needs at least.
const MIN_PER_BIN: usize = 5;

/// IoU against the confidence of a predicted box.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ConfidenceScatter {
    /// The title.
    pub title: String,
    /// (confidence, IoU), both 0 to 1.
    pub points: Vec<(f64, f64)>,
}

/// IoU against the size of a lesion.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SizeScatter {
    /// The title.
    pub title: String,
    /// What the size is, with its unit, such as `lesion diameter (mm)`.
    pub size_label: String,
    /// Whether the size axis is logarithmic; sizes of 0 and below are then left out.
    pub is_log: bool,
    /// (size, IoU).
    pub points: Vec<(f64, f64)>,
}

/// Draws IoU over confidence with the diagonal of perfect calibration, and the mean IoU of ten equally
/// large groups. At most 2,000 points are drawn; the means are of all.
///
/// # Errors
/// [`ReportError::OutOfRange`] for a finite confidence or IoU outside 0 to 1.
pub fn confidence_scatter(input: &ConfidenceScatter) -> Result<Svg, ReportError> {
    let (points, left_out) = finite(&input.points);
    for (confidence, _) in &points {
        check_range("a confidence", *confidence, 0.0, 1.0)?;
    }
    draw(&input.title, "confidence of the predicted box", Range::UNIT, points, left_out, true)
}

/// Draws IoU over lesion size, and the mean IoU of ten equally large groups. At most 2,000 points are
/// drawn; the means are of all.
///
/// # Errors
/// [`ReportError::OutOfRange`] for a finite IoU outside 0 to 1.
pub fn size_scatter(input: &SizeScatter) -> Result<Svg, ReportError> {
    let (mut points, _) = finite(&input.points);
    if input.is_log {
        points.retain(|(size, _)| *size > 0.0);
    }
    let left_out = input.points.len() - points.len();
    let sizes = points.iter().map(|point| point.0);
    let axis = if input.is_log { Range::covering_log(sizes) } else { Range::covering(sizes.chain([0.0])) };
    draw(&input.title, &input.size_label, axis.unwrap_or(Range::UNIT), points, left_out, false)
}

/// Mean x and y of up to ten equally large groups by x.
fn trend(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    if sorted.len() < 2 * MIN_PER_BIN {
        return Vec::new();
    }
    let n_bins = (sorted.len() / MIN_PER_BIN).min(10);
    (0..n_bins)
        .map(|bin| {
            let group = &sorted[bin * sorted.len() / n_bins..(bin + 1) * sorted.len() / n_bins];
            let n = group.len() as f64;
            let mean = |of: fn(&(f64, f64)) -> f64| group.iter().map(of).sum::<f64>() / n;
            (mean(|point| point.0), mean(|point| point.1))
        })
        .collect()
}

fn draw(
    title: &str,
    x_label: &str,
    x: Range,
    points: Vec<(f64, f64)>,
    left_out: usize,
    has_diagonal: bool,
) -> Result<Svg, ReportError> {
    for (_, iou) in &points {
        check_range("an IoU", *iou, 0.0, 1.0)?;
    }
    let drawn = thin_cloud(&points, MAX_POINTS);
    let mut parts = vec![format!("n = {} boxes", count(points.len()))];
    if drawn.len() < points.len() {
        parts.push(format!("{} drawn", count(drawn.len())));
    }
    if let Some(rank) = rank_correlation(&points) {
        parts.push(format!("Spearman {}", decimal(rank, 2)));
    }
    let mut legend = vec![
        (Swatch::Dot, "f0 dot".to_owned(), "a box".to_owned()),
        (Swatch::Line, "line s1".to_owned(), "group mean".to_owned()),
    ];
    if has_diagonal {
        legend.push((Swatch::Line, "ref".to_owned(), "perfect calibration".to_owned()));
    }
    let mut canvas = Canvas::new(HALF, title, &subtitle(parts, left_out), &legend);
    let top = canvas.top;
    let spec = PanelSpec {
        x,
        y: Range::UNIT,
        x_label,
        y_label: "IoU",
        left: left_edge(Range::UNIT, 5),
        right: HALF - MARGIN - 8.0,
        top,
        bottom: top + 290.0,
        n_y_ticks: 5,
    };
    let panel = Panel::draw(&mut canvas, spec);
    if has_diagonal {
        canvas.line("ref", panel.at((0.0, 0.0)), panel.at((1.0, 1.0)));
    }
    for (x, y) in panel.path(&drawn) {
        canvas.dot("f0 dot", x, y, 3.0, None);
    }
    let means = panel.path(&trend(&points));
    canvas.polyline("line s1", &means);
    for (x, y) in means {
        canvas.dot("f1", x, y, 4.0, None);
    }
    if points.is_empty() {
        panel.say_empty(&mut canvas, "no finite values to show");
    }
    let height = panel.bottom + FOOT;
    Ok(canvas.finish(height))
}

/// Spearman's rank correlation; ties share their mean rank. None for less than three points or a
/// constant.
fn rank_correlation(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 3 {
        return None;
    }
    let x = ranks(&points.iter().map(|point| point.0).collect::<Vec<_>>());
    let y = ranks(&points.iter().map(|point| point.1).collect::<Vec<_>>());
    let middle = (points.len() + 1) as f64 / 2.0;
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum::<f64>();
    let norm = (sum(&x, &x) * sum(&y, &y)).sqrt();
    (norm > 0.0).then(|| sum(&x, &y) / norm)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        for place in tied {
            ranks[*place] = start as f64 + (tied.len() + 1) as f64 / 2.0;
        }
        start += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_agree_with_scipy() {
        // scipy.stats.spearmanr([1, 2, 2, 4, 5], [0.1, 0.4, 0.3, 0.2, 0.9]) = 0.6668859288553503
        let points = [(1.0, 0.1), (2.0, 0.4), (2.0, 0.3), (4.0, 0.2), (5.0, 0.9)];
        let rank = rank_correlation(&points).unwrap();
        assert!((rank - 0.666_885_928_855_350_3).abs() < 1e-12, "{rank}");
        assert_eq!(rank_correlation(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(rank_correlation(&points[..2]), None);
    }

    #[test]
    fn the_trend_is_the_mean_of_equal_groups() {
        let points: Vec<(f64, f64)> = (0..20).map(|i| (f64::from(i), f64::from(i) / 20.0)).collect();
        let trend = trend(&points);
        assert_eq!(trend.len(), 4);
        assert!((trend[0].0 - 2.0).abs() < 1e-12 && (trend[0].1 - 0.1).abs() < 1e-12, "{trend:?}");
        assert!(super::trend(&points[..9]).is_empty());
    }
}
