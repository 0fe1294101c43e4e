//! An evaluation in words.

use bin_support::note;
use cascade::{Evaluation, StageScores};

/// Prints lines on stderr.
pub(crate) fn tell(lines: &[String]) {
    lines.iter().for_each(|line| note(line));
}

/// The score of an evaluation, what it must be read against, and what it is for; a line each.
pub(crate) fn summary(evaluation: &Evaluation) -> Vec<String> {
    let mut lines = vec![format!(
        "{} on {} samples of {} patients ({}), {} answers not readable",
        evaluation.stage.title().to_lowercase(),
        evaluation.n(),
        evaluation.n_patients,
        evaluation.part,
        evaluation.n_unparsed()
    )];
    let name = evaluation.stage.score_name();
    lines.push(format!("  {name} {}", with_interval(evaluation.score(), evaluation.ci95())));
    match &evaluation.scores {
        StageScores::Box(boxes) => {
            lines.push(format!(
                "  DSC {:.3}, IoU at least 0.5 in {:.1} %, AP {:.3}",
                boxes.scores.dsc_mean,
                100.0 * boxes.scores.accuracy_50,
                boxes.scores.ap
            ));
            if boxes.by_target.len() > 1 {
                lines.extend(boxes.by_target.iter().map(|target| {
                    format!("  {}: {}", target.target, with_interval(target.iou_mean, target.iou_ci95))
                }));
            }
            lines.push(format!("  perfect answers in this format: {:.3}", boxes.format_ceiling.iou_mean));
        }
        StageScores::YesNo(answers) => {
            let scores = &answers.scores;
            lines.push(format!(
                "  precision {:.3}, recall {:.3}, F1 {:.3}, AUROC {}",
                scores.precision,
                scores.recall,
                scores.f1,
                number(scores.auroc)
            ));
        }
    }
    lines.push(format!("  shortcut probe: {}", number(evaluation.probe())));
    if let Some(controls) = &evaluation.controls {
        lines.push(format!(
            "  same model on {} samples: own images {:.3}, blanked {:.3}, other patients' {:.3}",
            controls.n,
            controls.own_images.score(),
            controls.blanked.score(),
            controls.shuffled.score()
        ));
    }
    if let Some(published) = evaluation.paper.first() {
        lines.push(format!("  the paper: {} ({})", published.value, published.what));
    }
    lines.extend(evaluation.remarks.iter().map(|remark| format!("  note: {remark}")));
    lines.push(evaluation.note.clone());
    lines
}

/// A score and its 95 % interval, where there is one.
pub(crate) fn with_interval(score: f64, interval: Option<[f64; 2]>) -> String {
    match interval {
        Some([low, high]) => format!("{score:.3} (95 % interval {low:.3} to {high:.3})"),
        None => format!("{score:.3}"),
    }
}

/// A number that may be missing.
pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}
