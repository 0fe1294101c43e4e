//! Shards into one folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use run_folder::{RunLock, remove_partial_below};

use super::config::PrepareConfig;
use super::error::PrepareError;
use super::finish::{RunSummary, SUMMARY_FILE, finish};
use super::options::{Progress, RunOptions};
use super::part::{SLICES_FOLDER, VolumePart};

/// Joins the folders of all shards of a run into `out`, with the bytes that one run gives.
///
/// Images are linked where the file system can, else copied. The shards stay as they are.
///
/// # Errors
/// [`PrepareError::Shards`] if volumes are missing, or if the shards were made with different
/// configurations or from different datasets.
pub fn merge(shards: &[PathBuf], out: &Path, options: &RunOptions<'_>) -> Result<RunSummary, PrepareError> {
    let first = shards.first().ok_or_else(|| PrepareError::Shards("no shard was given".to_owned()))?;
    let config = PrepareConfig::read(first)?;
    let config_sha256 = config.sha256();
    let mut parts: BTreeMap<usize, (VolumePart, &Path)> = BTreeMap::new();
    for shard in shards {
        for part in VolumePart::read_all(shard)? {
            if part.config_sha256 != config_sha256 {
                let text = format!("`{}` was made with other options", shard.display());
                return Err(PrepareError::Shards(text));
            }
            let (position, stem) = (part.position, part.stem.clone());
            if let Some((twice, _)) = parts.insert(position, (part, shard))
                && twice.stem != stem
            {
                let text =
                    format!("volume {position} is `{stem}` in one shard and `{}` in another", twice.stem);
                return Err(PrepareError::Shards(text));
            }
        }
    }
    let Some((first, _)) = parts.values().next() else {
        return Err(PrepareError::Shards("no shard holds a volume".to_owned()));
    };
    let n_volumes = first.n_volumes;
    let missing: Vec<usize> = (0..n_volumes).filter(|n| !parts.contains_key(n)).collect();
    if !missing.is_empty() || parts.len() != n_volumes {
        let text = format!(
            "{} of {n_volumes} volumes are missing, first number {:?}",
            missing.len(),
            missing.first()
        );
        return Err(PrepareError::Shards(text));
    }
    let summary_path = out.join(SUMMARY_FILE);
    if summary_path.exists() {
        return Err(PrepareError::Output { path: out.to_owned(), reason: "is complete already".to_owned() });
    }
    let _lock = RunLock::take(out)?;
    // What a merge that was killed left under temporary names.
    remove_partial_below(out).map_err(PrepareError::io(out))?;
    let slices = out.join(SLICES_FOLDER);
    fs_err::create_dir_all(&slices).map_err(PrepareError::io(&slices))?;
    (options.progress)(Progress::Step("collecting images"));
    for (part, shard) in parts.values() {
        for image in part.records.iter().filter_map(|r| r.image.as_ref()) {
            link_or_copy(&shard.join(image), &out.join(image))?;
        }
    }
    config.write(out)?;
    finish(parts.into_values().map(|(part, _)| part).collect(), &config, out, options)
}

fn link_or_copy(from: &Path, to: &Path) -> Result<(), PrepareError> {
    let same = from.canonicalize().is_ok_and(|a| to.canonicalize().is_ok_and(|b| a == b));
    if same {
        return Ok(());
    }
    if to.exists() {
        fs_err::remove_file(to).map_err(PrepareError::io(to))?;
    }
    if fs_err::hard_link(from, to).is_err() {
        let bytes = fs_err::read(from).map_err(PrepareError::io(from))?;
        ct_volume::write_atomic(to, &bytes)?;
    }
    Ok(())
}
