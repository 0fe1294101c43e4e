//! Which files hold a part: one file, or a folder with one file or an index of shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{TensorFile, WeightsError};

/// Files that a folder's weights are in, the preferred first: with an index, and whole.
const NAMES: [(&str, &str); 2] = [
    ("model.safetensors.index.json", "model.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model.bin"),
];
/// The longest index that is read; the published model's is 27 kB.
const MAX_INDEX: u64 = 64 << 20;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Whether a folder holds weights in HF's layout.
pub(crate) fn holds_weights(folder: &Path) -> bool {
    NAMES.iter().any(|(index, whole)| folder.join(index).is_file() || folder.join(whole).is_file())
}

/// Opens a file, or the files of a folder in HF's layout.
///
/// # Errors
/// As [`TensorFile::open`]; [`WeightsError::Layout`] for a folder without weights;
/// [`WeightsError::Format`] for an index that names files outside the folder, missing ones, or
/// tensors that their file has not.
pub(crate) fn open_weights(path: &Path) -> Result<Vec<TensorFile>, WeightsError> {
    if !path.is_dir() {
        return Ok(vec![TensorFile::open(path)?]);
    }
    for (index, whole) in NAMES {
        let index = path.join(index);
        if index.is_file() {
            return open_shards(path, &index);
        }
        let whole = path.join(whole);
        if whole.is_file() {
            return Ok(vec![TensorFile::open(&whole)?]);
        }
    }
    let reason = format!("no `{}` and no `{}`", NAMES[0].1, NAMES[0].0);
    Err(WeightsError::Layout { folder: path.to_owned(), reason })
}

fn open_shards(folder: &Path, index_path: &Path) -> Result<Vec<TensorFile>, WeightsError> {
    let format = |reason: String| WeightsError::Format { path: index_path.to_owned(), reason };
    let io = |source| WeightsError::Io { path: index_path.to_owned(), source };
    let n_bytes = fs_err::metadata(index_path).map_err(io)?.len();
    if n_bytes > MAX_INDEX {
        return Err(format(format!("{n_bytes} bytes, expected at most {MAX_INDEX}")));
    }
    let text = fs_err::read(index_path).map_err(io)?;
    let index: Index = serde_json::from_slice(&text)
        .map_err(|source| WeightsError::Json { path: index_path.to_owned(), source })?;
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    if names.is_empty() {
        return Err(format("no shard is named".to_owned()));
    }
    let mut shards = BTreeMap::new();
    for name in names {
        let path = inside(folder, Path::new(name))
            .ok_or_else(|| format(format!("the shard `{name}` is not inside the folder")))?;
        if !path.is_file() {
            return Err(format(format!("the shard `{name}` is not there")));
        }
        shards.insert(name.as_str(), TensorFile::open(&path)?);
    }
    for (tensor, shard) in &index.weight_map {
        let file = &shards[shard.as_str()];
        if file.info(tensor).is_none() {
            return Err(WeightsError::NoTensor { path: file.path().to_owned(), name: tensor.clone() });
        }
    }
    Ok(shards.into_values().collect())
}

/// `folder/path`, if the path cannot lead out of the folder.
pub(crate) fn inside(folder: &Path, path: &Path) -> Option<PathBuf> {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && path.components().next().is_some()).then(|| folder.join(path))
}
