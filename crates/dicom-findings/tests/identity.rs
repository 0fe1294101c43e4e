//! What is copied of a patient, and what is not.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "a test stops at what fails")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_findings::{
    DicomFindingsError, ExportOptions, Identity, Software, measurement_report, segmentation,
};
use findings::Provenance;
use support::{found, items, oblique, options, parse, read_source, read_volume, series, set, text};
use tempfile::TempDir;

/// Attributes of type 1 and 2, which are copied.
const COPIED: &[(Tag, VR, &str)] = &[
    (tags::STUDY_DATE, VR::DA, "19770707"),
    (tags::STUDY_TIME, VR::TM, "070809"),
    (tags::ACCESSION_NUMBER, VR::SH, "ACC-4711-A"),
    (tags::PATIENT_ID, VR::LO, "MRN-998877"),
    (tags::PATIENT_BIRTH_DATE, VR::DA, "19330303"),
    (tags::PATIENT_SEX, VR::CS, "F"),
    (tags::STUDY_ID, VR::SH, "STUDY-31337"),
];
/// Attributes that identify and are not copied.
const HIDDEN: &[(Tag, VR, &str)] = &[
    (tags::INSTITUTION_NAME, VR::LO, "Planted Hospital"),
    (tags::OTHER_PATIENT_NAMES, VR::PN, "Planted^Alias"),
    (tags::PATIENT_ADDRESS, VR::LO, "Planted Street 1"),
    (tags::OPERATORS_NAME, VR::PN, "Planted^Operator"),
    (tags::DEVICE_SERIAL_NUMBER, VR::LO, "PLANTED-SERIAL"),
    (Tag(0x0009, 0x0010), VR::LO, "PLANTED PRIVATE"),
    (Tag(0x0009, 0x1001), VR::LO, "PLANTED VALUE"),
];
/// "Müller^Zoë" in Latin-1.
const NAME: &[u8] = b"M\xfcller^Zo\xeb";

fn planted() -> (TempDir, Vec<PathBuf>) {
    let folder = TempDir::new().unwrap();
    let files = series(folder.path(), oblique());
    for file in &files {
        for &(tag, vr, value) in COPIED.iter().chain(HIDDEN) {
            set(file, tag, vr, PrimitiveValue::from(value));
        }
        set(file, tags::SPECIFIC_CHARACTER_SET, VR::CS, PrimitiveValue::from("ISO_IR 100"));
        set(file, tags::PATIENT_NAME, VR::PN, PrimitiveValue::from("M\u{fc}ller^Zo\u{eb}"));
    }
    (folder, files)
}

fn objects(folder: &Path, options: &ExportOptions) -> [Vec<u8>; 2] {
    let found = found(&read_volume(folder), Provenance::default());
    let source = read_source(folder).unwrap();
    let report = measurement_report(&found, &source, options).unwrap();
    [report, segmentation(&found, &source, options).unwrap().unwrap()]
}

fn anonymous(key: &[u8]) -> ExportOptions {
    let mut options = options();
    options.identity = Identity::Anonymize { key: key.to_vec() };
    options
}

const KEY: &[u8] = b"0123456789abcdef";

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[test]
fn patient_and_study_are_copied_as_they_are() {
    let (folder, _) = planted();
    for bytes in objects(folder.path(), &options()) {
        let object = parse(&bytes);
        for &(tag, _, value) in COPIED {
            assert_eq!(text(&object, tag), value, "{tag}");
        }
        assert!(holds(&bytes, NAME), "in the source's character set");
        assert_eq!(text(&object, tags::PATIENT_NAME), "M\u{fc}ller^Zo\u{eb}");
        for &(_, _, value) in HIDDEN {
            assert!(!holds(&bytes, value.as_bytes()), "{value}");
        }
        assert_eq!(text(&object, tags::STUDY_INSTANCE_UID), "2.25.77.1");
        assert_ne!(text(&object, tags::SERIES_INSTANCE_UID), "2.25.77.2");
    }
}

#[test]
fn anonymous_objects_hold_nothing_of_the_source() {
    let (folder, _) = planted();
    let [report, segmentation] = objects(folder.path(), &anonymous(KEY));
    for bytes in [&report, &segmentation] {
        for &(_, _, value) in COPIED.iter().chain(HIDDEN).filter(|(_, _, value)| value.len() > 1) {
            assert!(!holds(bytes, value.as_bytes()), "{value}");
        }
        assert!(!holds(bytes, b"2.25.77.") && !holds(bytes, NAME) && !holds(bytes, b"ller^Zo"));
        let object = parse(bytes);
        for &(tag, ..) in COPIED {
            assert_eq!(text(&object, tag), "", "{tag}");
        }
    }
    // The same UID is the same one in all objects of one key.
    let [report, segmentation] = [&report, &segmentation].map(|bytes| parse(bytes));
    let uid = |object: &dicom_object::InMemDicomObject| text(object, tags::STUDY_INSTANCE_UID);
    assert_eq!(uid(&report), uid(&segmentation));
    let evidence = &items(&report, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)[0];
    let evidence = &items(evidence, tags::REFERENCED_SERIES_SEQUENCE)[0];
    let referenced = &items(&segmentation, tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(text(evidence, tags::SERIES_INSTANCE_UID), text(referenced, tags::SERIES_INSTANCE_UID));
    let other = objects(folder.path(), &anonymous(b"another key of 16"));
    assert_ne!(uid(&report), uid(&parse(&other[0])));
}

#[test]
fn debug_output_tells_no_one() {
    let (folder, _) = planted();
    let shown = format!("{:?} {:?}", read_source(folder.path()).unwrap(), anonymous(KEY));
    for &(_, _, value) in COPIED.iter().chain(HIDDEN).filter(|(_, _, value)| value.len() > 1) {
        assert!(!shown.contains(value), "{value}");
    }
    assert!(!shown.contains("2.25.77") && !shown.contains("ller") && !shown.contains("48, 49"), "{shown}");
}

#[test]
fn texts_that_tell_are_refused() {
    let (folder, _) = planted();
    let (volume, source) = (read_volume(folder.path()), read_source(folder.path()).unwrap());
    let refused = |text: &str, options: &ExportOptions| {
        let provenance =
            Provenance { versions: BTreeMap::from([("study".into(), text.into())]), ..Provenance::default() };
        measurement_report(&found(&volume, provenance), &source, options).err()
    };
    for (told, name) in [
        ("of MRN-998877", "PatientID"),
        ("mrn-998877.nii", "PatientID"),
        ("/data/acc-4711-a/dicom", "AccessionNumber"),
        ("born 19330303", "PatientBirthDate"),
        ("cts/m\u{fc}ller", "PatientName"),
        ("zo\u{eb}.json", "PatientName"),
        ("2.25.77.4.3", "SOPInstanceUID"),
    ] {
        let Some(DicomFindingsError::Identifier { name: got, what: "provenance" }) =
            refused(told, &anonymous(KEY))
        else {
            panic!("{told} passed");
        };
        assert_eq!(got, name, "{told}");
        assert!(refused(told, &options()).is_none(), "where identity is kept, nothing is hidden");
    }
    assert!(refused("findings 0.1.0, a study of mullers", &anonymous(KEY)).is_none());
    assert!(matches!(
        refused("x", &anonymous(b"short")),
        Some(DicomFindingsError::Key { got: 5, least: 16 })
    ));
    let mut named = anonymous(KEY);
    named.software = Software::new("makers", "for 19330303", "1").unwrap();
    assert!(matches!(refused("x", &named), Some(DicomFindingsError::Identifier { what: "software", .. })));
}

#[test]
fn a_data_set_may_name_patients_by_what_is_found() {
    let (folder, files) = planted();
    for file in &files {
        set(file, tags::PATIENT_NAME, VR::PN, PrimitiveValue::from("PANCREAS_0001"));
        set(file, tags::PATIENT_ID, VR::LO, PrimitiveValue::from("PANCREAS_0001"));
    }
    let (volume, source) = (read_volume(folder.path()), read_source(folder.path()).unwrap());
    let report = |text: &str| {
        let provenance =
            Provenance { versions: BTreeMap::from([("study".into(), text.into())]), ..Provenance::default() };
        measurement_report(&found(&volume, provenance), &source, &anonymous(KEY))
    };
    let written = report("x").unwrap();
    assert!(!holds(&written, b"PANCREAS_0001") && holds(&written, b"pancreas"));
    assert!(matches!(
        report("of pancreas_0001"),
        Err(DicomFindingsError::Identifier { what: "provenance", name: "PatientName" | "PatientID" })
    ));
    assert!(report("patient 0001").is_err(), "the number of such a name tells");
}

#[test]
fn series_that_cannot_be_referred_to_are_refused() {
    let refused = |tag: Tag, vr: VR, value: &str, n_files: usize| {
        let (folder, files) = planted();
        for file in &files[..n_files] {
            set(file, tag, vr, PrimitiveValue::from(value));
        }
        read_source(folder.path()).unwrap_err()
    };
    for (tag, name) in [
        (tags::STUDY_INSTANCE_UID, "StudyInstanceUID"),
        (tags::FRAME_OF_REFERENCE_UID, "FrameOfReferenceUID"),
        (tags::SOP_INSTANCE_UID, "SOPInstanceUID"),
    ] {
        let error = refused(tag, VR::UI, "1.2.x", 9);
        assert!(matches!(error, DicomFindingsError::Uid { name: got, .. } if got == name), "{error}");
    }
    for (tag, name) in [
        (tags::STUDY_INSTANCE_UID, "StudyInstanceUID"),
        (tags::FRAME_OF_REFERENCE_UID, "FrameOfReferenceUID"),
    ] {
        assert!(
            matches!(refused(tag, VR::UI, "", 9), DicomFindingsError::Uid { name: got, .. } if got == name)
        );
        let error = refused(tag, VR::UI, "1.2.3", 2);
        assert!(
            matches!(error, DicomFindingsError::Mixed { slice_idx: 2, name: got } if got == name),
            "{error}"
        );
    }
    let error = refused(tags::PATIENT_ID, VR::LO, "SOMEONE ELSE", 2);
    assert!(matches!(error, DicomFindingsError::Mixed { slice_idx: 2, name: "PatientID" }));
    assert!(!error.to_string().contains("SOMEONE"));
}
