//! COCO object detection.

use serde_json::{Value, json};

use crate::document::Findings;
use crate::entity::Entity;
use crate::export::slice_file_name;

/// The two files of COCO's tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CocoFiles {
    /// Images, annotations and categories: what `COCO(file)` opens.
    pub dataset: Vec<u8>,
    /// The boxes as a list of detections: what `loadRes(file)` takes.
    pub results: Vec<u8>,
}

/// The boxes of all findings as COCO's object detection has them.
///
/// Every slice of the study is an image, `id` its number plus 1, `file_name` that of its overlay
/// ([`slice_file_name`]); a category's `id` is the entity's label in masks, and the known entities are
/// always categories. `bbox` is `[x, y, width, height]` in px, column `c` covering `c..c+1`. `score` is the
/// box's probability, of an interpolated box the finding's confidence, or 1 where neither is known.
/// Annotations also have `finding` (its number) and `interpolated`.
///
/// # Panics
/// Never: every field can be written as JSON.
#[must_use]
pub fn coco(findings: &Findings) -> CocoFiles {
    let [width, height] = findings.study.slice_size_px;
    let images: Vec<Value> = (0..findings.study.n_slices)
        .map(|slice_idx| {
            json!({
                "id": slice_idx + 1,
                "file_name": slice_file_name(slice_idx),
                "width": width,
                "height": height,
            })
        })
        .collect();
    let labels = Entity::labels(findings.findings.iter().map(|f| &f.entity).chain(&Entity::KNOWN));
    let mut by_label: Vec<(u16, &Entity)> = labels.iter().map(|(entity, label)| (*label, entity)).collect();
    by_label.sort();
    let categories: Vec<Value> = by_label
        .into_iter()
        .map(|(label, entity)| {
            let kind = if entity.is_tumor() { "lesion" } else { "structure" };
            json!({ "id": label, "name": entity.name(), "supercategory": kind })
        })
        .collect();
    let (mut annotations, mut results) = (Vec::new(), Vec::new());
    for finding in &findings.findings {
        let category_id = labels.get(&finding.entity);
        for slice in &finding.boxes {
            let b = slice.box_px;
            let image_id = slice.slice_idx + 1;
            let bbox = [b.x_min, b.y_min, b.width_px(), b.height_px()];
            let outline = [b.x_min, b.y_min, b.x_max, b.y_min, b.x_max, b.y_max, b.x_min, b.y_max];
            let score = slice.probability.or(finding.confidence).unwrap_or(1.0);
            annotations.push(json!({
                "id": annotations.len() + 1,
                "image_id": image_id,
                "category_id": category_id,
                "bbox": bbox,
                "area": b.area_px2(),
                "segmentation": [outline],
                "iscrowd": 0,
                "score": score,
                "finding": finding.number,
                "interpolated": slice.observed_px.is_none(),
            }));
            results.push(json!({
                "image_id": image_id,
                "category_id": category_id,
                "bbox": bbox,
                "score": score,
            }));
        }
    }
    let dataset = json!({
        "info": {
            "description": findings.note,
            "version": findings.schema_version,
            "provenance": findings.provenance,
        },
        "licenses": [],
        "images": images,
        "categories": categories,
        "annotations": annotations,
    });
    CocoFiles { dataset: bytes_of(&dataset), results: bytes_of(&Value::Array(results)) }
}

pub(super) fn bytes_of(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("a value is JSON already");
    bytes.push(b'\n');
    bytes
}
