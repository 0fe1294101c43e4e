//! The standard parts of a model, each in the form that other tools open.

use std::path::Path;

use burn::tensor::DType;
use serde_json::{Value, json};

use super::atomic::{WrittenFile, write_bytes};
use super::safetensors::{write_safetensors, write_safetensors_shards};
use super::source::{Source, module_sources};
use super::{ExportError, TensorHeader};
use crate::{Llama, LlamaConfig, LoraConfig, MiniGpt, Part};

/// Largest shard by default, 5 GB, as transformers cuts them.
pub(crate) const MAX_SHARD_BYTES: u64 = 5_000_000_000;
/// The projector's file beside the adapters.
const PROJECTOR_FILE: &str = "llama_proj.safetensors";

/// Writes a LLaMA folder that transformers opens: `config.json` and `model.safetensors`, or shards
/// of at most `max_shard_bytes` and their index.
///
/// Tensors are read from the device one at a time and written in the type that the model holds.
/// `config.json` comes last, so a folder without it is not whole.
///
/// # Errors
/// [`ExportError::Unmerged`] if an adapter is left ([`Llama::merge`] merges them),
/// [`ExportError::Io`], [`ExportError::Model`] if a tensor cannot be read back.
pub fn write_llama_folder(
    model: &Llama,
    folder: &Path,
    max_shard_bytes: u64,
) -> Result<Vec<WrittenFile>, ExportError> {
    let sources = module_sources(model, "language_model")?;
    if let Some(adapter) = sources.iter().find(|source| source.part == Part::Adapters) {
        return Err(ExportError::Unmerged { path: adapter.path.clone() });
    }
    let sources: Vec<&Source<'_>> = sources.iter().collect();
    llama_folder(&sources, model.config(), model.dtype(), folder, max_shard_bytes)
}

/// Writes a PEFT adapter folder, `adapter_config.json` and `adapter_model.safetensors`, and beside
/// them the projector in `llama_proj.safetensors`. A model without adapters gets the projector
/// only.
///
/// `base_model` is what PEFT takes for the base model when it is not given one: a name or folder.
///
/// # Errors
/// [`ExportError::Io`], [`ExportError::Model`] if a tensor cannot be read back.
pub fn write_adapter_folder(
    model: &MiniGpt,
    folder: &Path,
    base_model: &str,
) -> Result<Vec<WrittenFile>, ExportError> {
    let sources = module_sources(model, "")?;
    let trained = |source: &&Source<'_>| matches!(source.part, Part::Adapters | Part::Projector);
    let sources: Vec<&Source<'_>> = sources.iter().filter(trained).collect();
    adapter_folder(&sources, model.config().lora.as_ref(), folder, base_model)
}

/// Writes the vision tower and `ln_vision` under EVA's names to one safetensors file.
///
/// # Errors
/// [`ExportError::Io`], [`ExportError::Model`] if a tensor cannot be read back.
pub fn write_vision_tower(model: &MiniGpt, file: &Path) -> Result<WrittenFile, ExportError> {
    let sources = module_sources(model, "")?;
    let seen = |source: &&Source<'_>| matches!(source.part, Part::VisionTower | Part::LnVision);
    create_folder(file.parent().unwrap_or(Path::new("")))?;
    tensors_file(&sources.iter().filter(seen).collect::<Vec<_>>(), file)
}

pub(crate) fn tensors_file(sources: &[&Source<'_>], file: &Path) -> Result<WrittenFile, ExportError> {
    write_safetensors(file, &headers(sources), &mut |index| (sources[index].read)())
}

pub(crate) fn llama_folder(
    sources: &[&Source<'_>],
    config: &LlamaConfig,
    dtype: DType,
    folder: &Path,
    max_shard_bytes: u64,
) -> Result<Vec<WrittenFile>, ExportError> {
    create_folder(folder)?;
    let read = &mut |index: usize| (sources[index].read)();
    let mut written = write_safetensors_shards(folder, &headers(sources), max_shard_bytes, read)?;
    let text = config.to_hf_json(torch_name(dtype));
    written.push(write_bytes(&folder.join("config.json"), text.as_bytes())?);
    Ok(written)
}

pub(crate) fn adapter_folder(
    sources: &[&Source<'_>],
    lora: Option<&LoraConfig>,
    folder: &Path,
    base_model: &str,
) -> Result<Vec<WrittenFile>, ExportError> {
    create_folder(folder)?;
    let of = |part| sources.iter().copied().filter(move |source| source.part == part).collect::<Vec<_>>();
    let mut written = vec![tensors_file(&of(Part::Projector), &folder.join(PROJECTOR_FILE))?];
    if let Some(lora) = lora {
        written.push(tensors_file(&of(Part::Adapters), &folder.join("adapter_model.safetensors"))?);
        let text = format!("{:#}\n", adapter_config(lora, base_model));
        written.push(write_bytes(&folder.join("adapter_config.json"), text.as_bytes())?);
    }
    Ok(written)
}

/// The fields of PEFT's `adapter_config.json` that decide what is computed.
fn adapter_config(lora: &LoraConfig, base_model: &str) -> Value {
    let targets: Vec<&str> = lora.targets.iter().map(|target| target.name()).collect();
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "inference_mode": true,
        "r": lora.rank,
        "lora_alpha": whole(lora.alpha),
        "lora_dropout": lora.dropout,
        "target_modules": targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": true,
        "modules_to_save": null,
        "layers_to_transform": null,
        "layers_pattern": null,
        "rank_pattern": {},
        "alpha_pattern": {},
        "use_rslora": false,
        "use_dora": false,
        "revision": null,
    })
}

/// A whole number without a decimal point, as PEFT writes its integer fields.
fn whole(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    if value.fract() == 0.0 && value.abs() < 1e9 { Value::from(value as i64) } else { Value::from(value) }
}

fn torch_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        _ => "float32",
    }
}

fn headers(sources: &[&Source<'_>]) -> Vec<TensorHeader> {
    sources.iter().map(|source| source.header.clone()).collect()
}

fn create_folder(folder: &Path) -> Result<(), ExportError> {
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    fs_err::create_dir_all(folder).map_err(|source| ExportError::Io { path: folder.to_owned(), source })
}
