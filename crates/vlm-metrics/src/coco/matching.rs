//! Which detections of one image hit which true boxes.

use std::cmp::Ordering;

use super::records::{CocoAnnotation, CocoDetection};

/// Of one image, kind and range of areas: the detections by falling score, the true boxes that count.
pub(super) struct ImageMatches {
    /// Scores of the detections, falling.
    pub(super) scores: Vec<f64>,
    /// Per threshold, per detection.
    pub(super) outcomes: Vec<Vec<Outcome>>,
    /// True boxes that are not ignored.
    pub(super) n_counted: usize,
}

/// What a detection is at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It hits a true box that counts.
    Hit,
    /// It hits nothing.
    Miss,
    /// It hits an ignored box, or nothing while being outside the range of areas.
    Ignored,
}

/// Matches as `COCOeval.evaluateImg`: surest detection first, each to the free true box of highest overlap, boxes that
/// count before ignored ones. `None` when the image has neither.
pub(super) fn match_image(
    truths: &[&CocoAnnotation],
    detections: &[&CocoDetection],
    thresholds: &[f64],
    area_range: [f64; 2],
    max_detections: usize,
) -> Option<ImageMatches> {
    if truths.is_empty() && detections.is_empty() {
        return None;
    }
    let is_outside = |area: f64| area < area_range[0] || area > area_range[1];
    let mut truths: Vec<(&CocoAnnotation, bool)> =
        truths.iter().map(|truth| (*truth, truth.iscrowd != 0 || is_outside(truth.area))).collect();
    truths.sort_by_key(|(_, is_ignored)| *is_ignored);
    let mut detections = detections.to_vec();
    detections.sort_by(|a, b| falling(a.score, b.score));
    detections.truncate(max_detections);
    let overlaps: Vec<Vec<f64>> = detections
        .iter()
        .map(|detection| truths.iter().map(|(truth, _)| overlap(detection.bbox, truth)).collect())
        .collect();
    let outcomes = thresholds
        .iter()
        .map(|threshold| {
            let mut is_taken = vec![false; truths.len()];
            let mut outcomes = Vec::with_capacity(detections.len());
            for (detection, overlaps) in detections.iter().zip(&overlaps) {
                let outcome = match best_match(&truths, &is_taken, overlaps, *threshold) {
                    Some(truth_idx) => {
                        is_taken[truth_idx] = true;
                        if truths[truth_idx].1 { Outcome::Ignored } else { Outcome::Hit }
                    }
                    None if is_outside(detection.bbox[2] * detection.bbox[3]) => Outcome::Ignored,
                    None => Outcome::Miss,
                };
                outcomes.push(outcome);
            }
            outcomes
        })
        .collect();
    Some(ImageMatches {
        scores: detections.iter().map(|detection| detection.score).collect(),
        outcomes,
        n_counted: truths.iter().filter(|(_, is_ignored)| !is_ignored).count(),
    })
}

fn best_match(
    truths: &[(&CocoAnnotation, bool)],
    is_taken: &[bool],
    overlaps: &[f64],
    threshold: f64,
) -> Option<usize> {
    let mut best = threshold.min(1.0 - 1e-10);
    let mut found: Option<usize> = None;
    for (truth_idx, (truth, is_ignored)) in truths.iter().enumerate() {
        if is_taken[truth_idx] && truth.iscrowd == 0 {
            continue;
        }
        if found.is_some_and(|found| !truths[found].1) && *is_ignored {
            break;
        }
        if overlaps[truth_idx] >= best {
            best = overlaps[truth_idx];
            found = Some(truth_idx);
        }
    }
    found
}

/// COCO's overlap: against a crowd, the share of the detection that lies inside.
fn overlap(detection: [f64; 4], truth: &CocoAnnotation) -> f64 {
    let [x, y, width, height] = detection;
    let [truth_x, truth_y, truth_width, truth_height] = truth.bbox;
    let shared_width = (x + width).min(truth_x + truth_width) - x.max(truth_x);
    let shared_height = (y + height).min(truth_y + truth_height) - y.max(truth_y);
    if shared_width <= 0.0 || shared_height <= 0.0 {
        return 0.0;
    }
    let shared = shared_width * shared_height;
    let area = width * height;
    let whole = if truth.iscrowd != 0 { area } else { area + truth_width * truth_height - shared };
    shared / whole
}

/// Finite scores by falling value; zeros of either sign are equal.
pub(super) fn falling(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}
