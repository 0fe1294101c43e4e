//! COCO's files from cases.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use vlm_prompt::PixelBox;

use super::records::{CocoAnnotation, CocoCategory, CocoDetection, CocoGroundTruth, CocoImage, CocoInfo};
use crate::detection::DetectionCase;
use crate::error::MetricsError;
use crate::overlap::covered_area;

/// Ground truth and results of cases, so that pycocotools scores them as [`evaluate`](super::evaluate) does. Images are
/// numbered from 1 in the order of the cases, targets from 1 by name. Answers of "nothing" and unread replies leave no
/// entry in the results; pycocotools refuses a list of results that is empty.
///
/// # Errors
/// [`NotFinite`](MetricsError::NotFinite) for a confidence or an edge that is not a finite number.
pub fn from_cases<C: Borrow<DetectionCase>>(
    cases: &[C],
) -> Result<(CocoGroundTruth, Vec<CocoDetection>), MetricsError> {
    let mut categories: BTreeMap<&str, u64> =
        cases.iter().map(|case| (case.borrow().target.as_str(), 0)).collect();
    for (id, category) in (1..).zip(categories.values_mut()) {
        *category = id;
    }
    let mut ground_truth = CocoGroundTruth {
        info: CocoInfo { description: "research use only, not for diagnosis".to_owned() },
        categories: categories
            .iter()
            .map(|(name, id)| CocoCategory { id: *id, name: (*name).to_owned() })
            .collect(),
        ..CocoGroundTruth::default()
    };
    let mut image_ids: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut detections = Vec::new();
    for case in cases.iter().map(Borrow::borrow) {
        let next_id = image_ids.len() as u64 + 1;
        let image_id = *image_ids.entry((&case.dataset, &case.image)).or_insert(next_id);
        if image_id == next_id {
            let [width, height] = case.image_size;
            ground_truth.images.push(CocoImage {
                id: image_id,
                width,
                height,
                file_name: case.image.clone(),
            });
        }
        let category_id = categories[case.target.as_str()];
        if let Some(truth) = case.truth {
            let bbox = coco_box(case, covered_area(truth))?;
            let id = ground_truth.annotations.len() as u64 + 1;
            let area = bbox[2] * bbox[3];
            ground_truth.annotations.push(CocoAnnotation {
                id,
                image_id,
                category_id,
                bbox,
                area,
                iscrowd: 0,
            });
        }
        if let Some(predicted) = case.answered_box() {
            let score = finite(case, "confidence", case.confidence.unwrap_or(1.0))?;
            detections.push(CocoDetection { image_id, category_id, bbox: coco_box(case, predicted)?, score });
        }
    }
    Ok((ground_truth, detections))
}

/// An inverted box becomes an empty one at its minimum edge.
fn coco_box(case: &DetectionCase, pixels: PixelBox) -> Result<[f64; 4], MetricsError> {
    for edge in pixels.to_array() {
        finite(case, "box edge", edge)?;
    }
    let PixelBox { x_min, y_min, x_max, y_max } = pixels;
    Ok([x_min, y_min, (x_max - x_min).max(0.0), (y_max - y_min).max(0.0)])
}

fn finite(case: &DetectionCase, what: &'static str, value: f64) -> Result<f64, MetricsError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(MetricsError::NotFinite { case: case.image.clone(), what, value })
    }
}
