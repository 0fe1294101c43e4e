//! The real series of the shared data, against pydicom (`fixtures/dicom/shared.json`).

#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at what fails, and says what it skips"
)]

use std::path::{Path, PathBuf};

use ct_volume::dicom::{DicomError, DicomOptions, read_series};
use ct_volume::{Limits, Volume, VolumeError};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED").map_or(root, PathBuf::from);
    let data = shared.join("data");
    if !data.is_dir() {
        println!("skipped: no shared data at `{}`", data.display());
        return None;
    }
    Some(data)
}

fn expected() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dicom/shared.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn read(path: &Path, stored_values: bool) -> Result<Volume, VolumeError> {
    let mut options = DicomOptions::default();
    options.stored_values = stored_values;
    read_series(&[path.to_owned()], &Limits::default(), &options)
}

/// Hash of each slice, its rows one after the other, as little-endian 32-bit values.
fn hashes(volume: &Volume, bytes: impl Fn(f32) -> [u8; 4]) -> Vec<String> {
    let slice = |k: usize| {
        let plane = volume.hu().index_axis(ndarray::Axis(2), k);
        let data: Vec<u8> = plane.t().iter().flat_map(|&v| bytes(v)).collect();
        Sha256::digest(&data).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    (0..volume.geometry().shape()[2]).map(slice).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}

fn codes(volume: &Volume) -> Vec<String> {
    volume.warnings().iter().map(|w| w.code.to_string()).collect()
}

/// Order, values and affine against pydicom's.
fn check(volume: &Volume, stored: &Volume, want: &Value, affine_tolerance: f64) {
    let shape: Vec<u64> = want["shape"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert_eq!(volume.geometry().shape().map(|n| n as u64).to_vec(), shape);
    assert_eq!(hashes(volume, f32::to_le_bytes), strings(&want["slices"]));
    assert_eq!(hashes(stored, |v| (v as i32).to_le_bytes()), strings(&want["stored"]));
    for (row, want) in volume.geometry().affine().rows().iter().zip(want["affine"].as_array().unwrap()) {
        for (got, want) in row.iter().zip(want.as_array().unwrap()) {
            let want = want.as_f64().unwrap();
            assert!((got - want).abs() <= affine_tolerance, "{:?}", volume.geometry().affine());
        }
    }
}

#[test]
fn totalsegmentator() {
    let (Some(data), expected) = (data(), expected()) else { return };
    let want = &expected["totalsegmentator"];
    let folder = data.join("totalsegmentator-abdomen/dicom");
    let volume = read(&folder, false).unwrap();
    check(&volume, &read(&folder, true).unwrap(), want, 1e-9);
    assert_eq!(volume.geometry().spacing_mm(), [0.976_562_5, 0.976_562_5, 2.0]);
    assert_eq!(volume.geometry().orientation().to_string(), "LPS");
    assert_eq!(codes(&volume), ["thickness-is-not-spacing"]);

    // The mask's pancreas, as nibabel aligns it with the series.
    let pancreas = &want["organs"]["pancreas"];
    let voxels: Vec<f32> = volume.hu().t().iter().copied().collect();
    let mut inside = Vec::new();
    for run in pancreas["runs"].as_array().unwrap() {
        let [start, length] = [0, 1].map(|n| run[n].as_u64().unwrap() as usize);
        inside.extend(voxels[start..start + length].iter().map(|&v| f64::from(v)));
    }
    assert_eq!(inside.len() as u64, pancreas["voxels"].as_u64().unwrap());
    let mean = inside.iter().sum::<f64>() / inside.len() as f64;
    assert!((mean - pancreas["mean_hu"].as_f64().unwrap()).abs() < 1e-9 && (mean - 61.0).abs() < 0.5);
}

#[test]
fn dcmqi() {
    let (Some(data), expected) = (data(), expected()) else { return };
    let folder = data.join("dcmqi-ct-3slice");
    let volume = read(&folder, false).unwrap();
    check(&volume, &read(&folder, true).unwrap(), &expected["dcmqi"], 1e-9);
    assert_eq!(codes(&volume), ["stray-files", "thickness-is-not-spacing", "padding-to-air"]);
    let repaired = expected["dcmqi"]["repaired"].as_u64().unwrap().to_string();
    assert!(volume.warnings()[2].message.starts_with(&repaired));
    assert!(volume.warnings()[0].message.contains("1 segmentation"));
}

#[test]
fn rt_utils_oblique() {
    let (Some(data), expected) = (data(), expected()) else { return };
    let folder = data.join("rt-utils-oblique");
    let volume = read(&folder, false).unwrap();
    check(&volume, &read(&folder, true).unwrap(), &expected["rt-utils"], 1e-9);
    // Rows are 3.5 mm apart, columns 2.5 mm.
    for (got, want) in volume.geometry().spacing_mm().iter().zip([2.5, 3.5, 4.5]) {
        assert!((got - want).abs() < 1e-6);
    }
    assert!(volume.geometry().affine().shear() < 1e-6);
}

#[test]
fn cornerstone() {
    let (Some(data), expected) = (data(), expected()) else { return };
    let want = &expected["cornerstone"];
    let folder = data.join("cornerstone-ct-transfer-syntaxes");
    let reference = read(&folder.join("reference_implicit_le.dcm"), false).unwrap();
    assert_eq!(hashes(&reference, f32::to_le_bytes), [want["reference"].as_str().unwrap()]);
    let (mut n_lossless, mut n_lossy, mut n_retired) = (0, 0, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".dcm") {
            continue;
        }
        let result = read(&path, false);
        if name.contains(".4.53") || name.contains(".4.55") {
            let VolumeError::Dicom { source, .. } = result.unwrap_err() else { panic!("{name}") };
            assert!(matches!(*source, DicomError::UnsupportedSyntax { .. }), "{name}: {source:?}");
            n_retired += 1;
            continue;
        }
        let volume = result.unwrap();
        assert!(volume.warnings().iter().any(|w| w.message.starts_with("55772 padding")), "{name}");
        let Some(lossy) = want["lossy"].get(name) else {
            assert_eq!(volume.hu(), reference.hu(), "{name}");
            n_lossless += 1;
            continue;
        };
        assert!(codes(&volume).contains(&"lossy-compression".to_owned()), "{name}");
        let n = volume.hu().len() as f64;
        let mean = volume.hu().iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let apart = volume.hu().iter().zip(reference.hu()).map(|(a, b)| f64::from((a - b).abs()));
        let mean_apart = apart.sum::<f64>() / n;
        // Inverse transforms round differently, by a step of the stored values (up to 32 HU) at most.
        let want_apart = lossy["mean_abs_to_reference"].as_f64().unwrap();
        assert!((mean - lossy["mean_hu"].as_f64().unwrap()).abs() < 0.1, "{name}: {mean}");
        assert!((mean_apart - want_apart).abs() < 0.02 * want_apart + 0.01, "{name}: {mean_apart}");
        n_lossy += 1;
    }
    assert_eq!((n_lossless, n_lossy, n_retired), (10, 4, 2));
}
