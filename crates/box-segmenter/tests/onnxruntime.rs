//! Our masks beside those of onnxruntime: `tests/fixtures`, made by `tools/onnx/make_pair.py`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops at what fails")]

use std::path::{Path, PathBuf};

use box_segmenter::{BoxMask, BoxSegmenter, DecoderForm, SegmenterOptions};
use ct_slices::BoxPx;
use ndarray::{Array2, ArrayView2};
use safetensors::SafeTensors;

/// Logits are sums of hundreds of products of order 1 in another order: f32 rounding, and room.
const TOLERANCE: f32 = 1e-3;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn open(encoder: &str, decoder: &str) -> BoxSegmenter {
    let file = |name: &str| fixture(&format!("{name}.onnx"));
    BoxSegmenter::open(&file(encoder), &file(decoder), &SegmenterOptions::default()).unwrap()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Every box of every slice of one pair of files.
fn check(encoder: &str, decoder: &str, form: DecoderForm, predicts_iou: bool) {
    let bytes = fs_err::read(fixture("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let segmenter = open(encoder, decoder);
    assert_eq!((segmenter.form(), segmenter.side_px()), (form, 64));
    assert!(
        segmenter.sha256().iter().all(|hash| hash.len() == 64)
            && segmenter.sha256()[0] != segmenter.sha256()[1]
    );
    let mut n_boxes = 0;
    for slice in ["wide", "tall"] {
        let gray = expected.tensor(&format!("{slice}.slice")).unwrap();
        let shape = (gray.shape()[0], gray.shape()[1]);
        let gray = ArrayView2::from_shape(shape, gray.data()).unwrap();
        let boxes = expected.tensor(&format!("{slice}.boxes")).unwrap();
        let (boxes, _) = boxes.data().as_chunks::<4>();
        let boxes: Vec<u32> = boxes.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        // One run of the encoder for all boxes.
        let encoded = segmenter.encode(gray).unwrap();
        let mut masks: Vec<BoxMask> = Vec::new();
        for (place, edges) in boxes.as_chunks::<4>().0.iter().enumerate() {
            let found = segmenter.segment(&encoded, BoxPx::from(*edges)).unwrap();
            let name = format!("{decoder}.{slice}.{place}");
            let wanted = floats(expected.tensor(&format!("{name}.logits")).unwrap().data());
            let wanted = Array2::from_shape_vec(shape, wanted).unwrap();
            let apart = (&found.logits - &wanted).iter().fold(0.0_f32, |most, d| most.max(d.abs()));
            assert!(apart <= TOLERANCE, "{name}: {apart}");
            // Equal where rounding cannot tip a pixel over.
            assert_eq!(found.mask, found.logits.mapv(|logit| logit > 0.0), "{name}");
            let mut sure = found.mask.iter().zip(&wanted).filter(|(_, wanted)| wanted.abs() > TOLERANCE);
            assert!(sure.all(|(inside, wanted)| *inside == (*wanted > 0.0)), "{name}");
            assert!(found.mask.iter().any(|inside| *inside) && found.mask.iter().any(|inside| !*inside));
            match expected.tensor(&format!("{name}.iou")) {
                Ok(iou) => {
                    assert!(
                        (found.predicted_iou.unwrap() - floats(iou.data())[0]).abs() <= TOLERANCE,
                        "{name}"
                    );
                }
                Err(_) => assert_eq!(found.predicted_iou, None, "{name}"),
            }
            assert_eq!(found.predicted_iou.is_some(), predicts_iou);
            masks.push(found);
            n_boxes += 1;
        }
        // The box matters, and the order of the questions does not.
        assert_ne!(masks[0].mask, masks[1].mask);
        let first = boxes.as_chunks::<4>().0[0];
        assert_eq!(segmenter.segment(&encoded, BoxPx::from(first)).unwrap(), masks[0]);
    }
    assert_eq!(n_boxes, 5);
}

#[test]
fn sam_with_one_mask() {
    check("sam-encoder", "sam-decoder", DecoderForm::Points, true);
}

#[test]
fn sam_with_four_masks_gives_the_best() {
    check("sam-encoder", "sam-decoder-four", DecoderForm::Points, true);
}

#[test]
fn medsam() {
    check("medsam-encoder", "medsam-decoder", DecoderForm::Boxes, true);
}

#[test]
fn medsam_with_flat_boxes_and_no_prediction() {
    check("medsam-encoder", "medsam-decoder-flat", DecoderForm::Boxes, false);
}
