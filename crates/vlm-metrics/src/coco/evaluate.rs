//! COCO's average precision and recall.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::matching::{ImageMatches, Outcome, falling, match_image};
use super::records::{CocoAnnotation, CocoDetection, CocoGroundTruth};
use crate::error::MetricsError;
use crate::summary_statistics::{count, mean};

const N_THRESHOLDS: usize = 10;
const N_RECALLS: usize = 101;
const MAX_DETECTIONS: [usize; 3] = [1, 10, 100];
const WHOLE: f64 = 1e10;
const AREA_RANGES: [[f64; 2]; 4] = [[0.0, WHOLE], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, WHOLE]];
const ALL: usize = 0;
const MOST: usize = 2;

/// The twelve numbers of `COCOeval.summarize` for boxes. Where pycocotools prints -1, because no true box is of that
/// size, there is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CocoScores {
    /// Average precision over IoU 0.50 to 0.95 in steps of 0.05.
    pub ap: Option<f64>,
    /// Average precision at IoU 0.5.
    pub ap_50: Option<f64>,
    /// Average precision at IoU 0.75.
    pub ap_75: Option<f64>,
    /// Of boxes under 32 by 32 px.
    pub ap_small: Option<f64>,
    /// Of boxes in between.
    pub ap_medium: Option<f64>,
    /// Of boxes over 96 by 96 px.
    pub ap_large: Option<f64>,
    /// Average recall with one detection an image.
    pub ar_1: Option<f64>,
    /// With ten.
    pub ar_10: Option<f64>,
    /// With a hundred.
    pub ar_100: Option<f64>,
    /// Of boxes under 32 by 32 px.
    pub ar_small: Option<f64>,
    /// Of boxes in between.
    pub ar_medium: Option<f64>,
    /// Of boxes over 96 by 96 px.
    pub ar_large: Option<f64>,
}

impl CocoScores {
    /// In the order in which pycocotools prints them, `None` as its -1.
    pub fn to_stats(self) -> [f64; 12] {
        [
            self.ap,
            self.ap_50,
            self.ap_75,
            self.ap_small,
            self.ap_medium,
            self.ap_large,
            self.ar_1,
            self.ar_10,
            self.ar_100,
            self.ar_small,
            self.ar_medium,
            self.ar_large,
        ]
        .map(|score| score.unwrap_or(-1.0))
    }
}

/// Of one kind, range of areas and number of detections: per threshold, precision at 101 recalls and the last recall.
struct Curve {
    precision: Vec<Vec<f64>>,
    recall: Vec<f64>,
}

/// Boxes of one kind in one image.
#[derive(Default)]
struct Boxes<'a> {
    truths: Vec<&'a CocoAnnotation>,
    detections: Vec<&'a CocoDetection>,
}

/// Scores detections as pycocotools' `COCOeval` with `bbox` and its default parameters.
///
/// # Errors
/// [`UnknownImage`](MetricsError::UnknownImage) for a detection of an image that the ground truth does not list,
/// [`NotFinite`](MetricsError::NotFinite) for a score that cannot be ranked. Detections of unknown kinds do not count,
/// as in pycocotools.
///
/// # Source
/// pycocotools 2.0.11, `cocoeval.py`: `evaluateImg`, `accumulate`, `summarize`.
pub fn evaluate(
    ground_truth: &CocoGroundTruth,
    detections: &[CocoDetection],
) -> Result<CocoScores, MetricsError> {
    let image_ids: BTreeSet<u64> = ground_truth.images.iter().map(|image| image.id).collect();
    let mut pairs: BTreeMap<(u64, u64), Boxes<'_>> = BTreeMap::new();
    for truth in &ground_truth.annotations {
        pairs.entry((truth.category_id, truth.image_id)).or_default().truths.push(truth);
    }
    for (detection_idx, detection) in detections.iter().enumerate() {
        let CocoDetection { image_id, score, .. } = *detection;
        if !image_ids.contains(&image_id) {
            return Err(MetricsError::UnknownImage { detection_idx, image_id });
        }
        if !score.is_finite() {
            let case = format!("detection {detection_idx}");
            return Err(MetricsError::NotFinite { case, what: "score", value: score });
        }
        pairs.entry((detection.category_id, image_id)).or_default().detections.push(detection);
    }
    let thresholds = iou_thresholds();
    let category_ids: BTreeSet<u64> = ground_truth.categories.iter().map(|category| category.id).collect();
    // curves[area range][number of detections] = one curve per kind that has true boxes of this size
    let mut curves: [[Vec<Curve>; 3]; 4] = Default::default();
    for category_id in category_ids {
        for (area_range, curves) in AREA_RANGES.into_iter().zip(&mut curves) {
            let matches: Vec<ImageMatches> = pairs
                .range((category_id, 0)..=(category_id, u64::MAX))
                .filter(|((_, image_id), _)| image_ids.contains(image_id))
                .filter_map(|(_, boxes)| {
                    match_image(
                        &boxes.truths,
                        &boxes.detections,
                        &thresholds,
                        area_range,
                        MAX_DETECTIONS[MOST],
                    )
                })
                .collect();
            for (max_detections, curves) in MAX_DETECTIONS.into_iter().zip(curves) {
                curves.extend(accumulate(&matches, max_detections));
            }
        }
    }
    let precision = |area: usize, threshold_idx: Option<usize>| {
        let values: Vec<f64> = curves[area][MOST]
            .iter()
            .flat_map(|curve| match threshold_idx {
                Some(idx) => &curve.precision[idx..=idx],
                None => &curve.precision[..],
            })
            .flatten()
            .copied()
            .collect();
        mean(&values)
    };
    let recall = |area: usize, n: usize| {
        mean(&curves[area][n].iter().flat_map(|curve| curve.recall.iter().copied()).collect::<Vec<_>>())
    };
    Ok(CocoScores {
        ap: precision(ALL, None),
        ap_50: precision(ALL, Some(0)),
        ap_75: precision(ALL, Some(5)),
        ap_small: precision(1, None),
        ap_medium: precision(2, None),
        ap_large: precision(3, None),
        ar_1: recall(ALL, 0),
        ar_10: recall(ALL, 1),
        ar_100: recall(ALL, MOST),
        ar_small: recall(1, MOST),
        ar_medium: recall(2, MOST),
        ar_large: recall(3, MOST),
    })
}

/// `numpy.linspace(0.5, 0.95, 10)`, to the last bit.
fn iou_thresholds() -> [f64; N_THRESHOLDS] {
    let step = (0.95 - 0.5) / count(N_THRESHOLDS - 1);
    std::array::from_fn(|idx| if idx == N_THRESHOLDS - 1 { 0.95 } else { 0.5 + count(idx) * step })
}

/// `numpy.linspace(0, 1, 101)`, to the last bit.
fn recall_points() -> [f64; N_RECALLS] {
    std::array::from_fn(|idx| if idx == N_RECALLS - 1 { 1.0 } else { count(idx) * 0.01 })
}

/// As `COCOeval.accumulate` for one kind, range of areas and number of detections; `None` without true boxes.
fn accumulate(matches: &[ImageMatches], max_detections: usize) -> Option<Curve> {
    let n_counted: usize = matches.iter().map(|image| image.n_counted).sum();
    if n_counted == 0 {
        return None;
    }
    // (score, image, place in the image); a stable sort keeps ties in the order of images.
    let mut order: Vec<(f64, usize, usize)> = Vec::new();
    for (image_idx, image) in matches.iter().enumerate() {
        let scores = image.scores.iter().take(max_detections).enumerate();
        order.extend(scores.map(|(place, score)| (*score, image_idx, place)));
    }
    order.sort_by(|a, b| falling(a.0, b.0));
    let mut curve = Curve { precision: Vec::new(), recall: Vec::new() };
    for threshold_idx in 0..N_THRESHOLDS {
        let outcomes =
            order.iter().map(|(_, image_idx, place)| matches[*image_idx].outcomes[threshold_idx][*place]);
        let (precision, recall) = precision_at_recalls(outcomes, n_counted);
        curve.precision.push(precision);
        curve.recall.push(recall);
    }
    Some(curve)
}

fn precision_at_recalls(outcomes: impl Iterator<Item = Outcome>, n_counted: usize) -> (Vec<f64>, f64) {
    let (mut n_hits, mut n_misses) = (0, 0);
    let (mut recalls, mut precisions) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Hit => n_hits += 1,
            Outcome::Miss => n_misses += 1,
            Outcome::Ignored => {}
        }
        recalls.push(count(n_hits) / count(n_counted));
        precisions.push(count(n_hits) / (count(n_misses) + count(n_hits) + f64::EPSILON));
    }
    for idx in (1..precisions.len()).rev() {
        precisions[idx - 1] = precisions[idx - 1].max(precisions[idx]);
    }
    let at_recalls = recall_points()
        .into_iter()
        .map(|point| {
            let idx = recalls.partition_point(|recall| *recall < point);
            precisions.get(idx).copied().unwrap_or(0.0)
        })
        .collect();
    (at_recalls, recalls.last().copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_numpys() {
        let thresholds = iou_thresholds();
        assert_eq!((thresholds[0], thresholds[5], thresholds[9]), (0.5, 0.75, 0.95));
        assert_eq!(recall_points()[7], 7.0 * 0.01);
    }

    #[test]
    fn foreign_files_are_checked() {
        let ground_truth = CocoGroundTruth::default();
        let detection = CocoDetection { image_id: 3, category_id: 1, bbox: [0.0; 4], score: 1.0 };
        let error = evaluate(&ground_truth, &[detection]).unwrap_err();
        assert_eq!(error.to_string(), "detection `0` is of image `3`, which the ground truth does not list");
        assert_eq!(evaluate(&ground_truth, &[]), Ok(CocoScores::default()));
    }
}
