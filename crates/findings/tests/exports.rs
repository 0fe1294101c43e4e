//! The files of a small oblique study.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops at what fails")]

use std::collections::BTreeMap;

use ct_slices::pixels::{HuWindow, PngLimits, decode_png};
use ct_volume::{Affine, Limits, Volume, nifti};
use findings::export::{
    box_mask, box_mask_gz, coco, montage_png, overlay_png, slice_file_name, slice_masks, slicer_markups,
    write_box_mask, write_overlays,
};
use findings::{
    Entity, FINDINGS_SCHEMA, FindingOptions, Findings, FindingsError, Provenance, RESEARCH_NOTE,
    SliceAnswers, SliceBox, mask_boxes, stack_iou,
};
use ndarray::{Array2, Array3, ShapeBuilder, s};
use serde_json::{Value, json};

const SHAPE: (usize, usize, usize) = (320, 96, 12);

fn volume() -> Volume {
    let hu = Array3::from_shape_fn(SHAPE.f(), |(i, j, k)| (i + j + k) as f32 - 100.0);
    let (sin, cos) = 0.2_f64.sin_cos();
    let rows =
        [[0.8, 0.0, 0.0, 10.0], [0.0, 0.7 * cos, -3.0 * sin, -20.0], [0.0, 0.7 * sin, 3.0 * cos, 30.0]];
    Volume::new(hu, Affine::from_rows(rows)).unwrap()
}

fn found(volume: &Volume) -> Findings {
    let slice_box =
        |entity, edges: [f64; 4], probability| SliceBox { entity, box_px: edges.into(), probability };
    let mut answers: Vec<SliceAnswers> = (0..12)
        .map(|slice_idx| {
            let boxes = match slice_idx {
                3..=8 => vec![
                    slice_box(Entity::PANCREAS, [100.0, 30.0, 180.0, 60.0], Some(0.9)),
                    slice_box(Entity::new("cyst").unwrap(), [200.0, 10.0, 220.0, 20.0], None),
                ],
                _ => Vec::new(),
            };
            SliceAnswers { slice_idx, boxes, tumor_probability: Some(slice_idx as f64 / 20.0) }
        })
        .collect();
    for slice_idx in [5, 7] {
        answers[slice_idx].boxes.push(slice_box(
            Entity::PANCREATIC_TUMOR,
            [150.0, 40.0, 170.0, 52.0],
            Some(0.6),
        ));
    }
    let provenance = Provenance {
        versions: BTreeMap::from([("findings".into(), "0.1.0".into())]),
        weights_sha256: BTreeMap::from([("adapter".into(), "ab".repeat(32))]),
        split_sha256: None,
        config: Some(json!({"window_hu": [-150, 250]})),
    };
    Findings::from_answers(&answers, volume.geometry(), provenance, &FindingOptions::default()).unwrap()
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn the_document_keeps_its_schema() {
    let validator = jsonschema::draft202012::new(&parsed(FINDINGS_SCHEMA.as_bytes())).unwrap();
    let found = found(&volume());
    let document = parsed(&found.to_json());
    let errors: Vec<String> =
        validator.iter_errors(&document).map(|e| format!("{e} at {}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let empty =
        Findings::from_answers(&[], volume().geometry(), Provenance::default(), &FindingOptions::default());
    assert!(validator.is_valid(&parsed(&empty.unwrap().to_json())));

    // What must not pass: each object's fields are needed and no others are known.
    let mut changed = document.clone();
    changed["patient"] = json!("someone");
    assert!(!validator.is_valid(&changed));
    let mut changed = document.clone();
    changed["findings"][0]["boxes"][0]["probability"] = json!(1.5);
    assert!(!validator.is_valid(&changed));
    for field in document.as_object().unwrap().keys() {
        let mut changed = document.clone();
        changed.as_object_mut().unwrap().remove(field);
        assert!(!validator.is_valid(&changed), "{field}");
    }
}

#[test]
fn findings_of_the_study() {
    let found = found(&volume());
    let shown: Vec<_> = found
        .findings
        .iter()
        .map(|f| (f.number, f.entity.name(), f.first_slice_idx, f.last_slice_idx))
        .collect();
    assert_eq!(shown, [(1, "pancreas", 3, 8), (2, "pancreatic tumor", 5, 7), (3, "cyst", 3, 8)]);
    assert_eq!((found.findings[1].n_observed, found.findings[1].n_interpolated), (2, 1));
    let score = found.case_tumor_score.unwrap();
    assert!((score.value - (11.0 + 10.0 + 9.0) / 60.0).abs() < 1e-12);
    assert_eq!(found.note, RESEARCH_NOTE);
}

#[test]
fn masks_that_fill_their_boxes_are_the_box_mask() {
    let found = found(&volume());
    let [columns, rows] = found.study.slice_size_px;
    let mut asked = Vec::new();
    let filled = slice_masks(&found, |slice_idx, boxes| {
        asked.push((slice_idx, boxes.len()));
        let mask_of = |edges: &findings::PlaneBox| {
            let [x, y] = edges.pixels([columns, rows]);
            let mut mask = Array2::from_elem((rows as usize, columns as usize), false);
            mask.slice_mut(s![y, x]).fill(true);
            mask
        };
        Ok::<_, FindingsError>(boxes.iter().map(|b| mask_of(&b.box_px)).collect())
    })
    .unwrap();
    assert_eq!(asked, [(3, 2), (4, 2), (5, 3), (6, 3), (7, 3), (8, 2)]);
    let boxes = box_mask(&found).unwrap();
    assert_eq!((filled.labels(), filled.geometry()), (boxes.labels(), boxes.geometry()));
    let stopped = slice_masks(&found, |slice_idx, _| Err(FindingsError::SliceTwice { slice_idx }));
    assert!(matches!(stopped, Err(FindingsError::SliceTwice { slice_idx: 3 })));
}

#[test]
fn documents_that_cannot_be_are_refused() {
    let document = parsed(&found(&volume()).to_json());
    let refused = |pointer: &str, value: Value| {
        let mut changed = document.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        Findings::from_json(&serde_json::to_vec(&changed).unwrap()).unwrap_err()
    };
    for (pointer, value) in [
        ("/schema_version", json!("2.0")),
        ("/study/n_slices", json!(13)),
        ("/findings/0/last_slice_idx", json!(12)),
        ("/findings/0/key_slice_idx", json!(2)),
        ("/findings/0/boxes/0/box_px", json!([0, 0, 400, 10])),
        ("/findings/0/boxes/0/probability", json!(-1)),
        ("/provenance/weights_sha256", json!({"a": "b"})),
    ] {
        assert!(matches!(refused(pointer, value), FindingsError::Document { .. }), "{pointer}");
    }
    assert!(matches!(refused("/study/shape", json!([0, 1, 1])), FindingsError::Geometry(_)));
    assert!(matches!(refused("/study/shape", json!([4, 4, 4_000_000_000_u32])), FindingsError::Limit(_)));
    assert!(matches!(refused("/study/shape", json!("x")), FindingsError::Json(_)));
    assert!(matches!(refused("/options/link/min_iou", json!(2)), FindingsError::Option { .. }));
}

#[test]
fn coco_has_every_slice_and_box() {
    let files = coco(&found(&volume()));
    let (dataset, results) = (parsed(&files.dataset), parsed(&files.results));
    assert_eq!(dataset["images"].as_array().unwrap().len(), 12);
    assert_eq!(dataset["info"]["description"], RESEARCH_NOTE);
    let names: Vec<_> =
        dataset["categories"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["pancreas", "pancreatic tumor", "liver", "right kidney", "spleen", "cyst"]);
    let annotations = dataset["annotations"].as_array().unwrap();
    assert_eq!((annotations.len(), results.as_array().unwrap().len()), (15, 15));
    let tumor: Vec<_> = annotations.iter().filter(|a| a["category_id"] == 2).collect();
    assert_eq!(tumor[0]["bbox"], json!([150.0, 40.0, 20.0, 12.0]));
    assert_eq!((&tumor[0]["image_id"], &tumor[1]["interpolated"]), (&json!(6), &json!(true)));
    assert_eq!(tumor[1]["score"], json!(0.6));
}

#[test]
fn the_mask_lies_on_the_input_and_gives_the_boxes_back() {
    let volume = volume();
    let found = found(&volume);
    let folder = tempfile::TempDir::new().unwrap();
    let input = folder.path().join("input.nii.gz");
    nifti::write_volume(&input, &volume, nifti::VoxelType::Int16).unwrap();
    let path = folder.path().join("boxes.nii.gz");
    write_box_mask(&path, &found).unwrap();
    assert_eq!(box_mask_gz(&found).unwrap(), fs_err::read(&path).unwrap());
    let mask = nifti::read_labels(&path, &Limits::default(), None).unwrap();
    let source = nifti::read_volume(&input, &Limits::default(), None).unwrap();
    assert_eq!(mask.geometry(), source.geometry(), "shape and affine, to the last bit");
    let tumor = mask_boxes(&mask, &[2]);
    assert_eq!(stack_iou(&tumor, &found.findings[1].stack()), Some(1.0));
    assert_eq!(stack_iou(&mask_boxes(&mask, &[1]), &found.findings[0].stack()), Some(1.0));
    assert_eq!(stack_iou(&mask_boxes(&mask, &[6]), &found.findings[2].stack()), Some(1.0));
}

#[test]
fn slicer_regions_are_the_blocks() {
    let found = found(&volume());
    let markups = parsed(&slicer_markups(&found).unwrap());
    let regions = markups["markups"].as_array().unwrap();
    assert_eq!(regions.len(), 3);
    for (region, finding) in regions.iter().zip(&found.findings) {
        assert_eq!((&region["type"], &region["coordinateSystem"]), (&json!("ROI"), &json!("LPS")));
        let numbers = |key: &str| -> Vec<f64> {
            region[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
        };
        let (center, size, axes) = (numbers("center"), numbers("size"), numbers("orientation"));
        assert!(center.iter().zip(finding.center_lps_mm).all(|(got, want)| (got - want).abs() < 1e-9));
        // The grid has right angles: the corners of the region are those of the block.
        for corner in finding.corners_lps_mm {
            let nearest = (0..8)
                .map(|signs| {
                    let place = |n: usize| {
                        (0..3).fold(center[n], |sum, axis| {
                            let sign = if signs & (1 << axis) == 0 { -0.5 } else { 0.5 };
                            sum + sign * size[axis] * axes[3 * n + axis]
                        })
                    };
                    (0..3).map(|n| (place(n) - corner[n]).powi(2)).sum::<f64>().sqrt()
                })
                .fold(f64::INFINITY, f64::min);
            assert!(nearest < 1e-9, "{nearest}");
        }
    }
}

#[test]
fn overlays_and_montage() {
    let volume = volume();
    let found = found(&volume);
    let folder = tempfile::TempDir::new().unwrap();
    let files = write_overlays(&folder.path().join("overlays"), &volume, &found, HuWindow::PANCREAS).unwrap();
    assert_eq!(files.len(), 6);
    assert_eq!(files[2].file_name().unwrap().to_str().unwrap(), slice_file_name(5));
    let image = decode_png(&fs_err::read(&files[2]).unwrap(), &PngLimits::default()).unwrap().to_rgb();
    let at = |row: usize, column: usize| [0, 1, 2].map(|channel| image[[row, column, channel]]);
    let color = |name: &str| found.entities.iter().find(|r| r.entity.name() == name).unwrap().color_rgb;
    assert_eq!((at(40, 150), at(51, 169)), (color("pancreatic tumor"), color("pancreatic tumor")));
    assert_eq!((at(30, 100), at(59, 179)), (color("pancreas"), color("pancreas")));
    assert_eq!(at(35, 110)[0], at(35, 110)[1]);

    let montage =
        decode_png(&montage_png(&volume, &found, HuWindow::PANCREAS).unwrap(), &PngLimits::default());
    let montage = montage.unwrap();
    assert_eq!((montage.width_px(), montage.height_px()), (640, 2 * (96 + 20) + 10));
    let none =
        Findings::from_answers(&[], volume.geometry(), Provenance::default(), &FindingOptions::default());
    montage_png(&volume, &none.unwrap(), HuWindow::PANCREAS).unwrap();

    assert!(matches!(
        overlay_png(&volume, &found, 12, HuWindow::PANCREAS),
        Err(FindingsError::SliceIndex { slice_idx: 12, n_slices: 12 })
    ));
    let elsewhere =
        Volume::new(volume.hu().clone(), Affine::from_spacing_origin([1.0; 3], [0.0; 3])).unwrap();
    assert!(matches!(
        overlay_png(&elsewhere, &found, 5, HuWindow::PANCREAS),
        Err(FindingsError::Geometry(_))
    ));
}
