//! What is in a file or folder of tensors, without reading the values.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{TensorFile, TensorInfo, WeightsError};
use crate::MiniGptConfig;

/// One file of tensors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileSummary {
    /// The file.
    pub path: PathBuf,
    /// Values of all tensors.
    pub n_parameters: u64,
    /// Bytes of all values.
    pub n_bytes: u64,
    /// What it seems to hold, and which preset fits.
    pub guess: Option<String>,
    /// Its tensors by name.
    pub tensors: Vec<TensorSummary>,
}

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorSummary {
    /// Its name in the file.
    pub name: String,
    /// Its number type.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// Tells the tensors of a file, or of every file of tensors below a folder (three levels).
///
/// # Errors
/// [`WeightsError`] if a file cannot be read or is no file of tensors; a folder without any is
/// [`WeightsError::Layout`].
pub fn inspect(path: &Path) -> Result<Vec<FileSummary>, WeightsError> {
    tensor_files(path)?.iter().map(|file| TensorFile::open(file).map(|file| summarize(&file))).collect()
}

/// The files of tensors at or below `path`, sorted.
pub(super) fn tensor_files(path: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    collect(path, 3, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(WeightsError::Layout {
            folder: path.to_owned(),
            reason: "no .safetensors, .pth, .pt or .bin file is in it".to_owned(),
        });
    }
    Ok(files)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), WeightsError> {
    let unreadable = |source| WeightsError::Io { path: folder.to_owned(), source };
    for entry in fs_err::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_dir() && depth > 0 {
            collect(&path, depth - 1, files)?;
        } else if path.is_file() && matches!(ending, "safetensors" | "pth" | "pt" | "bin") {
            files.push(path);
        }
    }
    Ok(())
}

fn summarize(file: &TensorFile) -> FileSummary {
    let tensors: Vec<TensorSummary> = file
        .names()
        .filter_map(|name| {
            let info = file.info(name)?;
            let dtype = format!("{:?}", info.dtype).to_lowercase();
            Some(TensorSummary { name: name.to_owned(), dtype, shape: info.shape.clone() })
        })
        .collect();
    FileSummary {
        path: file.path().to_owned(),
        n_parameters: tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum(),
        n_bytes: file.names().filter_map(|name| file.info(name)).map(TensorInfo::n_bytes).sum(),
        guess: guess(&tensors),
        tensors,
    }
}

/// What the names and shapes look like.
fn guess(tensors: &[TensorSummary]) -> Option<String> {
    let find = |ending: &str| tensors.iter().find(|tensor| tensor.name.ends_with(ending));
    if let (Some(qkv), Some(patch)) = (find("blocks.0.attn.qkv.weight"), find("patch_embed.proj.weight")) {
        let (width, depth) = (*qkv.shape.get(1)?, 1 + largest_index(tensors, "blocks.")?);
        let position = find("pos_embed").and_then(|tensor| tensor.shape.get(1)).copied().unwrap_or(1);
        let n_stem = largest_index(tensors, "stem.").map_or(0, |last| last + 1);
        let patch_size = patch.shape.last()?.saturating_mul(1 << n_stem.min(16));
        let size = position.saturating_sub(1).isqrt().saturating_mul(patch_size);
        // The published file has one block more than the model runs (SPEC 3.2).
        let fit = fitting_preset(|config| {
            config.vision.width == width && (config.vision.depth..=config.vision.depth + 1).contains(&depth)
        });
        return Some(format!("EVA vision tower, width {width}, {depth} blocks, {size} px; {fit}"));
    }
    if let Some(projector) = find("llama_proj.weight") {
        let (hidden, merged) = (*projector.shape.first()?, *projector.shape.get(1)?);
        let fit =
            fitting_preset(|config| (config.llama.hidden_size, config.merged_width()) == (hidden, merged));
        let lora = lora_summary(tensors).unwrap_or_else(|| "no adapters".to_owned());
        return Some(format!("MiniGPT projector {merged} to {hidden}, {lora}; {fit}"));
    }
    if let Some(lora) = lora_summary(tensors) {
        return Some(format!("adapters, {lora}"));
    }
    let norm = find("input_layernorm.weight")?;
    let hidden = *norm.shape.first()?;
    let last = largest_index(tensors, "layers.")?;
    let fit = fitting_preset(|config| config.llama.hidden_size == hidden);
    Some(format!("LLaMA, width {hidden}, blocks up to {last}; {fit}"))
}

fn fitting_preset(fits: impl Fn(&MiniGptConfig) -> bool) -> String {
    MiniGptConfig::PRESETS
        .into_iter()
        .find(|name| MiniGptConfig::preset(name).is_ok_and(|config| fits(&config)))
        .map_or_else(|| "fits no preset".to_owned(), |name| format!("fits preset `{name}`"))
}

fn lora_summary(tensors: &[TensorSummary]) -> Option<String> {
    let factors: Vec<_> = tensors.iter().filter(|tensor| tensor.name.contains(".lora_A.")).collect();
    let rank = *factors.first()?.shape.first()?;
    let mut targets: Vec<&str> = factors
        .iter()
        .filter_map(|tensor| tensor.name.split(".lora_A.").next()?.rsplit('.').next())
        .collect();
    targets.sort_unstable();
    targets.dedup();
    Some(format!("LoRA rank {rank} on {}", targets.join(", ")))
}

/// The largest number after `prefix` in any name.
fn largest_index(tensors: &[TensorSummary], prefix: &str) -> Option<usize> {
    let index = |tensor: &TensorSummary| {
        let (_, rest) = tensor.name.split_once(prefix)?;
        rest.split('.').next()?.parse().ok()
    };
    tensors.iter().filter_map(index).max()
}
