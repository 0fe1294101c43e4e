//! Models of golden groups, through the project's own loader.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use vlm_model::{LlamaConfig, MiniGpt, MiniGptConfig, ModelFiles, Part, Precision, VisionConfig, load_parts};

use crate::VerifyError;

/// Loads the parts that `files` names; what the group has no file for stays empty.
pub(crate) fn load_model(
    files: &ModelFiles,
    config: &MiniGptConfig,
    precision: Precision,
    device: &Device,
) -> Result<MiniGpt, VerifyError> {
    let given = [
        (files.vision_tower.is_some(), &[Part::VisionTower, Part::LnVision][..]),
        (files.language_model.is_some(), &[Part::LanguageModel]),
        (files.checkpoint.is_some(), &[Part::Projector, Part::Adapters]),
        (files.adapter.is_some(), &[Part::Adapters]),
    ];
    let parts: Vec<Part> =
        given.into_iter().filter(|(given, _)| *given).flat_map(|(_, parts)| parts.iter().copied()).collect();
    Ok(load_parts(files, config, &parts, precision, device, &mut |_, _| {})?.0)
}

/// A model that has only a language model worth the name.
pub(crate) fn around_llama(llama: LlamaConfig) -> MiniGptConfig {
    let vision = VisionConfig {
        image_size: 1,
        patch_size: 1,
        stem_channels: Vec::new(),
        width: 1,
        depth: 1,
        n_heads: 1,
        mlp_hidden: 1,
        norm_eps: 1e-6,
        ln_vision_eps: 1e-5,
    };
    MiniGptConfig { vision, merge: 1, llama, lora: None }
}

/// A model that has only an image encoder worth the name.
pub(crate) fn around_vision(vision: VisionConfig) -> MiniGptConfig {
    let llama = LlamaConfig {
        vocab_size: 4,
        hidden_size: 2,
        intermediate_size: 2,
        n_layers: 1,
        n_heads: 1,
        n_kv_heads: 1,
        head_dim: 2,
        max_positions: 4,
        tied_head: false,
        ..LlamaConfig::nano()
    };
    MiniGptConfig { vision, merge: 1, llama, lora: None }
}

/// Files of a language model alone.
pub(crate) fn llama_files(folder: &Path) -> ModelFiles {
    ModelFiles { language_model: Some(folder.to_path_buf()), ..ModelFiles::default() }
}

/// The first of these that is a file.
pub(crate) fn first_file(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}
