//! What is in a training part and in a test part, and is the same by name or by hash.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::finding::{Finding, FindingCode};
use super::image_facts::ImageState;
use super::options::AuditOptions;
use super::slices::{Slice, Slices};
use crate::index::SplitPart;

/// Slices that share something, by what they share.
pub(super) type Groups<K> = BTreeMap<K, Vec<usize>>;

/// Puts the slices that have a key together.
pub(super) fn group_by<'a, K: Ord>(
    slices: &Slices<'a>,
    key: impl Fn(usize, &Slice<'a>) -> Option<K>,
) -> Groups<K> {
    let mut groups = Groups::new();
    for (n, slice) in slices.all.iter().enumerate() {
        if let Some(key) = key(n, slice) {
            groups.entry(key).or_insert_with(Vec::new).push(n);
        }
    }
    groups
}

/// Leaks between one training side and one test side: the numbers of two slices for each.
#[derive(Debug, Default)]
pub(super) struct Pairs(BTreeMap<(usize, usize), Vec<(usize, usize)>>);

impl Pairs {
    /// Adds one shared thing, seen in these two slices.
    pub(super) fn push(&mut self, slices: &Slices<'_>, train: usize, test: usize) {
        let sides = (slices.all[train].input, slices.all[test].input);
        self.0.entry(sides).or_default().push((train, test));
    }

    /// One finding per pair of inputs.
    pub(super) fn into_findings(
        self,
        slices: &Slices<'_>,
        options: &AuditOptions,
        code: FindingCode,
        what: &str,
        name: impl Fn(&Slice<'_>) -> String,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for ((train, test), pairs) in self.0 {
            let [train, test] = [train, test].map(|input| slices.input_names[input].clone());
            let examples = pairs.iter().take(options.max_examples).map(|&(train, test)| {
                format!("train {} = test {}", name(&slices.all[train]), name(&slices.all[test]))
            });
            let place = if train == test {
                format!("train and test of `{train}`")
            } else {
                format!("train of `{train}` and test of `{test}`")
            };
            findings.push(Finding {
                code,
                severity: code.severity(),
                count: pairs.len() as u64,
                message: format!("{} {what} in {place}", pairs.len()),
                examples: examples.collect(),
                inputs: if train == test { vec![train] } else { vec![train, test] },
            });
        }
        findings
    }
}

/// For each group, and each two inputs, the first training and test slices that are not to share.
pub(super) fn leaking_pairs<K>(
    slices: &Slices<'_>,
    groups: &Groups<K>,
    is_leak: impl Fn(usize, usize) -> bool,
) -> Pairs {
    let mut pairs = Pairs::default();
    for group in groups.values() {
        // Per input only a few representatives are needed, however many slices a patient has.
        let side = |part| {
            let mut seen = BTreeSet::new();
            let of_part = group.iter().copied().filter(|&n| slices.all[n].part == Some(part));
            of_part.filter(|&n| seen.insert((slices.all[n].input, slices.all[n].patient))).collect::<Vec<_>>()
        };
        let (train, test) = (side(SplitPart::Train), side(SplitPart::Test));
        let mut done = BTreeSet::new();
        for &a in &train {
            for &b in &test {
                let sides = (slices.all[a].input, slices.all[b].input);
                if !done.contains(&sides) && is_leak(a, b) {
                    done.insert(sides);
                    pairs.push(slices, a, b);
                }
            }
        }
    }
    pairs
}

/// Findings for all that names and hashes tell.
pub(super) fn find_leaks(slices: &Slices<'_>, images: &[ImageState], options: &AuditOptions) -> Vec<Finding> {
    let of_other_patient = |a: usize, b: usize| slices.all[a].patient != slices.all[b].patient;
    let slice_name = |slice: &Slice<'_>| slices.slice_name(slice);
    let volume_name = |slice: &Slice<'_>| slices.volume_name(slice);
    let patient_name = |slice: &Slice<'_>| slices.patient_name(slice);
    let mut findings = Vec::new();

    let patients = group_by(slices, |_, slice| Some(slice.patient));
    findings.extend(leaking_pairs(slices, &patients, |_, _| true).into_findings(
        slices,
        options,
        FindingCode::LeakPatient,
        "patients are",
        patient_name,
    ));

    let names = group_by(slices, |_, slice| Some(&slice.record.patient));
    let of_other_dataset = |a: usize, b: usize| slices.all[a].record.dataset != slices.all[b].record.dataset;
    findings.extend(leaking_pairs(slices, &names, of_other_dataset).into_findings(
        slices,
        options,
        FindingCode::PatientNameShared,
        "patients of different datasets have the same name",
        patient_name,
    ));

    let volumes = group_by(slices, |_, slice| Some((&slice.record.dataset, &slice.record.volume)));
    findings.extend(leaking_pairs(slices, &volumes, of_other_patient).into_findings(
        slices,
        options,
        FindingCode::LeakVolume,
        "volumes of different patients have the same name",
        volume_name,
    ));

    let sources = group_by(slices, |_, slice| slice.record.source_sha256.as_ref());
    findings.extend(leaking_pairs(slices, &sources, of_other_patient).into_findings(
        slices,
        options,
        FindingCode::LeakSource,
        "studies of different patients have the same bytes",
        volume_name,
    ));
    findings.extend(shared_within_a_part(
        slices,
        &sources,
        options,
        FindingCode::SourceShared,
        "studies have the same bytes",
        volume_name,
    ));

    // Masks without anything in them may be equal by right.
    let masks = group_by(slices, |_, slice| {
        let is_empty = slice.record.organs.values().all(|organ| organ.max_pixels == 0);
        slice.record.mask_sha256.as_ref().filter(|_| !is_empty)
    });
    findings.extend(leaking_pairs(slices, &masks, of_other_patient).into_findings(
        slices,
        options,
        FindingCode::LeakMask,
        "masks of different patients have the same bytes",
        volume_name,
    ));

    // The same file may be named in several ways; where it cannot be asked, its path must do.
    let files: Vec<Option<PathBuf>> = slices
        .all
        .iter()
        .map(|slice| slices.image_path(slice).map(|path| fs_err::canonicalize(&path).unwrap_or(path)))
        .collect();
    let by_file = group_by(slices, |n, _| files[n].as_ref());
    findings.extend(leaking_pairs(slices, &by_file, of_other_patient).into_findings(
        slices,
        options,
        FindingCode::LeakImageFile,
        "image files of different patients are the same file",
        slice_name,
    ));

    let by_pixels = group_by(slices, |n, slice| pixels_key(&images[n], slice));
    let is_copy = |a: usize, b: usize| of_other_patient(a, b) && files[a] != files[b];
    findings.extend(leaking_pairs(slices, &by_pixels, is_copy).into_findings(
        slices,
        options,
        FindingCode::LeakPixels,
        "images of different patients have the same pixels",
        slice_name,
    ));
    findings.extend(shared_within_a_part(
        slices,
        &by_pixels,
        options,
        FindingCode::PixelsShared,
        "images have the same pixels",
        slice_name,
    ));
    findings
}

/// The hash of the pixels as they are, or else as they were written; none for an image of one gray
/// level, which any patient may have.
pub(super) fn pixels_key<'a>(image: &'a ImageState, slice: &Slice<'a>) -> Option<&'a str> {
    match image {
        ImageState::Seen(facts) if facts.is_constant => None,
        ImageState::Seen(facts) => Some(&facts.pixels_sha256),
        _ => slice.record.pixels_sha256.as_deref(),
    }
}

/// One finding for all that several patients share where it is no leak.
fn shared_within_a_part<K>(
    slices: &Slices<'_>,
    groups: &Groups<K>,
    options: &AuditOptions,
    code: FindingCode,
    what: &str,
    name: impl Fn(&Slice<'_>) -> String,
) -> Option<Finding> {
    let pairs: Vec<_> = groups.values().filter_map(|group| pair_within_one_part(slices, group)).collect();
    let inputs: BTreeSet<_> = pairs.iter().flat_map(|&(a, b)| [a, b]).map(|n| slices.all[n].input).collect();
    let examples = pairs.iter().take(options.max_examples);
    let finding = Finding {
        code,
        severity: code.severity(),
        inputs: inputs.into_iter().map(|input| slices.input_names[input].clone()).collect(),
        count: pairs.len() as u64,
        message: format!("{} {what} under different patients", pairs.len()),
        examples: examples
            .map(|&(a, b)| format!("{} = {}", name(&slices.all[a]), name(&slices.all[b])))
            .collect(),
    };
    (!pairs.is_empty()).then_some(finding)
}

/// Two slices of different patients, if no two slices of the group are of different parts.
fn pair_within_one_part(slices: &Slices<'_>, group: &[usize]) -> Option<(usize, usize)> {
    let (&first, rest) = group.split_first()?;
    let parts: BTreeSet<_> = group.iter().filter_map(|&n| slices.all[n].part).collect();
    let other = rest.iter().copied().find(|&n| slices.all[n].patient != slices.all[first].patient)?;
    (parts.len() < 2).then_some((first, other))
}
