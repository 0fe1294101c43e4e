//! The tumour yes/no set, mixed from prepared folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ct_volume::write_atomic;
use serde::{Deserialize, Serialize};

use super::error::PrepareError;
use super::part::SLICES_FOLDER;
use super::volume::{hash_pixels, middle_slice};
use crate::bbox::BoxPx;
use crate::index::{
    INDEX_FILE_NAME, IndexLimits, IndexRecord, SPLIT_FILE_NAME, SplitFile, SplitPart, Task, YesNo,
    read_index, write_index,
};
use crate::organ::Organ;
use crate::pixels::{CropEdges, PixelError, PngLimits, crop, decode_png, encode_gray, encode_rgba};
use crate::preset::Preset;
use crate::python::PyRandom;
use crate::select::{MatchedMixOptions, mix_tumor_classification_fixed};

/// What the images of the set show (SPEC D10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TumorCrop {
    /// The mask's pancreas box: at test time an oracle.
    GroundTruth,
    /// A predicted pancreas box.
    Predicted,
    /// The whole slice.
    Full,
}

impl TumorCrop {
    /// Published sets are crops by the ground-truth box; the repaired set shows whole slices.
    #[must_use]
    pub fn default_of(preset: Preset) -> Self {
        if preset == Preset::Fixed { Self::Full } else { Self::GroundTruth }
    }
}

/// What the set is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TumorMixConfig {
    /// Published mix (tumour slices of one source against slices of another) or the matched one.
    pub preset: Preset,
    /// What images show.
    pub crop: TumorCrop,
    /// A tumour slice counts above this box ratio, strictly.
    pub threshold: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// What [`mix_tumor_set`] wrote; `summary.json` of the set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TumorMixSummary {
    /// Training slices with a tumour.
    pub train_yes: usize,
    /// Training slices without.
    pub train_no: usize,
    /// Test slices with a tumour.
    pub test_yes: usize,
    /// Test slices without.
    pub test_no: usize,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// A slice of a prepared folder.
struct Source<'a> {
    folder: &'a Path,
    record: &'a IndexRecord,
}

/// Mixes a tumour yes/no set from prepared folders: an index with answers, and images.
///
/// Published presets take all tumour slices of the sources that label tumours as "yes", and as many
/// slices of the other sources as "no" (SPEC 1.9), test part first, one generator. Preset `fixed`
/// pairs each tumour slice with a tumour-free slice of the same source and about the same box size.
///
/// # Errors
/// A [`PrepareError`] for folders that cannot be read, a mix with an empty class, images that are
/// missing, or two images of one name.
pub fn mix_tumor_set(
    indices: &[PathBuf],
    predictions: Option<&Path>,
    config: &TumorMixConfig,
    out: &Path,
) -> Result<TumorMixSummary, PrepareError> {
    if fs_err::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        let reason = "is not empty: choose another folder".to_owned();
        return Err(PrepareError::Output { path: out.to_owned(), reason });
    }
    let mut folders = Vec::new();
    let mut records = Vec::new();
    let mut splits = Vec::new();
    for path in indices {
        let index = read_index(path, &IndexLimits::default())?;
        splits.push(SplitFile::read(&index.root.join(SPLIT_FILE_NAME))?);
        folders.extend(std::iter::repeat_n(index.root.clone(), index.records.len()));
        records.extend(index.records);
    }
    let mut summary = TumorMixSummary::default();
    let chosen = match config.preset {
        Preset::Fixed => matched(&records, config, &mut summary),
        Preset::Paper2024 | Preset::Code2025 => published(&records, &splits, config, &mut summary),
    };
    let predicted = predictions.map(read_predictions).transpose()?.unwrap_or_default();
    let slices = out.join(SLICES_FOLDER);
    fs_err::create_dir_all(&slices).map_err(PrepareError::io(&slices))?;
    let mut written = Vec::new();
    let mut names = BTreeSet::new();
    let (mut without_image, mut without_box) = (0_usize, 0_usize);
    for (at, answer) in chosen {
        let source = Source { folder: &folders[at], record: &records[at] };
        let Some(region) = source.region(config, &predicted) else {
            without_box += 1;
            continue;
        };
        let Some(mut record) = source.write_image(region, config, out)? else {
            without_image += 1;
            continue;
        };
        if !names.insert(record.image.clone()) {
            let name = record.image.unwrap_or_default();
            return Err(PrepareError::Config(format!(
                "two folders hold an image `{name}`: rename one study"
            )));
        }
        record.answer = Some(answer);
        record.tasks = vec![Task::TumorClassification];
        written.push(record);
    }
    for (n, what) in
        [(without_image, "have no image in their folder"), (without_box, "have no box to crop to")]
    {
        if n > 0 {
            summary.notes.push(format!("{n} slices {what} and were left out"));
        }
    }
    summary.count(&written);
    if [summary.train_yes, summary.train_no].contains(&0) {
        let text = format!(
            "the mix has {} tumour slices and {} others to train on",
            summary.train_yes, summary.train_no
        );
        return Err(PrepareError::Config(text));
    }
    write_index(&out.join(INDEX_FILE_NAME), &written)?;
    let path = out.join("summary.json");
    let json = serde_json::to_vec_pretty(&serde_json::json!({ "config": config, "summary": summary }))
        .map_err(|error| PrepareError::Output { path: path.clone(), reason: error.to_string() })?;
    write_atomic(&path, &json)?;
    Ok(summary)
}

impl TumorMixSummary {
    fn count(&mut self, records: &[IndexRecord]) {
        for record in records {
            let count = match (record.split, record.answer) {
                (Some(SplitPart::Test), Some(YesNo::Yes)) => &mut self.test_yes,
                (Some(SplitPart::Test), _) => &mut self.test_no,
                (_, Some(YesNo::Yes)) => &mut self.train_yes,
                _ => &mut self.train_no,
            };
            *count += 1;
        }
    }
}

fn matched(
    records: &[IndexRecord],
    config: &TumorMixConfig,
    summary: &mut TumorMixSummary,
) -> Vec<(usize, YesNo)> {
    let options = MatchedMixOptions {
        tumor_threshold: config.threshold,
        seed: config.seed,
        ..MatchedMixOptions::default()
    };
    // Only slices whose images exist can be shown.
    let usable: Vec<usize> = (0..records.len()).filter(|&at| records[at].image.is_some()).collect();
    let candidates: Vec<IndexRecord> = usable.iter().map(|&at| records[at].clone()).collect();
    let mix = mix_tumor_classification_fixed(&candidates, &options);
    for ((part, dataset), counts) in &mix.counts {
        summary.notes.push(format!(
            "{dataset} {}: {} of {} tumour slices paired, {} tumour-free slices to choose from",
            if *part == SplitPart::Test { "test" } else { "train" },
            counts.positives,
            counts.positive_candidates,
            counts.negative_candidates
        ));
    }
    mix.slices.iter().map(|slice| (usable[slice.record], slice.answer)).collect()
}

/// The published mix. The lists it draws from are in the order of the split files: volume by volume
/// as shuffled, slices ascending.
fn published(
    records: &[IndexRecord],
    splits: &[SplitFile],
    config: &TumorMixConfig,
    summary: &mut TumorMixSummary,
) -> Vec<(usize, YesNo)> {
    let mut rank: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for split in splits {
        for (n, patient) in split.train.iter().chain(&split.test).enumerate() {
            rank.insert((&split.dataset, patient), n);
        }
    }
    let list = |part: SplitPart, wants: &dyn Fn(&IndexRecord) -> bool| {
        let mut list: Vec<usize> =
            (0..records.len()).filter(|&at| records[at].split == Some(part) && wants(&records[at])).collect();
        list.sort_by_key(|&at| rank.get(&(records[at].dataset.as_str(), records[at].patient.as_str())));
        list
    };
    let ratio = |record: &IndexRecord, organ| record.organs.get(&organ).map(|found| found.bbox_ratio);
    let has_tumor = |r: &IndexRecord| ratio(r, Organ::Tumor).is_some_and(|ratio| ratio > config.threshold);
    let is_healthy = |r: &IndexRecord| {
        ratio(r, Organ::Tumor).is_none()
            && ratio(r, Organ::Pancreas).is_some_and(|ratio| ratio > config.threshold)
    };
    let mut random = PyRandom::new(config.seed);
    let mut chosen = Vec::new();
    for part in [SplitPart::Test, SplitPart::Train] {
        let (yes, healthy) = (list(part, &has_tumor), list(part, &is_healthy));
        let drawn = random.sample(&healthy, yes.len().min(healthy.len())).unwrap_or_default();
        if yes.len() > healthy.len() {
            summary.notes.push(format!(
                "{} tumour slices and only {} others: unbalanced, as published",
                yes.len(),
                healthy.len()
            ));
        }
        chosen.extend(yes.into_iter().map(|at| (at, YesNo::Yes)));
        chosen.extend(drawn.into_iter().map(|at| (at, YesNo::No)));
    }
    summary.notes.push("the answer equals the dataset, as published (D9): audit before use".to_owned());
    chosen
}

/// What an image is to show.
#[derive(Clone, Copy)]
enum Region {
    Whole,
    Box(BoxPx),
}

impl Source<'_> {
    fn region(&self, config: &TumorMixConfig, predicted: &BTreeMap<(String, u32), BoxPx>) -> Option<Region> {
        let record = self.record;
        match config.crop {
            TumorCrop::Full => Some(Region::Whole),
            TumorCrop::GroundTruth => {
                record.organs.get(&Organ::Pancreas).and_then(|o| o.bbox).map(Region::Box)
            }
            TumorCrop::Predicted => {
                predicted.get(&(record.volume.clone(), record.slice_index)).copied().map(Region::Box)
            }
        }
    }

    fn write_image(
        &self,
        region: Region,
        config: &TumorMixConfig,
        out: &Path,
    ) -> Result<Option<IndexRecord>, PrepareError> {
        let Some(image) = &self.record.image else { return Ok(None) };
        let from = self.folder.join(image);
        let bytes = fs_err::read(&from).map_err(PrepareError::io(&from))?;
        let name = image.rsplit('/').next().unwrap_or(image);
        let mut record = self.record.clone();
        record.image = Some(format!("{SLICES_FOLDER}/{name}"));
        record.neighbors.previous_image = None;
        record.neighbors.next_image = None;
        let path = out.join(SLICES_FOLDER).join(name);
        let Region::Box(bbox) = region else {
            write_atomic(&path, &bytes)?;
            return Ok(Some(record));
        };
        let failed = |source: PixelError| PrepareError::Pixels {
            study: self.record.volume.clone(),
            slice_index: self.record.slice_index as usize,
            source,
        };
        let gray = middle_slice(decode_png(&bytes, &PngLimits::default()).map_err(failed)?);
        let fixed = config.preset == Preset::Fixed;
        let edges = if fixed { CropEdges::Inclusive } else { CropEdges::HalfOpen };
        let piece = crop(gray.view(), bbox, edges).map_err(failed)?.to_owned();
        let png =
            if fixed { encode_gray(piece.view()) } else { encode_rgba(piece.view()) }.map_err(failed)?;
        write_atomic(&path, &png)?;
        record.pixels_sha256 = Some(hash_pixels(&piece));
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (record.height, record.width) = (small(piece.nrows()), small(piece.ncols()));
        let (x_max, y_max) = (bbox.x_min + record.width - 1, bbox.y_min + record.height - 1);
        record.crop = Some(BoxPx { x_max, y_max, ..bbox });
        Ok(Some(record))
    }
}

/// One predicted pancreas box.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prediction {
    volume: String,
    slice_index: u32,
    bbox: BoxPx,
}

/// Largest predictions file.
const MAX_PREDICTIONS_BYTES: u64 = 256 << 20;

fn read_predictions(path: &Path) -> Result<BTreeMap<(String, u32), BoxPx>, PrepareError> {
    let unusable = |reason: String| PrepareError::Output { path: path.to_owned(), reason };
    let size = fs_err::metadata(path).map_err(PrepareError::io(path))?.len();
    if size > MAX_PREDICTIONS_BYTES {
        return Err(unusable(format!("is {size} bytes, more than {MAX_PREDICTIONS_BYTES}")));
    }
    let text = fs_err::read_to_string(path).map_err(PrepareError::io(path))?;
    let mut boxes = BTreeMap::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let prediction: Prediction =
            serde_json::from_str(line).map_err(|error| unusable(format!("line {}: {error}", n + 1)))?;
        boxes.insert((prediction.volume, prediction.slice_index), prediction.bbox);
    }
    Ok(boxes)
}
