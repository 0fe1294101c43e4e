//! What needs all volumes: split, balanced draws, index, summary, audit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ct_volume::write_atomic;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::config::PrepareConfig;
use super::error::PrepareError;
use super::options::{Progress, RunOptions};
use super::part::{PARTS_FOLDER, SLICES_FOLDER, VolumePart};
use super::reference;
use super::volume::is_balanced_organ;
use crate::audit::{AuditInput, AuditOptions, Severity, audit};
use crate::hex::hex;
use crate::index::{
    INDEX_FILE_NAME, IndexLimits, IndexRecord, SPLIT_FILE_NAME, SplitFile, SplitPart, Task, read_index_as_is,
    write_index,
};
use crate::organ::Organ;
use crate::python::PyRandom;
use crate::select::{VolumeSplit, select_balanced, split_volumes};

/// The file that tells that a folder is complete; written last.
pub(super) const SUMMARY_FILE: &str = "summary.json";

/// What a run wrote; `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSummary {
    /// Version of this form; 1.
    pub schema_version: u32,
    /// Program and version.
    pub program: String,
    /// What the output is for.
    pub notice: String,
    /// Everything that decided the bytes.
    pub config: PrepareConfig,
    /// Hash of the configuration.
    pub config_sha256: String,
    /// Totals.
    pub counts: Counts,
    /// Selected slices per task and part.
    pub tasks: BTreeMap<Task, TaskCounts>,
    /// Hash of the index file.
    pub index_sha256: String,
    /// Hash of the split, as the split file has it.
    pub split_sha256: String,
    /// What was noticed, per volume.
    pub warnings: Vec<VolumeWarning>,
    /// How the audit ended, if there was one.
    pub audit: Option<AuditCounts>,
}

/// Totals of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Patients.
    pub patients: usize,
    /// Studies with masks.
    pub volumes: usize,
    /// Studies without a mask, left out.
    pub without_mask: usize,
    /// Slices of all volumes.
    pub slices: usize,
    /// Images written.
    pub images: usize,
}

/// Slices of one task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskCounts {
    /// For training.
    pub train: usize,
    /// Held out.
    pub test: usize,
}

/// A remark about a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeWarning {
    /// Name of the volume.
    pub volume: String,
    /// Stable code.
    pub code: String,
    /// The sentence.
    pub message: String,
}

/// Findings of the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditCounts {
    /// Findings that fail an audit.
    pub errors: usize,
    /// Findings to look at.
    pub warnings: usize,
}

impl RunSummary {
    /// Reads `summary.json`.
    pub(super) fn read(path: &Path) -> Result<Self, PrepareError> {
        let text = fs_err::read_to_string(path).map_err(PrepareError::io(path))?;
        let unusable =
            |error| PrepareError::Output { path: path.to_owned(), reason: format!("is no summary: {error}") };
        serde_json::from_str(&text).map_err(unusable)
    }
}

/// Makes the folder complete from all parts, and removes the parts.
pub(super) fn finish(
    mut parts: Vec<VolumePart>,
    config: &PrepareConfig,
    out: &Path,
    options: &RunOptions<'_>,
) -> Result<RunSummary, PrepareError> {
    parts.sort_by_key(|part| part.position);
    (options.progress)(Progress::Step("split and index"));
    let mut random = PyRandom::new(config.seed);
    let split = split_patients(&parts, &mut random);
    let tasks = select(&mut parts, config, &split, &mut random);
    remove_unused_images(&mut parts, config, out)?;
    link_neighbors(&mut parts);

    let split_file =
        SplitFile::new(&config.tag, Some(config.seed), SPLIT_RULE, split.train.clone(), split.test.clone());
    split_file.write(&out.join(SPLIT_FILE_NAME))?;
    let records: Vec<IndexRecord> = parts.iter().flat_map(|part| part.records.iter().cloned()).collect();
    if config.reference_json {
        (options.progress)(Progress::Step("reference files"));
        reference::write(&parts, config, out)?;
    }
    let counts = Counts {
        patients: split.train.len() + split.test.len(),
        volumes: parts.len(),
        without_mask: parts.first().map_or(0, |p| p.n_without_mask),
        slices: records.len(),
        images: records.iter().filter(|r| r.image.is_some()).count(),
    };
    let warnings = parts.iter().flat_map(volume_warnings).collect();
    complete(&records, counts, tasks, split_file.sha256, warnings, config, out, options)
}

/// Writes index, audit and, last of all, the summary that tells that the folder is complete.
#[expect(clippy::too_many_arguments, reason = "each is one line of the summary, or where it goes")]
pub(super) fn complete(
    records: &[IndexRecord],
    counts: Counts,
    tasks: BTreeMap<Task, TaskCounts>,
    split_sha256: String,
    warnings: Vec<VolumeWarning>,
    config: &PrepareConfig,
    out: &Path,
    options: &RunOptions<'_>,
) -> Result<RunSummary, PrepareError> {
    let index = out.join(INDEX_FILE_NAME);
    write_index(&index, records)?;
    let index_sha256 = hex(&Sha256::digest(fs_err::read(&index).map_err(PrepareError::io(&index))?));
    let audit = if options.audit { Some(write_audit(out, config, options)?) } else { None };
    let summary = RunSummary {
        schema_version: 1,
        program: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
        notice: "research use only, not for diagnosis".to_owned(),
        config: config.clone(),
        config_sha256: config.sha256(),
        counts,
        tasks,
        index_sha256,
        split_sha256,
        warnings,
        audit,
    };
    let path = out.join(SUMMARY_FILE);
    let json = serde_json::to_vec_pretty(&summary)
        .map_err(|error| PrepareError::Output { path: path.clone(), reason: error.to_string() })?;
    write_atomic(&path, &json)?;
    remove_parts(out)?;
    Ok(summary)
}

/// Removes the parts of a complete folder.
pub(super) fn remove_parts(out: &Path) -> Result<(), PrepareError> {
    let parts = out.join(PARTS_FOLDER);
    if parts.is_dir() {
        fs_err::remove_dir_all(&parts).map_err(PrepareError::io(&parts))?;
    }
    Ok(())
}

const SPLIT_RULE: &str =
    "patients in order of first volume, shuffled as Python's random.shuffle, first fifth for testing";

fn volume_warnings(part: &VolumePart) -> Vec<VolumeWarning> {
    let warning = |w: &super::part::PartWarning| VolumeWarning {
        volume: part.stem.clone(),
        code: w.code.clone(),
        message: w.message.clone(),
    };
    part.warnings.iter().map(warning).collect()
}

/// Splits by patient, in order of first appearance, so that with one volume a patient the lists are
/// those of the published code (SPEC 1.6).
fn split_patients(parts: &[VolumePart], random: &mut PyRandom) -> VolumeSplit {
    let mut seen = BTreeSet::new();
    let mut patients = Vec::new();
    for record in parts.iter().filter_map(|part| part.records.first()) {
        if seen.insert(record.patient.clone()) {
            patients.push(record.patient.clone());
        }
    }
    split_volumes(&patients, random)
}

/// Sets `split` and `tasks` of every record; counts per task.
fn select(
    parts: &mut [VolumePart],
    config: &PrepareConfig,
    split: &VolumeSplit,
    random: &mut PyRandom,
) -> BTreeMap<Task, TaskCounts> {
    let multi_organ = config.label_map.organs().any(|o| !is_balanced_organ(o));
    for part in parts.iter_mut() {
        for record in &mut part.records {
            let is_test = split.test.contains(&record.patient);
            record.split = Some(if is_test { SplitPart::Test } else { SplitPart::Train });
            record.tasks.clear();
            for (&organ, found) in &record.organs {
                if found.bbox_ratio > config.threshold {
                    record.tasks.extend(task_of(organ));
                    record.tasks.extend(
                        multi_organ.then_some(Task::OrganDetection).filter(|_| organ != Organ::Tumor),
                    );
                }
            }
        }
    }
    if config.balanced {
        add_negatives(parts, config, split, random);
    }
    let mut counts: BTreeMap<Task, TaskCounts> = BTreeMap::new();
    for record in parts.iter_mut().flat_map(|part| &mut part.records) {
        record.tasks.sort_unstable();
        record.tasks.dedup();
        for task in &record.tasks {
            let count = counts.entry(*task).or_default();
            match record.split {
                Some(SplitPart::Test) => count.test += 1,
                _ => count.train += 1,
            }
        }
    }
    counts
}

fn task_of(organ: Organ) -> Option<Task> {
    match organ {
        Organ::Pancreas => Some(Task::PancreasDetection),
        Organ::Tumor => Some(Task::TumorDetection),
        _ => None,
    }
}

/// Gives drawn slices without the organ the organ's task. Each published script seeds again and
/// shuffles before it draws, so each organ goes on from the state after the split (SPEC 1.6).
fn add_negatives(parts: &mut [VolumePart], config: &PrepareConfig, split: &VolumeSplit, random: &PyRandom) {
    let records: Vec<IndexRecord> = parts.iter().flat_map(|part| part.records.iter().cloned()).collect();
    let mut volumes_of: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for record in records.iter().filter(|r| r.slice_index == 0) {
        volumes_of.entry(&record.patient).or_default().push(record.volume.clone());
    }
    let mut negatives: BTreeMap<usize, Vec<Task>> = BTreeMap::new();
    for organ in config.label_map.organs().filter(|o| is_balanced_organ(*o)) {
        let mut random = random.clone();
        for patients in [&split.train, &split.test] {
            let volumes: Vec<String> = patients
                .iter()
                .flat_map(|p| volumes_of.get(p.as_str()).cloned().unwrap_or_default())
                .collect();
            for at in select_balanced(&records, &volumes, organ, config.threshold, &mut random) {
                negatives.entry(at).or_default().extend(task_of(organ));
            }
        }
    }
    for (at, record) in parts.iter_mut().flat_map(|part| &mut part.records).enumerate() {
        record.tasks.extend(negatives.remove(&at).unwrap_or_default());
    }
}

/// Removes images of balanced candidates that were not drawn.
fn remove_unused_images(
    parts: &mut [VolumePart],
    config: &PrepareConfig,
    out: &Path,
) -> Result<(), PrepareError> {
    let mut kept = BTreeSet::new();
    for part in parts.iter_mut() {
        let used: Vec<bool> = part.records.iter().map(|r| !r.tasks.is_empty()).collect();
        for (n, record) in part.records.iter_mut().enumerate() {
            let near = |offset: usize| {
                n.checked_add(offset).and_then(|m| m.checked_sub(1)).and_then(|m| used.get(m))
            };
            let is_context = config.context_images && [0, 2].into_iter().any(|o| near(o).is_some_and(|&u| u));
            if used[n] || is_context {
                kept.extend(record.image.clone());
            } else {
                record.image = None;
                record.pixels_sha256 = None;
            }
        }
    }
    let slices = out.join(SLICES_FOLDER);
    for entry in fs_err::read_dir(&slices).map_err(PrepareError::io(&slices))? {
        let entry = entry.map_err(PrepareError::io(&slices))?;
        let name = format!("{SLICES_FOLDER}/{}", entry.file_name().to_string_lossy());
        if !kept.contains(&name) {
            fs_err::remove_file(entry.path()).map_err(PrepareError::io(&slices))?;
        }
    }
    Ok(())
}

fn link_neighbors(parts: &mut [VolumePart]) {
    for part in parts {
        let images: Vec<Option<String>> = part.records.iter().map(|r| r.image.clone()).collect();
        for (n, record) in part.records.iter_mut().enumerate() {
            record.neighbors.previous_image = n.checked_sub(1).and_then(|m| images[m].clone());
            record.neighbors.next_image = images.get(n + 1).cloned().flatten();
        }
    }
}

fn write_audit(
    out: &Path,
    config: &PrepareConfig,
    options: &RunOptions<'_>,
) -> Result<AuditCounts, PrepareError> {
    (options.progress)(Progress::Step("audit"));
    let index = read_index_as_is(out, &IndexLimits::default())?;
    // Named by the dataset, not by the folder, so that equal runs give equal reports.
    let input = AuditInput::new(index).with_name(&config.tag);
    let report = audit(&[input], &AuditOptions::default().with_seed(config.seed));
    write_atomic(&out.join("audit.json"), report.to_json().as_bytes())?;
    write_atomic(&out.join("audit.txt"), report.to_text().as_bytes())?;
    Ok(AuditCounts {
        errors: report.n_findings(Severity::Error),
        warnings: report.n_findings(Severity::Warning),
    })
}
