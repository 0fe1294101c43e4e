//! A model folder as `model-tool init` writes it: `minigpt.json`, LLaMA's and PEFT's settings, tensors.
//!
//! An input is one file of the folder: its first byte says which, the others are its content. The other files
//! are good.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rand::RngExt;
use serde_json::json;
use tempfile::TempDir;
use vlm_model::{
    CheckpointOptions, DeviceChoice, LlamaConfig, LoraConfig, MiniGptConfig, Precision, VisionConfig,
    init_checkpoint, load_checkpoint,
};

use crate::inputs::format::{Format, outcome};
use crate::inputs::mutate::{Random, damage_bytes};
use crate::inputs::mutate_text::damage_json;

/// A model of the smallest sizes.
pub(in crate::inputs) fn tiny_config() -> MiniGptConfig {
    let vision = VisionConfig {
        image_size: 28,
        patch_size: 7,
        stem_channels: Vec::new(),
        width: 12,
        depth: 1,
        n_heads: 2,
        mlp_hidden: 24,
        ..VisionConfig::nano()
    };
    let llama = LlamaConfig {
        vocab_size: 40,
        hidden_size: 16,
        intermediate_size: 24,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 4,
        max_positions: 160,
        tied_head: false,
        ..LlamaConfig::nano()
    };
    let lora = LoraConfig { rank: 2, alpha: 4.0, dropout: 0.0, ..LoraConfig::default() };
    MiniGptConfig { vision, merge: 4, llama, lora: Some(lora) }
}

/// Files below a folder, by their path in it, sorted.
pub(super) fn files_below(folder: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs_err::read_dir(&at)? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else {
                files.push((path.strip_prefix(folder)?.to_owned(), fs_err::read(&path)?));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Inputs of the files of a folder.
pub(super) fn as_inputs(files: &[(PathBuf, Vec<u8>)]) -> Vec<Vec<u8>> {
    (0_u8..).zip(files).map(|(n, (_, bytes))| [&[n], &bytes[..]].concat()).collect()
}

/// The input of one damaged file of a folder: with a chance of `text_share` one of its JSON files, else the seed's.
pub(super) fn damaged_file(
    random: &mut Random,
    files: &[(PathBuf, Vec<u8>)],
    seeds: &[Vec<u8>],
    seed: usize,
    text_share: f64,
) -> Vec<u8> {
    let texts: Vec<usize> =
        (0..files.len()).filter(|n| files[*n].0.extension().is_some_and(|e| e == "json")).collect();
    let seed = if random.random_bool(text_share) { texts[random.random_range(0..texts.len())] } else { seed };
    let mut bytes = seeds[seed][1..].to_vec();
    if texts.contains(&seed) && random.random_bool(0.85) {
        damage_json(random, &mut bytes);
    } else {
        damage_bytes(random, &mut bytes, 512);
    }
    bytes.insert(0, seeds[seed][0]);
    bytes
}

/// A model folder.
pub(super) struct Checkpoint {
    folder: TempDir,
    files: Vec<(PathBuf, Vec<u8>)>,
    seeds: Vec<Vec<u8>>,
    device: Device,
}

impl Checkpoint {
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let prompt = json!({"mode": "consistent"});
        let options = CheckpointOptions { overwrite: true, ..CheckpointOptions::default() };
        init_checkpoint(&tiny_config(), 1, Precision::F32, folder.path(), &prompt, &options)?;
        let files = files_below(folder.path())?;
        let seeds = as_inputs(&files);
        Ok(Self { folder, files, seeds, device: DeviceChoice::Cpu.open()? })
    }
}

impl Format for Checkpoint {
    fn name(&self) -> String {
        "checkpoint".to_owned()
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        // Tensors are damaged as a format of their own.
        damaged_file(random, &self.files, &self.seeds, seed, 0.75)
    }

    fn read(&mut self, bytes: &[u8], _variant: u64) -> Result<String, String> {
        let Some((which, content)) = bytes.split_first() else { return Ok("empty".to_owned()) };
        let Some((name, good)) = self.files.get(usize::from(*which)) else {
            return Ok("no such file".to_owned());
        };
        let path = self.folder.path().join(name);
        fs_err::write(&path, content).map_err(|error| error.to_string())?;
        let loaded = load_checkpoint(self.folder.path(), Precision::F32, &self.device, &mut |_, _| {});
        let came = outcome(&loaded);
        drop(loaded);
        fs_err::write(&path, good).map_err(|error| error.to_string())?;
        Ok(came)
    }
}
