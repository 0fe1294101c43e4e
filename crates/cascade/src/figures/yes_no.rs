//! Figures of the yes/no stage.

use cascade_report::{
    Figure, ForestPlot, ForestRow, OperatingCurve, OperatingCurves, ReliabilityBin, ReliabilityCurve,
    forest_plot, precision_recall_curve, reliability_curve, roc_curve,
};

use super::{NamedFigure, pair};
use crate::data::Truth;
use crate::evaluate::{Prediction, YesNoEvaluation};
use crate::{CascadeError, Evaluation};

pub(super) fn figures(
    evaluation: &Evaluation,
    answers: &YesNoEvaluation,
    predictions: &[Prediction],
) -> Result<Vec<NamedFigure>, CascadeError> {
    let title = evaluation.stage.title();
    let mut figures = Vec::new();
    let scored: Vec<(bool, f64)> = predictions
        .iter()
        .filter_map(|prediction| match prediction.truth {
            Truth::YesNo(truth) => Some((truth, prediction.probability?)),
            Truth::Box(_) => None,
        })
        .collect();
    let scores = &answers.scores;
    if !scored.is_empty() {
        let curves = |kind: &str, points, area| OperatingCurves {
            title: format!("{title}: {kind}"),
            curves: vec![OperatingCurve { name: "model".to_owned(), points, area }],
            n_positive: scores.n_positive as u64,
            n_negative: (scores.n - scores.n_positive) as u64,
        };
        let n = scored.len();
        let roc = vlm_metrics::roc_curve(&scored).into_iter().map(|point| (point[0], point[1])).collect();
        let svg = roc_curve(&curves("ROC", roc, scores.auroc))?;
        figures.push(("roc", Figure::new(svg, format!("ROC over n = {n} slices."), "ROC curve.")));
        let precision = vlm_metrics::precision_recall_curve(&scored);
        let points = precision.into_iter().map(|point| (point[0], point[1])).collect();
        let svg = precision_recall_curve(&curves("precision and recall", points, scores.auprc))?;
        let caption = format!("Precision and recall over n = {n} slices.");
        figures.push(("precision_recall", Figure::new(svg, caption, "Precision-recall curve.")));
        let bins = scores.reliability.iter().map(|bin| ReliabilityBin {
            low: bin.low,
            high: bin.high,
            n: bin.n as u64,
            probability_mean: bin.mean_probability.unwrap_or_default(),
            positive_share: bin.share_positive.unwrap_or_default(),
        });
        let svg = reliability_curve(&ReliabilityCurve {
            title: format!("{title}: reliability"),
            bins: bins.collect(),
            ece: scores.ece,
        })?;
        let caption = format!("Stated probability of yes against the share that is yes, n = {n} slices.");
        figures.push(("reliability", Figure::new(svg, caption, "Reliability curve with counts.")));
    }
    figures.push(("strata", strata(title, answers)?));
    Ok(figures)
}

fn strata(title: &str, answers: &YesNoEvaluation) -> Result<Figure, CascadeError> {
    let scores = &answers.scores;
    let row = |label: String, n: usize, estimate: f64, ci95: Option<[f64; 2]>, is_overall| ForestRow {
        label,
        n: n as u64,
        estimate,
        ci95: pair(ci95),
        is_overall,
    };
    let mut rows = vec![row("all".to_owned(), scores.n, scores.accuracy, scores.ci95.accuracy, true)];
    for part in answers.by_dataset.iter().chain(&answers.by_size) {
        if let Some(scores) = &part.scores {
            rows.push(row(part.name.clone(), part.n, scores.accuracy, scores.ci95.accuracy, false));
        }
    }
    let svg = forest_plot(&ForestPlot {
        title: format!("{title}: parts"),
        metric: "accuracy".to_owned(),
        method: "patient bootstrap".to_owned(),
        rows,
    })?;
    Ok(Figure::new(
        svg,
        "Accuracy of parts of the test slices with 95 % intervals over patients.",
        "Forest plot.",
    ))
}
