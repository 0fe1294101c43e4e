//! Which model a folder holds: ours, or one in the layout of the published files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::adapter_config::ADAPTER_CONFIG_FILE;
use super::manifest::{CheckpointManifest, MANIFEST_FILE};
use super::published::published_config;
use super::shards::{holds_weights, inside};
use super::tensor_set::PROJECTOR_FILE;
use super::{ModelFiles, TensorFile, WeightsError};
use crate::MiniGptConfig;

/// Endings of files that may hold weights.
const ENDINGS: [&str; 4] = ["safetensors", "pth", "pt", "bin"];

/// Finds a model's configuration, its files and its prompt settings (null where it has none).
///
/// A folder with `minigpt.json` says all of it. Else the published files are looked for in the
/// folder and its subfolders: EVA's file (or HF's folder of it), a LLaMA folder, a MiniGPT-v2
/// checkpoint or a PEFT folder. Their names do not matter, their tensors' names do, and sizes come
/// from shapes. EVA's published 224 px file becomes a model for 448 px, of its 40 blocks 39 are run
/// (SPEC 3.2, 3.3).
///
/// # Errors
/// [`WeightsError::Layout`] where parts are missing, named twice, or outside the folder; others for
/// files that cannot be read.
pub fn discover(folder: &Path) -> Result<(MiniGptConfig, ModelFiles, Value), WeightsError> {
    if folder.join(MANIFEST_FILE).is_file() {
        let manifest = CheckpointManifest::read(folder)?;
        let files = manifest_files(folder, &manifest)?;
        return Ok((manifest.config, files, manifest.prompt));
    }
    let found = Found::scan(folder)?;
    let config = published_config(folder, &found)?;
    Ok((config, found.into_files(), Value::Null))
}

/// The configuration of a model whose published files are named one by one, from their shapes.
///
/// # Errors
/// As [`discover`] for a folder in the published layout.
pub fn published_files_config(files: &ModelFiles) -> Result<MiniGptConfig, WeightsError> {
    let found = Found {
        vision_tower: files.vision_tower.clone(),
        ln_vision: files.ln_vision.clone(),
        language_model: files.language_model.clone(),
        checkpoint: files.checkpoint.as_deref().map(TensorFile::open).transpose()?,
        adapter: files.adapter.clone(),
    };
    published_config(files.language_model.as_deref().unwrap_or(Path::new("")), &found)
}

/// The files that a manifest names, which must be there.
fn manifest_files(folder: &Path, manifest: &CheckpointManifest) -> Result<ModelFiles, WeightsError> {
    let resolve = |path: &Option<PathBuf>| {
        let Some(path) = path else { return Ok(None) };
        let layout = |reason: String| WeightsError::Layout { folder: folder.to_owned(), reason };
        // Checkpoints that share a base may lie side by side.
        let full = match path.strip_prefix("..") {
            _ if path.is_absolute() => Some(path.clone()),
            Ok(beside) => inside(&folder.join(".."), beside),
            Err(_) => inside(folder, path),
        };
        let reason = || layout(format!("`{}` is not inside the folder or beside it", path.display()));
        let full = full.ok_or_else(reason)?;
        if !full.exists() {
            return Err(layout(format!("`{}` is not there", path.display())));
        }
        Ok(Some(full))
    };
    Ok(ModelFiles {
        vision_tower: resolve(&manifest.files.vision_tower)?,
        ln_vision: resolve(&manifest.files.ln_vision)?,
        language_model: resolve(&manifest.files.language_model)?,
        checkpoint: resolve(&manifest.files.checkpoint)?,
        adapter: resolve(&manifest.files.adapter)?,
    })
}

/// What a folder in the published layout holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// EVA's file or HF's folder.
    pub(super) vision_tower: Option<PathBuf>,
    pub(super) ln_vision: Option<PathBuf>,
    /// A folder with `config.json`.
    pub(super) language_model: Option<PathBuf>,
    pub(super) checkpoint: Option<TensorFile>,
    pub(super) adapter: Option<PathBuf>,
}

impl Found {
    /// Looks through a folder and its subfolders.
    fn scan(folder: &Path) -> Result<Self, WeightsError> {
        let mut found = Self::default();
        found.scan_folder(folder, folder)?;
        for entry in sorted_entries(folder)? {
            if entry.is_dir() {
                found.scan_folder(folder, &entry)?;
            }
        }
        Ok(found)
    }

    fn scan_folder(&mut self, root: &Path, folder: &Path) -> Result<(), WeightsError> {
        if folder.join(ADAPTER_CONFIG_FILE).is_file() {
            set_once(root, "adapter folder", &mut self.adapter, folder.to_owned())?;
        }
        if folder.join("config.json").is_file() && holds_weights(folder) {
            return match model_type(&folder.join("config.json"))?.as_deref() {
                Some("llama") | None => {
                    set_once(root, "LLaMA folder", &mut self.language_model, folder.to_owned())?;
                    // the other parts may lie beside LLaMA's files
                    if folder == root { self.scan_files(root, folder, true) } else { Ok(()) }
                }
                Some("blip_2_vision_model") => {
                    set_once(root, "image encoder", &mut self.vision_tower, folder.to_owned())
                }
                Some(_) => Ok(()),
            };
        }
        self.scan_files(root, folder, false)
    }

    /// Sorts weight files by what their tensors are called.
    fn scan_files(&mut self, root: &Path, folder: &Path, is_llama: bool) -> Result<(), WeightsError> {
        for path in sorted_entries(folder)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            let is_llamas = is_llama && (name.starts_with("model") || name.starts_with("pytorch_model"));
            if !path.is_file() || !ENDINGS.contains(&ending) || is_llamas {
                continue;
            }
            if name == PROJECTOR_FILE {
                set_once(root, "adapter folder", &mut self.adapter, folder.to_owned())?;
                continue;
            }
            let file = TensorFile::open(&path)?;
            let has = |wanted: &str| {
                file.names().any(|name| name.strip_prefix("module.").unwrap_or(name) == wanted)
            };
            if has("llama_proj.weight") {
                let kind = "MiniGPT-v2 checkpoint";
                if let Some(other) = &self.checkpoint {
                    return Err(twice(root, kind, other.path(), &path));
                }
                self.checkpoint = Some(file);
            } else if has("blocks.0.attn.qkv.weight") || has("visual_encoder.blocks.0.attn.qkv.weight") {
                set_once(root, "image encoder", &mut self.vision_tower, path)?;
            } else if has("ln_vision.weight") || (has("weight") && name.starts_with("ln_vision")) {
                set_once(root, "`ln_vision`", &mut self.ln_vision, path)?;
            }
        }
        Ok(())
    }

    fn into_files(self) -> ModelFiles {
        ModelFiles {
            vision_tower: self.vision_tower,
            ln_vision: self.ln_vision,
            language_model: self.language_model,
            checkpoint: self.checkpoint.map(|file| file.path().to_owned()),
            adapter: self.adapter,
        }
    }
}

fn set_once(root: &Path, kind: &str, slot: &mut Option<PathBuf>, path: PathBuf) -> Result<(), WeightsError> {
    if let Some(other) = slot.as_ref().filter(|other| **other != path) {
        return Err(twice(root, kind, other, &path));
    }
    *slot = Some(path);
    Ok(())
}

fn twice(root: &Path, kind: &str, first: &Path, second: &Path) -> WeightsError {
    let reason = format!("two of kind {kind}: `{}` and `{}`", first.display(), second.display());
    WeightsError::Layout { folder: root.to_owned(), reason }
}

/// `model_type` of a `config.json`.
fn model_type(path: &Path) -> Result<Option<String>, WeightsError> {
    let config: Value = super::published::read_json(path)?;
    Ok(config.get("model_type").and_then(Value::as_str).map(str::to_owned))
}

fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let io = |source| WeightsError::Io { path: folder.to_owned(), source };
    let entries = fs_err::read_dir(folder).map_err(io)?;
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(io)?;
    paths.sort();
    Ok(paths)
}
