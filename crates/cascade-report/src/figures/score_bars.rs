//! A score beside what it has to be compared with.

use serde::{Deserialize, Serialize};

use super::WIDE;
use crate::canvas::{Anchor, Canvas, LegendEntry, MARGIN, Swatch};
use crate::error::check_count;
use crate::scale::Range;
use crate::text::{count, decimal, fit, width_px};
use crate::{ReportError, Svg};

const MAX_BARS: usize = 40;
const ROW: f64 = 30.0;
/// Bold text of 12 px is as wide as plain text of this size.
const BOLD_PX: f64 = 13.2;

/// What a bar stands for; it decides its color.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    /// The model as it is used.
    #[default]
    Model,
    /// The model on blanked or shuffled images: what it scores without seeing.
    ImageControl,
    /// A simple scorer that knows only what gives the answer away.
    ShortcutProbe,
    /// What the answer's format allows at best.
    FormatCeiling,
    /// The published number.
    Published,
}

impl ScoreKind {
    fn style(self) -> (&'static str, &'static str) {
        match self {
            Self::Model => ("f0", "model"),
            Self::ImageControl => ("f5 soft", "image control"),
            Self::ShortcutProbe => ("f1 soft", "shortcut probe"),
            Self::FormatCeiling => ("f2 s2 outline", "format ceiling"),
            Self::Published => ("f3 soft", "published"),
        }
    }
}

/// One bar.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScoreBar {
    /// What stands at its left.
    pub label: String,
    /// What it stands for.
    pub kind: ScoreKind,
    /// Its value; not finite where it was not measured.
    pub value: f64,
    /// The 95 % interval.
    pub ci95: Option<(f64, f64)>,
    /// Samples.
    pub n: Option<u64>,
}

/// Scores beside their controls.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScoreBars {
    /// The title.
    pub title: String,
    /// What the values are.
    pub metric: String,
    /// The bars from top to bottom, at most 40.
    pub bars: Vec<ScoreBar>,
    /// The least acceptable score of the model.
    pub floor: Option<f64>,
    /// The aim for the model's score.
    pub goal: Option<f64>,
}

/// Draws a row per score with its interval as whisker, its value in words, and floor and goal as
/// lines. The axis starts at 0, or below where a value is negative, and ends at 1 or above.
///
/// # Errors
/// [`ReportError::TooMany`] for more than 40 bars.
pub fn score_bars(input: &ScoreBars) -> Result<Svg, ReportError> {
    check_count("bars", input.bars.len(), MAX_BARS)?;
    let mut legend: Vec<LegendEntry> = Vec::new();
    for bar in &input.bars {
        let (class, name) = bar.kind.style();
        if !legend.iter().any(|entry| entry.2 == name) {
            legend.push((Swatch::Bar, class.to_owned(), name.to_owned()));
        }
    }
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    let limits = [("limit floor", "floor", finite(input.floor)), ("limit goal", "goal", finite(input.goal))];
    for (class, name, value) in limits {
        if let Some(value) = value {
            legend.push((Swatch::Line, class.to_owned(), format!("{name} {}", decimal(value, 3))));
        }
    }
    let subtitle = "whiskers: 95 % interval";
    let subtitle = if input.bars.iter().any(|bar| bar.ci95.is_some()) { subtitle } else { "" };
    let mut canvas = Canvas::new(WIDE, &input.title, subtitle, &legend);
    let bounds = input.bars.iter().flat_map(|bar| bar.ci95).flat_map(|(low, high)| [low, high]);
    let values =
        input.bars.iter().map(|bar| bar.value).chain(bounds).chain(limits.iter().filter_map(|l| l.2));
    let axis = Range::covering(values.chain([0.0, 1.0])).unwrap_or(Range::UNIT);
    let widest = |texts: Vec<String>| texts.iter().map(|text| width_px(text, BOLD_PX)).fold(0.0, f64::max);
    let label_px = widest(input.bars.iter().map(|bar| bar.label.clone()).collect()).clamp(60.0, 210.0);
    let value_px = widest(input.bars.iter().map(value_text).collect()).max(40.0);
    let (left, right) = (MARGIN + label_px + 12.0, WIDE - MARGIN - value_px - 12.0);
    let top = canvas.top + 4.0;
    let bottom = top + ROW * input.bars.len().max(2) as f64;
    let scale = axis.place(left, right);
    for (value, label) in axis.ticks(5) {
        let at = scale.px(value);
        canvas.line("grid", (at, top), (at, bottom));
        canvas.text("tick", at, bottom + 17.0, Anchor::Middle, &label);
    }
    for (place, bar) in input.bars.iter().enumerate() {
        let middle = top + ROW * (place as f64 + 0.5);
        let is_model = bar.kind == ScoreKind::Model;
        let weight = if is_model { "strong" } else { "" };
        canvas.text(weight, left - 10.0, middle + 4.0, Anchor::End, &fit(&bar.label, 12.0, label_px));
        canvas.text(weight, right + 12.0, middle + 4.0, Anchor::Start, &value_text(bar));
        if !bar.value.is_finite() {
            canvas.text("muted", scale.px(0.0) + 6.0, middle + 4.0, Anchor::Start, "not measured");
            continue;
        }
        let (zero, end) = (scale.px(0.0), scale.px(bar.value));
        let tip = format!("{}: {}", bar.label, value_text(bar));
        canvas.rect(bar.kind.style().0, zero.min(end), middle - 9.0, (end - zero).abs(), 18.0, Some(&tip));
        if let Some((low, high)) = bar.ci95.filter(|(low, high)| low.is_finite() && high.is_finite()) {
            let (low, high) = (scale.px(low), scale.px(high));
            canvas.line("whisker", (low, middle), (high, middle));
            for end in [low, high] {
                canvas.line("whisker", (end, middle - 4.0), (end, middle + 4.0));
            }
        }
    }
    canvas.line("axis", (scale.px(0.0), top), (scale.px(0.0), bottom));
    for (class, _, value) in limits {
        if let Some(value) = value {
            canvas.line(class, (scale.px(value), top - 4.0), (scale.px(value), bottom));
        }
    }
    if input.bars.is_empty() {
        canvas.rect("empty", left, top, right - left, bottom - top, None);
        let (x, y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        canvas.text("muted", x, y + 4.0, Anchor::Middle, "no scores to show");
    }
    let label = fit(&input.metric, 12.0, right - left);
    canvas.text("", f64::midpoint(left, right), bottom + 36.0, Anchor::Middle, &label);
    Ok(canvas.finish(bottom + 46.0))
}

fn value_text(bar: &ScoreBar) -> String {
    let mut text = decimal(bar.value, 3);
    if let Some((low, high)) = bar.ci95 {
        text.push_str(&format!(" [{}, {}]", decimal(low, 3), decimal(high, 3)));
    }
    if let Some(n) = bar.n {
        text.push_str(&format!("  n = {}", count(n)));
    }
    text
}
