//! A small study on disk, and the way back from DICOM objects.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::path::{Path, PathBuf};

use ct_volume::dicom::{DicomOptions, SeriesTags, read_series, write_series};
use ct_volume::{Affine, Limits, Volume};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_findings::{DicomFindingsError, ExportOptions, MissingUids, Software, SourceSeries, Timestamp};
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use findings::{Entity, FindingOptions, Findings, Provenance, SliceAnswers, SliceBox, StudyGeometry};
use ndarray::{Array3, ShapeBuilder};

/// Voxels along each axis; frames of 221 px end within a byte.
pub const SHAPE: [usize; 3] = [17, 13, 9];

/// An oblique grid, LPS.
pub fn oblique() -> Affine {
    let (sin, cos) = 0.2_f64.sin_cos();
    Affine::from_rows([
        [-0.8, 0.0, 0.0, 40.0],
        [0.0, -0.7 * cos, 2.5 * sin, 25.0],
        [0.0, 0.7 * sin, 2.5 * cos, -60.0],
    ])
}

/// Writes a series with this affine and gives its folder.
pub fn series(folder: &Path, affine: Affine) -> Vec<PathBuf> {
    let [i, j, k] = SHAPE;
    let hu = Array3::from_shape_fn((i, j, k).f(), |(i, j, k)| (i + 10 * j + 100 * k) as f32);
    let tags = SeriesTags { patient: "Doe^Jane".into(), uid_root: "2.25.77".into(), slice_thickness_mm: 2.5 };
    write_series(folder, &Volume::new(hu, affine).unwrap(), &tags).unwrap()
}

pub fn read_volume(folder: &Path) -> Volume {
    read_series(&[folder.to_owned()], &Limits::default(), &DicomOptions::default()).unwrap()
}

pub fn read_source(folder: &Path) -> Result<SourceSeries, DicomFindingsError> {
    let paths = [folder.to_owned()];
    let (limits, options) = (Limits::default(), DicomOptions::default());
    let read = SourceSeries::read(&paths, &limits, &options, MissingUids::Refuse);
    let files: Vec<Vec<u8>> =
        fs_err::read_dir(folder).unwrap().map(|entry| fs_err::read(entry.unwrap().path()).unwrap()).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let in_memory = SourceSeries::read_bytes(&files, &limits, &options, MissingUids::Refuse);
    assert_eq!(in_memory.as_ref().ok(), read.as_ref().ok(), "from memory as from files");
    read
}

/// Pancreas, a tumor with a gap in it, and a spleen that overlaps the pancreas.
pub fn found(volume: &Volume, provenance: Provenance) -> Findings {
    let study = StudyGeometry::new(volume.geometry()).unwrap();
    let [width, height] = study.size_px().map(f64::from);
    let n_slices = study.n_slices();
    let answers: Vec<SliceAnswers> = (1..n_slices - 1)
        .map(|slice_idx| {
            let slice_box = |entity, [x, y, u, v]: [f64; 4], probability| SliceBox {
                entity,
                box_px: [x * width, y * height, u * width, v * height].into(),
                probability: Some(probability),
            };
            let mut boxes = vec![
                slice_box(Entity::PANCREAS, [0.2, 0.3, 0.6, 0.7], 0.8),
                slice_box(Entity::SPLEEN, [0.5, 0.5, 0.9, 0.95], 0.6),
            ];
            if slice_idx != n_slices / 2 {
                boxes.push(slice_box(Entity::PANCREATIC_TUMOR, [0.25, 0.35, 0.5, 0.6], 0.7));
            }
            SliceAnswers { slice_idx, boxes, tumor_probability: Some(0.5) }
        })
        .collect();
    Findings::from_answers(&answers, volume.geometry(), provenance, &FindingOptions::default()).unwrap()
}

pub fn options() -> ExportOptions {
    let software = Software::new("makers", "program", "1.2.3").unwrap();
    ExportOptions::new(Timestamp::new("20260102", "030405").unwrap(), software)
}

pub fn parse(bytes: &[u8]) -> DefaultDicomObject {
    dicom_object::from_reader(bytes).unwrap()
}

pub fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let element = object.element(tag).unwrap();
    element.to_str().unwrap().trim_matches([' ', '\0']).to_owned()
}

pub fn numbers(object: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    object.element(tag).unwrap().to_multi_float64().unwrap()
}

pub fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.element(tag).unwrap().items().unwrap()
}

/// Changes an attribute of a file.
pub fn set(path: &Path, tag: Tag, vr: VR, value: PrimitiveValue) {
    let mut object = dicom_object::open_file(path).unwrap();
    object.put(DataElement::new(tag, vr, value));
    fs_err::remove_file(path).unwrap();
    object.write_to_file(path).unwrap();
}

/// Joins the files of a series into one enhanced multi-frame file, frames in the order of the files.
pub fn enhance(files: &[PathBuf], path: &Path) {
    let open = |file: &PathBuf| dicom_object::open_file(file).unwrap();
    let group = |tag: Tag, object: &InMemDicomObject, from: &[Tag]| {
        let elements = from.iter().map(|&tag| object.element(tag).unwrap().clone());
        let item = InMemDicomObject::from_element_iter(elements);
        DataElement::new(tag, VR::SQ, DataSetSequence::from(vec![item]))
    };
    let mut object = open(&files[0]);
    let shared = InMemDicomObject::from_element_iter([
        group(tags::PIXEL_MEASURES_SEQUENCE, &object, &[tags::PIXEL_SPACING, tags::SLICE_THICKNESS]),
        group(tags::PLANE_ORIENTATION_SEQUENCE, &object, &[tags::IMAGE_ORIENTATION_PATIENT]),
        group(
            tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
            &object,
            &[tags::RESCALE_INTERCEPT, tags::RESCALE_SLOPE, tags::RESCALE_TYPE],
        ),
    ]);
    let (mut frames, mut pixels) = (Vec::new(), Vec::new());
    for file in files.iter().map(open) {
        let position = group(tags::PLANE_POSITION_SEQUENCE, &file, &[tags::IMAGE_POSITION_PATIENT]);
        frames.push(InMemDicomObject::from_element_iter([position]));
        pixels.extend(file.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap());
    }
    for tag in [
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PIXEL_SPACING,
        tags::RESCALE_INTERCEPT,
        tags::RESCALE_SLOPE,
    ] {
        object.remove_element(tag);
    }
    let mut put = |tag, vr, value: PrimitiveValue| object.put(DataElement::new(tag, vr, value));
    put(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2.1".into());
    put(tags::NUMBER_OF_FRAMES, VR::IS, frames.len().to_string().into());
    put(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into()));
    object.put(DataElement::new(
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        VR::SQ,
        DataSetSequence::from(vec![shared]),
    ));
    object.put(DataElement::new(
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        VR::SQ,
        DataSetSequence::from(frames),
    ));
    object.write_to_file(path).unwrap();
}
