//! A tiny model's weights and writers of the layouts they come in.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod pth;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor};
use half::{bf16, f16};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use vlm_model::{
    LlamaConfig, LoadReport, LoraConfig, LoraTarget, MiniGpt, MiniGptConfig, ModelFiles, Part, Precision,
    VisionConfig, WeightsError, load_parts, published_name, tensor_plan,
};

/// Shapes and values by name.
pub(crate) type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub(crate) const LLAMA: &str = "llama_model.base_model.model.";

pub(crate) fn tiny_config() -> MiniGptConfig {
    MiniGptConfig {
        vision: VisionConfig {
            image_size: 28,
            patch_size: 14,
            stem_channels: Vec::new(),
            width: 8,
            depth: 2,
            n_heads: 2,
            mlp_hidden: 12,
            ..VisionConfig::nano()
        },
        merge: 2,
        llama: LlamaConfig {
            vocab_size: 16,
            hidden_size: 8,
            intermediate_size: 12,
            n_layers: 2,
            n_heads: 2,
            n_kv_heads: 1,
            head_dim: 4,
            max_positions: 32,
            tied_head: false,
            ..LlamaConfig::nano()
        },
        lora: Some(LoraConfig {
            rank: 3,
            alpha: 6.0,
            dropout: 0.0,
            targets: vec![LoraTarget::QProj, LoraTarget::VProj],
        }),
    }
}

/// Seeded values for every parameter, exact in f16 and bf16, under the published names.
pub(crate) fn tiny_weights(config: &MiniGptConfig, seed: u64) -> Weights {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut value = move || f32::from(u8::try_from(rng.next_u32() >> 24).unwrap()) / 64.0 - 2.0;
    tensor_plan(config)
        .into_iter()
        .map(|tensor| {
            let n = tensor.shape.iter().product();
            let values = (0..n).map(|_| value()).collect();
            (tensor.published, (tensor.shape, values))
        })
        .collect()
}

/// Those whose names start with `prefix`, without it.
pub(crate) fn under(weights: &Weights, prefix: &str) -> Weights {
    let strip = |(name, tensor): (&String, &(Vec<usize>, Vec<f32>))| {
        Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
    };
    weights.iter().filter_map(strip).collect()
}

pub(crate) fn only(weights: &Weights, keep: impl Fn(&str) -> bool) -> Weights {
    weights
        .iter()
        .filter(|(name, _)| keep(name))
        .map(|(name, tensor)| (name.clone(), tensor.clone()))
        .collect()
}

pub(crate) fn renamed(weights: &Weights, rename: impl Fn(&str) -> String) -> Weights {
    weights.iter().map(|(name, tensor)| (rename(name), tensor.clone())).collect()
}

pub(crate) fn is_lora(name: &str) -> bool {
    name.contains(".lora_")
}

pub(crate) fn is_projector(name: &str) -> bool {
    name.starts_with("llama_proj.")
}

/// LLaMA's own tensors under HF's names.
pub(crate) fn llama_weights(weights: &Weights) -> Weights {
    under(&only(weights, |name| !is_lora(name)), LLAMA)
}

/// What training saves: adapters and projector.
pub(crate) fn checkpoint_weights(weights: &Weights) -> Weights {
    only(weights, |name| is_lora(name) || is_projector(name))
}

/// A safetensors file of these tensors in a float type.
pub(crate) fn safetensors_bytes(weights: &Weights, dtype: DType) -> Vec<u8> {
    let (mut header, mut data) = (String::from("{"), Vec::new());
    for (name, (shape, values)) in weights {
        let start = data.len();
        let label = match dtype {
            DType::F16 => {
                values.iter().for_each(|value| data.extend(f16::from_f32(*value).to_le_bytes()));
                "F16"
            }
            DType::BF16 => {
                values.iter().for_each(|value| data.extend(bf16::from_f32(*value).to_le_bytes()));
                "BF16"
            }
            _ => {
                values.iter().for_each(|value| data.extend(value.to_le_bytes()));
                "F32"
            }
        };
        let comma = if header.len() > 1 { "," } else { "" };
        let end = data.len();
        write!(
            header,
            r#"{comma}"{name}":{{"dtype":"{label}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        )
        .unwrap();
    }
    header.push('}');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

pub(crate) fn write_safetensors(path: &Path, weights: &Weights, dtype: DType) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, safetensors_bytes(weights, dtype)).unwrap();
}

/// A LLaMA folder; more than one shard gives an index too.
pub(crate) fn write_llama(
    folder: &Path,
    weights: &Weights,
    config: &LlamaConfig,
    dtype: DType,
    n_shards: usize,
) {
    fs_err::create_dir_all(folder).unwrap();
    fs_err::write(folder.join("config.json"), config.to_hf_json("float16")).unwrap();
    let weights = llama_weights(weights);
    if n_shards == 1 {
        return write_safetensors(&folder.join("model.safetensors"), &weights, dtype);
    }
    let mut map = serde_json::Map::new();
    for shard in 0..n_shards {
        let file = format!("model-{:05}-of-{n_shards:05}.safetensors", shard + 1);
        let part: Weights = weights.clone().into_iter().skip(shard).step_by(n_shards).collect();
        map.extend(part.keys().map(|name| (name.clone(), file.clone().into())));
        write_safetensors(&folder.join(&file), &part, dtype);
    }
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
    fs_err::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

/// A PEFT folder with the projector beside the adapters.
pub(crate) fn write_adapter(folder: &Path, weights: &Weights, lora: &LoraConfig) {
    let adapters = under(&only(weights, is_lora), "llama_model.");
    write_safetensors(&folder.join("adapter_model.safetensors"), &adapters, DType::F32);
    write_safetensors(&folder.join("llama_proj.safetensors"), &only(weights, is_projector), DType::F32);
    let targets: Vec<&str> = lora.targets.iter().map(|target| target.name()).collect();
    let config = serde_json::json!({"peft_type": "LORA", "r": lora.rank, "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout, "target_modules": targets, "bias": "none"});
    fs_err::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
}

/// Every part in its own file, in f32.
pub(crate) fn write_all(folder: &Path, weights: &Weights, config: &MiniGptConfig) -> ModelFiles {
    let files = ModelFiles {
        vision_tower: Some(folder.join("eva.safetensors")),
        ln_vision: Some(folder.join("ln_vision.safetensors")),
        language_model: Some(folder.join("llama")),
        checkpoint: Some(folder.join("checkpoint.safetensors")),
        adapter: None,
    };
    write_safetensors(&folder.join("eva.safetensors"), &under(weights, "visual_encoder."), DType::F32);
    write_safetensors(&folder.join("ln_vision.safetensors"), &under(weights, "ln_vision."), DType::F32);
    write_llama(&folder.join("llama"), weights, &config.llama, DType::F32, 1);
    write_safetensors(&folder.join("checkpoint.safetensors"), &checkpoint_weights(weights), DType::F32);
    files
}

pub(crate) type Loaded = Result<(MiniGpt, LoadReport), WeightsError>;

/// Loads on the CPU in f32.
pub(crate) fn load_f32(files: &ModelFiles, config: &MiniGptConfig, parts: &[Part]) -> Loaded {
    load_parts(files, config, parts, Precision::F32, &Device::flex(), &mut |_, _| {})
}

/// A loaded model's parameters: number type, shape and values by published name.
pub(crate) fn parameters(model: &MiniGpt) -> BTreeMap<String, (DType, Vec<usize>, Vec<f32>)> {
    let mut visitor = Parameters::default();
    model.visit(&mut visitor);
    visitor.found
}

#[derive(Default)]
struct Parameters {
    path: Vec<String>,
    found: BTreeMap<String, (DType, Vec<usize>, Vec<f32>)>,
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let name = published_name(&self.path.join(".")).unwrap();
        let (dtype, shape) = (tensor.dtype(), tensor.dims().to_vec());
        let values = tensor.cast(DType::F32).into_data().try_into_vec().unwrap();
        self.found.insert(name, (dtype, shape, values));
    }
}

/// Fails unless the model holds exactly these weights.
pub(crate) fn assert_holds(model: &MiniGpt, weights: &Weights) {
    let parameters = parameters(model);
    assert_eq!(parameters.keys().collect::<Vec<_>>(), weights.keys().collect::<Vec<_>>());
    for (name, (_, shape, values)) in parameters {
        assert_eq!((&shape, &values), (&weights[&name].0, &weights[&name].1), "{name}");
    }
}

/// The folder of golden files, where it is given.
#[expect(clippy::print_stdout, reason = "says why a test did nothing")]
pub(crate) fn goldens() -> Option<PathBuf> {
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = shared.join("goldens");
    if !path.is_dir() {
        println!("skipped: no shared data");
        return None;
    }
    Some(path)
}
