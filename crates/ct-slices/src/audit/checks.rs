//! What is wrong with single records, images and split files.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, FindingCode};
use super::image_facts::ImageState;
use super::options::AuditOptions;
use super::slices::{Slice, Slices};
use crate::index::{RecordProblem, SPLIT_FILE_NAME, SplitFile, SplitFileError, SplitPart};

/// In-plane and between-slice spacings that CT has, with room on both sides.
const PLAUSIBLE_IN_PLANE_MM: std::ops::RangeInclusive<f64> = 0.1..=5.0;
const PLAUSIBLE_SLICE_MM: std::ops::RangeInclusive<f64> = 0.1..=15.0;

/// Slices with the same finding, and what is to be said of each.
#[derive(Default)]
struct Collected(BTreeMap<(FindingCode, usize), Vec<String>>);

impl Collected {
    fn push(&mut self, code: FindingCode, input: usize, example: String) {
        self.0.entry((code, input)).or_default().push(example);
    }

    fn into_findings(
        self,
        slices: &Slices<'_>,
        options: &AuditOptions,
        message: impl Fn(FindingCode, usize) -> String,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for ((code, input), mut examples) in self.0 {
            let count = examples.len();
            examples.truncate(options.max_examples);
            findings.push(Finding {
                code,
                severity: code.severity(),
                inputs: vec![slices.input_names[input].clone()],
                count: count as u64,
                message: message(code, count),
                examples,
            });
        }
        findings
    }
}

/// Findings about records, each by itself.
pub(super) fn check_records(slices: &Slices<'_>, options: &AuditOptions) -> Vec<Finding> {
    let mut collected = Collected::default();
    let mut seen = BTreeSet::new();
    for slice in &slices.all {
        let record = slice.record;
        let mut push = |code, why: &str| {
            let name = slices.slice_name(slice);
            let example = if why.is_empty() { name } else { format!("{name}: {why}") };
            collected.push(code, slice.input, example);
        };
        if let Err(problem) = record.check() {
            let code = match problem {
                RecordProblem::BoxOutside { .. } => FindingCode::BoxOutside,
                RecordProblem::BoxWithoutPixels { .. } => FindingCode::BoxWithoutPixels,
                _ => FindingCode::InvalidRecord,
            };
            push(code, &problem.to_string());
        } else if let Some([columns, rows, slice_mm]) = record.spacing_mm
            && !([columns, rows].iter().all(|mm| PLAUSIBLE_IN_PLANE_MM.contains(mm))
                && PLAUSIBLE_SLICE_MM.contains(&slice_mm))
        {
            push(FindingCode::SpacingImplausible, &format!("{columns} x {rows} x {slice_mm} mm"));
        }
        if !seen.insert((slice.input, &record.dataset, &record.volume, record.slice_index)) {
            push(FindingCode::DuplicateRecord, "");
        }
    }
    collected.into_findings(slices, options, |code, n| match code {
        FindingCode::BoxOutside => format!("{n} records have a box that is off the image or out of order"),
        FindingCode::BoxWithoutPixels => {
            format!("{n} records have a box without pixels or pixels without a box")
        }
        FindingCode::SpacingImplausible => format!("{n} records have a spacing that no CT study has"),
        FindingCode::DuplicateRecord => format!("{n} records are of a slice that has another record"),
        _ => format!("{n} records have a value that cannot be"),
    })
}

/// Findings about images, each by itself; to be asked where images were opened.
pub(super) fn check_images(
    slices: &Slices<'_>,
    images: &[ImageState],
    options: &AuditOptions,
) -> Vec<Finding> {
    let mut collected = Collected::default();
    for (slice, image) in slices.all.iter().zip(images) {
        let name = slices.slice_name(slice);
        let neighbors = &slice.record.neighbors;
        let root = &slices.inputs[slice.input].index.root;
        for (which, path) in [("previous", &neighbors.previous_image), ("next", &neighbors.next_image)] {
            if path.as_ref().is_some_and(|path| !root.join(path).is_file()) {
                collected.push(FindingCode::ImageMissing, slice.input, format!("{name}: {which} neighbor"));
            }
        }
        match image {
            ImageState::Unseen => {}
            ImageState::Missing => collected.push(FindingCode::ImageMissing, slice.input, name),
            ImageState::Unreadable(why) => {
                collected.push(FindingCode::ImageUnreadable, slice.input, format!("{name}: {why}"));
            }
            ImageState::Seen(facts) => {
                let record = slice.record;
                let (got, expected) =
                    ((facts.width, facts.height), (record.width as usize, record.height as usize));
                if got != expected {
                    let sizes = format!("{}x{}, not {}x{}", got.0, got.1, expected.0, expected.1);
                    collected.push(FindingCode::ImageSize, slice.input, format!("{name}: {sizes}"));
                }
                if !facts.hash_matches {
                    collected.push(FindingCode::ImageHash, slice.input, name.clone());
                }
                if facts.is_constant {
                    collected.push(FindingCode::ConstantImage, slice.input, name);
                }
            }
        }
    }
    collected.into_findings(slices, options, |code, n| match code {
        FindingCode::ImageMissing => format!("{n} images are not on disk"),
        FindingCode::ImageUnreadable => format!("{n} images cannot be read"),
        FindingCode::ImageSize => format!("{n} images have another size than their records say"),
        FindingCode::ImageHash => format!("{n} images have other pixels than their records say"),
        _ => format!("{n} images have one gray level"),
    })
}

/// Findings about patients of whom no slice is used, where slices were selected at all.
pub(super) fn check_selection(slices: &Slices<'_>, options: &AuditOptions) -> Vec<Finding> {
    let mut collected = Collected::default();
    for input in 0..slices.inputs.len() {
        let mut n_selected = BTreeMap::<usize, (usize, &Slice<'_>)>::new();
        for slice in slices.all.iter().filter(|slice| slice.input == input) {
            n_selected.entry(slice.patient).or_insert((0, slice)).0 +=
                usize::from(!slice.record.tasks.is_empty());
        }
        if n_selected.values().any(|(n, _)| *n > 0) {
            for (_, slice) in n_selected.values().filter(|(n, _)| *n == 0) {
                collected.push(FindingCode::PatientWithoutSlices, input, slices.patient_name(slice));
            }
        }
    }
    collected.into_findings(slices, options, |_, n| {
        format!("{n} patients have no slice that was selected for a task")
    })
}

/// Findings about the split files beside the indices.
pub(super) fn check_split_files(slices: &Slices<'_>, options: &AuditOptions) -> Vec<Finding> {
    let mut collected = Collected::default();
    for (input, audited) in slices.inputs.iter().enumerate() {
        let path = audited.index.root.join(SPLIT_FILE_NAME);
        if !path.is_file() {
            continue;
        }
        match SplitFile::read(&path) {
            Ok(split) => check_membership(slices, input, &split, &mut collected),
            Err(error) => collected.push(FindingCode::SplitFile, input, describe(&error, options.redact)),
        }
    }
    collected.into_findings(slices, options, |code, n| match code {
        FindingCode::SplitFile => format!("`{SPLIT_FILE_NAME}` cannot be used"),
        _ => format!("{n} records are not in the part that `{SPLIT_FILE_NAME}` gives"),
    })
}

fn check_membership(slices: &Slices<'_>, input: usize, split: &SplitFile, collected: &mut Collected) {
    let parts = split.parts();
    let of_input = || slices.all.iter().filter(move |slice| slice.input == input);
    if !of_input().any(|slice| slice.record.dataset == split.dataset) {
        let example = format!("it is for dataset `{}`, of which there is no record", split.dataset);
        collected.push(FindingCode::SplitFile, input, example);
    }
    let name = |part: Option<SplitPart>| match part {
        Some(SplitPart::Train) => "train",
        Some(SplitPart::Test) => "test",
        None => "no part",
    };
    for slice in of_input().filter(|slice| slice.record.dataset == split.dataset) {
        let listed = parts.get(slice.record.patient.as_str()).copied();
        // A record that is in no part is used in none: it may stay unlisted.
        if slice.record.split.is_some() && slice.record.split != listed {
            let (record, file) = (name(slice.record.split), name(listed));
            let example = format!("{}: the record says {record}, the file {file}", slices.slice_name(slice));
            collected.push(FindingCode::SplitMismatch, input, example);
        }
    }
}

/// The error without paths, and without names where they are not to be shown.
fn describe(error: &SplitFileError, redact: bool) -> String {
    match error {
        SplitFileError::Read { source, .. } => source.kind().to_string(),
        SplitFileError::TooLarge { got, limit, .. } => {
            format!("it has {got} bytes, above the limit of {limit}")
        }
        SplitFileError::Problem { source: crate::index::SplitProblem::PatientTwice { .. }, .. } if redact => {
            "a patient is listed twice".to_owned()
        }
        SplitFileError::Problem { source, .. } => source.to_string(),
        SplitFileError::Json { source, .. } => format!("not the JSON of a split, line {}", source.line()),
        SplitFileError::Write(_) => "it cannot be written".to_owned(),
    }
}
