//! Reports and segmentations, read back with dicom-rs, against the findings.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at what fails"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ct_volume::dicom::DicomOptions;
use ct_volume::{Affine, Limits, Orientation};
use dicom_dictionary_std::tags;
use dicom_findings::{DicomFindingsError, MissingUids, SourceSeries, measurement_report, segmentation};
use dicom_object::InMemDicomObject;
use findings::export::entity_mask;
use findings::{Findings, Provenance};
use support::{
    SHAPE, enhance, found, items, numbers, oblique, options, parse, read_source, read_volume, series, text,
};
use tempfile::TempDir;

/// All content items of a tree.
fn walk<'a>(item: &'a InMemDicomObject, all: &mut Vec<&'a InMemDicomObject>) {
    if let Ok(children) = item.element(tags::CONTENT_SEQUENCE) {
        for child in children.items().unwrap() {
            all.push(child);
            walk(child, all);
        }
    }
}

fn is(item: &InMemDicomObject, value_type: &str, code: &str) -> bool {
    text(item, tags::VALUE_TYPE) == value_type
        && item
            .element(tags::CONCEPT_NAME_CODE_SEQUENCE)
            .is_ok_and(|name| text(&name.items().unwrap()[0], tags::CODE_VALUE) == code)
}

/// Image attributes by SOP instance, as another reader has them.
fn images(folder: &Path) -> BTreeMap<String, InMemDicomObject> {
    let files = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let open = |path: PathBuf| dicom_object::open_file(path).unwrap().into_inner();
    files.map(open).map(|image| (text(&image, tags::SOP_INSTANCE_UID), image)).collect()
}

/// Px of an image to LPS mm (PS3.3, C.7.6.2.1.1; C.18.6 for the half pixel).
fn to_patient(image: &InMemDicomObject, column: f64, row: f64) -> [f64; 3] {
    let (origin, direction) =
        (numbers(image, tags::IMAGE_POSITION_PATIENT), numbers(image, tags::IMAGE_ORIENTATION_PATIENT));
    let spacing = numbers(image, tags::PIXEL_SPACING);
    let (x, y) = ((column - 0.5) * spacing[1], (row - 0.5) * spacing[0]);
    [0, 1, 2].map(|n| origin[n] + direction[n] * x + direction[n + 3] * y)
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|n| (a[n] - b[n]).powi(2)).sum::<f64>().sqrt()
}

fn check_report(bytes: &[u8], found: &Findings, images: &BTreeMap<String, InMemDicomObject>) {
    let report = parse(bytes);
    let mut all = Vec::new();
    walk(&report, &mut all);
    let groups: Vec<_> = all.iter().filter(|item| is(item, "CONTAINER", "125007")).collect();
    assert_eq!(groups.len(), found.findings.len() + 1, "the case has a group too");
    for (group, finding) in groups.iter().zip(&found.findings) {
        let children = items(group, tags::CONTENT_SEQUENCE);
        let regions: Vec<_> = children.iter().filter(|item| is(item, "SCOORD", "111030")).collect();
        assert_eq!(regions.len(), finding.boxes.len());
        for (region, slice) in regions.into_iter().zip(&finding.boxes) {
            let points = numbers(region, tags::GRAPHIC_DATA);
            assert_eq!((points.len(), &points[..2]), (10, &points[8..]), "closed");
            let image = &items(region, tags::CONTENT_SEQUENCE)[0];
            let reference = &items(image, tags::REFERENCED_SOP_SEQUENCE)[0];
            let image = &images[&text(reference, tags::REFERENCED_SOP_INSTANCE_UID)];
            for point in points[..8].chunks(2) {
                let place = to_patient(image, point[0], point[1]);
                let nearest = slice.corners_lps_mm.map(|corner| distance(corner, place));
                assert!(nearest.into_iter().fold(f64::INFINITY, f64::min) < 1e-4, "{nearest:?}");
            }
        }
        let number = |code: &str| {
            let item = children.iter().find(|item| is(item, "NUM", code)).unwrap();
            numbers(&items(item, tags::MEASURED_VALUE_SEQUENCE)[0], tags::NUMERIC_VALUE)[0]
        };
        assert!((number("103339001") - finding.size_mm.longest).abs() < 1e-9);
        assert!((number("118565006") - finding.volume_ml).abs() < 1e-9);
        assert!((number("111012") - 100.0 * finding.confidence.unwrap()).abs() < 1e-9);
    }
}

/// Voxels of each segment, `[column, row, plane]` of the series.
fn segments(
    bytes: &[u8],
    source_images: &BTreeMap<String, InMemDicomObject>,
    plane_of: impl Fn(&str) -> usize,
) -> BTreeMap<String, BTreeSet<[usize; 3]>> {
    let object = parse(bytes);
    let labels: Vec<String> =
        items(&object, tags::SEGMENT_SEQUENCE).iter().map(|s| text(s, tags::SEGMENT_LABEL)).collect();
    let [rows, columns] =
        [tags::ROWS, tags::COLUMNS].map(|tag| object.element(tag).unwrap().to_int::<usize>().unwrap());
    let pixels = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
    let mut voxels: BTreeMap<String, BTreeSet<[usize; 3]>> = BTreeMap::new();
    let frames = items(&object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    assert_eq!(frames.len(), object.element(tags::NUMBER_OF_FRAMES).unwrap().to_int::<usize>().unwrap());
    for (number, frame) in frames.iter().enumerate() {
        let derivation = &items(frame, tags::DERIVATION_IMAGE_SEQUENCE)[0];
        let reference = &items(derivation, tags::SOURCE_IMAGE_SEQUENCE)[0];
        let uid = text(reference, tags::REFERENCED_SOP_INSTANCE_UID);
        let position = numbers(&items(frame, tags::PLANE_POSITION_SEQUENCE)[0], tags::IMAGE_POSITION_PATIENT);
        assert_eq!(position, numbers(&source_images[&uid], tags::IMAGE_POSITION_PATIENT));
        let segment = &items(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE)[0];
        let segment = segment.element(tags::REFERENCED_SEGMENT_NUMBER).unwrap().to_int::<usize>().unwrap();
        let own = voxels.entry(labels[segment - 1].clone()).or_default();
        for row in 0..rows {
            for column in 0..columns {
                let bit = (number * rows + row) * columns + column;
                if pixels[bit / 8] >> (bit % 8) & 1 == 1 {
                    own.insert([column, row, plane_of(&uid)]);
                }
            }
        }
    }
    voxels
}

fn masks(found: &Findings) -> BTreeMap<String, BTreeSet<[usize; 3]>> {
    let voxels = |entity| {
        let mask = entity_mask(found, entity).unwrap();
        mask.labels().indexed_iter().filter(|(_, l)| **l > 0).map(|((i, j, k), _)| [i, j, k]).collect()
    };
    found.labels().keys().map(|entity| (entity.name().to_owned(), voxels(entity))).collect()
}

#[test]
fn an_oblique_study_comes_back() {
    let folder = TempDir::new().unwrap();
    series(folder.path(), oblique());
    let found = found(&read_volume(folder.path()), Provenance::default());
    let (source, images) = (read_source(folder.path()).unwrap(), images(folder.path()));
    let report = measurement_report(&found, &source, &options()).unwrap();
    check_report(&report, &found, &images);
    let object = parse(&report);
    assert_eq!(text(&object, tags::STUDY_INSTANCE_UID), "2.25.77.1");
    let evidence = &items(&object, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)[0];
    let evidence = &items(evidence, tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(items(evidence, tags::REFERENCED_SOP_SEQUENCE).len(), 9);
    assert_eq!(text(&object, tags::SERIES_DESCRIPTION), "Findings: research use only, not for diagnosis");

    let segmentation = segmentation(&found, &source, &options()).unwrap().unwrap();
    let plane_of = |uid: &str| uid.rsplit('.').next().unwrap().parse::<usize>().unwrap() - 1;
    assert_eq!(segments(&segmentation, &images, plane_of), masks(&found));
    let object = parse(&segmentation);
    let labels: Vec<_> =
        items(&object, tags::SEGMENT_SEQUENCE).iter().map(|s| text(s, tags::SEGMENT_LABEL)).collect();
    assert_eq!(labels, ["pancreas", "pancreatic tumor", "spleen"]);
    // Files in the folder that are ours are no images of the series.
    fs_err::write(folder.path().join("sr.dcm"), &report).unwrap();
    fs_err::write(folder.path().join("seg.dcm"), &segmentation).unwrap();
    assert_eq!(read_source(folder.path()).unwrap().geometry(), source.geometry());
}

#[test]
fn series_of_every_orientation() {
    for orientation in Orientation::all() {
        let folder = TempDir::new().unwrap();
        series(folder.path(), orientation.affine([0.8, 0.7, 2.5]));
        let volume = read_volume(folder.path());
        let found = found(&volume, Provenance::default());
        let (source, images) = (read_source(folder.path()).unwrap(), images(folder.path()));
        let segmentation = segmentation(&found, &source, &options()).unwrap().unwrap();
        // A left-handed volume comes back with its slices the other way round.
        let is_turned = volume.geometry().orientation() != orientation;
        let plane_of = |uid: &str| {
            let k = uid.rsplit('.').next().unwrap().parse::<usize>().unwrap() - 1;
            if is_turned { 8 - k } else { k }
        };
        assert_eq!(segments(&segmentation, &images, plane_of), masks(&found), "{orientation}");
        let report = measurement_report(&found, &source, &options());
        if orientation.codes()[2].patient_axis() == 2 {
            check_report(&report.unwrap(), &found, &images);
        } else {
            assert!(matches!(report, Err(DicomFindingsError::NotAxial { .. })), "{orientation}");
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_and_other_input_other_uids() {
    let folder = TempDir::new().unwrap();
    series(folder.path(), oblique());
    let found = found(&read_volume(folder.path()), Provenance::default());
    let source = read_source(folder.path()).unwrap();
    let report = |found: &Findings| measurement_report(found, &source, &options()).unwrap();
    assert_eq!(report(&found), report(&found));
    let mut other = found.clone();
    other.n_slices_asked += 1;
    let uid = |bytes: &[u8]| text(&parse(bytes), tags::SOP_INSTANCE_UID);
    assert_ne!(uid(&report(&found)), uid(&report(&other)));
    let segmentation = segmentation(&found, &source, &options()).unwrap().unwrap();
    assert_ne!(uid(&report(&found)), uid(&segmentation));
}

#[test]
fn no_findings_give_a_report_and_no_segmentation() {
    let folder = TempDir::new().unwrap();
    series(folder.path(), oblique());
    let volume = read_volume(folder.path());
    let none =
        Findings::from_answers(&[], volume.geometry(), Provenance::default(), &Default::default()).unwrap();
    let source = read_source(folder.path()).unwrap();
    assert_eq!(segmentation(&none, &source, &options()).unwrap(), None);
    let report = parse(&measurement_report(&none, &source, &options()).unwrap());
    let mut all = Vec::new();
    walk(&report, &mut all);
    assert!(!all.iter().any(|item| is(item, "CONTAINER", "125007")));
}

#[test]
fn findings_of_another_grid_are_refused() {
    let [here, there] = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    series(here.path(), oblique());
    series(there.path(), Affine::from_spacing_origin([0.8, 0.7, 2.5], [0.0; 3]));
    let found = found(&read_volume(there.path()), Provenance::default());
    let source = read_source(here.path()).unwrap();
    assert!(matches!(measurement_report(&found, &source, &options()), Err(DicomFindingsError::Grid(_))));
    assert!(matches!(segmentation(&found, &source, &options()), Err(DicomFindingsError::Grid(_))));
}

#[test]
fn the_shared_series() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED").map_or(root, PathBuf::from);
    let folder = shared.join("data/totalsegmentator-abdomen/dicom");
    if !folder.is_dir() {
        println!("skipped: no shared data at `{}`", folder.display());
        return;
    }
    let found = found(&read_volume(&folder), Provenance::default());
    // Its study and series UIDs were emptied by who made it anonymous.
    assert!(matches!(read_source(&folder), Err(DicomFindingsError::Uid { name: "StudyInstanceUID", .. })));
    let (limits, dicom) = (Limits::default(), DicomOptions::default());
    let source = SourceSeries::read(&[folder], &limits, &dicom, MissingUids::Derive).unwrap();
    assert_eq!(source.derived_uids(), ["StudyInstanceUID", "SeriesInstanceUID"]);
    let report = parse(&measurement_report(&found, &source, &options()).unwrap());
    assert!(text(&report, tags::STUDY_INSTANCE_UID).starts_with("2.25."));
    assert!(segmentation(&found, &source, &options()).unwrap().is_some());
}

#[test]
fn frames_of_an_enhanced_file_are_referred_to_by_number() {
    let [plain, enhanced] = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let mut files = series(plain.path(), oblique());
    // The frames are stored from head to feet.
    files.reverse();
    enhance(&files, &enhanced.path().join("enhanced.dcm"));
    let found = found(&read_volume(enhanced.path()), Provenance::default());
    let source = read_source(enhanced.path()).unwrap();
    let report = parse(&measurement_report(&found, &source, &options()).unwrap());
    let evidence = &items(&report, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)[0];
    let evidence = &items(evidence, tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(items(evidence, tags::REFERENCED_SOP_SEQUENCE).len(), 1, "one instance");
    let mut all = Vec::new();
    walk(&report, &mut all);
    let images = all.into_iter().filter(|item| text(item, tags::VALUE_TYPE) == "IMAGE");
    let number =
        |item: &InMemDicomObject| text(item, tags::REFERENCED_FRAME_NUMBER).parse::<usize>().unwrap();
    let got: Vec<usize> = images.map(|item| number(&items(item, tags::REFERENCED_SOP_SEQUENCE)[0])).collect();
    let slices = found.findings.iter().flat_map(|finding| &finding.boxes);
    let want: Vec<usize> = slices.map(|slice| SHAPE[2] - slice.slice_idx).collect();
    assert_eq!(got, want);

    let object = parse(&segmentation(&found, &source, &options()).unwrap().unwrap());
    for frame in items(&object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE) {
        let derivation = &items(frame, tags::DERIVATION_IMAGE_SEQUENCE)[0];
        let frame_number = number(&items(derivation, tags::SOURCE_IMAGE_SEQUENCE)[0]);
        let position = numbers(&items(frame, tags::PLANE_POSITION_SEQUENCE)[0], tags::IMAGE_POSITION_PATIENT);
        let image = dicom_object::open_file(&files[frame_number - 1]).unwrap();
        assert_eq!(position, numbers(&image, tags::IMAGE_POSITION_PATIENT));
    }
}
