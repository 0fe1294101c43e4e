//! Figures of an evaluation and of a training, as files and for the report.

mod boxes;
mod curves;
mod shared;
mod yes_no;

use std::path::Path;

use cascade_report::Figure;

use crate::data::StageSample;
use crate::evaluate::Prediction;
use crate::images::ImageTable;
use crate::{CascadeError, Evaluation};

pub(crate) use boxes::sweep_input;
pub(crate) use curves::training_figures;

/// A figure with the name of its file.
pub(crate) type NamedFigure = (&'static str, Figure);

/// All figures of an evaluation.
pub(crate) fn evaluation_figures(
    evaluation: &Evaluation,
    predictions: &[Prediction],
    samples: &[StageSample],
    table: &ImageTable,
    n_examples: usize,
) -> Result<Vec<NamedFigure>, CascadeError> {
    let mut figures = vec![("controls", shared::score_bars(evaluation)?)];
    if let Some(boxes) = evaluation.boxes() {
        figures.extend(boxes::figures(evaluation, boxes, predictions)?);
    }
    if let Some(answers) = evaluation.yes_no() {
        figures.extend(yes_no::figures(evaluation, answers, predictions)?);
    }
    if n_examples > 0 {
        figures.push(("examples", shared::examples(evaluation, predictions, samples, table, n_examples)?));
    }
    Ok(figures)
}

/// Writes an evaluation's figures to `out/figures`.
pub(crate) fn write_figures(
    out: &Path,
    evaluation: &Evaluation,
    predictions: &[Prediction],
    samples: &[StageSample],
    table: &ImageTable,
    n_examples: usize,
) -> Result<(), CascadeError> {
    let folder = out.join("figures");
    fs_err::create_dir_all(&folder).map_err(CascadeError::io(&folder))?;
    for (name, figure) in evaluation_figures(evaluation, predictions, samples, table, n_examples)? {
        figure.svg.write(&folder.join(format!("{name}.svg")))?;
    }
    Ok(())
}

/// An interval as the report's figures take it.
pub(crate) fn pair(interval: Option<[f64; 2]>) -> Option<(f64, f64)> {
    interval.map(|[low, high]| (low, high))
}
