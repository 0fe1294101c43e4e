//! `run`, `merge` and `tumor-mix`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bin_support::EXIT_OK;
use ct_slices::LabelMap;
use ct_slices::dataset::{Dataset, DatasetError, Layout};
use ct_slices::prepare::{
    self, PrepareConfig, PrepareError, Progress, RunOptions, RunOutcome, RunSummary, TumorCrop,
    TumorMixConfig,
};
use run_folder::LockError;
use serde_json::json;

use crate::STOP_MESSAGE;
use crate::args::{CropArg, MergeArgs, RunArgs, TumorMixArgs};
use crate::inspect::{dataset_list, limits};
use crate::phantom;
use crate::slice::image_orientation;

/// The dataset of the options and where it lies.
fn dataset(args: &RunArgs) -> Result<(Dataset, PathBuf)> {
    if let Some(name) = &args.dataset {
        let mut list = dataset_list(args.datasets.as_deref())?;
        let known = list.iter().map(|d| d.name.clone()).collect();
        let Some(found) = list.iter().position(|d| &d.name == name) else {
            bail!(DatasetError::Unknown { name: name.clone(), known });
        };
        let dataset = list.swap_remove(found);
        let root = args.root.clone().unwrap_or_else(|| dataset.root.clone());
        if let Some(source) = &dataset.phantom {
            phantom::provide(source, &root, threads(args.work.threads))?;
        }
        return Ok((dataset, root));
    }
    let (Some(images), Some(labels)) = (&args.images, &args.labels) else {
        bail!("give --dataset NAME, or --images and --labels");
    };
    let layout = args.layout.unwrap_or(Layout::ImagesMasks);
    let images = match layout {
        // AbdomenCT-1K comes in parts; a folder without them is one part.
        Layout::Abd if images.join("AbdomenCT-1K-ImagePart1").is_dir() => (1..=3)
            .map(|n| images.join(format!("AbdomenCT-1K-ImagePart{n}")))
            .filter(|part| part.is_dir())
            .collect(),
        _ => vec![images.clone()],
    };
    let dataset = Dataset {
        name: layout.name().to_owned(),
        title: layout.name().to_owned(),
        tag: layout.default_tag().to_owned(),
        layout,
        root: PathBuf::new(),
        images,
        labels: labels.clone(),
        label_map: layout.default_label_map(),
        expected_volumes: None,
        phantom: None,
        license: None,
        doi: None,
        get: String::new(),
    };
    Ok((dataset, PathBuf::new()))
}

fn config(args: &RunArgs, dataset: &Dataset) -> Result<PrepareConfig> {
    let label_map = if args.label.is_empty() {
        dataset.label_map.clone().unwrap_or_default()
    } else {
        let mut map = BTreeMap::new();
        for (organ, labels) in &args.label {
            if map.insert(*organ, labels.clone()).is_some() {
                bail!("--label {organ} is given twice: join its numbers with commas");
            }
        }
        LabelMap(map)
    };
    if label_map.0.is_empty() && !matches!(dataset.layout, Layout::NnUnet | Layout::ImagesCsv) {
        bail!("say what the labels mean, for example --label pancreas=1,2 --label tumor=2, or --layout msd");
    }
    let mut config = PrepareConfig::new(args.preset, dataset.layout, dataset.tag.clone(), label_map);
    config.threshold = args.threshold;
    config.seed = args.seed;
    config.balanced = args.balanced;
    config.window_hu = args.window.unwrap_or(config.window_hu);
    config.image_orientation = image_orientation(args.image_orientation);
    config.neighbors_rgb = args.neighbors;
    config.reference_json = args.reference_json;
    config.allow_irregular = args.allow_irregular;
    config.ignore_mask_position |= args.ignore_mask_position;
    Ok(config)
}

pub(crate) fn threads(given: Option<usize>) -> usize {
    given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)).max(1)
}

/// How long a shard or a merge waits for another process in its folder. A task that a scheduler starts again may come before
/// the one that it takes the place of has gone, above all on another machine.
const PREDECESSOR: Duration = Duration::from_secs(60);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Does the work as soon as no other process works in the folder, for so long at most.
fn when_free<T>(patience: Duration, work: impl Fn() -> Result<T, PrepareError>) -> Result<T, PrepareError> {
    let until = Instant::now() + patience;
    let mut is_told = false;
    loop {
        match work() {
            Err(error @ PrepareError::Lock(LockError::Held { .. }))
                if Instant::now() < until && !bin_support::was_stopped() =>
            {
                if !is_told {
                    bin_support::note(&format!("{error}: waiting for its end"));
                    is_told = true;
                }
                std::thread::sleep(LOOK_EVERY);
            }
            other => return other,
        }
    }
}

pub(crate) fn run(args: &RunArgs) -> Result<u8> {
    let (dataset, root) = dataset(args)?;
    let config = config(args, &dataset)?;
    let bar = bin_support::item_bar("studies");
    let show = |event: Progress<'_>| match event {
        Progress::Started { n_volumes } => bar.set_length(n_volumes as u64),
        Progress::VolumeDone { .. } => bar.inc(1),
        Progress::Step(step) => bar.set_message(step),
        _ => {}
    };
    let options = RunOptions {
        threads: threads(args.work.threads),
        shard: args.shard,
        resume: args.resume || args.shard.is_some(),
        audit: !args.no_audit,
        limits: limits(args.max_mib),
        cancel: bin_support::stop_flag(Some(STOP_MESSAGE)),
        progress: &show,
    };
    let patience = if args.shard.is_some() { PREDECESSOR } else { Duration::ZERO };
    let outcome = when_free(patience, || prepare::run(&dataset, &root, &config, &args.out, &options));
    bar.finish_and_clear();
    match outcome.context("preparation did not finish")? {
        RunOutcome::Complete(summary) => report(&summary, &args.out, args.work.json),
        RunOutcome::Shard { n_volumes, n_images } => {
            if args.work.json {
                bin_support::json(
                    &json!({ "shard": args.shard.map(|s| s.to_string()), "volumes": n_volumes, "images": n_images }),
                )?;
            }
            bin_support::note(&format!(
                "shard done: {n_volumes} studies, {n_images} images in {}; join the shards with `prepare-slices merge`",
                args.out.display()
            ));
            Ok(EXIT_OK)
        }
        _ => Ok(EXIT_OK),
    }
}

pub(crate) fn merge(args: &MergeArgs) -> Result<u8> {
    let bar = bin_support::item_bar("studies");
    let show = |event: Progress<'_>| match event {
        Progress::Started { n_volumes } => bar.set_length(n_volumes as u64),
        Progress::VolumeDone { .. } => bar.inc(1),
        Progress::Step(step) => bar.set_message(step),
        _ => {}
    };
    let options = RunOptions {
        threads: threads(args.work.threads),
        shard: None,
        resume: false,
        audit: !args.no_audit,
        limits: limits(4096),
        cancel: bin_support::stop_flag(Some(STOP_MESSAGE)),
        progress: &show,
    };
    let merged = when_free(PREDECESSOR, || prepare::merge(&args.shards, &args.out, &options));
    bar.finish_and_clear();
    let merged = merged.context("the shards were not merged")?;
    if args.work.json {
        let mut whole = serde_json::to_value(&merged.summary).context("cannot print the summary")?;
        whole["merge"] = json!({
            "shards": merged.n_shards,
            "volumes": merged.n_volumes,
            "images_verified": merged.n_images,
            "bytes_verified": merged.image_bytes,
            "unchanged": merged.unchanged,
        });
        bin_support::json(&whole)?;
    }
    bin_support::note(&format!(
        "{} shards, {} images ({:.1} MB) as they were written{}",
        merged.n_shards,
        merged.n_images,
        merged.image_bytes as f64 / 1e6,
        if merged.unchanged { "; the folder was complete and is left as it was" } else { "" }
    ));
    report(&merged.summary, &args.out, false)
}

fn report(summary: &RunSummary, out: &std::path::Path, as_json: bool) -> Result<u8> {
    if as_json {
        bin_support::json(summary)?;
    }
    let counts = &summary.counts;
    bin_support::note(&format!(
        "{} studies of {} patients: {} slices, {} images, in {}",
        counts.volumes,
        counts.patients,
        counts.slices,
        counts.images,
        out.display()
    ));
    for (task, found) in &summary.tasks {
        bin_support::note(&format!("  {task}: {} train, {} test", found.train, found.test));
    }
    for warning in summary.warnings.iter().take(10) {
        bin_support::note(&format!("  warning: {}: {}: {}", warning.volume, warning.code, warning.message));
    }
    if summary.warnings.len() > 10 {
        bin_support::note(&format!("  … {} more warnings in summary.json", summary.warnings.len() - 10));
    }
    if let Some(audit) = &summary.audit {
        bin_support::note(&format!(
            "  audit: {} errors, {} warnings (audit.txt)",
            audit.errors, audit.warnings
        ));
    }
    bin_support::note("research use only, not for diagnosis");
    Ok(EXIT_OK)
}

pub(crate) fn tumor_mix(args: &TumorMixArgs) -> Result<u8> {
    let crop = match args.crop {
        Some(CropArg::GroundTruth) => TumorCrop::GroundTruth,
        Some(CropArg::Predicted) => TumorCrop::Predicted,
        Some(CropArg::Full) => TumorCrop::Full,
        None => TumorCrop::default_of(args.preset),
    };
    let config = TumorMixConfig { preset: args.preset, crop, threshold: args.threshold, seed: args.seed };
    let summary = prepare::mix_tumor_set(&args.index, args.predictions.as_deref(), &config, &args.out)
        .context("the tumour set was not made")?;
    if args.json {
        bin_support::json(&summary)?;
    }
    bin_support::note(&format!(
        "train {} yes + {} no, test {} yes + {} no, in {}",
        summary.train_yes,
        summary.train_no,
        summary.test_yes,
        summary.test_no,
        args.out.display()
    ));
    for note in &summary.notes {
        bin_support::note(&format!("  note: {note}"));
    }
    Ok(EXIT_OK)
}
