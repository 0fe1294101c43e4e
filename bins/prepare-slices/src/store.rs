//! `fetch` and `push`: folders from and to object storage.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bin_support::EXIT_OK;
use clap::Args;
use ct_slices::dataset::{Dataset, DatasetError, discover};
use ct_slices::prepare::Shard;
use dataset_store::{RemoteFile, Store, StoreOptions, Transfer, TransferEvent, TransferReport, outline};
use run_folder::{RunLock, remove_partial_below};
use serde_json::json;

use crate::inspect::dataset_list;

const STOP_MESSAGE: &str = "stopping after what is under way …";
/// What an nnU-Net dataset tells of its labels; every shard needs it.
const DATASET_JSON: &str = "dataset.json";

/// How to talk to a store.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Files under way at once.
    #[arg(long, value_name = "N", default_value_t = 8)]
    parallel: usize,
    /// How long a request is tried again where the server is away or busy, in seconds.
    #[arg(long, value_name = "S", default_value_t = 120)]
    retry_seconds: u64,
    /// Print a JSON report on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prepare-slices fetch s3://bucket/Task07_Pancreas studies
  prepare-slices fetch s3://bucket/Task07_Pancreas studies --dataset msd-pancreas --shard 1/4
  prepare-slices fetch s3://bucket/prepared/shard-1 shard-1

With --shard only the studies of that share are fetched; every other file is there by name, empty, so that
`run --shard` of the same share counts as in the whole dataset. The same command again goes on where it was stopped.
Credentials, region and endpoint come from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
AWS_ENDPOINT, AWS_ALLOW_HTTP=true; GOOGLE_SERVICE_ACCOUNT; AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY.")]
pub(crate) struct FetchArgs {
    /// s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER.
    url: String,
    /// Folder to write.
    folder: PathBuf,
    /// Fetch what this share of the volumes needs only.
    #[arg(long, value_name = "I/N", requires = "dataset")]
    shard: Option<Shard>,
    /// The dataset of the list that lies there, for --shard (see `prepare-slices datasets`).
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Another dataset list than the built-in one.
    #[arg(long, value_name = "FILE", requires = "dataset")]
    datasets: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  prepare-slices push shard-1 s3://bucket/prepared/shard-1

What is there with the same hash is not sent again; something else is left alone, unless --replace. SHA256SUMS is
written last: it tells `fetch` (and `sha256sum -c`) every file's hash, and that the push came to its end.")]
pub(crate) struct PushArgs {
    /// Folder to send, without temporary files.
    folder: PathBuf,
    /// s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER.
    url: String,
    /// Overwrite or remove what else lies there.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub(crate) fn fetch(args: &FetchArgs) -> Result<u8> {
    let store = open(&args.url, &args.store)?;
    let report = transfer("fetching", args.store.json, "fetched", |transfer| {
        let files = store.list(transfer)?.files;
        let _lock = RunLock::take(&args.folder)?;
        // What a fetch that was killed left.
        remove_partial_below(&args.folder)?;
        let files = match (args.shard, dataset(args)?) {
            (Some(shard), Some(dataset)) => {
                // Needed to tell the studies; small.
                let (first, rest): (Vec<_>, Vec<_>) = files.into_iter().partition(|f| f.path == DATASET_JSON);
                let quiet = Transfer { progress: &|_| {}, ..*transfer };
                store.fetch(&first, &args.folder, &quiet)?;
                outline(&rest, &args.folder)?;
                let mut mine = share(&rest, &args.folder, &dataset, shard)?;
                mine.extend(first);
                mine
            }
            _ => files,
        };
        Ok(store.fetch(&files, &args.folder, transfer)?)
    })
    .with_context(|| format!("not all of `{}` was fetched", args.url))?;
    if report.n_files_hashed < report.n_files {
        bin_support::note(&format!(
            "{} files were checked by their size only: there is no hash of them",
            report.n_files - report.n_files_hashed
        ));
    }
    Ok(EXIT_OK)
}

pub(crate) fn push(args: &PushArgs) -> Result<u8> {
    let store = open(&args.url, &args.store)?;
    transfer("pushing", args.store.json, "pushed", |transfer| {
        Ok(store.push(&args.folder, args.replace, transfer)?)
    })
    .with_context(|| format!("not all of `{}` was pushed", args.folder.display()))?;
    Ok(EXIT_OK)
}

fn open(url: &str, args: &StoreArgs) -> Result<Store> {
    let options = StoreOptions::default()
        .with_parallel(args.parallel)
        .with_retry_for(Duration::from_secs(args.retry_seconds));
    Ok(Store::open(url, &options)?)
}

fn dataset(args: &FetchArgs) -> Result<Option<Dataset>> {
    let Some(name) = &args.dataset else { return Ok(None) };
    let list = dataset_list(args.datasets.as_deref())?;
    let known = list.iter().map(|d| d.name.clone()).collect();
    match list.into_iter().find(|d| &d.name == name) {
        Some(dataset) => Ok(Some(dataset)),
        None => bail!(DatasetError::Unknown { name: name.clone(), known }),
    }
}

/// The files of this share's studies, in a folder that has the names of all of them.
fn share(files: &[RemoteFile], folder: &Path, dataset: &Dataset, shard: Shard) -> Result<Vec<RemoteFile>> {
    let studies = discover(dataset, folder).context("the store holds no such dataset")?.studies;
    let mine = studies.iter().enumerate().filter(|(n, _)| shard.holds(*n)).map(|(_, study)| study);
    let mut wanted = std::collections::BTreeSet::new();
    let mut folders = std::collections::BTreeSet::new();
    for study in mine {
        wanted.insert(study.mask.clone());
        let image = study.image.path().to_owned();
        if image.is_dir() {
            folders.insert(image)
        } else {
            wanted.insert(image)
        };
    }
    let is_mine = |file: &&RemoteFile| {
        let path = folder.join(&file.path);
        wanted.contains(&path) || path.ancestors().skip(1).any(|above| folders.contains(above))
    };
    Ok(files.iter().filter(is_mine).cloned().collect())
}

/// Runs a transfer under a bar and tells what it did.
fn transfer(
    doing: &'static str,
    as_json: bool,
    done: &str,
    work: impl FnOnce(&Transfer<'_>) -> Result<TransferReport>,
) -> Result<TransferReport> {
    let bar = bin_support::byte_bar(doing);
    let show = |event: TransferEvent| match event {
        TransferEvent::Started { n_bytes, .. } => bar.set_length(n_bytes),
        TransferEvent::Bytes(n) => bar.inc(n),
        _ => {}
    };
    let started = Instant::now();
    let report = work(&Transfer { cancel: bin_support::stop_flag(Some(STOP_MESSAGE)), progress: &show });
    bar.finish_and_clear();
    let report = report?;
    let seconds = started.elapsed().as_secs_f64();
    let n_moved = report.n_bytes - report.n_bytes_kept;
    if as_json {
        bin_support::json(&json!({
            "files": report.n_files,
            "bytes": report.n_bytes,
            "files_kept": report.n_files_kept,
            "bytes_kept": report.n_bytes_kept,
            "files_hashed": report.n_files_hashed,
            "files_removed": report.n_files_removed,
            "seconds": seconds,
        }))?;
    }
    bin_support::note(&format!(
        "{done} {} files, {:.1} MB ({} files were there already), {:.1} MB/s",
        report.n_files - report.n_files_kept,
        n_moved as f64 / 1e6,
        report.n_files_kept,
        n_moved as f64 / 1e6 / seconds.max(1e-9)
    ));
    Ok(report)
}
