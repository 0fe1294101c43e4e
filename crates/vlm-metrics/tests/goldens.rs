//! Scores against public libraries: exact fractions, scikit-learn, pycocotools.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking too, and say what they skip"
)]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::{assert_near, fixture, rows, shared_golden};
use vlm_metrics::coco::{CocoDetection, CocoGroundTruth, evaluate, from_cases};
use vlm_metrics::{
    BinaryCase, Bootstrap, ConfusionCounts, DetectionCase, auroc, average_precision, binary_scores,
    brier_score, calibration, detection_scores, dsc, dsc_inclusive, iou, iou_inclusive,
};
use vlm_prompt::PixelBox;

/// Sums of a few hundred f64: the order of additions may differ.
const TOLERANCE: f64 = 1e-12;
/// What the two implementations of COCO's evaluation may differ by.
const COCO_TOLERANCE: f64 = 1e-9;

type Overlap = fn(PixelBox, PixelBox) -> f64;

fn check_boxes(pairs: &[Value]) {
    let scores: [(&str, Overlap); 4] =
        [("iou", iou), ("dsc", dsc), ("iou_inclusive", iou_inclusive), ("dsc_inclusive", dsc_inclusive)];
    for pair in pairs {
        let [a, b] = ["a", "b"].map(|name| serde_json::from_value::<PixelBox>(pair[name].clone()).unwrap());
        for (name, score) in scores {
            // Inverted boxes have no inclusive value in the fixtures; ours are 0.
            assert_near(
                score(a, b),
                pair[name].as_f64().unwrap_or(0.0),
                TOLERANCE,
                &format!("{name} of {pair}"),
            );
        }
    }
}

#[test]
fn boxes_are_exact_fractions() {
    let pairs = fixture("boxes.json");
    assert_eq!(rows(&pairs).len(), 40);
    check_boxes(rows(&pairs));
}

#[test]
fn boxes_of_the_shared_goldens() {
    let Some(golden) = shared_golden("boxes.json") else { return };
    assert_eq!(rows(&golden["pairs"]).len(), 200);
    check_boxes(rows(&golden["pairs"]));
}

fn truths(set: &Value, name: &str) -> Vec<bool> {
    rows(&set[name]).iter().map(|value| value.as_u64().unwrap() == 1).collect()
}

fn check_counts(set: &Value) {
    let counts = ConfusionCounts::of(truths(set, "truth").into_iter().zip(truths(set, "predicted")));
    for (name, count) in [("tp", counts.tp), ("tn", counts.tn), ("fp", counts.fp), ("fn", counts.fn_)] {
        assert_eq!(set[name].as_u64().unwrap(), count as u64, "{name} of {set}");
    }
    for (name, score) in [
        ("accuracy", counts.accuracy()),
        ("precision", counts.precision()),
        ("recall", counts.recall()),
        ("f1", counts.f1()),
    ] {
        assert_near(score, set[name].as_f64().unwrap(), TOLERANCE, &format!("{name} of {set}"));
    }
}

#[test]
fn answers_are_scored_as_by_scikit_learn() {
    let sets = fixture("classification.json");
    assert_eq!(rows(&sets).len(), 5);
    for set in rows(&sets) {
        check_counts(set);
        let probabilities = rows(&set["probability"]).iter().map(|value| value.as_f64().unwrap());
        let scored: Vec<(bool, f64)> = truths(set, "truth").into_iter().zip(probabilities).collect();
        let reliability = calibration(&scored, 10).unwrap();
        for (name, score) in [
            ("auroc", auroc(&scored).unwrap()),
            ("auprc", average_precision(&scored).unwrap()),
            ("brier", brier_score(&scored).unwrap()),
            ("ece", reliability.ece),
        ] {
            assert_near(score, set[name].as_f64().unwrap(), TOLERANCE, name);
        }
        let counts: Vec<usize> = reliability.bins.iter().map(|bin| bin.n).collect();
        assert_eq!(json!(counts), set["bin_counts"]);
        let filled = reliability.bins.iter().filter(|bin| bin.n > 0);
        for ((bin, mean), share) in filled.zip(rows(&set["bin_means"])).zip(rows(&set["bin_shares"])) {
            assert_near(bin.mean_probability.unwrap(), mean.as_f64().unwrap(), TOLERANCE, "mean of a bin");
            assert_near(bin.share_positive.unwrap(), share.as_f64().unwrap(), TOLERANCE, "share of a bin");
        }
        let cases: Vec<BinaryCase> = scored
            .iter()
            .zip(truths(set, "predicted"))
            .map(|((truth, probability), answer)| BinaryCase {
                truth: *truth,
                answer: Some(answer),
                probability: Some(*probability),
                ..BinaryCase::default()
            })
            .collect();
        let scores = serde_json::to_value(binary_scores(&cases, &Bootstrap::none()).unwrap()).unwrap();
        for name in [
            "accuracy",
            "precision",
            "recall",
            "f1",
            "specificity",
            "balanced_accuracy",
            "auroc",
            "auprc",
            "brier",
            "ece",
        ] {
            assert_near(scores[name].as_f64().unwrap(), set[name].as_f64().unwrap(), TOLERANCE, name);
        }
    }
}

#[test]
fn answers_of_the_shared_goldens() {
    let Some(golden) = shared_golden("classification.json") else { return };
    assert_eq!(rows(&golden["sets"]).len(), 10);
    rows(&golden["sets"]).iter().for_each(check_counts);
}

fn check_stats(got: [f64; 12], expected: &Value, tolerance: f64) {
    assert_eq!(rows(expected).len(), 12);
    for (place, (got, expected)) in got.into_iter().zip(rows(expected)).enumerate() {
        assert_near(got, expected.as_f64().unwrap(), tolerance, &format!("number {place} of {expected}"));
    }
}

#[test]
fn files_are_scored_as_by_pycocotools() {
    let sets = fixture("coco.json");
    assert_eq!(rows(&sets).len(), 5);
    for set in rows(&sets) {
        let ground_truth: CocoGroundTruth = serde_json::from_value(set["ground_truth"].clone()).unwrap();
        let results: Vec<CocoDetection> = serde_json::from_value(set["results"].clone()).unwrap();
        check_stats(evaluate(&ground_truth, &results).unwrap().to_stats(), &set["stats"], COCO_TOLERANCE);
    }
}

fn detection_cases(set: &Value) -> Vec<DetectionCase> {
    serde_json::from_value(set["cases"].clone()).unwrap()
}

#[test]
fn cases_are_scored_as_by_pycocotools() {
    let sets = fixture("cases.json");
    for set in rows(&sets) {
        let cases = detection_cases(set);
        let (ground_truth, results) = from_cases(&cases).unwrap();
        check_stats(evaluate(&ground_truth, &results).unwrap().to_stats(), &set["stats"], COCO_TOLERANCE);
        let scores = detection_scores(&cases, &Bootstrap::none()).unwrap();
        for (score, expected) in [scores.ap, scores.ap_50, scores.ap_75].into_iter().zip(rows(&set["stats"]))
        {
            assert_near(score, expected.as_f64().unwrap(), COCO_TOLERANCE, "average precision");
        }
    }
}

/// The files themselves, read by pycocotools. Needs a Python with it, named in `MINIGPT_PANCREAS_PYTHON`.
#[test]
fn our_files_score_the_same_in_pycocotools() {
    let Some(python) = std::env::var_os("MINIGPT_PANCREAS_PYTHON") else {
        eprintln!("skipped: `MINIGPT_PANCREAS_PYTHON` does not name a Python with pycocotools");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/score_coco.py");
    for set in rows(&fixture("cases.json")) {
        let (ground_truth, results) = from_cases(&detection_cases(set)).unwrap();
        let [truth_path, results_path] = ["truth.json", "results.json"].map(|name| folder.path().join(name));
        fs_err::write(&truth_path, serde_json::to_vec(&ground_truth).unwrap()).unwrap();
        fs_err::write(&results_path, serde_json::to_vec(&results).unwrap()).unwrap();
        let output = Command::new(&python).arg(script).args([&truth_path, &results_path]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let stats: Value = serde_json::from_slice(&output.stdout).unwrap();
        check_stats(evaluate(&ground_truth, &results).unwrap().to_stats(), &stats, COCO_TOLERANCE);
    }
}
