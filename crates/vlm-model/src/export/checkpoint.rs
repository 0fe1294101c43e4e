//! Our checkpoint folder: standard parts and one `minigpt.json` that joins them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::DType;
use serde_json::Value;

use super::ExportError;
use super::atomic::{WrittenFile, write_bytes, write_folder};
use super::parts::{MAX_SHARD_BYTES, adapter_folder, llama_folder, tensors_file};
use super::source::{Source, module_sources};
use crate::{
    CHECKPOINT_FORMAT, CheckpointFiles, CheckpointManifest, MANIFEST_FILE, MiniGpt, MiniGptConfig, Part,
};

/// How a checkpoint folder is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// Largest shard of the language model, bytes.
    pub max_shard_bytes: u64,
    /// Whether what the folder holds is replaced.
    pub overwrite: bool,
    /// A vision tower that is named in the folder instead of copied into it: from the folder where
    /// it lies beside it, else from the root. The caller knows that it is the model's: frozen parts
    /// do not change in training.
    pub vision_tower: Option<PathBuf>,
    /// A LLaMA folder that is named instead of copied. It must hold the weights without adapters.
    pub language_model: Option<PathBuf>,
    /// Small files by name that belong beside the weights, such as a tokenizer: the folder appears
    /// with them.
    pub beside: Vec<(String, Vec<u8>)>,
}

impl Default for CheckpointOptions {
    /// Everything copied, shards of 5 GB, nothing overwritten.
    fn default() -> Self {
        Self {
            max_shard_bytes: MAX_SHARD_BYTES,
            overwrite: false,
            vision_tower: None,
            language_model: None,
            beside: Vec::new(),
        }
    }
}

/// Writes a checkpoint folder: `vision_tower.safetensors` (EVA names), `llama/` (transformers),
/// `adapter/` (PEFT, with the projector) and `minigpt.json`, which names them, the configuration,
/// `prompt` (the caller's, passed on unread) and the SHA-256 of every file.
///
/// The folder is filled under a temporary name beside `folder` and renamed when whole. Tensors are
/// read from the device and written one at a time.
///
/// # Errors
/// [`ExportError::NotEmpty`] if the folder holds something and `options.overwrite` is not set,
/// [`ExportError::Io`], [`ExportError::Model`] if a tensor cannot be read back.
pub fn write_checkpoint(
    model: &MiniGpt,
    folder: &Path,
    prompt: &Value,
    options: &CheckpointOptions,
) -> Result<CheckpointManifest, ExportError> {
    let sources = module_sources(model, "")?;
    write_parts(&sources, model.config(), model.language_model.dtype(), folder, prompt, options)
}

/// [`write_checkpoint`] from any source of tensors; `dtype` is the frozen weights'.
pub(crate) fn write_parts(
    sources: &[Source<'_>],
    config: &MiniGptConfig,
    dtype: DType,
    folder: &Path,
    prompt: &Value,
    options: &CheckpointOptions,
) -> Result<CheckpointManifest, ExportError> {
    let of =
        |parts: &[Part]| sources.iter().filter(|source| parts.contains(&source.part)).collect::<Vec<_>>();
    let named = |path: &Option<PathBuf>| path.as_ref().map(|path| reference(path, folder)).transpose();
    let (vision_tower, language_model) = (named(&options.vision_tower)?, named(&options.language_model)?);
    write_folder(folder, options.overwrite, |partial| {
        let mut written = Vec::new();
        let mut files = CheckpointFiles { adapter: Some("adapter".into()), ..CheckpointFiles::default() };
        files.vision_tower = Some(match vision_tower {
            Some(path) => {
                // A tower of the published layout has no `ln_vision`, and its default may not be ours.
                let name = "ln_vision.safetensors";
                written.push(tensors_file(&of(&[Part::LnVision]), &partial.join(name))?);
                files.ln_vision = Some(name.into());
                path
            }
            None => {
                let name = "vision_tower.safetensors";
                written.push(tensors_file(&of(&[Part::VisionTower, Part::LnVision]), &partial.join(name))?);
                name.into()
            }
        });
        let language_model = match language_model {
            Some(path) => path,
            None => {
                let folder = partial.join("llama");
                let tensors = of(&[Part::LanguageModel]);
                written.extend(llama_folder(
                    &tensors,
                    &config.llama,
                    dtype,
                    &folder,
                    options.max_shard_bytes,
                )?);
                "llama".into()
            }
        };
        let base_model = language_model.display().to_string();
        files.language_model = Some(language_model);
        let trained = of(&[Part::Adapters, Part::Projector]);
        written.extend(adapter_folder(
            &trained,
            config.lora.as_ref(),
            &partial.join("adapter"),
            &base_model,
        )?);
        let manifest = CheckpointManifest {
            format: CHECKPOINT_FORMAT.to_owned(),
            config: config.clone(),
            files,
            prompt: prompt.clone(),
            weights_sha256: hashes(&written, partial),
        };
        let text = serde_json::to_string_pretty(&manifest)
            .map_err(|source| ExportError::Json { what: MANIFEST_FILE, source })?;
        for (name, bytes) in &options.beside {
            write_bytes(&partial.join(name), bytes)?;
        }
        write_bytes(&partial.join(MANIFEST_FILE), format!("{text}\n").as_bytes())?;
        Ok(manifest)
    })
}

/// SHA-256 by path in the folder, with `/` on every platform.
fn hashes(written: &[WrittenFile], folder: &Path) -> BTreeMap<String, String> {
    let name = |path: &Path| {
        let parts = path.strip_prefix(folder).unwrap_or(path).components();
        parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    written.iter().map(|file| (name(&file.path), file.sha256.clone())).collect()
}

/// How a checkpoint in `folder` names a part outside of it: from the folder where it lies beside it,
/// so that both can be moved together, else from the root.
fn reference(path: &Path, folder: &Path) -> Result<PathBuf, ExportError> {
    let whole = |path: &Path| {
        fs_err::canonicalize(path).map_err(|source| ExportError::Io { path: path.to_owned(), source })
    };
    let path = whole(path)?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A parent that is not there yet holds nothing.
    let beside = fs_err::canonicalize(parent).ok();
    let beside =
        beside.and_then(|parent| path.strip_prefix(parent).map(|rest| Path::new("..").join(rest)).ok());
    Ok(beside.unwrap_or(path))
}
