//! Whole series: written here, then changed file by file.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops at what fails"
)]

use std::path::{Path, PathBuf};

use ct_volume::dicom::{
    DicomError, DicomOptions, Irregularity, SeriesTags, decode_file_bytes, decode_instances,
    decode_raw_elements, decode_series_bytes, list_instances, read_raw_elements, read_series, write_series,
};
use ct_volume::{Affine, Geometry, Limits, Orientation, Volume, VolumeError, WarningCode};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use ndarray::{Array3, ShapeBuilder};
use tempfile::TempDir;

const SHAPE: [usize; 3] = [16, 12, 7];

/// Voxels that are all different, with air in them.
fn volume(affine: Affine) -> Volume {
    let [i, j, k] = SHAPE;
    let hu = Array3::from_shape_fn((i, j, k).f(), |(i, j, k)| {
        if i == 0 { -1000.0 } else { (i * 100 + j * 7 + k * 1000) as f32 - 1000.0 }
    });
    Volume::new(hu, affine).unwrap()
}

fn axial() -> Affine {
    Affine::from_rows([[-0.8, 0.0, 0.0, 60.0], [0.0, -0.7, 0.0, 50.0], [0.0, 0.0, 2.5, -40.0]])
}

fn tags(thickness: f64) -> SeriesTags {
    SeriesTags { patient: "PHANTOM_0001".into(), uid_root: "2.25.77".into(), slice_thickness_mm: thickness }
}

/// A folder with the series of `volume`, spacing 2.5 mm.
fn series(volume: &Volume) -> (TempDir, Vec<PathBuf>) {
    let folder = TempDir::new().unwrap();
    let files = write_series(folder.path(), volume, &tags(2.5)).unwrap();
    (folder, files)
}

fn read(folder: &Path) -> Result<Volume, VolumeError> {
    read_series(&[folder.to_owned()], &Limits::default(), &DicomOptions::default())
}

fn read_anyway(folder: &Path) -> Volume {
    let mut options = DicomOptions::default();
    options.allow_irregular = true;
    read_series(&[folder.to_owned()], &Limits::default(), &options).unwrap()
}

fn dicom_error(result: Result<Volume, VolumeError>) -> DicomError {
    match result.unwrap_err() {
        VolumeError::Dicom { source, .. } => *source,
        other => panic!("{other:?}"),
    }
}

fn troubles(folder: &Path) -> Vec<Irregularity> {
    match dicom_error(read(folder)) {
        DicomError::Irregular { troubles } => troubles,
        other => panic!("{other:?}"),
    }
}

fn codes(volume: &Volume) -> Vec<WarningCode> {
    volume.warnings().iter().map(|w| w.code).collect()
}

fn set(path: &Path, tag: Tag, vr: VR, value: &str) {
    let mut object = dicom_object::open_file(path).unwrap();
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    std::fs::remove_file(path).unwrap();
    object.write_to_file(path).unwrap();
}

fn move_to(path: &Path, position: [f64; 3]) {
    let [x, y, z] = position;
    set(path, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("{x}\\{y}\\{z}"));
}

#[test]
fn what_is_written_is_read_back_in_every_orientation() {
    for orientation in Orientation::all() {
        let original = volume(orientation.affine([0.8, 0.7, 2.5]));
        let (folder, files) = series(&original);
        assert_eq!(files[0].file_name().unwrap(), "1-001.dcm");
        let back = read(folder.path()).unwrap();
        assert!(back.warnings().is_empty(), "{:?}", back.warnings());
        // A left-handed volume comes back with its slices the other way round.
        let same = back.reoriented(orientation);
        assert_eq!(same.hu(), original.hu(), "{orientation:?}");
        same.geometry().check_same_grid(original.geometry(), 1e-6).unwrap();
        let handed = original.geometry().affine().determinant() > 0.0;
        assert_eq!(back.geometry().orientation() == orientation, handed);
    }
}

#[test]
fn an_oblique_volume_keeps_its_place() {
    let (s, c) = 0.3_f64.sin_cos();
    let rows = [[-0.8 * c, -0.7 * s, 0.0, 3.0], [0.8 * s * c, -0.7 * c * c, -2.5 * s, 5.0]];
    let last = [-0.8 * s * s, 0.7 * s * c, -2.5 * c, 7.0];
    let original = volume(Affine::from_rows([rows[0], rows[1], last]));
    assert!(original.geometry().affine().shear() < 1e-12);
    let (folder, _) = series(&original);
    let back = read(folder.path()).unwrap();
    assert!(back.warnings().is_empty(), "{:?}", back.warnings());
    let orientation = original.geometry().orientation();
    back.reoriented(orientation).geometry().check_same_grid(original.geometry(), 1e-6).unwrap();
}

#[test]
fn the_same_volume_gives_the_same_bytes() {
    let (_a, first) = series(&volume(axial()));
    let (_b, second) = series(&volume(axial()));
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = TempDir::new().unwrap();
    let mut hu = volume(axial()).into_array();
    hu[[1, 1, 1]] = f32::NAN;
    let bad = Volume::new(hu, axial()).unwrap();
    let not_writable = |volume: &Volume, tags: &SeriesTags| {
        let error = write_series(folder.path(), volume, tags).unwrap_err();
        assert!(matches!(error, VolumeError::Dicom { source, .. }
            if matches!(*source, DicomError::NotWritable { .. })));
    };
    not_writable(&bad, &tags(1.0));
    for root in ["", "1..2", "1.02", "abc"] {
        not_writable(&volume(axial()), &SeriesTags { uid_root: root.into(), ..tags(1.0) });
    }
    let skewed = Affine::from_rows([[1.0, 0.3, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
    not_writable(&volume(skewed), &tags(1.0));
}

#[test]
fn slices_are_sorted_by_position_not_by_name_or_number() {
    let original = volume(axial());
    let (folder, files) = series(&original);
    for (n, file) in files.iter().enumerate() {
        set(file, tags::INSTANCE_NUMBER, VR::IS, &((n * 3) % 7).to_string());
        std::fs::rename(file, folder.path().join(format!("x{}", (n * 5) % 7))).unwrap();
    }
    // Also in a folder within the folder.
    std::fs::create_dir(folder.path().join("deeper")).unwrap();
    std::fs::rename(folder.path().join("x3"), folder.path().join("deeper/x3")).unwrap();
    let back = read(folder.path()).unwrap();
    assert_eq!(back.hu(), original.hu());
    assert!(back.geometry().affine().max_abs_diff(&axial()) < 1e-9);
}

#[test]
fn spacing_is_from_positions_whatever_the_thickness() {
    let folder = TempDir::new().unwrap();
    write_series(folder.path(), &volume(axial()), &tags(5.0)).unwrap();
    let back = read(folder.path()).unwrap();
    assert_eq!(back.geometry().spacing_mm(), [0.8, 0.7, 2.5]);
    assert_eq!(codes(&back), [WarningCode::ThicknessIsNotSpacing]);
}

#[test]
fn a_missing_slice() {
    let original = volume(axial());
    let (folder, files) = series(&original);
    std::fs::remove_file(&files[3]).unwrap();
    let found = troubles(folder.path());
    let [Irregularity::MissingSlices { missing: 1, present: 6, spacing_mm, gaps }] = &found[..] else {
        panic!("{found:?}");
    };
    assert!((spacing_mm - 2.5).abs() < 1e-9 && gaps[0].after_slice == 2);
    let text = dicom_error(read(folder.path())).to_string();
    assert!(text.contains("1 slices missing") && text.contains("5.000 mm after slice 2"), "{text}");

    let back = read_anyway(folder.path());
    assert_eq!(codes(&back), [WarningCode::MissingSlices]);
    assert_eq!(back.geometry().shape(), [16, 12, 6]);
    assert!((back.geometry().spacing_mm()[2] - 2.5).abs() < 1e-9);
    assert_eq!(back.hu()[[5, 5, 3]], original.hu()[[5, 5, 4]]);
}

#[test]
fn a_duplicate_slice_with_the_same_and_with_other_pixels() {
    let original = volume(axial());
    let (folder, files) = series(&original);
    let copy = folder.path().join("copy.dcm");
    std::fs::copy(&files[2], &copy).unwrap();
    let found = troubles(folder.path());
    let [Irregularity::DuplicateSlices { positions: 1, extra: 1, identical: 1, first_at_mm }] = found[..]
    else {
        panic!("{found:?}");
    };
    assert!((first_at_mm - 5.0).abs() < 1e-9);
    let back = read_anyway(folder.path());
    assert_eq!(codes(&back), [WarningCode::DuplicateSlices]);
    assert_eq!(back.hu(), original.hu());

    // Another slice's pixels at that place: the lower InstanceNumber is kept.
    std::fs::copy(&files[5], &copy).unwrap();
    move_to(&copy, [-60.0, -50.0, -35.0]);
    let found = troubles(folder.path());
    assert!(matches!(found[..], [Irregularity::DuplicateSlices { extra: 1, identical: 0, .. }]), "{found:?}");
    assert_eq!(read_anyway(folder.path()).hu(), original.hu());
}

#[test]
fn uneven_gaps() {
    let (folder, files) = series(&volume(axial()));
    move_to(&files[4], [-60.0, -50.0, -29.2]);
    let found = troubles(folder.path());
    let [Irregularity::UnevenSpacing { slice: 4, largest_offset_mm, median_gap_mm, .. }] = found[..] else {
        panic!("{found:?}");
    };
    assert!((largest_offset_mm - 0.8).abs() < 1e-9 && (median_gap_mm - 2.5).abs() < 1e-9);
    assert_eq!(codes(&read_anyway(folder.path())), [WarningCode::UnevenSpacing]);
}

#[test]
fn a_tilted_gantry_is_seen_without_its_tag() {
    let (folder, files) = series(&volume(axial()));
    let tilt = 15.0_f64.to_radians().tan();
    for (k, file) in files.iter().enumerate() {
        let along = 2.5 * k as f64;
        move_to(file, [-60.0, -50.0 + along * tilt, -40.0 + along]);
    }
    let found = troubles(folder.path());
    assert!(matches!(found[..], [Irregularity::GantryTilt { degrees, .. }] if (degrees - 15.0).abs() < 1e-6));
    let back = read_anyway(folder.path());
    assert_eq!(codes(&back), [WarningCode::GantryTilt]);
    let last = back.geometry().affine().apply([0.0, 0.0, 6.0]);
    assert!((last[1] - (50.0 - 15.0 * tilt)).abs() < 1e-6 && (last[2] + 25.0).abs() < 1e-9);
}

#[test]
fn slices_of_another_orientation_or_size() {
    let (folder, files) = series(&volume(axial()));
    set(&files[0], tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
    set(&files[6], tags::PIXEL_SPACING, VR::DS, "0.9\\0.9");
    assert_eq!(
        troubles(folder.path()),
        [
            Irregularity::MixedOrientation { kept: 6, left_out: 1 },
            Irregularity::MixedSize { kept: 5, left_out: 1 }
        ]
    );
    let back = read_anyway(folder.path());
    assert_eq!(codes(&back), [WarningCode::MixedOrientation, WarningCode::StrayFiles]);
    assert_eq!(back.geometry().shape(), [16, 12, 5]);
}

#[test]
fn everything_in_the_way_is_named_at_once() {
    let (folder, files) = series(&volume(axial()));
    std::fs::remove_file(&files[3]).unwrap();
    std::fs::copy(&files[0], folder.path().join("copy.dcm")).unwrap();
    let found = troubles(folder.path());
    let codes: Vec<_> = found.iter().map(Irregularity::code).collect();
    assert_eq!(codes, [WarningCode::DuplicateSlices, WarningCode::MissingSlices]);
}

#[test]
fn several_series_ask_for_a_choice() {
    let (folder, _) = series(&volume(axial()));
    let other = folder.path().join("other");
    let wider = Affine::from_rows([[-0.9, 0.0, 0.0, 60.0], [0.0, -0.9, 0.0, 50.0], [0.0, 0.0, 5.0, -40.0]]);
    let second = SeriesTags { uid_root: "2.25.78".into(), ..tags(5.0) };
    write_series(&other, &volume(wider), &second).unwrap();
    let error = dicom_error(read(folder.path()));
    let text = error.to_string();
    assert_eq!(
        text,
        "2 series could be meant, choose one: [0] CT, 7 files, 16x12x7; [1] CT, 7 files, 16x12x7"
    );
    for (index, spacing) in [(0, 2.5), (1, 5.0)] {
        let mut options = DicomOptions::default();
        options.series = Some(index);
        let chosen = read_series(&[folder.path().to_owned()], &Limits::default(), &options).unwrap();
        assert!((chosen.geometry().spacing_mm()[2] - spacing).abs() < 1e-9);
        assert_eq!(codes(&chosen), [WarningCode::OtherSeries]);
    }
    let mut options = DicomOptions::default();
    options.series = Some(2);
    let error = dicom_error(read_series(&[folder.path().to_owned()], &Limits::default(), &options));
    assert!(matches!(error, DicomError::NoSuchSeries { index: 2, .. }));
}

#[test]
fn a_broken_file_of_the_series_is_named() {
    let (folder, files) = series(&volume(axial()));
    let data = std::fs::read(&files[3]).unwrap();
    std::fs::write(&files[3], &data[..data.len() - 10]).unwrap();
    let VolumeError::Dicom { path, source } = read(folder.path()).unwrap_err() else {
        panic!("not about DICOM")
    };
    assert_eq!(path, files[3]);
    assert!(matches!(*source, DicomError::Truncated { what: "PixelData" }));
}

#[test]
fn a_list_of_files_is_a_series_and_one_file_a_slice() {
    let original = volume(axial());
    let (_folder, mut files) = series(&original);
    files.reverse();
    files.push(files[0].clone());
    let back = read_series(&files, &Limits::default(), &DicomOptions::default()).unwrap();
    assert_eq!(back.hu(), original.hu());
    let bytes = std::fs::read(&files[0]).unwrap();
    let slice = decode_file_bytes(&bytes, &Limits::default(), &DicomOptions::default()).unwrap();
    assert_eq!(slice.geometry().shape(), [16, 12, 1]);
    assert_eq!(codes(&slice), [WarningCode::SingleSlice]);
    let place = Geometry::new([16, 12, 1], *slice.geometry().affine()).unwrap();
    assert!((place.affine().origin_mm()[2] - -25.0).abs() < 1e-9);
}

#[test]
fn instances_are_in_the_order_of_the_volume() {
    let (folder, files) = series(&volume(axial()));
    // Written from feet to head; names that sort the other way change nothing.
    for (k, file) in files.iter().enumerate() {
        std::fs::rename(file, folder.path().join(format!("{:03}.dcm", 900 - k))).unwrap();
    }
    let options = DicomOptions::default();
    let instances = list_instances(&[folder.path().to_owned()], &Limits::default(), &options).unwrap();
    let back = read(folder.path()).unwrap();
    assert_eq!(&instances.geometry, back.geometry());
    assert_eq!(instances.slices.len(), SHAPE[2]);
    for (k, slice) in instances.slices.iter().enumerate() {
        assert_eq!(slice.path.file_name().unwrap().to_str().unwrap(), format!("{:03}.dcm", 900 - k));
        assert_eq!((slice.frame_idx, slice.n_frames, slice.is_lossy), (0, 1, false));
        let ras = back.geometry().affine().apply([0.0, 0.0, k as f64]);
        let lps = slice.position_lps_mm;
        assert!((ras[0] + lps[0]).abs() + (ras[1] + lps[1]).abs() + (ras[2] - lps[2]).abs() < 1e-9);
    }
    // The same from memory, in any order and with something else between.
    let bytes: Vec<Vec<u8>> =
        instances.slices.iter().rev().map(|slice| std::fs::read(&slice.path).unwrap()).collect();
    let mut in_memory: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    in_memory.insert(1, b"not DICOM");
    let (again, places) = decode_instances(&in_memory, &Limits::default(), &options).unwrap();
    assert_eq!(again.geometry, instances.geometry);
    assert_eq!(places.len(), SHAPE[2]);
    for ((slice, place), other) in again.slices.iter().zip(&places).zip(&instances.slices) {
        assert_eq!(slice.position_lps_mm, other.position_lps_mm);
        let wanted = [tags::SOP_INSTANCE_UID];
        let of_file = read_raw_elements(&other.path, &wanted, &Limits::default()).unwrap();
        let of_bytes = decode_raw_elements(in_memory[*place], &wanted, &Limits::default()).unwrap();
        assert_eq!(of_bytes, of_file);
    }
    let mut none = options;
    none.series = Some(1);
    assert!(decode_instances(&in_memory, &Limits::default(), &none).is_err());
    assert!(list_instances(&[folder.path().to_owned()], &Limits::default(), &none).is_err());
}

#[test]
fn raw_elements_are_the_bytes_of_the_file() {
    let (_folder, files) = series(&volume(axial()));
    let wanted =
        [tags::SOP_INSTANCE_UID, tags::PATIENT_NAME, tags::PATIENT_SEX, tags::ROWS, tags::PATIENT_AGE];
    let raw = read_raw_elements(&files[1], &wanted, &Limits::default()).unwrap();
    let expected: Vec<(Tag, Vec<u8>)> = vec![
        (tags::SOP_INSTANCE_UID, b"2.25.77.4.2\0".to_vec()),
        (tags::PATIENT_NAME, b"PHANTOM_0001".to_vec()),
        (tags::PATIENT_SEX, Vec::new()),
        (tags::ROWS, vec![12, 0]),
    ];
    assert_eq!(raw, expected);
    let absent = files[1].with_file_name("absent.dcm");
    assert!(matches!(read_raw_elements(&absent, &wanted, &Limits::default()), Err(VolumeError::Read { .. })));
}

#[test]
fn a_series_in_memory_is_that_of_its_files() {
    let original = volume(axial());
    let (_folder, mut files) = series(&original);
    files.reverse();
    let mut bytes: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    bytes.push(b"a note beside the series".to_vec());
    let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    let back = decode_series_bytes(&slices, &Limits::default(), &DicomOptions::default()).unwrap();
    assert_eq!(back.hu(), original.hu());
    assert_eq!(codes(&back), [WarningCode::StrayFiles]);
    let mut few = Limits::default();
    few.max_files = 3;
    let error = decode_series_bytes(&slices, &few, &DicomOptions::default()).unwrap_err();
    assert!(matches!(error, DicomError::Limit(_)));
    let none = decode_series_bytes(&[], &Limits::default(), &DicomOptions::default()).unwrap_err();
    assert!(matches!(none, DicomError::NoImages { n_files: 0, .. }));
}
