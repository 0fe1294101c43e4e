//! Ready images with a table of labels: split, indexed and audited like any dataset.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use ct_volume::write_atomic;

use super::config::PrepareConfig;
use super::error::PrepareError;
use super::finish::{Counts, RunSummary, TaskCounts, complete};
use super::options::{Progress, RunOptions};
use super::part::SLICES_FOLDER;
use super::volume::{hash_pixels, middle_slice};
use crate::index::{
    IndexLimits, IndexRecord, SPLIT_FILE_NAME, SliceIndex, SplitFile, SplitPart, read_image_csv,
};
use crate::pixels::{PngLimits, decode_png};
use crate::python::PyRandom;
use crate::select::split_volumes;

const SPLIT_RULE: &str =
    "patients of a source, sorted, shuffled as Python's random.shuffle, first fifth for testing";

/// Copies the images of a table into `out`, splits each source's patients, and writes index, split
/// files and summary.
pub(super) fn run(
    table: &Path,
    images: &Path,
    config: &PrepareConfig,
    out: &Path,
    options: &RunOptions<'_>,
) -> Result<RunSummary, PrepareError> {
    let SliceIndex { mut records, root, .. } = read_image_csv(table, images, &IndexLimits::default())?;
    let splits = split_sources(&mut records, config);
    let folder = out.join(SLICES_FOLDER);
    fs_err::create_dir_all(&folder).map_err(PrepareError::io(&folder))?;
    (options.progress)(Progress::Started { n_volumes: records.len() });
    for record in &mut records {
        if options.cancel.load(Ordering::Relaxed) {
            return Err(PrepareError::Cancelled);
        }
        copy_image(record, &root, out)?;
        let done = Progress::VolumeDone { stem: &record.volume, n_slices: 1, n_images: 1, resumed: false };
        (options.progress)(done);
    }
    records
        .sort_by(|a, b| (&a.dataset, &a.volume, a.slice_index).cmp(&(&b.dataset, &b.volume, b.slice_index)));
    for split in &splits {
        // One dataset, one split file; several sources in one table have one each.
        let name = if splits.len() == 1 {
            SPLIT_FILE_NAME.to_owned()
        } else {
            format!("split.{}.json", split.dataset)
        };
        split.write(&out.join(name))?;
    }
    let part = |wanted| records.iter().filter(|r| r.split == Some(wanted)).count();
    let task = records.first().and_then(|r| r.tasks.first().copied());
    let counted = TaskCounts { train: part(SplitPart::Train), test: part(SplitPart::Test) };
    let n_patients = splits.iter().map(|s| s.train.len() + s.test.len()).sum();
    let counts = Counts {
        patients: n_patients,
        volumes: n_patients,
        without_mask: 0,
        slices: records.len(),
        images: records.len(),
    };
    let tasks: BTreeMap<_, _> = task.map(|task| (task, counted)).into_iter().collect();
    let hashes: Vec<&str> = splits.iter().map(|s| s.sha256.as_str()).collect();
    complete(&records, counts, tasks, hashes.join(" "), Vec::new(), config, out, options)
}

fn split_sources(records: &mut [IndexRecord], config: &PrepareConfig) -> Vec<SplitFile> {
    let mut patients: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in records.iter() {
        patients.entry(record.dataset.clone()).or_default().push(record.patient.clone());
    }
    let mut splits = Vec::with_capacity(patients.len());
    for (source, mut names) in patients {
        names.sort_unstable();
        names.dedup();
        let split = split_volumes(&names, &mut PyRandom::new(config.seed));
        splits.push(SplitFile::new(&source, Some(config.seed), SPLIT_RULE, split.train, split.test));
    }
    let parts: BTreeMap<&str, BTreeMap<&str, SplitPart>> =
        splits.iter().map(|split| (split.dataset.as_str(), split.parts())).collect();
    for record in records.iter_mut() {
        let of_source = parts.get(record.dataset.as_str());
        record.split = of_source.and_then(|parts| parts.get(record.patient.as_str()).copied());
    }
    splits
}

fn copy_image(record: &mut IndexRecord, root: &Path, out: &Path) -> Result<(), PrepareError> {
    let Some(image) = record.image.clone() else { return Ok(()) };
    let from = root.join(&image);
    let bytes = fs_err::read(&from).map_err(PrepareError::io(&from))?;
    let decoded = decode_png(&bytes, &PngLimits::default()).map_err(|source| PrepareError::Pixels {
        study: record.volume.clone(),
        slice_index: record.slice_index as usize,
        source,
    })?;
    // Sub-folders of the table's images become part of the name.
    let name = image.replace('/', "_");
    write_atomic(&out.join(SLICES_FOLDER).join(&name), &bytes)?;
    record.image = Some(format!("{SLICES_FOLDER}/{name}"));
    record.pixels_sha256 = Some(hash_pixels(&middle_slice(decoded)));
    Ok(())
}
