//! The configuration of a model in the layout of the published files, from their shapes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn_store::pytorch_reader::{PickleValue, PytorchReader};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::adapter_config::ADAPTER_CONFIG_FILE;
use super::discover::Found;
use super::file_names::{Meaning, Role, meaning};
use super::names::{LLAMA_PREFIX, VISION_PREFIX, numbered};
use super::shards::open_weights;
use super::tensor_set::PROJECTOR_FILE;
use super::{AdapterConfig, TensorFile, WeightsError};
use crate::{LlamaConfig, LoraConfig, LoraTarget, MiniGptConfig, VisionConfig};

/// Image size of EVA's published file, and what MiniGPT-v2 runs it at.
const PUBLISHED_SIZE: (usize, usize) = (224, 448);
/// Blocks of EVA's published file, and how many MiniGPT-v2 runs.
const PUBLISHED_DEPTH: (usize, usize) = (40, 39);

/// Shapes of a file's tensors under their published names.
type Shapes = BTreeMap<String, Vec<usize>>;

/// Reads a JSON file that is small by nature.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, WeightsError> {
    let text = fs_err::read(path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| WeightsError::Json { path: path.to_owned(), source })
}

/// The configuration that the found files were made for.
pub(super) fn published_config(folder: &Path, found: &Found) -> Result<MiniGptConfig, WeightsError> {
    let layout = |reason: &str| WeightsError::Layout { folder: folder.to_owned(), reason: reason.to_owned() };
    let llama_folder = found.language_model.as_ref().ok_or_else(|| {
        layout("no LLaMA folder: expected `config.json` and `model.safetensors` or shards with their index")
    })?;
    let llama = llama_config(llama_folder)?;

    let checkpoint = found.checkpoint.as_ref().map(|file| shapes([file], Role::Checkpoint));
    let opened = found.vision_tower.as_deref().map(open_weights).transpose()?;
    let tower = opened.as_ref().map(|files| shapes(files, Role::VisionTower));
    let has_tower = |shapes: &&Shapes| shapes.contains_key("visual_encoder.cls_token");
    let tower = tower
        .as_ref()
        .or(checkpoint.as_ref())
        .filter(has_tower)
        .ok_or_else(|| layout("no image encoder: expected a file with `blocks.0.attn.qkv.weight`"))?;
    let vision = vision_config(folder, found.vision_tower.as_deref(), tower)?;

    let projector = match (&found.adapter, &checkpoint) {
        (Some(adapter), _) if adapter.join(PROJECTOR_FILE).is_file() => {
            Some(shapes([&TensorFile::open(&adapter.join(PROJECTOR_FILE))?], Role::Adapter))
        }
        (_, checkpoint) => checkpoint.clone(),
    };
    let projector =
        projector.as_ref().and_then(|shapes| shapes.get("llama_proj.weight")).ok_or_else(|| {
            layout(
                "no projector: expected a checkpoint with `llama_proj.weight`, or `llama_proj.safetensors`",
            )
        })?;
    let merge = match projector[..] {
        [_, joined] if joined > 0 && joined.is_multiple_of(vision.width) => joined / vision.width,
        _ => {
            let reason = format!(
                "`llama_proj.weight` is `{projector:?}`, no multiple of the encoder's {}",
                vision.width
            );
            return Err(layout(&reason));
        }
    };
    let lora = match (&found.adapter, &found.checkpoint, &checkpoint) {
        (Some(adapter), _, _) if adapter.join(ADAPTER_CONFIG_FILE).is_file() => {
            Some(AdapterConfig::read(adapter)?.to_lora())
        }
        (_, Some(file), Some(shapes)) => Some(checkpoint_lora(file, shapes)?),
        _ => None,
    };
    let config = MiniGptConfig { vision, merge, llama, lora };
    config.validate().map_err(|source| WeightsError::Config { path: folder.to_owned(), source })?;
    Ok(config)
}

fn llama_config(folder: &Path) -> Result<LlamaConfig, WeightsError> {
    let path = folder.join("config.json");
    let text =
        fs_err::read_to_string(&path).map_err(|source| WeightsError::Io { path: path.clone(), source })?;
    LlamaConfig::from_hf_json(&text).map_err(|source| WeightsError::Config { path, source })
}

fn shapes<'a>(files: impl IntoIterator<Item = &'a TensorFile>, role: Role) -> Shapes {
    let mut shapes = Shapes::new();
    for file in files {
        for name in file.names() {
            if let (Meaning::Parameter(published), Some(info)) =
                (meaning(role, name, usize::MAX), file.info(name))
            {
                shapes.insert(published, info.shape.clone());
            }
        }
    }
    shapes
}

/// What the `config.json` of HF's image encoder says beyond the shapes.
#[derive(Debug, Deserialize)]
struct HfVision {
    num_attention_heads: usize,
    layer_norm_eps: Option<f64>,
}

/// Sizes of the image encoder from its shapes. How many heads it has no shape tells.
fn vision_config(folder: &Path, path: Option<&Path>, tower: &Shapes) -> Result<VisionConfig, WeightsError> {
    let layout = |reason: String| WeightsError::Layout { folder: folder.to_owned(), reason };
    let shape = |name: &str, n_axes: usize| {
        let shape = tower.get(&format!("{VISION_PREFIX}{name}"));
        shape
            .filter(|shape| shape.len() == n_axes)
            .ok_or_else(|| layout(format!("the image encoder has no `{name}` of {n_axes} axes")))
    };
    let patch = shape("patch_embed.proj.weight", 4)?;
    let positions = shape("pos_embed", 3)?;
    let (width, patch_size) = (patch[0], patch[2]);
    let mlp_hidden = shape("blocks.0.mlp.fc1.bias", 1)?[0];
    let n_patches = positions[1].saturating_sub(1);
    let grid = n_patches.isqrt();
    if grid == 0 || grid * grid != n_patches || positions[2] != width || width == 0 || patch_size == 0 {
        return Err(layout(format!("`pos_embed` is `{positions:?}`: no square grid of patches and CLS")));
    }
    let blocks = tower.keys().filter_map(|name| {
        let (index, _) = numbered(name.strip_prefix("visual_encoder.blocks.")?)?;
        Some(index)
    });
    let n_blocks = blocks.collect::<BTreeSet<_>>().len();
    let hf_config = path.map(|path| path.join("config.json")).filter(|path| path.is_file());
    let mut config = VisionConfig {
        image_size: grid.saturating_mul(patch_size),
        patch_size,
        stem_channels: Vec::new(),
        width,
        depth: n_blocks,
        n_heads: 0,
        mlp_hidden,
        ..VisionConfig::eva_vit_g_448()
    };
    if let Some(hf_config) = hf_config {
        let hf: HfVision = read_json(&hf_config)?;
        config.n_heads = hf.num_attention_heads;
        config.norm_eps = hf.layer_norm_eps.unwrap_or(config.norm_eps);
    } else {
        // EVA-g's heads are 88 wide, those of other encoders of this family 64.
        config.n_heads =
            [88, 64].iter().find(|head| width.is_multiple_of(**head)).map_or(0, |head| width / head);
        if config.image_size == PUBLISHED_SIZE.0 {
            config.image_size = PUBLISHED_SIZE.1;
        }
        if config.depth == PUBLISHED_DEPTH.0 {
            config.depth = PUBLISHED_DEPTH.1;
        }
    }
    if config.n_heads == 0 {
        return Err(layout(format!(
            "how many heads an image encoder of width `{width}` has cannot be told from shapes: write a \
             `minigpt.json`, or HF's `config.json` beside it"
        )));
    }
    Ok(config)
}

/// Rank and targets from the adapters' tensors, alpha from the settings that training saved, else
/// the published 16.
fn checkpoint_lora(file: &TensorFile, shapes: &Shapes) -> Result<LoraConfig, WeightsError> {
    let mut targets = BTreeSet::new();
    let mut rank = None;
    for (published, shape) in shapes {
        let Some(map) =
            published.strip_prefix(LLAMA_PREFIX).and_then(|name| name.strip_suffix(".lora_A.weight"))
        else {
            continue;
        };
        targets.extend(map.rsplit('.').next().and_then(LoraTarget::from_name));
        rank = rank.or(shape.first().copied());
    }
    let Some(rank) = rank.filter(|_| !targets.is_empty()) else {
        let all: Vec<&str> = LoraTarget::ALL.iter().map(|target| target.name()).collect();
        return Err(WeightsError::NoAdapters { path: file.path().to_owned(), targets: all.join(", ") });
    };
    let alpha = saved_alpha(file.path()).unwrap_or(LoraConfig::default().alpha);
    Ok(LoraConfig { rank, alpha, targets: targets.into_iter().collect(), ..LoraConfig::default() })
}

/// `config.model.lora_alpha` of a training checkpoint (SPEC 3.8 d), where it is there.
fn saved_alpha(path: &Path) -> Option<f64> {
    if path.extension().is_some_and(|ending| ending == "safetensors") {
        return None;
    }
    let entry = |value: PickleValue, key: &str| match value {
        PickleValue::Dict(mut entries) => entries.remove(key),
        _ => None,
    };
    let saved = PytorchReader::read_pickle_data(path, Some("config")).ok()?;
    match entry(entry(saved, "model")?, "lora_alpha")? {
        PickleValue::Float(alpha) => Some(alpha),
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        PickleValue::Int(alpha) => Some(alpha as f64),
        _ => None,
    }
}
