//! What cannot be used is named.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops at what fails")]

use std::error::Error;
use std::path::{Path, PathBuf};

use box_segmenter::{BoxSegmenter, ModelLimits, ModelPart, SegmentError, SegmenterOptions};
use ct_slices::BoxPx;
use ndarray::Array2;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn refused(encoder: &Path, decoder: &Path) -> SegmentError {
    BoxSegmenter::open(encoder, decoder, &SegmenterOptions::default()).unwrap_err()
}

/// The message and its causes.
fn said(error: &SegmentError) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    said
}

#[test]
fn missing_files() {
    let (encoder, decoder) = (fixture("sam-encoder.onnx"), fixture("sam-decoder.onnx"));
    for error in [refused(Path::new("no/such.onnx"), &decoder), refused(&encoder, Path::new("no/such.onnx"))]
    {
        assert!(matches!(&error, SegmentError::Read { path, .. } if path == Path::new("no/such.onnx")));
    }
    assert!(matches!(
        refused(fixture("").as_path(), &decoder),
        SegmentError::Onnx { .. } | SegmentError::Read { .. }
    ));
}

#[test]
fn damaged_files() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs_err::read(fixture("sam-encoder.onnx")).unwrap();
    let decoder = fixture("sam-decoder.onnx");
    let path = folder.path().join("damaged.onnx");
    let mut half = whole.clone();
    half.truncate(whole.len() / 2);
    for bytes in [half.as_slice(), b"", b"not a model", &[0xff; 4096]] {
        fs_err::write(&path, bytes).unwrap();
        let error = refused(&path, &decoder);
        assert!(matches!(&error, SegmentError::Onnx { path: of, .. } if *of == path), "{error:?}");
        assert!(said(&error).contains("damaged.onnx"), "{}", said(&error));
    }
    // Bytes changed one at a time: an error or a model, and no panic that gets out.
    let mut seed = 1_u64;
    let (mut n_opened, mut n_refused) = (0, 0);
    for _ in 0..60 {
        let mut changed = whole.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(seed >> 33).unwrap() % changed.len();
            changed[place] = u8::try_from(seed >> 24 & 0xff).unwrap();
        }
        fs_err::write(&path, &changed).unwrap();
        match BoxSegmenter::open(&path, &decoder, &SegmenterOptions::default()) {
            Ok(_) => n_opened += 1,
            Err(_) => n_refused += 1,
        }
    }
    assert_eq!(n_opened + n_refused, 60);
}

#[test]
fn swapped_files_are_recognized() {
    for (encoder, decoder) in [("sam-encoder", "sam-decoder"), ("medsam-encoder", "medsam-decoder")] {
        let [encoder, decoder] = [encoder, decoder].map(|name| fixture(&format!("{name}.onnx")));
        let error = refused(&decoder, &encoder);
        let SegmentError::Names { path, part, inputs, is_swapped, .. } = &error else { panic!("{error:?}") };
        assert_eq!((path, *part, *is_swapped, inputs.len()), (&encoder, ModelPart::Decoder, true, 1));
        assert!(error.to_string().contains("swapped"), "{error}");
        let error = refused(&decoder, &decoder);
        let SegmentError::Names { part, is_swapped, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*part, *is_swapped), (ModelPart::Encoder, true));
    }
}

/// The bytes of a file with one name in place of another of the same length.
fn renamed(name: &str, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs_err::read(fixture(name)).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|p| bytes[*p..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn other_names_are_listed_beside_those_understood() {
    let folder = tempfile::tempdir().unwrap();
    let decoder = folder.path().join("decoder.onnx");
    for (file, from, to) in [
        ("sam-decoder.onnx", "point_labels", "point_kinds_"),
        ("sam-decoder.onnx", "low_res_masks", "low_res_mosks"),
        ("medsam-decoder.onnx", "boxes", "bokse"),
    ] {
        fs_err::write(&decoder, renamed(file, from, to)).unwrap();
        let error = refused(&fixture("sam-encoder.onnx"), &decoder);
        assert!(matches!(&error, SegmentError::Names { part: ModelPart::Decoder, is_swapped: false, .. }));
        let said = error.to_string();
        assert!(said.contains(to) && said.contains("decoder.onnx"), "{said}");
        assert!(said.contains("point_coords") && said.contains("`boxes`"), "{said}");
    }
    // The encoder's names are free.
    let encoder = folder.path().join("encoder.onnx");
    fs_err::write(&encoder, renamed("sam-encoder.onnx", "image", "pixel")).unwrap();
    BoxSegmenter::open(&encoder, &fixture("sam-decoder.onnx"), &SegmenterOptions::default()).unwrap();
}

#[test]
fn what_is_too_large_is_not_taken() {
    let files = [fixture("sam-encoder.onnx"), fixture("sam-decoder.onnx")];
    let opened = |options: &SegmenterOptions| BoxSegmenter::open(&files[0], &files[1], options).unwrap_err();
    let with = |limits| opened(&SegmenterOptions { limits, ..SegmenterOptions::default() });
    let limits = ModelLimits { max_file_bytes: 1000, ..ModelLimits::default() };
    assert!(matches!(with(limits), SegmentError::Limit { .. }));
    // The image is 48 KiB; the result of the first convolution is smaller.
    let limits = ModelLimits { max_tensor_bytes: 40_000, ..ModelLimits::default() };
    assert!(said(&with(limits)).contains("in bytes"));
    let limits = ModelLimits { max_side_px: 32, ..ModelLimits::default() };
    let error = with(limits);
    assert!(matches!(&error, SegmentError::Tensor { got, .. } if got == "[1, 3, 64, 64]"), "{error}");
    let error = opened(&SegmenterOptions { threshold: f32::NAN, ..SegmenterOptions::default() });
    assert!(matches!(error, SegmentError::Threshold { .. }));
}

#[test]
fn boxes_outside_and_empty_slices() {
    let files = [fixture("sam-encoder.onnx"), fixture("sam-decoder.onnx")];
    let segmenter = BoxSegmenter::open(&files[0], &files[1], &SegmenterOptions::default()).unwrap();
    assert!(matches!(segmenter.encode(Array2::zeros((0, 5)).view()), Err(SegmentError::Slice(_))));
    let encoded = segmenter.encode(Array2::zeros((20, 30)).view()).unwrap();
    segmenter.segment(&encoded, BoxPx::from([0, 0, 29, 19])).unwrap();
    for edges in [[0, 0, 30, 19], [0, 0, 29, 20], [5, 0, 4, 3], [0, 9, 4, 3], [0, 0, u32::MAX, 3]] {
        let error = segmenter.segment(&encoded, BoxPx::from(edges)).unwrap_err();
        assert!(matches!(error, SegmentError::Box { columns: 30, rows: 20, .. }), "{edges:?}");
        assert!(error.to_string().contains("30 x 20"), "{error}");
    }
}
