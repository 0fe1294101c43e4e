//! Figures of box stages.

use cascade_report::{
    ConfidenceScatter, Figure, ForestPlot, ForestRow, HeatMaps, IouHistogram, SizeScatter, ThresholdRow,
    ThresholdSweep, confidence_scatter, forest_plot, heat_maps, iou_histogram, size_scatter, threshold_sweep,
};
use vlm_metrics::{DetectionCase, HeatMap};

use super::{NamedFigure, pair};
use crate::evaluate::{BoxEvaluation, Prediction, detection_case};
use crate::{CascadeError, Evaluation, Stage};

/// Cells per edge of the heat maps in files: finer than the eye, and small.
const HEAT_MAP_SIDE: usize = 128;
/// Edge of the slices of the paper's figure.
const HEAT_MAP_EXTENT_PX: f64 = 512.0;

pub(super) fn figures(
    evaluation: &Evaluation,
    boxes: &BoxEvaluation,
    predictions: &[Prediction],
) -> Result<Vec<NamedFigure>, CascadeError> {
    let title = evaluation.stage.title();
    let mut figures =
        vec![("iou_histogram", histogram(title, predictions)?), ("heat_maps", maps(title, predictions)?)];
    figures.push(("threshold_sweep", sweep(title, boxes)?));
    let confident: Vec<(f64, f64)> = predictions
        .iter()
        .filter_map(|prediction| Some((prediction.probability?, prediction.iou?)))
        .collect();
    if !confident.is_empty() {
        let n = confident.len();
        let svg = confidence_scatter(&ConfidenceScatter {
            title: format!("{title}: probability and IoU"),
            points: confident,
        })?;
        let caption = format!("Probability of the answered box against its IoU, n = {n}.");
        figures.push(("confidence", Figure::new(svg, caption, "Scatter of probability and IoU.")));
    }
    if evaluation.stage == Stage::TumorBox {
        figures.push(("size", sizes(title, predictions)?));
    }
    figures.push(("strata", strata(title, boxes)?));
    Ok(figures)
}

fn histogram(title: &str, predictions: &[Prediction]) -> Result<Figure, CascadeError> {
    let values: Vec<f64> = predictions.iter().filter_map(|prediction| prediction.iou).collect();
    let n = values.len();
    let input = IouHistogram { title: format!("{title}: IoU"), values, n_bins: 20, floor: None, goal: None };
    let caption = format!("IoU of n = {n} samples; an answer that cannot be read counts as 0.");
    Ok(Figure::new(iou_histogram(&input)?, caption, "Histogram of IoU with mean and median."))
}

fn maps(title: &str, predictions: &[Prediction]) -> Result<Figure, CascadeError> {
    let cases: Vec<DetectionCase> = predictions.iter().map(detection_case).collect();
    let truth = HeatMap::of_truth(&cases, HEAT_MAP_SIDE)?;
    let answered = HeatMap::of_answers(&cases, HEAT_MAP_SIDE)?;
    let svg = heat_maps(&HeatMaps {
        title: format!("{title}: where boxes lie"),
        n: HEAT_MAP_SIDE,
        extent_px: HEAT_MAP_EXTENT_PX,
        n_truth: truth.n,
        n_prediction: answered.n,
        truth: truth.values,
        prediction: answered.values,
    })?;
    let caption = format!(
        "Share of boxes that cover each place, all images scaled to 512 px: {} true boxes left, {} answered ones \
         right, each by its own maximum (paper, Fig. 3).",
        truth.n, answered.n
    );
    Ok(Figure::new(svg, caption, "Two heat maps side by side with one color scale."))
}

fn sweep(title: &str, boxes: &BoxEvaluation) -> Result<Figure, CascadeError> {
    let svg = threshold_sweep(&sweep_input(title, boxes))?;
    let caption = "Mean IoU over the test slices whose box is larger than a share of the largest one of their \
                   volume; one model, not one per threshold as in the paper. Slices below the threshold that the \
                   data was prepared with are not there.";
    Ok(Figure::new(svg, caption, "IoU against threshold, with the number of slices."))
}

pub(crate) fn sweep_input(title: &str, boxes: &BoxEvaluation) -> ThresholdSweep {
    let rows = boxes.threshold_sweep.iter().map(|row| ThresholdRow {
        threshold_percent: row.threshold_percent.into(),
        n_slices: row.n_test as u64,
        iou_mean: row.iou_mean,
        iou_ci95: pair(row.iou_ci95),
        iou_published: None,
    });
    ThresholdSweep { title: format!("{title}: threshold sweep"), rows: rows.collect() }
}

fn sizes(title: &str, predictions: &[Prediction]) -> Result<Figure, CascadeError> {
    let points: Vec<(f64, f64)> = predictions
        .iter()
        .filter_map(|prediction| {
            let crate::data::Truth::Box(bbox) = prediction.truth else { return None };
            Some((f64::from(bbox.width_px().max(bbox.height_px())), prediction.iou?))
        })
        .collect();
    let n = points.len();
    let svg = size_scatter(&SizeScatter {
        title: format!("{title}: size and IoU"),
        size_label: "longer side of the box (px)".to_owned(),
        is_log: true,
        points,
    })?;
    Ok(Figure::new(svg, format!("Size of the true box against IoU, n = {n}."), "Scatter of size and IoU."))
}

fn strata(title: &str, boxes: &BoxEvaluation) -> Result<Figure, CascadeError> {
    let row = |label: String, n: usize, estimate: f64, ci95: Option<[f64; 2]>, is_overall| ForestRow {
        label,
        n: n as u64,
        estimate,
        ci95: pair(ci95),
        is_overall,
    };
    let all = &boxes.scores;
    let mut rows = vec![row("all".to_owned(), all.n, all.iou_mean, all.iou_ci95, true)];
    if boxes.by_target.len() > 1 {
        rows.extend(
            boxes
                .by_target
                .iter()
                .map(|part| row(part.target.clone(), part.n, part.iou_mean, part.iou_ci95, false)),
        );
    }
    for part in boxes.by_dataset.iter().chain(&boxes.by_size) {
        if let Some(scores) = &part.scores {
            rows.push(row(part.name.clone(), part.n, scores.iou_mean, scores.iou_ci95, false));
        }
    }
    let svg = forest_plot(&ForestPlot {
        title: format!("{title}: parts"),
        metric: "mean IoU".to_owned(),
        method: "patient bootstrap".to_owned(),
        rows,
    })?;
    Ok(Figure::new(
        svg,
        "Mean IoU of parts of the test samples with 95 % intervals over patients.",
        "Forest plot.",
    ))
}
