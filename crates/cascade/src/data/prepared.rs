//! Prepared folders, and what each stage takes from them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ct_slices::index::{
    INDEX_FILE_NAME, IndexLimits, IndexRecord, SPLIT_FILE_NAME, SliceIndex, SplitFile, SplitPart, read_index,
};
use ct_slices::{Organ, YesNo};

use super::image_csv;
use super::sample::{SampleRegion, Samples, StageSample, Truth, patient_key};
use crate::images::{ImageFit, ImageTable};
use crate::stage::target_name;
use crate::{CascadeError, Stage};

/// One folder of data, split.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder {
    pub(crate) index: SliceIndex,
    pub(crate) split: Option<SplitFile>,
    /// Whether the split was made on reading, so that a run has to keep it.
    pub(crate) was_split_here: bool,
    /// The box ratio above which an organ was selected.
    pub(crate) threshold: f64,
}

/// Reads a prepared folder (`index.jsonl`), or `labels.csv` with `images`.
pub(crate) fn load_folder(folder: &Path, seed: u64) -> Result<DataFolder, CascadeError> {
    if folder.is_file() || folder.join(INDEX_FILE_NAME).is_file() {
        let index = read_index(folder, &IndexLimits::default())?;
        let path = index.root.join(SPLIT_FILE_NAME);
        let split = if path.is_file() { Some(SplitFile::read(&path)?) } else { None };
        let threshold = threshold_of(&index.root);
        return Ok(DataFolder { index, split, was_split_here: false, threshold });
    }
    if folder.join(image_csv::LABELS_FILE).is_file() {
        return image_csv::load(folder, seed);
    }
    Err(CascadeError::NoData { path: folder.to_owned() })
}

impl DataFolder {
    /// Whether its masks label more than the pancreas, as AbdomenCT-1K's do.
    fn is_multi_organ(&self) -> bool {
        self.index.records.iter().any(|record| record.organs.contains_key(&Organ::Liver))
    }

    /// Whether its slices carry answers to the tumor question.
    pub(crate) fn has_answers(&self) -> bool {
        self.index.records.iter().any(|record| record.answer.is_some())
    }

    /// The stratum of every training patient: source, and whether it has a tumor.
    pub(crate) fn training_strata(&self) -> BTreeMap<String, String> {
        let mut of_patient: BTreeMap<String, (String, bool)> = BTreeMap::new();
        for record in self.index.records.iter().filter(|record| record.split != Some(SplitPart::Test)) {
            let entry = of_patient
                .entry(patient_key(&record.dataset, &record.patient))
                .or_insert_with(|| (record.dataset.clone(), false));
            let tumor = record.organs.get(&Organ::Tumor).is_some_and(|tumor| tumor.max_pixels > 0);
            entry.1 |= tumor || record.answer == Some(YesNo::Yes);
        }
        of_patient
            .into_iter()
            .map(|(patient, (dataset, yes))| (patient, format!("{dataset} {yes}")))
            .collect()
    }

    /// Adds the samples of a stage: its images enter `table`, whether they are opened or not.
    ///
    /// `datasets` are the sources to take; none: all with the stage's task, except that a folder
    /// with many organs is for the organs alone, as published.
    pub(crate) fn add_samples(
        &self,
        stage: Stage,
        datasets: Option<&BTreeSet<String>>,
        fit: ImageFit,
        shows_regions: bool,
        table: &mut ImageTable,
        samples: &mut Samples,
    ) {
        if datasets.is_none() && stage != Stage::Organs && self.is_multi_organ() {
            return;
        }
        // A tumor set repeats slices of other folders: it is for its question alone.
        if stage.is_box() && self.has_answers() {
            return;
        }
        for record in &self.index.records {
            if datasets.is_some_and(|datasets| !datasets.contains(&record.dataset)) {
                continue;
            }
            if !record.tasks.contains(&stage.task()) {
                continue;
            }
            let Some(path) = self.index.image_path(record) else { continue };
            let part = match record.split {
                Some(SplitPart::Test) => &mut samples.test,
                _ => &mut samples.train,
            };
            for (target, truth, box_ratio) in questions(stage, record, self.threshold) {
                let mut sample = sample(record, target, truth, box_ratio);
                if shows_regions {
                    let whole_image = table.add(&path, ImageFit::Stretch);
                    sample.region = Some(SampleRegion { whole_image, shown: None });
                    sample.image = table.add_apart(&path, fit);
                } else {
                    sample.image = table.add(&path, fit);
                }
                part.push(sample);
            }
        }
    }
}

/// The published threshold (SPEC 1.6).
pub(super) const DEFAULT_THRESHOLD: f64 = 0.6;

/// The threshold that a folder was prepared with, as its summary says.
fn threshold_of(folder: &Path) -> f64 {
    let summary = fs_err::read(folder.join("summary.json")).ok();
    let summary: Option<serde_json::Value> = summary.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    summary.and_then(|summary| summary["config"]["threshold"].as_f64()).unwrap_or(DEFAULT_THRESHOLD)
}

fn questions(stage: Stage, record: &IndexRecord, threshold: f64) -> Vec<(&'static str, Truth, Option<f64>)> {
    if stage == Stage::TumorYesNo {
        let answer = record.answer.map(|answer| Truth::YesNo(answer == YesNo::Yes));
        return answer.map(|truth| ("", truth, None)).into_iter().collect();
    }
    let mut questions = Vec::new();
    for organ in stage.organs() {
        let Some(found) = record.organs.get(organ) else { continue };
        let Some(bbox) = found.bbox else { continue };
        // One organ selects a slice of the multi-organ task; each is asked for only where it is
        // large enough itself (SPEC 1.10), and all that are (D14).
        if stage == Stage::Organs && found.bbox_ratio <= threshold {
            continue;
        }
        questions.push((target_name(*organ), Truth::Box(bbox), Some(found.bbox_ratio)));
    }
    questions
}

/// A sample whose image has no number yet.
fn sample(record: &IndexRecord, target: &'static str, truth: Truth, box_ratio: Option<f64>) -> StageSample {
    let spacing_mm = record.spacing_mm.map(|[column, row, _]| [column, row]);
    let tumor = record.organs.get(&Organ::Tumor).and_then(|tumor| tumor.bbox);
    let lesion_mm = spacing_mm
        .zip(tumor)
        .map(|([x, y], bbox)| (f64::from(bbox.width_px()) * x).max(f64::from(bbox.height_px()) * y));
    StageSample {
        image: 0,
        name: record.image.clone().unwrap_or_default(),
        dataset: record.dataset.clone(),
        patient: record.patient.clone(),
        volume: record.volume.clone(),
        slice_index: record.slice_index,
        size_px: [record.width, record.height],
        region: None,
        spacing_mm,
        target,
        truth,
        lesion_mm,
        box_ratio,
    }
}
