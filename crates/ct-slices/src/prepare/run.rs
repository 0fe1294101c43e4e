//! A whole run, or one shard of it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use run_folder::{RunLock, is_lock, remove_partial_below};

use super::config::PrepareConfig;
use super::error::PrepareError;
use super::finish::{RunSummary, SUMMARY_FILE, finish, remove_parts};
use super::images_csv;
use super::options::{Progress, RunOptions};
use super::part::{PARTS_FOLDER, SLICES_FOLDER, VolumePart};
use super::shard;
use super::source_hash::sha256_of_path;
use super::volume::VolumeJob;
use crate::dataset::{Dataset, Discovery, Layout, Study, discover};

/// How a run ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RunOutcome {
    /// All volumes are done and the folder is complete.
    Complete(Box<RunSummary>),
    /// This shard's volumes are done; merge it with the others.
    Shard {
        /// Volumes of the shard.
        n_volumes: usize,
        /// Images written.
        n_images: usize,
    },
}

/// Prepares the studies below `root` into the folder `out`.
///
/// Gives the same bytes for any number of threads and for any sharding followed by
/// [`merge`](super::merge()). Memory: one study per thread, its file form and its `f32` form.
///
/// # Errors
/// A [`PrepareError`] that names the study or file. Finished volumes stay for `resume`;
/// [`PrepareError::Cancelled`] if the caller asked to stop.
pub fn run(
    dataset: &Dataset,
    root: &Path,
    config: &PrepareConfig,
    out: &Path,
    options: &RunOptions<'_>,
) -> Result<RunOutcome, PrepareError> {
    let _lock = RunLock::take(out)?;
    if dataset.layout == Layout::ImagesCsv {
        return run_images(dataset, root, config, out, options);
    }
    let Discovery { studies, without_mask, label_map } = discover(dataset, root)?;
    let mut config = config.clone();
    if let Some(label_map) = label_map
        && config.label_map.0.is_empty()
    {
        config.label_map = label_map;
    }
    config.check()?;
    let config_sha256 = config.sha256();
    if let Some(done) = prepare_folder(out, &config_sha256, options)? {
        return Ok(RunOutcome::Complete(Box::new(done)));
    }
    shard::claim(out, options.shard, &config_sha256, studies.len())?;
    config.write(out)?;
    let job = VolumeJob {
        config: &config,
        config_sha256: &config_sha256,
        out,
        options,
        n_volumes: studies.len(),
        n_without_mask: without_mask.len(),
        spares: Mutex::new(Vec::new()),
    };
    let mine: Vec<(usize, &Study)> =
        studies.iter().enumerate().filter(|(n, _)| options.shard.is_none_or(|s| s.holds(*n))).collect();
    (options.progress)(Progress::Started { n_volumes: mine.len() });
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(options.threads.max(1)).build().map_err(|error| {
            PrepareError::Config(format!("cannot start {} threads: {error}", options.threads))
        })?;
    let parts = pool.install(|| {
        // One volume a task: a thread holds one study at a time.
        mine.par_iter().with_max_len(1).map(|(n, study)| one_volume(&job, *n, study)).collect::<Vec<_>>()
    });
    let parts = first_error(parts)?;
    let n_images = parts.iter().flat_map(|p| &p.records).filter(|r| r.image.is_some()).count();
    if options.shard.is_some() {
        shard::remove_leftovers(out, &parts)?;
        return Ok(RunOutcome::Shard { n_volumes: parts.len(), n_images });
    }
    let summary = finish(parts, &config, out, options)?;
    Ok(RunOutcome::Complete(Box::new(summary)))
}

/// A dataset of ready images is small work: it is done in one go, without parts.
fn run_images(
    dataset: &Dataset,
    root: &Path,
    config: &PrepareConfig,
    out: &Path,
    options: &RunOptions<'_>,
) -> Result<RunOutcome, PrepareError> {
    if options.shard.is_some() {
        return Err(PrepareError::Config("a dataset of ready images has no shards".to_owned()));
    }
    if let Some(done) = prepare_folder(out, &config.sha256(), options)? {
        return Ok(RunOutcome::Complete(Box::new(done)));
    }
    config.write(out)?;
    let images = dataset.images.first().map_or_else(|| root.to_owned(), |folder| root.join(folder));
    let summary = images_csv::run(&root.join(&dataset.labels), &images, config, out, options)?;
    Ok(RunOutcome::Complete(Box::new(summary)))
}

/// The parts, or the error of the first volume (by number, so that it is always the same one) that
/// failed for another reason than being stopped.
fn first_error(parts: Vec<Result<VolumePart, PrepareError>>) -> Result<Vec<VolumePart>, PrepareError> {
    let mut done = Vec::with_capacity(parts.len());
    let mut cancelled = false;
    for part in parts {
        match part {
            Ok(part) => done.push(part),
            Err(PrepareError::Cancelled) => cancelled = true,
            Err(error) => return Err(error),
        }
    }
    if cancelled { Err(PrepareError::Cancelled) } else { Ok(done) }
}

fn one_volume(job: &VolumeJob<'_>, position: usize, study: &Study) -> Result<VolumePart, PrepareError> {
    if job.options.cancel.load(Ordering::Relaxed) {
        return Err(PrepareError::Cancelled);
    }
    let earlier = if job.options.resume { usable_part(job, position, study)? } else { None };
    let resumed = earlier.is_some();
    let part = match earlier {
        Some(part) => part,
        None => job.run(position, study)?,
    };
    (job.options.progress)(Progress::VolumeDone {
        stem: &study.stem,
        n_slices: part.records.len(),
        n_images: part.records.iter().filter(|r| r.image.is_some()).count(),
        resumed,
    });
    Ok(part)
}

/// A part of an earlier run that still holds: same configuration, same source files, and every
/// image file is the one that was written.
fn usable_part(
    job: &VolumeJob<'_>,
    position: usize,
    study: &Study,
) -> Result<Option<VolumePart>, PrepareError> {
    // A part that cannot be read is made again.
    let Ok(Some(part)) = VolumePart::read(&VolumePart::path(job.out, &study.stem)) else { return Ok(None) };
    let placed = part.config_sha256 == job.config_sha256
        && (part.position, part.n_volumes) == (position, job.n_volumes)
        && part.record_name == study.record_name;
    let Some(record) = part.records.first() else { return Ok(None) };
    let sources = (record.source_sha256.as_deref(), record.mask_sha256.as_deref());
    let fresh = placed
        && sources.0 == Some(sha256_of_path(study.image.path())?.as_str())
        && sources.1 == Some(sha256_of_path(&study.mask)?.as_str())
        && part.images.iter().all(|image| shard::is_intact(&job.out.join(part.image_path(image)), image));
    Ok(fresh.then_some(part))
}

/// Makes the folder ready; gives the summary if the very same run is complete already.
fn prepare_folder(
    out: &Path,
    config_sha256: &str,
    options: &RunOptions<'_>,
) -> Result<Option<RunSummary>, PrepareError> {
    let in_the_way = |reason: &str| PrepareError::Output { path: out.to_owned(), reason: reason.to_owned() };
    let summary = out.join(SUMMARY_FILE);
    if summary.is_file() {
        let summary = RunSummary::read(&summary)?;
        return match (options.resume, summary.config_sha256 == config_sha256) {
            (true, true) => {
                // What a run that was killed after its last step may have left.
                remove_parts(out)?;
                remove_partial_below(out).map_err(PrepareError::io(out))?;
                Ok(Some(summary))
            }
            (true, false) => Err(in_the_way("is complete with another configuration; choose another folder")),
            (false, _) => Err(in_the_way("is complete already; choose another folder or remove it")),
        };
    }
    let parts = out.join(PARTS_FOLDER);
    let mut is_empty = true;
    for entry in fs_err::read_dir(out).map_err(PrepareError::io(out))? {
        is_empty &= is_lock(&entry.map_err(PrepareError::io(out))?.file_name());
    }
    if !is_empty && !options.resume {
        return Err(in_the_way("is not empty: give --resume to go on with it, or choose another folder"));
    }
    if !is_empty && options.resume && !parts.is_dir() {
        return Err(in_the_way("holds no run to resume"));
    }
    let slices = out.join(SLICES_FOLDER);
    for folder in [&parts, &slices] {
        fs_err::create_dir_all(folder).map_err(PrepareError::io(folder))?;
    }
    if options.resume {
        // What a killed run left under temporary names.
        remove_partial_below(out).map_err(PrepareError::io(out))?;
    }
    Ok(None)
}
