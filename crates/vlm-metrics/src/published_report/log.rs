//! The log block of one task and checkpoint.

use std::fmt::{Display, Formatter, Result, Write};

use serde::{Deserialize, Serialize};

use crate::detection::{EraHScores, weighted_mean};

/// Scores of one dataset or organ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetBlock {
    /// Its name.
    pub dataset: String,
    /// Its scores.
    pub scores: EraHScores,
}

/// One task of one checkpoint. Its text, by `Display`, is what the reference appends to
/// `save_path/logs/<timestamp>.log`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// When, as the text shows it.
    pub timestamp: String,
    /// Name of the task, as in `pancreas_detection_balanced`.
    pub task: String,
    /// The checkpoint's file.
    pub checkpoint: String,
    /// One block per dataset.
    pub blocks: Vec<DatasetBlock>,
}

impl Display for TaskReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let Self { timestamp, task, checkpoint, blocks } = self;
        write!(out, "\n\n=== [{timestamp}] Task: {task} ===\n\n")?;
        writeln!(out, "--- Evaluation for task: {task} ---")?;
        writeln!(out, "Checkpoint: {checkpoint}")?;
        for DatasetBlock { dataset, scores } in blocks {
            writeln!(out, "\nDataset: {dataset}")?;
            writeln!(out, "  Samples: {}", scores.n)?;
            for metric in METRICS {
                metric.line(out, "  ", "", (metric.value)(scores))?;
            }
            if let Some(presence) = &scores.presence {
                let counts = presence.counts;
                writeln!(
                    out,
                    "  TP: {}  TN: {}  FP: {}  FN: {}",
                    counts.tp, counts.tn, counts.fp, counts.fn_
                )?;
            }
            writeln!(out, "  Bad answers: {}", scores.n_bad())?;
            writeln!(out, "  Invalid predictions: {}", scores.n_invalid)?;
            writeln!(out, "  Missing predictions: {}", scores.n_missing)?;
        }
        let n_total: usize = blocks.iter().map(|block| block.scores.n).sum();
        writeln!(out, "\n--- Weighted (combined) metrics ---")?;
        writeln!(out, "  Total samples: {n_total}")?;
        for metric in METRICS {
            let parts: Option<Vec<(usize, f64)>> =
                blocks.iter().map(|block| Some((block.scores.n, (metric.value)(&block.scores)?))).collect();
            let weighted = parts.filter(|parts| !parts.is_empty()).map(weighted_mean);
            metric.line(out, "  ", "Weighted ", weighted)?;
        }
        Ok(())
    }
}

/// A line of the report, left out where there is no value.
struct Metric {
    name: &'static str,
    unit: &'static str,
    value: fn(&EraHScores) -> Option<f64>,
}

impl Metric {
    fn line(&self, out: &mut impl Write, indent: &str, prefix: &str, value: Option<f64>) -> Result {
        match value {
            Some(value) => writeln!(out, "{indent}{prefix}{}: {:.2}{}", self.name, 100.0 * value, self.unit),
            None => Ok(()),
        }
    }
}

const METRICS: [Metric; 7] = [
    Metric { name: "Detection Accuracy", unit: "%", value: |scores| Some(scores.detection_accuracy) },
    Metric { name: "Classification Accuracy", unit: "%", value: |scores| Some(scores.presence?.accuracy) },
    Metric { name: "Precision", unit: "%", value: |scores| Some(scores.presence?.precision) },
    Metric { name: "Recall", unit: "%", value: |scores| Some(scores.presence?.recall) },
    Metric { name: "F1 Score", unit: "%", value: |scores| Some(scores.presence?.f1) },
    Metric { name: "Average IoU", unit: "", value: |scores| Some(scores.iou) },
    Metric { name: "Average DSC", unit: "", value: |scores| Some(scores.dsc) },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confusion::ConfusionCounts;

    pub(super) fn scores(n: usize, iou: f64) -> EraHScores {
        EraHScores {
            n,
            detection_accuracy: 0.5,
            iou,
            dsc: 0.885_31,
            presence: None,
            n_invalid: 1,
            n_missing: 1,
        }
    }

    #[test]
    fn the_toy_report() {
        let block = |dataset: &str, scores| DatasetBlock { dataset: dataset.into(), scores };
        let report = TaskReport {
            timestamp: "2025-09-19 10:00:00".into(),
            task: "pancreas_detection".into(),
            checkpoint: "checkpoint_20.pth".into(),
            blocks: vec![block("MSD", scores(4, 0.804_58)), block("NIH", scores(2, 0.5))],
        };
        let expected = "

=== [2025-09-19 10:00:00] Task: pancreas_detection ===

--- Evaluation for task: pancreas_detection ---
Checkpoint: checkpoint_20.pth

Dataset: MSD
  Samples: 4
  Detection Accuracy: 50.00%
  Average IoU: 80.46
  Average DSC: 88.53
  Bad answers: 2
  Invalid predictions: 1
  Missing predictions: 1

Dataset: NIH
  Samples: 2
  Detection Accuracy: 50.00%
  Average IoU: 50.00
  Average DSC: 88.53
  Bad answers: 2
  Invalid predictions: 1
  Missing predictions: 1

--- Weighted (combined) metrics ---
  Total samples: 6
  Weighted Detection Accuracy: 50.00%
  Weighted Average IoU: 70.31
  Weighted Average DSC: 88.53
";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn a_balanced_list_has_more_lines() {
        let presence = Some(ConfusionCounts { tp: 1, tn: 1, fp: 1, fn_: 1 }.into());
        let report = TaskReport {
            timestamp: "t".into(),
            task: "tumor_detection_balanced".into(),
            checkpoint: "c".into(),
            blocks: vec![DatasetBlock {
                dataset: "MSD".into(),
                scores: EraHScores { presence, ..scores(4, 0.6673) },
            }],
        };
        let text = report.to_string();
        for line in [
            "  Classification Accuracy: 50.00%\n  Precision: 50.00%\n  Recall: 50.00%\n  F1 Score: 50.00%\n",
            "  TP: 1  TN: 1  FP: 1  FN: 1\n",
            "  Weighted F1 Score: 50.00%\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }
}
