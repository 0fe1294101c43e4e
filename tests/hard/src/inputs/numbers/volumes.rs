//! Headers and voxels.

use ct_slices::{AnnotateRules, LabelMap, PlaneMap, annotate_volume};
use ct_volume::nifti::{decode_labels, decode_volume};
use ct_volume::{LabelVolume, Limits, nrrd};

use crate::inputs::bombs::{dicom, told};
use crate::inputs::cases::Case;
use crate::inputs::formats::in_repository;

fn nifti_file(name: &str) -> anyhow::Result<Vec<u8>> {
    Ok(fs_err::read(in_repository("crates/ct-volume/tests/fixtures/nifti/files").join(name))?)
}

fn put_f32(bytes: &mut [u8], at: usize, value: f32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Little-endian 16-bit voxels with a changed header.
fn header(name: &'static str, expected: &'static str, change: fn(&mut Vec<u8>)) -> Case {
    Case::new(name, expected, move |_| {
        let mut bytes = nifti_file("i2_le.nii")?;
        change(&mut bytes);
        Ok(move || told(decode_volume(&bytes, &Limits::default(), None)))
    })
}

fn labels_told(bytes: &[u8]) -> Result<LabelVolume, String> {
    decode_labels(bytes, &Limits::default(), None).map_err(|error| error.code().to_owned())
}

/// A mask of one of the volume crate's fixtures.
fn mask(name: &'static str, expected: &'static str, file: &'static str) -> Case {
    Case::new(name, expected, move |_| {
        let bytes = nifti_file(file)?;
        Ok(move || match labels_told(&bytes) {
            Ok(labels) => {
                let codes: Vec<String> =
                    labels.warnings().iter().map(|warning| warning.code.to_string()).collect();
                format!("read {}", codes.join(" "))
            }
            Err(code) => code,
        })
    })
}

/// An element of text in an explicit little-endian file with another value.
fn element(name: &'static str, expected: &'static str, tag: [u8; 4], value: &'static str) -> Case {
    Case::new(name, expected, move |_| {
        let mut bytes = fs_err::read(in_repository("crates/ct-volume/tests/fixtures/dicom/explicit_le.dcm"))?;
        let at = bytes.windows(4).position(|window| window == tag);
        let at = at.ok_or_else(|| anyhow::anyhow!("the good file has no element {tag:02x?}"))?;
        let length = usize::from(u16::from_le_bytes([bytes[at + 6], bytes[at + 7]]));
        let mut value = value.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(b' ');
        }
        bytes[at + 6..at + 8].copy_from_slice(&u16::try_from(value.len())?.to_le_bytes());
        drop(bytes.splice(at + 8..at + 8 + length, value));
        Ok(move || dicom(&bytes))
    })
}

/// A NRRD mask with such directions.
fn directions(name: &'static str, expected: &'static str, text: &'static str) -> Case {
    Case::new(name, expected, move |_| {
        let header = format!(
            "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n\
             space directions: {text}\nencoding: raw\nspace origin: (0,0,0)\n\n"
        );
        let bytes = [header.as_bytes(), &[1; 8]].concat();
        Ok(move || {
            let labels = nrrd::decode_labels(&bytes, &Limits::default());
            labels.map_or_else(|error| error.code().to_owned(), |_| "read".to_owned())
        })
    })
}

const SPACING: [u8; 4] = [0x28, 0, 0x30, 0];
const SLOPE: [u8; 4] = [0x28, 0, 0x53, 0x10];
const INTERCEPT: [u8; 4] = [0x28, 0, 0x52, 0x10];
const ORIENTATION: [u8; 4] = [0x20, 0, 0x37, 0];
const POSITION: [u8; 4] = [0x20, 0, 0x32, 0];

fn headers() -> Vec<Case> {
    // scl_slope 112, scl_inter 116, pixdim 76, qform_code 252, sform_code 254, quatern 256, srow 280.
    vec![
        header("nifti: slope NaN", "header-repaired", |bytes| put_f32(bytes, 112, f32::NAN)),
        header("nifti: slope infinite", "header-repaired", |bytes| put_f32(bytes, 112, f32::INFINITY)),
        header("nifti: slope 1e30", "suspicious-hu", |bytes| put_f32(bytes, 112, 1e30)),
        header("nifti: intercept NaN", "nifti-intercept", |bytes| {
            put_f32(bytes, 112, 1.0);
            put_f32(bytes, 116, f32::NAN);
        }),
        header("nifti: intercept infinite", "nifti-intercept", |bytes| {
            put_f32(bytes, 112, 1.0);
            put_f32(bytes, 116, f32::NEG_INFINITY);
        }),
        header("nifti: pixdim negative", "header-repaired", |bytes| put_f32(bytes, 80, -0.8)),
        header("nifti: pixdim zero", "header-repaired", |bytes| put_f32(bytes, 84, 0.0)),
        header("nifti: pixdim NaN beside an affine", "spacing-mismatch", |bytes| {
            put_f32(bytes, 88, f32::NAN)
        }),
        header("nifti: pixdim NaN without an affine", "geometry-not-finite", |bytes| {
            bytes[252..256].fill(0);
            put_f32(bytes, 88, f32::NAN);
        }),
        header("nifti: pixdim infinite without an affine", "geometry-not-finite", |bytes| {
            bytes[252..256].fill(0);
            put_f32(bytes, 88, f32::INFINITY);
        }),
        header("nifti: affine of two equal columns", "geometry-singular", |bytes| {
            bytes[254..256].copy_from_slice(&[1, 0]);
            for row in [280, 296, 312] {
                bytes.copy_within(row..row + 4, row + 4);
            }
        }),
        header("nifti: affine of zeros", "geometry-singular", |bytes| {
            bytes[254..256].copy_from_slice(&[1, 0]);
            bytes[280..328].fill(0);
        }),
        header("nifti: affine with NaN", "geometry-not-finite", |bytes| {
            bytes[254..256].copy_from_slice(&[1, 0]);
            put_f32(bytes, 284, f32::NAN);
        }),
        header("nifti: affine with an infinite origin", "geometry-not-finite", |bytes| {
            bytes[254..256].copy_from_slice(&[1, 0]);
            put_f32(bytes, 292, f32::INFINITY);
        }),
        header("nifti: quaternion longer than 1", "nifti-quaternion", |bytes| {
            bytes[252..256].copy_from_slice(&[1, 0, 0, 0]);
            put_f32(bytes, 256, 3.0);
        }),
        header("nifti: voxels from byte NaN", "nifti-voxel-offset", |bytes| put_f32(bytes, 108, f32::NAN)),
        header("nifti: no column", "nifti-axis-length", |bytes| bytes[42..44].fill(0)),
        Case::new("nifti: voxels NaN and infinite", "non-finite-voxels", |_| {
            let mut bytes = nifti_file("f4_le.nii")?;
            put_f32(&mut bytes, 352, f32::NAN);
            put_f32(&mut bytes, 356, f32::NEG_INFINITY);
            Ok(move || told(decode_volume(&bytes, &Limits::default(), None)))
        }),
        Case::new("nifti: a voxel of 1e30 HU", "suspicious-hu", |_| {
            let mut bytes = nifti_file("f4_le.nii")?;
            bytes[352..].fill(0);
            put_f32(&mut bytes, 352, 1e30);
            Ok(move || told(decode_volume(&bytes, &Limits::default(), None)))
        }),
    ]
}

pub(super) fn numbers() -> Vec<Case> {
    let mut all = headers();
    all.extend([
        mask("mask: label -1", "label-range", "labels_negative_int.nii"),
        mask("mask: label 70000", "label-range", "labels_large.nii"),
        mask("mask: label NaN", "label-range", "labels_nan.nii"),
        mask("mask: label 1.4", "labels-rounded", "labels_rounded.nii"),
        Case::new("mask: labels outside of the map", "labels-outside-map", |_| {
            let mut bytes = nifti_file("labels_whole.nii")?;
            bytes[352] = 77;
            let labels = labels_told(&bytes).map_err(anyhow::Error::msg)?;
            Ok(move || {
                let rules = AnnotateRules::FIXED;
                match annotate_volume(labels.labels().view(), &LabelMap::msd(), PlaneMap::Display, &rules) {
                    Ok(annotation) if annotation.labels_outside_map.is_empty() => "read".to_owned(),
                    Ok(_) => "labels-outside-map".to_owned(),
                    Err(error) => error.code().to_owned(),
                }
            })
        }),
        Case::new("mask: another grid than its study", "geometry-position-mismatch", |_| {
            let bytes = nifti_file("i2_le.nii")?;
            let study = decode_volume(&bytes, &Limits::default(), None)?;
            let mut moved = bytes;
            moved[252..256].copy_from_slice(&[0, 0, 1, 0]);
            put_f32(&mut moved, 292, 500.0);
            let mask = decode_volume(&moved, &Limits::default(), None)?;
            Ok(move || {
                let same = study.geometry().check_same_grid(mask.geometry(), 0.5);
                same.map_or_else(|error| error.code().to_owned(), |()| "read".to_owned())
            })
        }),
        directions("nrrd: directions NaN", "geometry-not-finite", "(nan,0,0) (0,1,0) (0,0,1)"),
        directions("nrrd: directions of zero", "geometry-singular", "(0,0,0) (0,1,0) (0,0,1)"),
        directions("nrrd: directions in one plane", "geometry-singular", "(1,0,0) (0,1,0) (1,1,0)"),
        element("dicom: slope 0", "dicom-bad-attribute", SLOPE, "0"),
        element("dicom: slope NaN", "dicom-bad-attribute", SLOPE, "NaN"),
        element("dicom: slope 1e400", "dicom-bad-attribute", SLOPE, "1e400"),
        element("dicom: slope 1e30", "suspicious-hu", SLOPE, "1e30"),
        element("dicom: slope 1e300", "dicom-bad-attribute", SLOPE, "1e300"),
        element("dicom: intercept 1e300", "dicom-bad-attribute", INTERCEPT, "1e300"),
        element("dicom: pixel spacing 0", "dicom-bad-attribute", SPACING, "0\\0"),
        element("dicom: pixel spacing negative", "dicom-bad-attribute", SPACING, "-0.8\\-0.8"),
        element("dicom: pixel spacing infinite", "dicom-bad-attribute", SPACING, "inf\\inf"),
        element("dicom: orientation of zeros", "dicom-bad-attribute", ORIENTATION, "0\\0\\0\\0\\0\\0"),
        element("dicom: orientation along one line", "dicom-bad-attribute", ORIENTATION, "1\\0\\0\\1\\0\\0"),
        element("dicom: position NaN", "dicom-bad-attribute", POSITION, "NaN\\0\\0"),
    ]);
    all
}
