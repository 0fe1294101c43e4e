//! Real and synthetic NIfTI files against what nibabel reads from them.
//!
//! The expected values are written by `fixtures/nifti/generate.py` (synthetic files, in this
//! repository) and `generate_shared.py` (real files of the shared data folder).

#![expect(clippy::unwrap_used, reason = "helpers of tests, which may unwrap")]

use std::path::{Path, PathBuf};

use ct_volume::nifti::{self, NiftiError};
use ct_volume::{Affine, Limits, Orientation, Volume, VolumeError, WarningCode};
use ndarray::{Array3, ArrayView3, ShapeBuilder};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// nibabel computes qforms in 80-bit floats, this crate in 64-bit ones.
const AFFINE_TOLERANCE: f64 = 1e-9;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nifti")
}

fn shared_data() -> PathBuf {
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED").map(PathBuf::from);
    shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared")).join("data")
}

fn cases(name: &str) -> Vec<Value> {
    let text = fs_err::read_to_string(fixtures().join(name)).unwrap();
    serde_json::from_str::<Vec<Value>>(&text).unwrap()
}

fn affine(value: &Value) -> Affine {
    let rows: Vec<[f64; 4]> = serde_json::from_value(value.clone()).unwrap();
    Affine::from_rows([rows[0], rows[1], rows[2]])
}

fn shape(value: &Value) -> [usize; 3] {
    serde_json::from_value(value.clone()).unwrap()
}

/// Hash of the values, little endian, first axis fastest.
fn sha256<T: Copy, const N: usize>(view: ArrayView3<'_, T>, bytes: impl Fn(T) -> [u8; N]) -> String {
    let mut hash = Sha256::new();
    let all: Vec<u8> = view.t().iter().flat_map(|&v| bytes(v)).collect();
    hash.update(&all);
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// The name of an error's variant, of the NIfTI error if there is one.
fn variant(error: &VolumeError) -> String {
    let text = match error {
        VolumeError::Nifti { source, .. } => format!("{source:?}"),
        other => format!("{other:?}"),
    };
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

fn check_error<T: std::fmt::Debug>(what: &str, result: Result<T, VolumeError>, expected: &Value) {
    let error = result.expect_err(what);
    let expected = expected.as_str().unwrap();
    if expected == "any" {
        assert!(matches!(error, VolumeError::Nifti { .. }), "{what}: {error:?}");
    } else {
        assert_eq!(variant(&error), expected, "{what}: {error:?}");
    }
}

fn check_volume(what: &str, volume: &Volume, case: &Value, frame: usize) {
    let geometry = volume.geometry();
    assert_eq!(geometry.shape(), shape(&case["shape"]), "{what}");
    let difference = geometry.affine().max_abs_diff(&affine(&case["affine"]));
    assert!(difference < AFFINE_TOLERANCE, "{what}: affine differs by {difference}: {:?}", geometry.affine());
    assert_eq!(geometry.orientation().to_string(), case["orientation"].as_str().unwrap(), "{what}");
    if frame == 0 {
        let voxels = volume.hu().t();
        for sample in case["samples"].as_array().unwrap() {
            let place = usize::try_from(sample[0].as_u64().unwrap()).unwrap();
            let found = voxels.iter().nth(place).copied().unwrap();
            let (found, expected) = (f64::from(found), sample[1].as_f64().unwrap());
            // Equality is the hash's affair: serde_json parses numbers to within one bit only.
            assert!((found - expected).abs() <= 1e-7 * expected.abs(), "{what}: voxel {place}: {found}");
        }
    }
    let hash = sha256(volume.hu().view(), f32::to_le_bytes);
    assert_eq!(hash, case["frames"][frame].as_str().unwrap(), "{what}: voxels of frame {frame}");
    let replaced = case["non_finite"][frame].as_u64().unwrap() > 0;
    let warned = volume.warnings().iter().any(|w| w.code == WarningCode::NonFiniteVoxels);
    assert_eq!(warned, replaced, "{what}: {:?}", volume.warnings());
}

fn check_canonical(what: &str, volume: &Volume, expected: &Value) {
    let canonical = volume.reoriented(Orientation::RAS);
    assert_eq!(canonical.geometry().shape(), shape(&expected["shape"]), "{what}");
    let difference = canonical.geometry().affine().max_abs_diff(&affine(&expected["affine"]));
    assert!(difference < AFFINE_TOLERANCE, "{what}: canonical affine differs by {difference}");
    let hash = sha256(canonical.hu().view(), f32::to_le_bytes);
    assert_eq!(hash, expected["sha256"].as_str().unwrap(), "{what}: canonical voxels");
    let view = sha256(volume.view_as(Orientation::RAS), f32::to_le_bytes);
    assert_eq!(view, hash, "{what}: view and copy");
}

fn check_labels(what: &str, path: &Path, case: &Value) {
    let read = nifti::read_labels(path, &Limits::default(), Some(0));
    if let Some(hash) = case["labels"].as_str() {
        let labels = read.unwrap();
        assert_eq!(sha256(labels.labels().view(), u16::to_le_bytes), hash, "{what}: labels");
        assert_eq!(labels.geometry().shape(), shape(&case["shape"]), "{what}");
    }
}

/// Everything that holds for any file.
fn check(root: &Path, case: &Value) {
    let what = case["file"].as_str().unwrap();
    let path = root.join(what);
    let limits = Limits::default();
    if let Some(error) = case.get("error") {
        check_error(what, nifti::read_volume(&path, &limits, None), error);
        assert!(nifti::read_labels(&path, &limits, None).is_err(), "{what}");
        return;
    }
    let n_frames = case["frames"].as_array().unwrap().len();
    let header = nifti::read_header(&path, &limits).unwrap();
    assert_eq!(header.n_frames(), n_frames as u64, "{what}");
    assert!(nifti::is_nifti(&path).unwrap(), "{what}");
    for frame in 0..n_frames {
        let volume = nifti::read_volume(&path, &limits, Some(frame)).unwrap();
        check_volume(what, &volume, case, frame);
        if let (0, Some(canonical)) = (frame, case.get("canonical")) {
            check_canonical(what, &volume, canonical);
        }
    }
    let none = nifti::read_volume(&path, &limits, None);
    if n_frames > 1 {
        assert_eq!(variant(&none.unwrap_err()), "FrameNeeded", "{what}");
    } else {
        check_volume(what, &none.unwrap(), case, 0);
    }
    let past = nifti::read_volume(&path, &limits, Some(n_frames)).unwrap_err();
    assert_eq!(variant(&past), "FrameOutOfRange", "{what}");
    check_labels(what, &path, case);
    // The same from memory, where one file is all there is, and into memory that was used before.
    let bytes = fs_err::read(&path).unwrap();
    for spare in [vec![7.0; 1], vec![f32::NAN; 100_000], Vec::with_capacity(5000)] {
        let volume = nifti::read_volume_into(spare, &path, &limits, Some(0)).unwrap();
        check_volume(what, &volume, case, 0);
    }
    if !what.contains(".hdr") && !what.contains(".img") {
        check_volume(
            what,
            &nifti::decode_volume(&bytes, &limits, Some(n_frames - 1)).unwrap(),
            case,
            n_frames - 1,
        );
    }
}

#[test]
fn synthetic_files() {
    let cases = cases("expected.json");
    assert!(cases.len() > 140, "{}", cases.len());
    for case in &cases {
        check(&fixtures().join("files"), case);
    }
}

#[test]
fn synthetic_files_give_the_warnings_they_should() {
    for case in &cases("expected.json") {
        let what = case["file"].as_str().unwrap();
        let Some(expected) = case.get("warnings") else { continue };
        let volume =
            nifti::read_volume(&fixtures().join("files").join(what), &Limits::default(), Some(0)).unwrap();
        let codes: Vec<String> = volume.warnings().iter().map(|w| format!("{:?}", w.code)).collect();
        let expected: Vec<String> = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(codes, expected, "{what}: {:?}", volume.warnings());
    }
}

#[test]
fn synthetic_masks() {
    let mut seen = 0;
    for case in &cases("expected.json") {
        let what = case["file"].as_str().unwrap();
        let read = || nifti::read_labels(&fixtures().join("files").join(what), &Limits::default(), None);
        if let Some(error) = case.get("label_error") {
            check_error(what, read(), error);
            seen += 1;
        }
        if let Some(expected) = case.get("label_warnings") {
            let labels = read().unwrap();
            let codes: Vec<String> = labels.warnings().iter().map(|w| format!("{:?}", w.code)).collect();
            let expected: Vec<String> = serde_json::from_value(expected.clone()).unwrap();
            assert_eq!(codes, expected, "{what}");
            seen += 1;
        }
    }
    assert_eq!(seen, 7);
}

#[test]
fn axis_codes_and_canonical_form_are_nibabels() {
    let cases = cases("orientations.json");
    let orientations: std::collections::HashSet<&str> =
        cases.iter().map(|case| case["orientation"].as_str().unwrap()).collect();
    assert_eq!(orientations.len(), 48);
    for (n, case) in cases.iter().enumerate() {
        let values = (0..24_u8).map(f32::from).collect();
        let array = Array3::from_shape_vec((2, 3, 4).f(), values).unwrap();
        let volume = Volume::new(array, affine(&case["affine"])).unwrap();
        let what = format!("orientation {n}");
        assert_eq!(
            volume.geometry().orientation().to_string(),
            case["orientation"].as_str().unwrap(),
            "{what}"
        );
        check_canonical(&what, &volume, &case["canonical"]);
    }
}

#[test]
fn real_files() {
    let root = shared_data();
    if !root.join("nifti-headers").is_dir() {
        eprintln!("skipped: no nifti-headers in {}", root.display());
        return;
    }
    let cases = cases("expected_shared.json");
    assert!(cases.len() > 45, "{}", cases.len());
    for case in &cases {
        check(&root, case);
    }
}

#[test]
fn limits_stop_a_file_before_memory_is_taken() {
    let path = fixtures().join("files/i2_le.nii");
    let result = nifti::read_volume(&path, &Limits::default().with_max_bytes(24 * 4 - 1), None);
    assert!(matches!(result, Err(VolumeError::Limit { .. })), "{result:?}");
    let result = nifti::read_header(&path, &Limits::default().with_max_bytes(24 * 2 - 1));
    assert!(matches!(result, Err(VolumeError::Limit { .. })), "{result:?}");
    assert!(nifti::read_volume(&path, &Limits::default().with_max_bytes(24 * 4 + 352), None).is_ok());
}

#[test]
fn errors_carry_the_values() {
    let decode = |name: &str| {
        let bytes = fs_err::read(fixtures().join("files").join(name)).unwrap();
        nifti::decode_volume(&bytes, &Limits::default(), None).unwrap_err()
    };
    assert!(matches!(decode("truncated.nii"), NiftiError::Truncated { expected: 400, found: 399 }));
    assert!(matches!(decode("gz_short_payload.nii.gz"), NiftiError::Truncated { expected: 400, found: 395 }));
    assert!(matches!(decode("4d.nii"), NiftiError::FrameNeeded { n_frames: 3 }));
    assert!(matches!(decode("dim_rank_8.nii"), NiftiError::Rank { rank: 8 }));
    assert!(matches!(decode("dim_axis_negative.nii"), NiftiError::AxisLength { axis: 3, length: -2 }));
    assert!(matches!(decode("rgb.nii"), NiftiError::UnsupportedDatatype { code: 128, name: "RGB24" }));
    assert!(matches!(decode("datatype_-1.nii"), NiftiError::UnknownDatatype { code: -1 }));
    assert!(matches!(decode("v2_line_ends_damaged.nii"), NiftiError::LineEnds { found: [10, 26, 10, 0] }));
}

#[test]
fn what_is_not_nifti_is_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM");
    for (name, content, expected) in [
        ("a.dcm", &dicom[..], false),
        ("a.nii", &dicom, false),
        ("a.img", &dicom, false),
        ("text.txt", b"text", false),
        ("empty", b"", false),
        ("damaged.gz", b"\x1f\x8b\x08damaged", false),
        ("damaged.nii.gz", b"\x1f\x8b\x08damaged", true),
        ("damaged.nii", b"damaged", true),
    ] {
        let path = folder.path().join(name);
        fs_err::write(&path, content).unwrap();
        assert_eq!(nifti::is_nifti(&path).unwrap(), expected, "{name}");
    }
    assert!(matches!(nifti::is_nifti(&folder.path().join("none.nii")), Err(VolumeError::Read { .. })));
    let error = nifti::read_volume(&folder.path().join("damaged.nii.gz"), &Limits::default(), None);
    assert!(matches!(error, Err(VolumeError::Nifti { source: NiftiError::Gzip { .. }, .. })), "{error:?}");
}
