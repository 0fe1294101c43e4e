//! An adapter as PEFT saves it, on a base model of its own folder.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use vlm_model::{
    AdapterConfig, AttentionMask, Llama, LlamaConfig, LoraTarget, MiniGptConfig, ModelError, ModelFiles,
};

use super::llama::{ids, read_config};
use crate::check::Checker;
use crate::error::InGroup;
use crate::golden_file::{GoldenFile, read_json};
use crate::model_files::{around_llama, load_model};
use crate::parameters::{Named, read_back};
use crate::{Group, GroupKind, Tolerance, VerifyError};

/// Where `adapter_config.json` says that the base model is.
#[derive(Debug, Deserialize)]
struct Settings {
    base_model_name_or_path: Option<String>,
}

pub(crate) fn check(
    folder: &Path,
    all: &[Group],
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let adapter = folder.join("adapter");
    let settings: Settings = read_json(&adapter.join("adapter_config.json"))?;
    let cases = GoldenFile::open(&folder.join("cases.safetensors"))?;
    let tokens = cases.need_integers("input_ids", 2)?;
    let rows: Vec<Vec<u32>> = tokens.rows().iter().map(|row| ids(row)).collect();
    let vocab = ["logits_base", "logits_unmerged", "logits_merged"]
        .iter()
        .find_map(|name| cases.shape(name)?.last().copied());
    let (base, llama) = base_model(folder, settings.base_model_name_or_path.as_deref(), vocab, all)?;
    let lora = AdapterConfig::read(&adapter)?.to_lora();
    let plain = around_llama(llama);
    let adapted = MiniGptConfig { lora: Some(lora), ..plain.clone() };
    let load = |config: &MiniGptConfig, adapter: Option<PathBuf>| -> Result<Llama, VerifyError> {
        let files = ModelFiles { language_model: Some(base.clone()), adapter, ..ModelFiles::default() };
        Ok(load_model(&files, config, checker.precision, device)?.language_model)
    };
    let base_model = load(&plain, None)?;
    let unmerged = load(&adapted, Some(adapter))?;
    let merged = unmerged.clone().merge();
    for (name, kind, model) in [
        ("logits_base", Tolerance::LlamaLogits, &base_model),
        ("logits_unmerged", Tolerance::ComposedLogits, &unmerged),
        ("logits_merged", Tolerance::ComposedLogits, &merged),
    ] {
        if let Some(expected) = cases.floats(name, 3)? {
            checker.tensor(name, kind, logits(model, &rows).in_group(folder)?, &expected);
        }
    }
    check_merged_weights(folder, &merged, &cases, checker)
}

/// The folder of the base model and its sizes: the sibling that the adapter names, else any model
/// with the golden logits' vocabulary.
fn base_model(
    folder: &Path,
    named: Option<&str>,
    vocab: Option<usize>,
    all: &[Group],
) -> Result<(PathBuf, LlamaConfig), VerifyError> {
    let parent = folder.parent().unwrap_or(folder);
    let name = named.and_then(|path| Path::new(path).file_name());
    let siblings = name.into_iter().flat_map(|name| [parent.join(name), folder.join(name)]);
    let others = all.iter().filter_map(|group| match group.kind {
        GroupKind::Llama => Some(group.folder.clone()),
        GroupKind::MiniGpt => Some(group.folder.join("llama")),
        _ => None,
    });
    for candidate in siblings.chain(others) {
        if candidate.join("config.json").is_file() {
            let config = read_config(&candidate)?;
            if vocab.is_none_or(|vocab| vocab == config.vocab_size) {
                return Ok((candidate, config));
            }
        }
    }
    let what = format!("its base model `{}` in a folder beside it", named.unwrap_or("(not named)"));
    Err(VerifyError::MissingPart { path: folder.to_path_buf(), what })
}

fn logits(model: &Llama, rows: &[Vec<u32>]) -> Result<Tensor<3>, ModelError> {
    let embedded = rows.iter().map(|row| model.embed(row)).collect::<Result<Vec<_>, _>>()?;
    let mask = AttentionMask::full(rows.len(), rows.first().map_or(0, Vec::len));
    Ok(model.logits(Tensor::stack(embedded, 0), &model.context(&mask)?, None))
}

/// `merged.layers.N.PART.PROJ.weight` against the merged model's.
fn check_merged_weights(
    folder: &Path,
    merged: &Llama,
    cases: &GoldenFile,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let mut actual = Named::new();
    let mut expected = Named::new();
    for name in cases.names().filter(|name| name.starts_with("merged.")) {
        expected.insert(name.to_owned(), cases.need_floats(name, 2)?);
        if let Some(weight) = merged_weight(merged, name) {
            actual.insert(name.to_owned(), read_back(weight).in_group(folder)?);
        }
    }
    if !expected.is_empty() {
        checker.named("merged weights", Tolerance::MergedWeight, &actual, &expected);
    }
    Ok(())
}

fn merged_weight(model: &Llama, name: &str) -> Option<Tensor<2>> {
    let path = name.strip_prefix("merged.")?.strip_suffix(".weight")?;
    let path = path.strip_prefix("model.").unwrap_or(path);
    let mut parts = path.split('.');
    let (Some("layers"), Some(index), Some(_), Some(map)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let layer = model.layers.get(index.parse::<usize>().ok()?)?;
    let (attention, mlp) = (&layer.self_attn, &layer.mlp);
    let map = match LoraTarget::from_name(map)? {
        LoraTarget::QProj => &attention.q_proj,
        LoraTarget::KProj => &attention.k_proj,
        LoraTarget::VProj => &attention.v_proj,
        LoraTarget::OProj => &attention.o_proj,
        LoraTarget::GateProj => &mlp.gate_proj,
        LoraTarget::UpProj => &mlp.up_proj,
        LoraTarget::DownProj => &mlp.down_proj,
    };
    Some(map.base.weight.val())
}
