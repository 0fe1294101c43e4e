//! DICOM files made by pydicom and gdcm (`fixtures/dicom/generate.py`), one a slice or multi-frame.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at what fails"
)]

use std::path::{Path, PathBuf};

use ct_volume::dicom::{DicomError, DicomOptions, decode_file_bytes, is_dicom, read_series};
use ct_volume::{Limits, Volume, VolumeError, WarningCode};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dicom")
}

fn expected() -> Value {
    let text = std::fs::read_to_string(fixtures().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn read(names: &[&str]) -> Result<Volume, VolumeError> {
    let paths: Vec<PathBuf> = names.iter().map(|name| fixtures().join(name)).collect();
    read_series(&paths, &Limits::default(), &DicomOptions::default())
}

/// The DICOM error inside, which every failure here has.
fn dicom_error(result: Result<Volume, VolumeError>) -> DicomError {
    match result.unwrap_err() {
        VolumeError::Dicom { source, .. } => *source,
        other => panic!("{other:?}"),
    }
}

/// Voxels with i fastest.
fn voxels(volume: &Volume) -> Vec<f32> {
    volume.hu().t().iter().copied().collect()
}

fn codes(volume: &Volume) -> Vec<String> {
    let mut codes: Vec<String> = volume.warnings().iter().map(|w| w.code.to_string()).collect();
    codes.sort();
    codes
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn every_file_decodes_to_the_expected_values_geometry_and_warnings() {
    let expected = expected();
    let files = expected["files"].as_object().unwrap();
    assert!(files.len() > 30);
    for (name, entry) in files {
        let volume = read(&[name]).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let tolerance = entry["tolerance"].as_f64().unwrap();
        let array =
            |key: &str| numbers(&expected["arrays"][usize::try_from(entry[key].as_u64().unwrap()).unwrap()]);
        let shape = volume.geometry().shape().map(|n| n as f64);
        assert_eq!(shape.to_vec(), numbers(&entry["shape"]), "{name}");
        for (n, (got, want)) in voxels(&volume).iter().zip(array("hu")).enumerate() {
            assert!((f64::from(*got) - want).abs() <= tolerance, "{name}: voxel {n} is {got}, not {want}");
        }
        let affine: Vec<f64> = entry["affine"].as_array().unwrap().iter().flat_map(numbers).collect();
        for (got, want) in volume.geometry().affine().rows().as_flattened().iter().zip(&affine) {
            assert!((got - want).abs() < 1e-9, "{name}: {:?}", volume.geometry().affine());
        }
        let want: Vec<&str> = entry["codes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(codes(&volume), want, "{name}: {:?}", volume.warnings());

        // The same bytes in memory give the same volume.
        let bytes = std::fs::read(fixtures().join(name)).unwrap();
        let again = decode_file_bytes(&bytes, &Limits::default(), &DicomOptions::default()).unwrap();
        assert_eq!(again.hu(), volume.hu(), "{name}");

        if entry.get("stored").is_some() {
            let mut options = DicomOptions::default();
            options.stored_values = true;
            let stored = decode_file_bytes(&bytes, &Limits::default(), &options).unwrap();
            let got: Vec<f64> = voxels(&stored).into_iter().map(f64::from).collect();
            assert_eq!(got, array("stored"), "{name}");
            assert_eq!(codes(&stored), ["single-slice"], "{name}");
        }
    }
}

#[test]
fn voxels_are_in_fortran_order() {
    let volume = read(&["enhanced.dcm"]).unwrap();
    assert_eq!(volume.hu().strides(), [1, 16, 16 * 12]);
}

#[test]
fn retired_syntaxes_are_named() {
    for (name, number, word) in
        [("retired_53.dcm", "4.53", "Spectral"), ("retired_55.dcm", "4.55", "Progression")]
    {
        let error = dicom_error(read(&[name]));
        assert!(matches!(&error, DicomError::UnsupportedSyntax { uid, .. } if uid.ends_with(number)));
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_prefix_tells_dicom() {
    assert!(is_dicom(&fixtures().join("rle.dcm")).unwrap());
    assert!(!is_dicom(&fixtures().join("expected.json")).unwrap());
    assert!(!is_dicom(&fixtures().join("../../../Cargo.toml")).unwrap());
    assert!(matches!(is_dicom(&fixtures().join("absent.dcm")), Err(VolumeError::Read { .. })));
    assert!(matches!(dicom_error(read(&["expected.json"])), DicomError::NotDicom));
}

#[test]
fn strays_are_left_out_and_counted_by_kind() {
    let volume = read(&[
        "explicit_le.dcm",
        "expected.json",
        "stray_localizer.dcm",
        "stray_report.dcm",
        "stray_screen.dcm",
        "stray_segmentation.dcm",
        "stray_structures.dcm",
    ])
    .unwrap();
    assert_eq!(codes(&volume), ["other-series", "single-slice", "stray-files"]);
    let stray = volume.warnings().iter().find(|w| w.code == WarningCode::StrayFiles).unwrap();
    assert_eq!(
        stray.message,
        "5 files left out: 1 RT structure set, 1 not DICOM, 1 secondary capture, 1 segmentation, 1 structured \
         report"
    );
}

#[test]
fn nothing_but_strays_is_an_error() {
    let error = dicom_error(read(&["stray_segmentation.dcm", "stray_report.dcm"]));
    assert_eq!(error.to_string(), "no CT image among 2 files (1 segmentation, 1 structured report)");
}

#[test]
fn the_only_ct_series_is_read_beside_others() {
    let volume = read(&["other_mr.dcm", "explicit_le.dcm"]).unwrap();
    assert_eq!(codes(&volume), ["other-series", "single-slice"]);
    // Chosen by itself, it is read with a warning about its values.
    let volume = read(&["other_mr.dcm"]).unwrap();
    assert_eq!(codes(&volume), ["single-slice", "suspicious-hu"]);
}

#[test]
fn missing_attributes_are_named() {
    let data = std::fs::read(fixtures().join("explicit_le.dcm")).unwrap();
    for (tag, name) in [
        ([0x28, 0, 0x10, 0], "Rows"),
        ([0x28, 0, 0x11, 0], "Columns"),
        ([0x28, 0, 0x00, 1], "BitsAllocated"),
        ([0x28, 0, 0x01, 1], "BitsStored"),
        ([0x28, 0, 0x03, 1], "PixelRepresentation"),
        ([0x28, 0, 0x30, 0], "PixelSpacing"),
        ([0x20, 0, 0x32, 0], "ImagePositionPatient"),
        ([0x20, 0, 0x37, 0], "ImageOrientationPatient"),
        ([0x02, 0, 0x10, 0], "TransferSyntaxUID"),
    ] {
        // Another element number of the same group, which nobody reads.
        let mut data = data.clone();
        let at = data.windows(4).position(|window| window == tag).unwrap();
        data[at + 2] = 0xEE;
        let error = decode_file_bytes(&data, &Limits::default(), &DicomOptions::default()).unwrap_err();
        assert!(matches!(error, DicomError::MissingAttribute { name: n } if n == name), "{name}: {error:?}");
    }
}

#[test]
fn errors_and_warnings_hold_no_identifier() {
    let data = std::fs::read(fixtures().join("explicit_le.dcm")).unwrap();
    for at in 132..data.len() {
        let mut data = data.clone();
        data[at] ^= 0x55;
        let text = match decode_file_bytes(&data, &Limits::default(), &DicomOptions::default()) {
            Ok(volume) => format!("{:?}", volume.warnings()),
            Err(error) => format!("{error} {error:?}"),
        };
        for secret in ["SECRET", "2.25.4711", "1901"] {
            assert!(!text.contains(secret), "byte {at}: {text}");
        }
    }
}

#[test]
fn limits_hold_before_memory_is_taken() {
    let path = fixtures().join("rle.dcm");
    let mut limits = Limits::default();
    limits.max_bytes = 16 * 12 * 4 - 1;
    let read = |limits: &Limits| read_series(std::slice::from_ref(&path), limits, &DicomOptions::default());
    assert!(matches!(read(&limits), Err(VolumeError::Limit { .. })));
    limits.max_bytes += 1;
    read(&limits).unwrap();
    limits.max_file_bytes = 1000;
    assert!(matches!(read(&limits), Err(VolumeError::Limit { .. })));
    let mut limits = Limits::default();
    limits.max_files = 3;
    let folder = read_series(&[fixtures()], &limits, &DicomOptions::default());
    assert!(matches!(folder, Err(VolumeError::Limit { .. })));
}

#[test]
fn files_cut_short_are_errors_at_every_length() {
    for name in ["explicit_le.dcm", "implicit_le.dcm", "deflated.dcm", "rle.dcm", "enhanced_fragments.dcm"] {
        let data = std::fs::read(fixtures().join(name)).unwrap();
        // The last bytes of an encapsulated file are the delimiter, of a deflated one a padding byte.
        let enough = if name == "deflated.dcm" { data.len() - 8 } else { data.len() };
        for length in 0..enough {
            let result = decode_file_bytes(&data[..length], &Limits::default(), &DicomOptions::default());
            assert!(result.is_err(), "{name} cut to {length} of {}", data.len());
        }
    }
}

/// An element of explicit VR little endian with a 32-bit length.
fn long_element(group: u16, element: u16, vr: &str, length: u32) -> Vec<u8> {
    let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
    bytes.extend(vr.as_bytes());
    bytes.extend([0, 0]);
    bytes.extend(length.to_le_bytes());
    bytes
}

/// The file's bytes up to its data set.
fn start_of(name: &str) -> Vec<u8> {
    let data = std::fs::read(fixtures().join(name)).unwrap();
    // The group length is the first element of the file meta information.
    let length = u32::from_le_bytes(data[140..144].try_into().unwrap()) as usize;
    data[..144 + length].to_vec()
}

#[test]
fn sequences_cannot_be_nested_without_end() {
    let mut data = start_of("explicit_le.dcm");
    for _ in 0..50_000 {
        data.extend(long_element(0x0040, 0x0275, "SQ", u32::MAX));
        data.extend([0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
    let error = decode_file_bytes(&data, &Limits::default(), &DicomOptions::default()).unwrap_err();
    assert!(matches!(error, DicomError::Structure { reason: "sequences are nested too deep" }), "{error:?}");
}

#[test]
fn a_deflated_file_cannot_inflate_without_end() {
    use std::io::Write;
    let mut data = start_of("deflated.dcm");
    let mut encoder = flate2::write::DeflateEncoder::new(&mut data, flate2::Compression::best());
    // Skipping this takes 80 MB of zeros out of 80 kB.
    for _ in 0..20 {
        encoder.write_all(&long_element(0x0009, 0x1010, "OB", 4 << 20)).unwrap();
        encoder.write_all(&vec![0; 4 << 20]).unwrap();
    }
    encoder.finish().unwrap();
    let error = decode_file_bytes(&data, &Limits::default(), &DicomOptions::default()).unwrap_err();
    assert!(matches!(error, DicomError::Limit(_)), "{error:?}");
}

#[test]
fn a_header_larger_than_its_pixels_fails_before_memory_is_taken() {
    // 32,524 rows: 2 GB as f32 with 16,384 columns, which the limits allow and no file here backs.
    for name in ["explicit_le.dcm", "rle.dcm", "jpeg_extended_12bit.dcm", "jpegls.dcm"] {
        let mut data = std::fs::read(fixtures().join(name)).unwrap();
        for (tag, value) in [([0x28, 0, 0x10, 0], 32_524_u16), ([0x28, 0, 0x11, 0], 16_384)] {
            let Some(at) = data.windows(4).position(|window| window == tag) else { continue };
            data[at + 8..at + 10].copy_from_slice(&value.to_le_bytes());
        }
        let result = decode_file_bytes(&data, &Limits::default(), &DicomOptions::default());
        assert!(
            matches!(result, Err(DicomError::Truncated { .. } | DicomError::Codec { .. })),
            "{name}: {result:?}"
        );
    }
}
