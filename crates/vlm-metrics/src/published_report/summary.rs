//! The best checkpoint per metric, read from a log.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// How a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SummaryRule {
    /// As published: the name of a task keeps its trailing ` ===`, and the checkpoint with the most invalid or missing
    /// predictions is the best in these.
    #[default]
    Published,
    /// Names without the marks, and fewer invalid and missing predictions are better.
    Corrected,
}

/// The best checkpoint in one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestCheckpoint {
    /// Its file.
    pub checkpoint: String,
    /// What it reached, as the log shows it.
    pub value: f64,
}

/// The best checkpoints of one task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TaskSummary {
    /// Name of the task.
    pub task: String,
    /// By `dataset/metric`, sorted.
    pub best: BTreeMap<String, BestCheckpoint>,
}

/// Names of lines that are no metric hold one of these.
const SKIPPED: [&str; 7] = ["TP", "TN", "FP", "FN", "Samples", "Bad answers", "Total samples"];
const TASK: &str = "Task: ";

/// Reads a log of [`TaskReport`](super::TaskReport) blocks: per task, in the order of the log, and metric, the
/// checkpoint with the highest value, the first of equals. Values that are negative or no numbers are not read.
///
/// # Source
/// SPEC 5.6, and 6 D31 for the corrected rule.
pub fn summarize(log: &str, rule: SummaryRule) -> Vec<TaskSummary> {
    let mut tasks: Vec<TaskSummary> = Vec::new();
    let mut task_idx = None;
    let (mut checkpoint, mut dataset) = (String::new(), String::new());
    for line in log.lines().map(str::trim) {
        if let Some((_, name)) = line.split_once(TASK) {
            let name = match rule {
                SummaryRule::Published => name.trim(),
                SummaryRule::Corrected => name.trim().trim_end_matches('=').trim_end(),
            };
            let known = tasks.iter().position(|task| task.task == name);
            task_idx = Some(known.unwrap_or_else(|| {
                tasks.push(TaskSummary { task: name.to_owned(), best: BTreeMap::new() });
                tasks.len() - 1
            }));
            dataset.clear();
        } else if let Some(name) = line.strip_prefix("Checkpoint:") {
            name.trim().clone_into(&mut checkpoint);
        } else if let Some(name) = line.strip_prefix("Dataset:") {
            name.trim().clone_into(&mut dataset);
        } else if line.starts_with("--- Weighted") {
            "Weighted".clone_into(&mut dataset);
        } else if let (Some(task_idx), Some((name, value))) = (task_idx, metric_line(line)) {
            let is_count = matches!(name, "Invalid predictions" | "Missing predictions");
            let is_lower_better = is_count && rule == SummaryRule::Corrected;
            let is_better = |best: f64| if is_lower_better { value < best } else { value > best };
            let best = &mut tasks[task_idx].best;
            let key = format!("{dataset}/{name}");
            if best.get(&key).is_none_or(|best| is_better(best.value)) {
                best.insert(key, BestCheckpoint { checkpoint: checkpoint.clone(), value });
            }
        }
    }
    tasks
}

/// `name: number` or `name: number%`.
fn metric_line(line: &str) -> Option<(&str, f64)> {
    let (name, value) = line.split_once(':')?;
    let value = value.trim();
    let value = value.strip_suffix('%').unwrap_or(value);
    if SKIPPED.iter().any(|skipped| name.contains(skipped))
        || !value.starts_with(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_plain.then(|| value.parse().ok()).flatten().map(|value| (name, value))
}

/// The text of `<log>_best.log`: per task its metrics, sorted, as `metric: checkpoint (x.xx)`.
pub fn summary_text(tasks: &[TaskSummary]) -> String {
    let mut text = String::new();
    for task in tasks {
        let _ = writeln!(text, "Task: {}", task.task);
        for (metric, best) in &task.best {
            let _ = writeln!(text, "{metric}: {} ({:.2})", best.checkpoint, best.value);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::EraHScores;
    use crate::published_report::{DatasetBlock, TaskReport};

    fn log() -> String {
        let report = |checkpoint: &str, iou: f64, n_missing: usize| TaskReport {
            timestamp: "2025-09-19 10:00:00".into(),
            task: "ABD".into(),
            checkpoint: checkpoint.into(),
            blocks: vec![DatasetBlock {
                dataset: "liver".into(),
                scores: EraHScores {
                    n: 10,
                    detection_accuracy: 0.25,
                    iou,
                    dsc: f64::NAN,
                    presence: None,
                    n_invalid: 2,
                    n_missing,
                },
            }],
        };
        [report("a_1.pth", 0.5, 1), report("a_2.pth", 0.7, 3), report("a_3.pth", 0.7, 0)]
            .map(|report| report.to_string())
            .concat()
    }

    #[test]
    fn published_with_its_quirks() {
        let text = summary_text(&summarize(&log(), SummaryRule::Published));
        let expected = "\
Task: ABD ===
Weighted/Weighted Average IoU: a_2.pth (70.00)
Weighted/Weighted Detection Accuracy: a_1.pth (25.00)
liver/Average IoU: a_2.pth (70.00)
liver/Detection Accuracy: a_1.pth (25.00)
liver/Invalid predictions: a_1.pth (2.00)
liver/Missing predictions: a_2.pth (3.00)

";
        assert_eq!(text, expected);
    }

    #[test]
    fn corrected() {
        let tasks = summarize(&log(), SummaryRule::Corrected);
        assert_eq!((tasks.len(), tasks[0].task.as_str()), (1, "ABD"));
        assert_eq!(
            tasks[0].best["liver/Missing predictions"],
            BestCheckpoint { checkpoint: "a_3.pth".into(), value: 0.0 }
        );
    }

    #[test]
    fn lines_that_are_metrics() {
        let rows = [
            ("Average IoU: 80.46", Some(("Average IoU", 80.46))),
            ("Detection Accuracy: 50.00%", Some(("Detection Accuracy", 50.0))),
            ("Missing predictions: 3", Some(("Missing predictions", 3.0))),
            ("Samples: 4", None),
            ("Total samples: 4", None),
            ("Bad answers: 4", None),
            ("TP: 1  TN: 1  FP: 1  FN: 1", None),
            ("Average IoU: -1.00", None),
            ("Average IoU: nan", None),
            ("Average IoU: 1e5", None),
            ("Average IoU: 1.2.3", None),
            ("Average IoU:", None),
            ("", None),
        ];
        for (line, expected) in rows {
            assert_eq!(metric_line(line), expected, "{line:?}");
        }
        assert!(summarize("Average IoU: 5\n", SummaryRule::Published).is_empty());
    }
}
