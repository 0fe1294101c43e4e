//! The records of all inputs in one list, and how a report names them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::options::{AuditInput, AuditOptions};
use super::report::InputSummary;
use crate::hex::hex;
use crate::index::{IndexRecord, SplitPart};

/// One record of one input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice<'a> {
    /// Which input.
    pub(super) input: usize,
    pub(super) record: &'a IndexRecord,
    /// Train or test, if it is known.
    pub(super) part: Option<SplitPart>,
    /// Number of the patient: one per dataset and name.
    pub(super) patient: usize,
}

/// Everything under audit.
#[derive(Debug)]
pub(super) struct Slices<'a> {
    pub(super) inputs: &'a [AuditInput],
    pub(super) all: Vec<Slice<'a>>,
    /// Unique names of the inputs.
    pub(super) input_names: Vec<String>,
    redact: bool,
}

impl<'a> Slices<'a> {
    pub(super) fn new(inputs: &'a [AuditInput], options: &AuditOptions) -> Self {
        let mut patients = BTreeMap::new();
        let mut all = Vec::with_capacity(inputs.iter().map(|input| input.index.records.len()).sum());
        for (n, input) in inputs.iter().enumerate() {
            for record in &input.index.records {
                let next = patients.len();
                let patient = *patients.entry((&record.dataset, &record.patient)).or_insert(next);
                all.push(Slice { input: n, record, part: record.split.or(input.default_part), patient });
            }
        }
        let mut taken = BTreeSet::new();
        let mut input_names = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut name = input.name.clone();
            for n in 2.. {
                if taken.insert(name.clone()) {
                    break;
                }
                name = format!("{}#{n}", input.name);
            }
            input_names.push(name);
        }
        Self { inputs, all, input_names, redact: options.redact }
    }

    /// Where the image of a slice is, if its record names one.
    pub(super) fn image_path(&self, slice: &Slice<'_>) -> Option<PathBuf> {
        self.inputs[slice.input].index.image_path(slice.record)
    }

    /// A name, or what stands for it where names are not to be shown.
    pub(super) fn shown(&self, name: &str) -> String {
        const HASH_CHARS: usize = 12;
        if self.redact {
            format!("#{}", &hex(&Sha256::digest(name.as_bytes()))[..HASH_CHARS])
        } else {
            name.to_owned()
        }
    }

    /// `DATASET/PATIENT`.
    pub(super) fn patient_name(&self, slice: &Slice<'_>) -> String {
        format!("{}/{}", slice.record.dataset, self.shown(&slice.record.patient))
    }

    /// `INPUT: DATASET/PATIENT[/VOLUME] slice K`.
    pub(super) fn slice_name(&self, slice: &Slice<'_>) -> String {
        format!("{} slice {}", self.volume_name(slice), slice.record.slice_index)
    }

    /// `INPUT: DATASET/PATIENT[/VOLUME]`.
    pub(super) fn volume_name(&self, slice: &Slice<'_>) -> String {
        let record = slice.record;
        let volume = if record.volume == record.patient {
            String::new()
        } else {
            format!("/{}", self.shown(&record.volume))
        };
        format!("{}: {}{volume}", self.input_names[slice.input], self.patient_name(slice))
    }

    pub(super) fn summaries(&self) -> Vec<InputSummary> {
        let mut summaries = Vec::with_capacity(self.inputs.len());
        for (n, name) in self.input_names.iter().enumerate() {
            let slices = || self.all.iter().filter(move |slice| slice.input == n);
            let count = |is: &dyn Fn(&Slice<'_>) -> bool| slices().filter(|slice| is(slice)).count() as u64;
            let datasets: BTreeSet<_> = slices().map(|slice| slice.record.dataset.clone()).collect();
            let patients: BTreeSet<_> = slices().map(|slice| slice.patient).collect();
            summaries.push(InputSummary {
                name: name.clone(),
                datasets: datasets.into_iter().collect(),
                n_records: count(&|_| true),
                n_patients: patients.len() as u64,
                n_train: count(&|slice| slice.part == Some(SplitPart::Train)),
                n_test: count(&|slice| slice.part == Some(SplitPart::Test)),
                n_images: count(&|slice| slice.record.image.is_some()),
            });
        }
        summaries
    }
}
