//! Masks to the published JSON files, byte for byte, against a numpy pipeline
//! (`fixtures/logic/generate.py`).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

use std::collections::BTreeMap;

use ct_slices::python::{PyRandom, to_python_json};
use ct_slices::records::{
    AbdRecord, AbsentRatio, INFO_FILE_PAPER, InfoFile, MsdRecord, NihRecord, PublishedDataset, QuestionFile,
    SliceFilter, SliceRecord, SplitRecord, TcRecord, abd_records, msd_records, nih_records,
    threshold_file_name, with_question_ids,
};
use ct_slices::select::{
    SweepSummary, abdomen_questions, mix_tumor_classification, select_above, select_balanced, select_organs,
    split_volumes, sweep_thresholds, volume_order,
};
use ct_slices::{AnnotateRules, LabelMap, Organ, SplitPart, VolumeAnnotation, annotate_volume};
use ndarray::{Array3, ShapeBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const PARTS: [SplitPart; 2] = [SplitPart::Train, SplitPart::Test];

#[derive(Debug, Deserialize)]
struct Mask {
    layout: String,
    name: String,
    shape: [usize; 3],
    labels: String,
}

impl Mask {
    fn annotate(&self, map: &LabelMap, rules: &AnnotateRules) -> VolumeAnnotation {
        let labels = self.labels.bytes().map(|digit| u16::from(digit - b'0')).collect();
        let [n0, n1, n2] = self.shape;
        let labels = Array3::from_shape_vec((n0, n1, n2).f(), labels).unwrap();
        let layout: PublishedDataset = self.layout.parse().unwrap();
        annotate_volume(labels.view(), map, layout.plane_map(), rules).unwrap()
    }
}

fn masks(layout: PublishedDataset) -> Vec<Mask> {
    let masks: Vec<Mask> = serde_json::from_str(include_str!("fixtures/logic/masks.json")).unwrap();
    masks.into_iter().filter(|mask| mask.layout == layout.dataset()).collect()
}

/// Files by name, to be compared with the hashes of the fixture.
#[derive(Debug, Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn add(&mut self, name: impl Into<String>, value: &impl Serialize) {
        self.0.insert(name.into(), to_python_json(value).unwrap());
    }
}

fn msd_info(masks: &[&Mask], filter: SliceFilter) -> Vec<MsdRecord> {
    let mut records = Vec::new();
    for mask in masks {
        let annotation = mask.annotate(&LabelMap::msd(), &AnnotateRules::PUBLISHED);
        records.extend(msd_records(&mask.name, &annotation, records.len() as u64 + 1, filter));
    }
    records
}

fn nih_info() -> Vec<NihRecord> {
    let mut records = Vec::new();
    for mask in masks(PublishedDataset::Nih) {
        let annotation = mask.annotate(&LabelMap::nih(), &AnnotateRules::PUBLISHED);
        records.extend(nih_records(&mask.name, &annotation, records.len() as u64 + 1, SliceFilter::All));
    }
    records
}

fn abd_info() -> Vec<AbdRecord> {
    let mut records = Vec::new();
    for mask in masks(PublishedDataset::Abd) {
        let annotation = mask.annotate(&LabelMap::abdomen(), &AnnotateRules::PUBLISHED_ABDOMEN);
        records.extend(abd_records(&mask.name, &annotation, records.len() as u64 + 1, AbsentRatio::Integer));
    }
    records
}

/// One published script: split, files above the threshold, balanced files. Training part first.
fn detection<R: SliceRecord + Serialize + Clone>(
    files: &mut Files,
    records: &[R],
    organ: Organ,
    [plain, balanced]: [QuestionFile; 2],
) -> BTreeMap<SplitPart, Vec<SplitRecord<R>>> {
    let mut random = PyRandom::new(42);
    let split = split_volumes(&volume_order(records), &mut random);
    let mut questions = BTreeMap::new();
    for (part, volumes) in PARTS.into_iter().zip([&split.train, &split.test]) {
        let selected = with_question_ids(records, &select_above(records, volumes, organ, 0.6));
        files.add(plain.name(part), &selected);
        questions.insert(part, selected);
        let selected = select_balanced(records, volumes, organ, 0.6, &mut random);
        files.add(balanced.name(part), &with_question_ids(records, &selected));
    }
    questions
}

fn paper_sweep(files: &mut Files) {
    let masks = masks(PublishedDataset::Msd);
    let unsorted = [3, 0, 6, 1, 5, 2, 4].map(|at| &masks[at]);
    let records = msd_info(&unsorted, SliceFilter::WithPancreas);
    files.add(INFO_FILE_PAPER, &records);
    let split = split_volumes(&volume_order(&records), &mut PyRandom::new(42));
    let sweep = sweep_thresholds(&records, &split);
    for at in &sweep {
        for (part, selected) in PARTS.into_iter().zip([&at.train, &at.test]) {
            files
                .add(threshold_file_name(at.threshold_percent, part), &with_question_ids(&records, selected));
        }
    }
    files.add(SweepSummary::FILE_NAME, &SweepSummary::new("MSD", &sweep));
}

fn all_files() -> Files {
    let mut files = Files::default();
    let masks = masks(PublishedDataset::Msd);
    let msd = msd_info(&masks.iter().collect::<Vec<_>>(), SliceFilter::All);
    let (nih, abd) = (nih_info(), abd_info());
    files.add(InfoFile(PublishedDataset::Msd).name(), &msd);
    files.add(InfoFile(PublishedDataset::Nih).name(), &nih);
    files.add(InfoFile(PublishedDataset::Abd).name(), &abd);

    let of = |layout| [QuestionFile::Detection(layout), QuestionFile::BalancedDetection(layout)];
    detection(&mut files, &msd, Organ::Pancreas, of(PublishedDataset::Msd));
    let no = detection(&mut files, &nih, Organ::Pancreas, of(PublishedDataset::Nih));
    let yes = detection(&mut files, &msd, Organ::Tumor, [QuestionFile::Tumor, QuestionFile::BalancedTumor]);

    let mut random = PyRandom::new(42);
    for part in [SplitPart::Test, SplitPart::Train] {
        let mix = mix_tumor_classification(&yes[&part], &no[&part], &mut random);
        files.add(QuestionFile::TumorClassification.name(part), &mix);
    }

    let mut random = PyRandom::new(42);
    let split = split_volumes(&volume_order(&abd), &mut random);
    for (part, volumes) in PARTS.into_iter().zip([&split.train, &split.test]) {
        let selected = select_organs(&abd, volumes, 0.6, &mut random);
        files.add(
            QuestionFile::Detection(PublishedDataset::Abd).name(part),
            &abdomen_questions(&abd, &selected),
        );
    }
    paper_sweep(&mut files);
    files
}

#[test]
fn every_published_file_has_the_bytes_of_the_numpy_pipeline() {
    let files = all_files();
    let expected: BTreeMap<String, String> =
        serde_json::from_str(include_str!("fixtures/logic/sha256.json")).unwrap();
    let names = |keys: Vec<&String>| keys.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(files.0.keys().collect()), names(expected.keys().collect()));
    // First those that can be read in the message, then the hashes of all.
    let whole = [
        ("MSD_tumor_test.json", include_str!("fixtures/logic/MSD_tumor_test.json")),
        ("NIH_test.json", include_str!("fixtures/logic/NIH_test.json")),
        ("ABD_test.json", include_str!("fixtures/logic/ABD_test.json")),
        ("TC_test.json", include_str!("fixtures/logic/TC_test.json")),
        (SweepSummary::FILE_NAME, include_str!("fixtures/logic/threshold_split_summary.json")),
    ];
    for (name, text) in whole {
        assert_eq!(String::from_utf8_lossy(&files.0[name]), text, "{name}");
    }
    for (name, bytes) in &files.0 {
        let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, expected[name], "{name}:\n{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn written_records_read_back() {
    fn check<T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(records: &[T]) {
        let bytes = to_python_json(&records).unwrap();
        let back: Vec<T> = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(back, records);
    }
    let text = include_str!("fixtures/logic/TC_test.json");
    let mix: Vec<TcRecord> = serde_json::from_str(text).unwrap();
    assert!(matches!(mix[..], [TcRecord::Msd { .. }, TcRecord::Nih { .. }]));
    check(&mix);
    let abd = abd_info();
    check(&abd);
    let all: Vec<usize> = (0..abd.len()).collect();
    check(&with_question_ids(&abd, &all));
    check(&nih_info());
}
