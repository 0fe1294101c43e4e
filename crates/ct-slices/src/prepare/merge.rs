//! Shards into one folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use run_folder::{PARTIAL, RunLock, is_lock};

use super::config::PrepareConfig;
use super::error::PrepareError;
use super::finish::{RunSummary, SUMMARY_FILE, finish};
use super::options::{Progress, RunOptions};
use super::part::{PartImage, SLICES_FOLDER, VolumePart};
use super::shard::{Mark, is_intact, read_image};

/// What a merge found and wrote.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MergeReport {
    /// The summary of the folder, as one run of everything has it.
    pub summary: RunSummary,
    /// Shards that were joined.
    pub n_shards: usize,
    /// Volumes of all shards.
    pub n_volumes: usize,
    /// Images of all shards, each read and found to be the one that was written; those of balanced
    /// draws that were not drawn are among them.
    pub n_images: usize,
    /// Their size.
    pub image_bytes: u64,
    /// True if the folder was complete already, from the same shards, and was left as it was.
    pub unchanged: bool,
}

/// A part and the folder that it came from.
type Found<'a> = (VolumePart, &'a Path);

/// Joins the folders of all shards of a run into `out`, with the bytes that one run gives.
///
/// Every image is read and held against the size and hash that its shard wrote. Images are linked where
/// the file system can, else copied; the shards stay as they are. The folder is made under a temporary name
/// beside `out`, so that it is there whole or not at all, and a merge that was stopped starts again. Merging the
/// same shards again finds the folder complete, checks its images and changes nothing.
///
/// # Errors
/// - [`PrepareError::Shards`] if a shard or a volume is missing or there twice, or if they were made with
///   different configurations or from different datasets;
/// - [`PrepareError::Image`] naming an image that is missing or damaged, [`PrepareError::Output`] for a part;
/// - [`PrepareError::Output`] if `out` holds something else, [`PrepareError::Lock`] if a process works there.
pub fn merge(shards: &[PathBuf], out: &Path, options: &RunOptions<'_>) -> Result<MergeReport, PrepareError> {
    check_shards(shards)?;
    let Some(first) = shards.first() else { return Err(unfit("no shard was given")) };
    let config = PrepareConfig::read(first)?;
    let parts = read_parts(shards, &config.sha256())?;
    let complete = Target::look(out, shards)?;
    let stage = Stage::take(out)?;
    (options.progress)(Progress::Started { n_volumes: parts.len() });
    (options.progress)(Progress::Step("checking and collecting images"));
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(options.threads.max(1)).build().map_err(|error| {
            PrepareError::Config(format!("cannot start {} threads: {error}", options.threads))
        })?;
    let collected: Vec<Result<(), PrepareError>> =
        pool.install(|| parts.par_iter().map(|found| collect(found, &stage.tree, options)).collect());
    // By number, so that of several errors it is always the same one.
    collected.into_iter().collect::<Result<(), _>>()?;
    let images = || parts.iter().flat_map(|(part, _)| &part.images);
    let (n_images, image_bytes) = (images().count(), images().map(|image| image.bytes).sum());
    let n_volumes = parts.len();
    config.write(&stage.tree)?;
    let written: Vec<(String, PartImage)> = match complete {
        Target::Free(_) => Vec::new(),
        Target::Complete(_) => {
            let named = |(part, _): &Found<'_>| {
                let images = part.images.iter().map(|image| (part.image_path(image), image.clone()));
                images.collect::<Vec<_>>()
            };
            parts.iter().flat_map(named).collect()
        }
    };
    let summary = finish(parts.into_iter().map(|(part, _)| part).collect(), &config, &stage.tree, options)?;
    let (summary, unchanged) = match complete {
        Target::Free(lock) => {
            stage.publish(out, lock)?;
            (summary, false)
        }
        Target::Complete(earlier) => {
            check_same(&summary, &earlier, &written, &stage.tree, out)?;
            (*earlier, true)
        }
    };
    Ok(MergeReport { summary, n_shards: shards.len(), n_volumes, n_images, image_bytes, unchanged })
}

fn unfit(text: impl Into<String>) -> PrepareError {
    PrepareError::Shards(text.into())
}

/// All shards of one run, each once.
fn check_shards(shards: &[PathBuf]) -> Result<(), PrepareError> {
    let mut marks: BTreeMap<usize, (Mark, &Path)> = BTreeMap::new();
    for shard in shards {
        let name = shard.display();
        let Some(mark) = Mark::read(shard)? else {
            return Err(unfit(format!("`{name}` holds no shard of a run")));
        };
        if let Some((first, other)) = marks.values().next() {
            let other = other.display();
            if first.count != mark.count {
                let (a, b) = (first.count, mark.count);
                return Err(unfit(format!("`{other}` is one of {a} shards, `{name}` one of {b}")));
            }
            if first.config_sha256 != mark.config_sha256 {
                return Err(unfit(format!("`{name}` was made with other options than `{other}`")));
            }
            if first.n_volumes != mark.n_volumes {
                let (a, b) = (first.n_volumes, mark.n_volumes);
                return Err(unfit(format!("`{other}` is of a dataset of {a} volumes, `{name}` of {b}")));
            }
        }
        let (index, count) = (mark.index, mark.count);
        if let Some((_, other)) = marks.insert(index, (mark, shard)) {
            return Err(unfit(format!("`{}` and `{name}` are both shard {index}/{count}", other.display())));
        }
    }
    let Some((first, _)) = marks.values().next() else { return Err(unfit("no shard was given")) };
    let count = first.count;
    match marks.keys().enumerate().find(|(n, index)| n != *index).map_or(marks.len(), |(n, _)| n) {
        missing if missing < count => Err(unfit(format!(
            "shard {missing}/{count} is missing: {} of {count} were given, counted from 0",
            marks.len()
        ))),
        _ => Ok(()),
    }
}

/// The parts of all shards, in order, each volume once.
fn read_parts<'a>(shards: &'a [PathBuf], config_sha256: &str) -> Result<Vec<Found<'a>>, PrepareError> {
    let mut parts: BTreeMap<usize, Found<'a>> = BTreeMap::new();
    let mut n_volumes = None;
    for shard in shards {
        let mark = Mark::read(shard)?;
        n_volumes = n_volumes.or(mark.map(|mark| mark.n_volumes));
        for part in VolumePart::read_all(shard)? {
            let (position, stem) = (part.position, part.stem.clone());
            if part.config_sha256 != config_sha256 {
                return Err(unfit(format!("`{stem}` in `{}` was made with other options", shard.display())));
            }
            if Some(part.n_volumes) != n_volumes {
                return Err(unfit(format!("`{stem}` in `{}` is of another dataset", shard.display())));
            }
            if let Some((twice, other)) = parts.insert(position, (part, shard)) {
                return Err(unfit(format!(
                    "volume {position} is `{}` in `{}` and `{stem}` in `{}`",
                    twice.stem,
                    other.display(),
                    shard.display()
                )));
            }
        }
    }
    let n_volumes = n_volumes.unwrap_or(0);
    if parts.is_empty() {
        return Err(unfit("no shard holds a volume"));
    }
    // Positions are below the number of volumes and distinct, so that the first gap is the first missing one.
    if parts.len() != n_volumes {
        let first = parts.keys().enumerate().find(|(n, at)| n != *at).map_or(parts.len(), |(n, _)| n);
        let missing = n_volumes - parts.len();
        return Err(unfit(format!(
            "{missing} of {n_volumes} volumes are missing, first number {first} (counted from 0): \
             run shard {}/{} to its end",
            first % shards.len(),
            shards.len()
        )));
    }
    Ok(parts.into_values().collect())
}

/// Checks the images of a volume and puts them below `tree`.
fn collect((part, shard): &Found<'_>, tree: &Path, options: &RunOptions<'_>) -> Result<(), PrepareError> {
    for image in &part.images {
        if options.cancel.load(Ordering::Relaxed) {
            return Err(PrepareError::Cancelled);
        }
        let name = part.image_path(image);
        let (from, to) = (shard.join(&name), tree.join(&name));
        let bytes = read_image(&from, image)?;
        if fs_err::hard_link(&from, &to).is_err() {
            ct_volume::write_atomic(&to, &bytes)?;
        }
    }
    (options.progress)(Progress::VolumeDone {
        stem: &part.stem,
        n_slices: part.records.len(),
        n_images: part.images.len(),
        resumed: false,
    });
    Ok(())
}

/// What stands under the final name.
enum Target {
    /// Nothing, or an empty folder, which is held.
    Free(Option<RunLock>),
    /// A complete folder.
    Complete(Box<RunSummary>),
}

impl Target {
    fn look(out: &Path, shards: &[PathBuf]) -> Result<Self, PrepareError> {
        let in_the_way =
            |reason: &str| PrepareError::Output { path: out.to_owned(), reason: reason.to_owned() };
        if !out.exists() {
            return Ok(Self::Free(None));
        }
        let same =
            |shard: &PathBuf| shard.canonicalize().is_ok_and(|a| out.canonicalize().is_ok_and(|b| a == b));
        if shards.iter().any(same) {
            return Err(in_the_way("is one of the shards; choose another folder"));
        }
        let summary = out.join(SUMMARY_FILE);
        if summary.is_file() {
            return Ok(Self::Complete(Box::new(RunSummary::read(&summary)?)));
        }
        let lock = RunLock::take(out)?;
        for entry in fs_err::read_dir(out).map_err(PrepareError::io(out))? {
            if !is_lock(&entry.map_err(PrepareError::io(out))?.file_name()) {
                return Err(in_the_way("is not empty; choose another folder or remove it"));
            }
        }
        Ok(Self::Free(Some(lock)))
    }
}

/// Where the folder is made: `.partial-merge-NAME` beside it, held by one process.
struct Stage {
    folder: PathBuf,
    tree: PathBuf,
    lock: Option<RunLock>,
}

impl Stage {
    fn take(out: &Path) -> Result<Self, PrepareError> {
        let name = out.file_name().ok_or_else(|| PrepareError::Output {
            path: out.to_owned(),
            reason: "has no name of its own; choose another folder".to_owned(),
        })?;
        let folder = out.with_file_name(format!("{PARTIAL}merge-{}", name.to_string_lossy()));
        let lock = RunLock::take(&folder)?;
        let tree = folder.join("tree");
        // What a merge that was killed left: links, mostly, and quicker made again than checked.
        if tree.exists() {
            fs_err::remove_dir_all(&tree).map_err(PrepareError::io(&tree))?;
        }
        let slices = tree.join(SLICES_FOLDER);
        fs_err::create_dir_all(&slices).map_err(PrepareError::io(&slices))?;
        Ok(Self { folder, tree, lock: Some(lock) })
    }

    /// Gives the folder its final name.
    fn publish(self, out: &Path, empty: Option<RunLock>) -> Result<(), PrepareError> {
        for folder in [&self.tree.join(SLICES_FOLDER), &self.tree] {
            sync(folder)?;
        }
        // An empty folder is replaced; one that is not, since somebody was quicker, is not.
        drop(empty);
        fs_err::rename(&self.tree, out).map_err(PrepareError::io(out))?;
        if let Some(parent) = self.folder.parent().filter(|p| !p.as_os_str().is_empty()) {
            sync(parent)?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing to keep of a merge that failed. What cannot be removed is removed by the next one.
        let _ = fs_err::remove_dir_all(&self.tree);
        self.lock = None;
        let _ = fs_err::remove_dir(&self.folder);
    }
}

/// Puts a folder's names on disk, where the system does so.
fn sync(folder: &Path) -> Result<(), PrepareError> {
    if cfg!(unix) {
        let file = fs_err::File::open(folder).map_err(PrepareError::io(folder))?;
        file.sync_all().map_err(PrepareError::io(folder))?;
    }
    Ok(())
}

/// Holds a complete folder against what was just made from the shards.
fn check_same(
    made: &RunSummary,
    earlier: &RunSummary,
    images: &[(String, PartImage)],
    tree: &Path,
    out: &Path,
) -> Result<(), PrepareError> {
    let hashes = |s: &RunSummary| [s.config_sha256.clone(), s.index_sha256.clone(), s.split_sha256.clone()];
    if hashes(made) != hashes(earlier) {
        let reason = "is complete from other data or options; choose another folder or remove it".to_owned();
        return Err(PrepareError::Output { path: out.to_owned(), reason });
    }
    for (name, image) in images {
        // Those that were not drawn are gone from both.
        if tree.join(name).exists() && !is_intact(&out.join(name), image) {
            let reason = format!("holds a damaged `{name}`; remove the folder and merge again");
            return Err(PrepareError::Output { path: out.to_owned(), reason });
        }
    }
    Ok(())
}
