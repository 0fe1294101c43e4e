//! The reference's JSON files, for whoever compares with the published pipeline.

use std::collections::BTreeMap;
use std::path::Path;

use ct_volume::write_atomic;
use serde::Serialize;

use super::config::PrepareConfig;
use super::error::PrepareError;
use super::part::VolumePart;
use crate::annotate::{OrganMaxima, OrganSlice, SliceAnnotation, VolumeAnnotation};
use crate::dataset::Layout;
use crate::index::{IndexRecord, SplitPart};
use crate::organ::Organ;
use crate::preset::Preset;
use crate::python::{PyRandom, to_python_json};
use crate::records::{
    self, AbsentRatio, INFO_FILE_PAPER, InfoFile, QuestionFile, SliceFilter, SliceRecord, abd_records,
    msd_records, nih_records, threshold_file_name, with_question_ids,
};
use crate::select::{
    SweepSummary, VolumeSplit, abdomen_questions, select_above, select_balanced, select_organs,
    split_volumes, sweep_thresholds, volume_order,
};

/// Folder of these files in an output folder.
pub(super) const REFERENCE_FOLDER: &str = "reference";

/// Writes the files of the dataset's layout; nothing for a layout that was never published.
pub(super) fn write(parts: &[VolumePart], config: &PrepareConfig, out: &Path) -> Result<(), PrepareError> {
    let folder = out.join(REFERENCE_FOLDER);
    fs_err::create_dir_all(&folder).map_err(PrepareError::io(&folder))?;
    let files = Files { folder: &folder, config };
    match config.layout {
        Layout::Msd if config.preset == Preset::Paper2024 => {
            files.paper(&msd(parts, SliceFilter::WithPancreas))
        }
        Layout::Msd => files.msd(&msd(parts, SliceFilter::All)),
        Layout::Nih => files.nih(&number(parts, |name, annotation, first| {
            nih_records(name, annotation, first, SliceFilter::All)
        })),
        Layout::Abd => files.abd(&number(parts, |name, annotation, first| {
            abd_records(name, annotation, first, AbsentRatio::Integer)
        })),
        _ => Ok(()),
    }
}

fn msd(parts: &[VolumePart], filter: SliceFilter) -> Vec<records::MsdRecord> {
    number(parts, |name, annotation, first| msd_records(name, annotation, first, filter))
}

/// Records of all volumes, `slice_id` counting on from volume to volume.
fn number<R>(parts: &[VolumePart], make: impl Fn(&str, &VolumeAnnotation, u64) -> Vec<R>) -> Vec<R> {
    let mut all = Vec::new();
    for part in parts {
        let first_slice_id = all.len() as u64 + 1;
        all.extend(make(&part.record_name, &annotation(&part.records), first_slice_id));
    }
    all
}

/// The annotation that index records were made from.
fn annotation(records: &[IndexRecord]) -> VolumeAnnotation {
    let mut maxima: BTreeMap<Organ, OrganMaxima> = BTreeMap::new();
    let slice = |record: &IndexRecord| {
        let mut organs = BTreeMap::new();
        for (&organ, found) in &record.organs {
            let largest = OrganMaxima { pixels: found.max_pixels, bbox_area: found.max_bbox_area };
            maxima.insert(organ, largest);
            let slice = OrganSlice {
                pixels: found.pixels,
                bbox: found.bbox,
                pixels_ratio: found.pixels_ratio,
                bbox_ratio: found.bbox_ratio,
            };
            organs.insert(organ, slice);
        }
        SliceAnnotation { slice_index: record.slice_index as usize, organs }
    };
    let slices = records.iter().map(slice).collect();
    let (width_px, height_px) = records.first().map_or((0, 0), |r| (r.width as usize, r.height as usize));
    VolumeAnnotation { width_px, height_px, slices, maxima, labels_outside_map: BTreeMap::new() }
}

struct Files<'a> {
    folder: &'a Path,
    config: &'a PrepareConfig,
}

impl Files<'_> {
    fn json(&self, name: &str, value: &impl Serialize) -> Result<(), PrepareError> {
        let path = self.folder.join(name);
        let json = to_python_json(value)
            .map_err(|error| PrepareError::Output { path: path.clone(), reason: error.to_string() })?;
        Ok(write_atomic(&path, &json)?)
    }

    /// Each published script seeds, then shuffles the volumes of its info file.
    fn split<R: SliceRecord>(&self, records: &[R]) -> (VolumeSplit, PyRandom) {
        let mut random = PyRandom::new(self.config.seed);
        let split = split_volumes(&volume_order(records), &mut random);
        (split, random)
    }

    fn questions<R: SliceRecord + Clone + Serialize>(
        &self,
        file: QuestionFile,
        balanced: QuestionFile,
        records: &[R],
        organ: Organ,
    ) -> Result<(), PrepareError> {
        let (split, mut random) = self.split(records);
        // The published scripts draw for the training file first.
        for (part, volumes) in [(SplitPart::Train, &split.train), (SplitPart::Test, &split.test)] {
            let threshold = self.config.threshold;
            let above = select_above(records, volumes, organ, threshold);
            self.json(&file.name(part), &with_question_ids(records, &above))?;
            if self.config.balanced {
                let drawn = select_balanced(records, volumes, organ, threshold, &mut random);
                self.json(&balanced.name(part), &with_question_ids(records, &drawn))?;
            }
        }
        Ok(())
    }

    fn msd(&self, records: &[records::MsdRecord]) -> Result<(), PrepareError> {
        use records::PublishedDataset::Msd;
        self.json(&InfoFile(Msd).name(), &records)?;
        self.questions(
            QuestionFile::Detection(Msd),
            QuestionFile::BalancedDetection(Msd),
            records,
            Organ::Pancreas,
        )?;
        self.questions(QuestionFile::Tumor, QuestionFile::BalancedTumor, records, Organ::Tumor)
    }

    fn nih(&self, records: &[records::NihRecord]) -> Result<(), PrepareError> {
        use records::PublishedDataset::Nih;
        self.json(&InfoFile(Nih).name(), &records)?;
        self.questions(
            QuestionFile::Detection(Nih),
            QuestionFile::BalancedDetection(Nih),
            records,
            Organ::Pancreas,
        )
    }

    fn abd(&self, records: &[records::AbdRecord]) -> Result<(), PrepareError> {
        use records::PublishedDataset::Abd;
        self.json(&InfoFile(Abd).name(), &records)?;
        let (split, mut random) = self.split(records);
        for (part, volumes) in [(SplitPart::Train, &split.train), (SplitPart::Test, &split.test)] {
            let selected = select_organs(records, volumes, self.config.threshold, &mut random);
            self.json(&QuestionFile::Detection(Abd).name(part), &abdomen_questions(records, &selected))?;
        }
        Ok(())
    }

    /// Era P: slices with pancreas only, ten thresholds, and their counts.
    fn paper(&self, records: &[records::MsdRecord]) -> Result<(), PrepareError> {
        self.json(INFO_FILE_PAPER, &records)?;
        let (split, _) = self.split(records);
        let sweep = sweep_thresholds(records, &split);
        for at in &sweep {
            for (part, selected) in [(SplitPart::Train, &at.train), (SplitPart::Test, &at.test)] {
                let name = threshold_file_name(at.threshold_percent, part);
                self.json(&name, &with_question_ids(records, selected))?;
            }
        }
        self.json(SweepSummary::FILE_NAME, &SweepSummary::new("MSD", &sweep))
    }
}
