//! Which slices the probe takes, and what their label is.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::image_facts::{ImageFacts, ImageState};
use super::slices::{Slice, Slices};
use crate::index::{Task, YesNo};
use crate::organ::Organ;

/// Patients with and without tumour that it takes to compare volumes.
const MIN_TUMOR_FREE_PATIENTS: usize = 5;
/// Without tasks in the index, slices with this share of the volume's largest pancreas box are taken:
/// the published selection (SPEC 1.6).
const MIN_BBOX_RATIO: f64 = 0.6;

/// What the probe tries to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeLabel {
    /// The `answer` of the records.
    Answer,
    /// Tumour in the slice; "no" are slices of volumes without any.
    TumorAgainstTumorFreeVolumes,
    /// Tumour in the slice; "no" are the other slices of the same volumes, since there are too few
    /// volumes without a tumour. Where a tumour is in the pancreas is then part of what can be guessed.
    TumorAgainstOtherSlices,
}

impl ProbeLabel {
    /// The label in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answer => "the records' answer",
            Self::TumorAgainstTumorFreeVolumes => "tumour in the slice, against volumes without tumour",
            Self::TumorAgainstOtherSlices => "tumour in the slice, against other slices of the same volumes",
        }
    }
}

/// One slice with its label.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) dataset: &'a str,
    pub(super) patient: usize,
    pub(super) is_yes: bool,
    /// None where images were not opened or could not be read.
    pub(super) facts: Option<&'a ImageFacts>,
}

/// The slices of the probe.
#[derive(Debug)]
pub(super) struct Cohort<'a> {
    pub(super) label: ProbeLabel,
    pub(super) cases: Vec<Case<'a>>,
    /// Slices that were left out because there are too many.
    pub(super) n_left_out: usize,
}

/// Chooses the label and the slices; the reason, if there is no label.
pub(super) fn cohort<'a>(
    slices: &'a Slices<'a>,
    images: &'a [ImageState],
    max_slices: usize,
) -> Result<Cohort<'a>, &'static str> {
    let answers = labelled(slices, |slice| slice.record.answer.map(|answer| answer == YesNo::Yes));
    if !answers.is_empty() {
        return Ok(Cohort::new(slices, images, ProbeLabel::Answer, answers, max_slices));
    }
    let has_tasks = slices.all.iter().any(|slice| !slice.record.tasks.is_empty());
    let tumor = |slice: &Slice<'_>| {
        let pancreas = slice.record.organs.get(&Organ::Pancreas).filter(|organ| organ.pixels > 0)?;
        let is_selected = if has_tasks {
            let tasks = &slice.record.tasks;
            tasks.contains(&Task::PancreasDetection) || tasks.contains(&Task::TumorClassification)
        } else {
            pancreas.bbox_ratio > MIN_BBOX_RATIO
        };
        slice.record.organs.get(&Organ::Tumor).filter(|_| is_selected).copied()
    };
    let against_volumes = labelled(slices, |slice| {
        let tumor = tumor(slice)?;
        (tumor.pixels > 0 || tumor.max_pixels == 0).then_some(tumor.pixels > 0)
    });
    let n_patients = |cases: &[(usize, bool)], is_yes| {
        let of_kind = cases.iter().filter(|case| case.1 == is_yes);
        of_kind.map(|case| slices.all[case.0].patient).collect::<BTreeSet<_>>().len()
    };
    if n_patients(&against_volumes, false) >= MIN_TUMOR_FREE_PATIENTS {
        let label = ProbeLabel::TumorAgainstTumorFreeVolumes;
        return Ok(Cohort::new(slices, images, label, against_volumes, max_slices));
    }
    let against_slices = labelled(slices, |slice| Some(tumor(slice)?.pixels > 0));
    if against_slices.is_empty() {
        return Err("no record has an answer, or a tumour label with a selected pancreas slice");
    }
    Ok(Cohort::new(slices, images, ProbeLabel::TumorAgainstOtherSlices, against_slices, max_slices))
}

/// Slices with a label, each once: stages may share them.
fn labelled(slices: &Slices<'_>, label: impl Fn(&Slice<'_>) -> Option<bool>) -> Vec<(usize, bool)> {
    let mut seen = BTreeSet::new();
    let mut cases = Vec::new();
    for (n, slice) in slices.all.iter().enumerate() {
        if let Some(is_yes) = label(slice)
            && seen.insert((slice.patient, &slice.record.volume, slice.record.slice_index))
        {
            cases.push((n, is_yes));
        }
    }
    cases
}

impl<'a> Cohort<'a> {
    fn new(
        slices: &'a Slices<'a>,
        images: &'a [ImageState],
        label: ProbeLabel,
        mut cases: Vec<(usize, bool)>,
        max_slices: usize,
    ) -> Self {
        // Without its images a slice has nothing to predict from.
        if images.iter().any(|image| image.facts().is_some()) {
            cases.retain(|case| images[case.0].facts().is_some());
        }
        let n_all = cases.len();
        let cases = thin_out(slices, cases, max_slices);
        let n_left_out = n_all - cases.len();
        let case = |&(n, is_yes): &(usize, bool)| {
            let slice = &slices.all[n];
            Case { dataset: &slice.record.dataset, patient: slice.patient, is_yes, facts: images[n].facts() }
        };
        Self { label, cases: cases.iter().map(case).collect(), n_left_out }
    }
}

/// Keeps at most so many slices, evenly over patients, and within a patient in an order that has
/// nothing to do with where the slices lie.
fn thin_out(slices: &Slices<'_>, cases: Vec<(usize, bool)>, max_slices: usize) -> Vec<(usize, bool)> {
    if cases.len() <= max_slices {
        return cases;
    }
    let mut by_patient = BTreeMap::<usize, Vec<(Vec<u8>, (usize, bool))>>::new();
    for case in cases {
        let record = slices.all[case.0].record;
        let key = Sha256::digest(format!("{}\n{}", record.volume, record.slice_index).as_bytes()).to_vec();
        by_patient.entry(slices.all[case.0].patient).or_default().push((key, case));
    }
    let mut ranked: Vec<(usize, usize, (usize, bool))> = Vec::new();
    for (patient, mut cases) in by_patient {
        cases.sort();
        ranked.extend(cases.into_iter().enumerate().map(|(rank, (_, case))| (rank, patient, case)));
    }
    ranked.sort_unstable();
    ranked.truncate(max_slices);
    let mut kept: Vec<_> = ranked.into_iter().map(|(_, _, case)| case).collect();
    kept.sort_unstable();
    kept
}
