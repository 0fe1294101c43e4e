//! Models to start from, with what identifies their weights.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use sha2::{Digest, Sha256};
use vlm_infer::{InferError, PromptSettings, open_tokenizer};
use vlm_model::{
    CheckpointManifest, CheckpointOptions, MANIFEST_FILE, MiniGpt, MiniGptConfig, ModelFiles, Part, discover,
    initialized_model, load, tensor_plan, with_new_adapters, write_checkpoint,
};
use vlm_prompt::Tokenizer;

use crate::config::{BaseModel, ModelConfig};
use crate::embedded::{embedded_base_manifest, write_embedded_base};
use crate::{CascadeError, hex::to_hex};

/// Frozen parts of larger models are named in a checkpoint, not copied.
const MAX_COPIED_BYTES: u64 = 64 << 20;
/// Seed of adapters that a base does not bring.
const ADAPTER_SEED: u64 = 0;
/// Where a run keeps the embedded base.
pub(crate) const BASE_FOLDER: &str = "base";
const TOKENIZER_FILE: &str = "tokenizer.json";

/// A model that a stage starts from.
#[derive(Debug, Clone)]
pub struct StartModel {
    /// The weights.
    pub model: MiniGpt,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What identifies the weights.
    pub sha256: String,
    /// The folder it was read from; none for random weights.
    pub folder: Option<PathBuf>,
}

/// The sizes of the model that a configuration starts from, as far as they can be known without
/// reading weights.
pub(crate) fn base_sizes(config: &ModelConfig) -> Result<MiniGptConfig, CascadeError> {
    let with_adapters = |mut sizes: MiniGptConfig| {
        if config.lora.is_some() {
            sizes.lora.clone_from(&config.lora);
        }
        sizes
    };
    match &config.base {
        BaseModel::Scratch { config, .. } => Ok((**config).clone()),
        BaseModel::Folder(folder) => match (discover(folder), &config.plan) {
            (Ok((sizes, _, _)), _) => Ok(with_adapters(sizes)),
            (Err(_), Some(plan)) => Ok((**plan).clone()),
            (Err(error), None) => Err(error.into()),
        },
        BaseModel::Embedded => {
            let bytes = embedded_base_manifest().ok_or(CascadeError::NoEmbeddedBase)?;
            let path = Path::new(MANIFEST_FILE);
            let manifest: CheckpointManifest =
                serde_json::from_slice(bytes).map_err(CascadeError::json(path))?;
            Ok(with_adapters(manifest.config))
        }
    }
}

/// Opens the base of a run; the embedded one is written to `work/base` first.
pub(crate) fn open_base(
    config: &ModelConfig,
    work: &Path,
    device: &Device,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<StartModel, CascadeError> {
    match &config.base {
        BaseModel::Embedded => {
            let folder = work.join(BASE_FOLDER);
            write_embedded_base(&folder)?;
            open_folder(&folder, config, device, progress)
        }
        BaseModel::Folder(folder) => open_folder(folder, config, device, progress),
        BaseModel::Scratch { config: sizes, seed } => {
            let tokenizer = Tokenizer::nano();
            let vocab = sizes.llama.vocab_size;
            if tokenizer.vocab_size() > vocab {
                let error = InferError::Vocabulary { tokenizer: tokenizer.vocab_size(), model: vocab };
                return Err(error.into());
            }
            let model = initialized_model(sizes, *seed, config.precision, device)?;
            let text = serde_json::to_string(sizes).map_err(CascadeError::json(Path::new("sizes")))?;
            let sha256 = to_hex(&Sha256::digest(format!("random {seed} {text}").as_bytes()));
            Ok(StartModel { model, tokenizer, sha256, folder: None })
        }
    }
}

/// Opens a checkpoint folder, or a folder of published files.
pub(crate) fn open_folder(
    folder: &Path,
    config: &ModelConfig,
    device: &Device,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<StartModel, CascadeError> {
    let (sizes, files, _) = discover(folder)?;
    let (mut model, _) = load(&files, &sizes, config.precision, device, progress)?;
    if let Some(lora) = config.lora.as_ref().filter(|lora| sizes.lora.as_ref() != Some(*lora)) {
        // Other adapters than the files': new ones change nothing at first.
        model = with_new_adapters(model, lora, ADAPTER_SEED)?;
    }
    let tokenizer = open_tokenizer(folder)?;
    let sha256 = weights_sha256(folder, &files)?;
    Ok(StartModel { model, tokenizer, sha256, folder: Some(folder.to_owned()) })
}

/// SHA-256 over a model's files: of the manifest's hashes where a checkpoint of ours lists them,
/// else of the files themselves.
pub(crate) fn weights_sha256(folder: &Path, files: &ModelFiles) -> Result<String, CascadeError> {
    let mut hash = Sha256::new();
    if folder.join(MANIFEST_FILE).is_file() {
        let manifest = CheckpointManifest::read(folder)?;
        for (name, sha256) in &manifest.weights_sha256 {
            hash.update(format!("{name} {sha256}\n"));
        }
        return Ok(to_hex(&hash.finalize()));
    }
    let parts =
        [&files.vision_tower, &files.ln_vision, &files.language_model, &files.checkpoint, &files.adapter];
    for path in parts.into_iter().flatten() {
        let mut paths = vec![path.clone()];
        if path.is_dir() {
            paths = fs_err::read_dir(path)
                .map_err(CascadeError::io(path))?
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|path| path.is_file())
                .collect();
            paths.sort();
        }
        for path in paths {
            let mut file = fs_err::File::open(&path).map_err(CascadeError::io(&path))?;
            std::io::copy(&mut file, &mut hash_writer(&mut hash)).map_err(CascadeError::io(&path))?;
        }
    }
    Ok(to_hex(&hash.finalize()))
}

fn hash_writer(hash: &mut Sha256) -> impl std::io::Write + '_ {
    struct Writer<'a>(&'a mut Sha256);
    impl std::io::Write for Writer<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    Writer(hash)
}

/// Writes a stage's chosen model as a checkpoint folder. What the stage did not train of a large
/// model is named there and not copied.
pub(crate) fn write_stage_checkpoint(
    model: &MiniGpt,
    folder: &Path,
    settings: &PromptSettings,
    start: &StartModel,
    tower_was_trained: bool,
) -> Result<CheckpointManifest, CascadeError> {
    let mut options = CheckpointOptions { overwrite: true, ..CheckpointOptions::default() };
    let frozen_bytes = 4 * tensor_plan(model.config())
        .iter()
        .filter(|tensor| !matches!(tensor.part, Part::Adapters | Part::Projector))
        .map(|tensor| tensor.shape.iter().product::<usize>() as u64)
        .sum::<u64>();
    if let Some(base) =
        start.folder.as_deref().filter(|_| !tower_was_trained && frozen_bytes > MAX_COPIED_BYTES)
    {
        let (_, files, _) = discover(base)?;
        (options.vision_tower, options.language_model) = (files.vision_tower, files.language_model);
    }
    if let Some(tokenizer) =
        start.folder.as_ref().map(|base| base.join(TOKENIZER_FILE)).filter(|path| path.is_file())
    {
        let bytes = fs_err::read(&tokenizer).map_err(CascadeError::io(&tokenizer))?;
        options.beside.push((TOKENIZER_FILE.to_owned(), bytes));
    }
    Ok(write_checkpoint(model, folder, &settings.to_json(), &options)?)
}
