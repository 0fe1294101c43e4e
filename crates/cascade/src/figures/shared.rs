//! Figures that boxes and yes/no share.

use cascade_report::{
    Example, ExampleGrid, Figure, ScoreBar, ScoreBars, ScoreKind, example_grid, score_bars as draw,
};
use vlm_metrics::covered_area;

use super::pair;
use crate::data::{StageSample, Truth};
use crate::evaluate::{Prediction, evenly_drawn};
use crate::images::ImageTable;
use crate::{CascadeError, Evaluation, Stage};

/// The score beside everything that it must be read against.
pub(super) fn score_bars(evaluation: &Evaluation) -> Result<Figure, CascadeError> {
    let bar = |label: &str, kind, value: f64, ci95: Option<[f64; 2]>, n: Option<usize>| ScoreBar {
        label: label.to_owned(),
        kind,
        value,
        ci95: pair(ci95),
        n: n.map(|n| n as u64),
    };
    let n = Some(evaluation.n());
    // Of the organs the mean over targets is scored; its interval is not the one over samples.
    let ci95 = evaluation.ci95().filter(|_| evaluation.stage != Stage::Organs);
    let mut bars = vec![bar("model", ScoreKind::Model, evaluation.score(), ci95, n)];
    if let Some(controls) = &evaluation.controls {
        for (label, control) in
            [("blanked images", &controls.blanked), ("shuffled images", &controls.shuffled)]
        {
            bars.push(bar(label, ScoreKind::ImageControl, control.score(), control.ci95, Some(control.n)));
        }
    }
    let (probe, metric) = if evaluation.stage.is_box() {
        ("mean training box", "mean IoU")
    } else {
        ("size and gray levels", "accuracy")
    };
    bars.push(bar(probe, ScoreKind::ShortcutProbe, evaluation.probe().unwrap_or(f64::NAN), None, n));
    if let Some(boxes) = evaluation.boxes() {
        let ceiling = boxes.format_ceiling;
        bars.push(bar("format ceiling", ScoreKind::FormatCeiling, ceiling.iou_mean, None, Some(ceiling.n)));
    }
    if let Some(published) = evaluation.paper.first() {
        bars.push(bar("paper", ScoreKind::Published, published.at_least, None, None));
    }
    let title = format!("{}: score beside its controls", evaluation.stage.title());
    let svg = draw(&ScoreBars { title, metric: metric.to_owned(), bars, floor: None, goal: None })?;
    let caption = format!(
        "{metric} on n = {} samples of {} patients, beside the same model without sight, the shortcut probe and the \
         published number. Whiskers: 95 % intervals over patients.",
        evaluation.n(),
        evaluation.n_patients
    );
    let alt = format!("Bars; the model has {:.3}.", evaluation.score());
    Ok(Figure::new(svg, caption, alt))
}

/// Some samples, drawn by hash, so that nobody chose them.
pub(super) fn examples(
    evaluation: &Evaluation,
    predictions: &[Prediction],
    samples: &[StageSample],
    table: &ImageTable,
    n_examples: usize,
) -> Result<Figure, CascadeError> {
    let mut examples = Vec::new();
    for place in evenly_drawn(predictions.len(), n_examples.min(24), 0) {
        let (prediction, sample) = (&predictions[place], &samples[place]);
        let label = match (prediction.truth, prediction.answer) {
            (Truth::Box(_), _) => prediction.target.clone(),
            (Truth::YesNo(truth), answer) => {
                let word = |yes: bool| if yes { "yes" } else { "no" };
                format!("truth {}, answer {}", word(truth), answer.map_or("unread", word))
            }
        };
        examples.push(Example {
            label,
            png_bytes: table.png_bytes(sample.image)?.to_vec(),
            truth: sample.truth_box().map(|truth| covered_area(truth).to_array()),
            prediction: prediction.box_px,
            iou: prediction.iou,
        });
    }
    let n = examples.len();
    let title = format!("{}: examples", evaluation.stage.title());
    let svg = example_grid(&ExampleGrid { title, n_columns: 4, examples })?;
    let caption = format!(
        "n = {n} of {} samples, drawn by hash. Green: truth; red: answer; IoU below.",
        predictions.len()
    );
    Ok(Figure::new(svg, caption, "A grid of slices with true and answered boxes."))
}
