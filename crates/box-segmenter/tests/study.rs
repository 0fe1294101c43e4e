//! The findings of a small study as masks on its grid.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops at what fails")]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use box_segmenter::{BoxSegmenter, SegmentError, SegmenterOptions, segment_findings};
use ct_slices::BoxPx;
use ct_slices::pixels::HuWindow;
use ct_volume::{Affine, Geometry, Orientation, Volume};
use findings::export::gray_slice;
use findings::{Entity, FindingOptions, Findings, Provenance, SliceAnswers, SliceBox};
use ndarray::{Array3, ShapeBuilder};

const WINDOW_HU: [f64; 2] = [-150.0, 250.0];
const PANCREAS: BoxPx = BoxPx { x_min: 6, y_min: 5, x_max: 25, y_max: 14 };
const TUMOR: BoxPx = BoxPx { x_min: 12, y_min: 8, x_max: 18, y_max: 13 };

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Axes to the patient's right, back, feet: each is turned on the way to the slices.
fn volume() -> Volume {
    let hu = Array3::from_shape_fn((36, 24, 6).f(), |(i, j, k)| {
        let far = (i as f32 - 15.0).powi(2) + (j as f32 - 11.0).powi(2);
        200.0 * (-far / 60.0).exp() + 10.0 * k as f32 - 60.0
    });
    let rows = [[0.8, 0.0, 0.0, 0.0], [0.0, -0.8, 0.0, 0.0], [0.0, 0.0, -5.0, 0.0]];
    Volume::new(hu, Affine::from_rows(rows)).unwrap()
}

fn found(geometry: &Geometry) -> Findings {
    let slice_box =
        |entity, box_px: BoxPx| SliceBox { entity, box_px: box_px.into(), probability: Some(0.9) };
    let answers: Vec<SliceAnswers> = (1..=4)
        .map(|slice_idx| {
            let mut boxes = vec![slice_box(Entity::PANCREAS, PANCREAS)];
            if slice_idx >= 3 {
                boxes.push(slice_box(Entity::PANCREATIC_TUMOR, TUMOR));
            }
            SliceAnswers { slice_idx, boxes, tumor_probability: None }
        })
        .collect();
    Findings::from_answers(&answers, geometry, Provenance::default(), &FindingOptions::default()).unwrap()
}

#[test]
fn masks_lie_on_the_grid_of_the_file_with_the_tumor_on_top() {
    let (volume, stop) = (volume(), AtomicBool::new(false));
    let found = found(volume.geometry());
    let files = [fixture("sam-encoder.onnx"), fixture("sam-decoder.onnx")];
    let segmenter = BoxSegmenter::open(&files[0], &files[1], &SegmenterOptions::default()).unwrap();
    let mut seen = Vec::new();
    let mut observe = |done, total| seen.push((done, total));
    let labels = segment_findings(&segmenter, &volume, &found, WINDOW_HU, &mut observe, &stop).unwrap();
    assert_eq!(seen, [(1, 4), (2, 4), (3, 4), (4, 4)]);
    assert_eq!(labels.geometry(), volume.geometry());

    let window = HuWindow::from_limits(WINDOW_HU[0], WINDOW_HU[1]).unwrap();
    let display = labels.view_as(Orientation::LPS);
    let mut counts = [0; 3];
    for slice_idx in 0..6 {
        let gray = gray_slice(&volume, slice_idx, window).unwrap();
        let encoded = segmenter.encode(gray.view()).unwrap();
        let pancreas = segmenter.segment(&encoded, PANCREAS).unwrap().mask;
        let tumor = segmenter.segment(&encoded, TUMOR).unwrap().mask;
        for ((row, column), in_pancreas) in pancreas.indexed_iter() {
            let expected = match slice_idx {
                3 | 4 if tumor[[row, column]] => 2,
                1..=4 if *in_pancreas => 1,
                _ => 0,
            };
            assert_eq!(display[[column, row, slice_idx]], expected, "{slice_idx} {row} {column}");
            counts[usize::from(expected)] += 1;
        }
    }
    assert!(counts.iter().all(|n| *n > 0), "{counts:?}");

    let stopped =
        segment_findings(&segmenter, &volume, &found, WINDOW_HU, &mut |_, _| (), &AtomicBool::new(true));
    assert!(matches!(stopped, Err(SegmentError::Stopped)));
    let other = Volume::new(Array3::zeros((36, 24, 7).f()), *volume.geometry().affine()).unwrap();
    let refused = segment_findings(&segmenter, &other, &found, WINDOW_HU, &mut |_, _| (), &stop);
    assert!(matches!(refused, Err(SegmentError::Findings(_))));
}
