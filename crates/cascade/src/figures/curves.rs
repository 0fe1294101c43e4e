//! Figures of a training, from its log.

use std::path::Path;

use cascade_report::{
    BestPoint, CurveRole, CurveSeries, Figure, LearningRateCurve, TrainingCurves, learning_rate_curve,
    training_curves,
};
use serde::Deserialize;
use vlm_train::METRICS_FILE;

use super::NamedFigure;
use crate::{CascadeError, Stage};

/// What is read of a line of the log.
#[derive(Deserialize)]
struct Line {
    step: u64,
    loss: Option<f64>,
    lr: Option<f64>,
    validation_score: Option<f64>,
    #[serde(default)]
    is_best: bool,
}

/// Loss, validation score and learning rate over steps.
pub(crate) fn training_figures(stage: Stage, training: &Path) -> Result<Vec<NamedFigure>, CascadeError> {
    let path = training.join(METRICS_FILE);
    let text = fs_err::read_to_string(&path).map_err(CascadeError::io(&path))?;
    let lines: Vec<Line> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(CascadeError::json(&path))?;
    let points = |value: fn(&Line) -> Option<f64>| -> Vec<(u64, f64)> {
        lines.iter().filter_map(|line| Some((line.step, value(line)?))).collect()
    };
    let title = stage.title();
    let series = |name: &str, role, points| CurveSeries { name: name.to_owned(), role, points };
    let loss = training_curves(&TrainingCurves {
        title: format!("{title}: loss"),
        y_label: "cross-entropy (nats per token)".to_owned(),
        series: vec![series("training", CurveRole::Training, points(|line| line.loss))],
        best: None,
        smoothing: 0.9,
    })?;
    let mut figures = vec![("loss", Figure::new(loss, "Loss of every training step.", "Loss over steps."))];
    let scores = points(|line| line.validation_score);
    if !scores.is_empty() {
        let best = lines.iter().rev().find(|line| line.is_best);
        let best = best.and_then(|line| Some(BestPoint { step: line.step, value: line.validation_score? }));
        let svg = training_curves(&TrainingCurves {
            title: format!("{title}: validation"),
            y_label: stage.score_name().to_owned(),
            series: vec![series("validation", CurveRole::Validation, scores)],
            best,
            smoothing: 0.0,
        })?;
        let caption = "Score on the validation patients; the marked checkpoint was chosen.";
        figures.push(("validation", Figure::new(svg, caption, "Validation score over steps.")));
    }
    let svg = learning_rate_curve(&LearningRateCurve {
        title: format!("{title}: learning rate"),
        points: points(|line| line.lr),
        warmup_steps: None,
    })?;
    figures.push(("learning_rate", Figure::new(svg, "Learning rate of every step.", "Learning rate.")));
    Ok(figures)
}
