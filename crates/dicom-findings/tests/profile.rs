//! Anonymous objects against Table E.1-1 of PS3.15: what became of each attribute.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "a test stops at what fails")]

#[path = "support/planting.rs"]
mod planting;
mod support;

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_core::header::Header;
use dicom_dictionary_std::tags;
use dicom_findings::{ExportOptions, Identity, measurement_report, segmentation};
use dicom_object::InMemDicomObject;
use findings::Provenance;
use planting::{Planter, REPEATED, check_search, table};
use support::{found, items, oblique, options, parse, read_source, read_volume, series, text};
use tempfile::TempDir;

/// Attributes whose action is X and that stay, cleaned, by the options that the objects name.
const CLEANED: [(Tag, &str); 2] = [(tags::SERIES_DESCRIPTION, "113105"), (tags::CONTENT_SEQUENCE, "113104")];

fn anonymous() -> ExportOptions {
    let mut options = options();
    options.identity = Identity::Anonymize { key: b"0123456789abcdef".to_vec() };
    options
}

/// A planted series, and the report and segmentation of it.
fn objects(number: usize, options: &ExportOptions) -> (Planter, [Vec<u8>; 2]) {
    let folder = TempDir::new().unwrap();
    let mut planter = Planter::new(number);
    let attributes = planter.attributes();
    for (slice, path) in series(folder.path(), oblique()).iter().enumerate() {
        let object = dicom_object::open_file(path).unwrap();
        fs_err::write(path, planter.file(object, &attributes, slice)).unwrap();
    }
    let found = found(&read_volume(folder.path()), Provenance::default());
    let source = read_source(folder.path()).unwrap();
    let report = measurement_report(&found, &source, options).unwrap();
    let segments = segmentation(&found, &source, options).unwrap().unwrap();
    (planter, [report, segments])
}

/// Every element, also of items: its tag, whether it is empty, and its text.
fn walk(object: &InMemDicomObject, all: &mut Vec<(Tag, bool, String)>) {
    for element in object {
        let is_empty = element
            .value()
            .primitive()
            .map_or_else(|| element.items().is_none_or(<[_]>::is_empty), |value| value.to_bytes().is_empty());
        let text = element.to_str().map(|text| text.trim_matches([' ', '\0']).to_owned()).unwrap_or_default();
        all.push((element.tag(), is_empty, text));
        for item in element.items().unwrap_or_default() {
            walk(item, all);
        }
    }
}

#[test]
fn every_attribute_of_the_table_is_treated_as_it_says() {
    let actions: BTreeMap<Tag, &str> = table().iter().map(|row| (row.tag, row.action)).collect();
    assert!(actions.len() > 640, "{}", actions.len());
    let mut seen = BTreeMap::new();
    for number in 0..5 {
        let (planter, files) = objects(number, &anonymous());
        let search = Planter::search([&planter], true);
        check_search(&search, &planter.planted[5].bytes);
        for bytes in &files {
            assert_eq!(search.find(bytes), None);
            let object = parse(bytes);
            let methods: Vec<String> = items(&object, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
                .iter()
                .map(|code| text(code, tags::CODE_VALUE))
                .collect();
            assert_eq!(methods, ["113100", "113104", "113105"]);
            assert_eq!(text(&object, tags::PATIENT_IDENTITY_REMOVED), "YES");
            assert_eq!(text(&object, tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED), "REMOVED");
            let mut elements = Vec::new();
            walk(&object, &mut elements);
            for (tag, is_empty, value) in elements {
                assert!(tag.group().is_multiple_of(2), "private element {tag}");
                let Some(&action) = actions.get(&tag) else { continue };
                let done = match action {
                    "X" => CLEANED
                        .iter()
                        .any(|(kept, option)| *kept == tag && methods.iter().any(|m| m == option)),
                    "Z" => is_empty,
                    // Dummies: none of the planted values, as the search says.
                    "D" | "Z/D" | "X/D" | "X/Z/D" | "X/Z" | "X/Z/U*" => true,
                    // Made here: of a hash, below 2.25.
                    "U" => value.starts_with("2.25."),
                    other => panic!("{tag} {other}"),
                };
                assert!(done, "{tag} {action} `{value}`");
                seen.insert(tag, action);
            }
        }
    }
    // The table of docs/SECURITY.md names each of these.
    let rows: BTreeMap<Tag, &str> = table().iter().map(|row| (row.tag, row.keyword)).collect();
    let document =
        fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/SECURITY.md")).unwrap();
    let unnamed = |(tag, action): (&Tag, &&str)| {
        let says = |line: &str| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let names = cells.next()?.split([' ', ',']).any(|word| word == rows[tag]);
            (names && cells.next()? == *action).then_some(())
        };
        document.lines().find_map(says).is_none().then(|| format!("{} {action}", rows[tag]))
    };
    let unnamed: Vec<String> = seen.iter().filter_map(unnamed).collect();
    assert!(unnamed.is_empty(), "docs/SECURITY.md has no row of {unnamed:?}");
}

#[test]
fn objects_of_the_study_repeat_type_1_and_2_alone() {
    for number in 0..5 {
        let (planter, files) = objects(number, &options());
        let secret = Planter::search([&planter], false);
        check_search(&secret, &planter.planted.iter().find(|planted| !planted.is_repeated).unwrap().bytes);
        for bytes in &files {
            assert_eq!(secret.find(bytes), None);
            let object = parse(bytes);
            assert!(object.element(tags::PATIENT_IDENTITY_REMOVED).is_err());
            for tag in &REPEATED[..9] {
                assert!(!text(&object, *tag).is_empty(), "{tag}");
            }
        }
    }
}

#[test]
fn anonymous_objects_have_no_time_and_the_same_bytes_whenever_they_are_made() {
    let mut later = anonymous();
    later.created = dicom_findings::Timestamp::new("20270203", "040506").unwrap();
    let ((_, first), (_, second)) = (objects(0, &anonymous()), objects(0, &later));
    assert_eq!(first, second);
    for bytes in &first {
        let object = parse(bytes);
        assert_eq!(text(&object, tags::CONTENT_DATE), "20000101");
        assert!(object.element(tags::INSTANCE_CREATION_DATE).is_err());
        assert!(!bytes.windows(8).any(|window| window == b"20260102" || window == b"20270203"));
    }
    let [_, segments] = &first;
    assert_eq!(text(&parse(segments), tags::BURNED_IN_ANNOTATION), "NO");
}
