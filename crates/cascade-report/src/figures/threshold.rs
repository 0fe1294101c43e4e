//! IoU when only slices with a large enough cross-section count.

use serde::{Deserialize, Serialize};

use super::{FOOT, WIDE, subtitle};
use crate::canvas::{Canvas, LegendEntry, MARGIN, Swatch};
use crate::error::{check_count, check_range};
use crate::html::{Column, Row, Table};
use crate::panel::{Panel, PanelSpec, left_edge};
use crate::scale::Range;
use crate::text::{count, decimal};
use crate::{ReportError, Svg};

const MAX_ROWS: usize = 101;

/// One threshold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ThresholdRow {
    /// Least size of the organ's box in a slice, in percent of the largest one of its volume.
    pub threshold_percent: f64,
    /// Slices above it.
    pub n_slices: u64,
    /// Mean IoU over them; none where there are none.
    pub iou_mean: Option<f64>,
    /// Its 95 % interval.
    pub iou_ci95: Option<(f64, f64)>,
    /// The published mean, to compare.
    pub iou_published: Option<f64>,
}

/// IoU against the slice threshold (the published article's appendix tables).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ThresholdSweep {
    /// The title.
    pub title: String,
    /// The thresholds, in the order of the table, at most 101.
    pub rows: Vec<ThresholdRow>,
}

fn check(input: &ThresholdSweep) -> Result<(), ReportError> {
    check_count("thresholds", input.rows.len(), MAX_ROWS)?;
    for row in &input.rows {
        check_range("a threshold in percent", row.threshold_percent, 0.0, 100.0)?;
        let interval = row.iou_ci95.map(|(low, high)| [low, high]).into_iter().flatten();
        let values = interval.chain(row.iou_mean).chain(row.iou_published);
        for value in values.filter(|value| value.is_finite()) {
            check_range("an IoU", value, 0.0, 1.0)?;
        }
    }
    Ok(())
}

/// Draws IoU over the threshold, and below it on the same axis the number of slices.
///
/// # Errors
/// [`ReportError::TooMany`] for more than 101 thresholds, [`ReportError::OutOfRange`] for a threshold
/// outside 0 to 100 or a finite IoU outside 0 to 1.
pub fn threshold_sweep(input: &ThresholdSweep) -> Result<Svg, ReportError> {
    check(input)?;
    let mut rows = input.rows.clone();
    rows.sort_by(|a, b| a.threshold_percent.total_cmp(&b.threshold_percent));
    let pick = |of: fn(&ThresholdRow) -> Option<f64>| -> Vec<(f64, f64)> {
        let point = |row: &ThresholdRow| of(row).map(|value| (row.threshold_percent, value));
        rows.iter().filter_map(point).filter(|point| point.1.is_finite()).collect()
    };
    let (ours, published) = (pick(|row| row.iou_mean), pick(|row| row.iou_published));
    let left_out = rows.iter().filter(|row| row.iou_mean.is_some_and(|mean| !mean.is_finite())).count();
    let mut legend: Vec<LegendEntry> =
        vec![(Swatch::Line, "line s0".to_owned(), "this run, 95 % interval".to_owned())];
    if !published.is_empty() {
        legend.push((Swatch::Line, "line s3 d3".to_owned(), "published".to_owned()));
    }
    let most = rows.iter().map(|row| row.n_slices).max().unwrap_or(0);
    let least = rows.iter().map(|row| row.n_slices).min().unwrap_or(0);
    let parts =
        vec![format!("n = {} thresholds", rows.len()), format!("{} to {} slices", count(least), count(most))];
    let mut canvas = Canvas::new(WIDE, &input.title, &subtitle(parts, left_out), &legend);
    // Half a step of room at both ends, for the bars.
    let x = Range::exact(-5.0, rows.iter().map(|row| row.threshold_percent).fold(90.0, f64::max) + 5.0);
    let n_axis = Range::covering([0.0, most.max(1) as f64].into_iter()).unwrap_or(Range::UNIT);
    let left = left_edge(n_axis, 2).max(left_edge(Range::UNIT, 5));
    let right = WIDE - MARGIN - 8.0;
    let top = canvas.top;
    let spec = PanelSpec {
        x,
        y: Range::UNIT,
        x_label: "",
        y_label: "mean IoU",
        left,
        right,
        top,
        bottom: top + 200.0,
        n_y_ticks: 5,
    };
    let panel = Panel::draw(&mut canvas, spec);
    for row in &rows {
        if let (Some((low, high)), Some(mean)) = (row.iou_ci95, row.iou_mean)
            && low.is_finite()
            && high.is_finite()
        {
            let at = panel.x.px(row.threshold_percent);
            canvas.line("line s0", (at, panel.y.px(low)), (at, panel.y.px(high)));
            let tip = format!("{} %: {}", row.threshold_percent, interval_text(Some(mean), row.iou_ci95));
            canvas.dot("f0", at, panel.y.px(mean), 4.0, Some(&tip));
        }
    }
    canvas.polyline("line s3 d3", &panel.path(&published));
    canvas.polyline("line s0", &panel.path(&ours));
    for (class, points) in [("f3", &published), ("f0", &ours)] {
        for point in points {
            let (x, y) = panel.at(*point);
            canvas.dot(class, x, y, 3.5, None);
        }
    }
    if ours.is_empty() && published.is_empty() {
        panel.say_empty(&mut canvas, "no finite values to show");
    }
    let below = panel.bottom + 30.0;
    let counts = PanelSpec {
        y: n_axis,
        x_label: "threshold (% of the largest box of the volume)",
        y_label: "slices",
        top: below,
        bottom: below + 70.0,
        n_y_ticks: 2,
        ..spec
    };
    let counts = Panel::draw(&mut canvas, counts);
    let bar = (0.6 * (right - left) / rows.len().max(10) as f64).min(34.0);
    for row in &rows {
        let (at, y) = (counts.x.px(row.threshold_percent), counts.y.px(row.n_slices as f64));
        let tip = format!("{} %: {} slices", row.threshold_percent, count(row.n_slices));
        canvas.rect("f5 soft", at - bar / 2.0, y, bar, counts.bottom - y, Some(&tip));
    }
    Ok(canvas.finish(counts.bottom + FOOT))
}

fn interval_text(mean: Option<f64>, interval: Option<(f64, f64)>) -> String {
    let Some(mean) = mean else { return "\u{2013}".to_owned() };
    match interval {
        Some((low, high)) => format!("{} [{}, {}]", decimal(mean, 3), decimal(low, 3), decimal(high, 3)),
        None => decimal(mean, 3),
    }
}

/// The numbers of [`threshold_sweep`] as a table.
///
/// # Errors
/// Those of [`threshold_sweep`].
pub fn threshold_table(input: &ThresholdSweep) -> Result<Table, ReportError> {
    check(input)?;
    let has_published = input.rows.iter().any(|row| row.iou_published.is_some());
    let mut columns = vec![
        Column::number("threshold (%)"),
        Column::number("slices"),
        Column::number("mean IoU [95 % interval]"),
    ];
    if has_published {
        columns.push(Column::number("published"));
        columns.push(Column::number("difference"));
    }
    let row = |row: &ThresholdRow| {
        let mut cells = vec![
            decimal(row.threshold_percent, usize::from(row.threshold_percent.fract() != 0.0)),
            count(row.n_slices),
            interval_text(row.iou_mean, row.iou_ci95),
        ];
        if has_published {
            let dash = || "\u{2013}".to_owned();
            let difference = row.iou_mean.zip(row.iou_published).map(|(ours, published)| ours - published);
            let signed = |value: f64| {
                let sign = if value > 0.0 { "+" } else { "" };
                format!("{sign}{}", decimal(value, 3))
            };
            cells.push(row.iou_published.map_or_else(dash, |value| decimal(value, 3)));
            cells.push(difference.map_or_else(dash, signed));
        }
        Row::new(cells)
    };
    Ok(Table { caption: input.title.clone(), columns, rows: input.rows.iter().map(row).collect() })
}
