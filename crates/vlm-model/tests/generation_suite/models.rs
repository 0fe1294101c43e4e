//! Models for the tests: loaded from golden files, or random.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use vlm_model::{Llama, LlamaConfig, LoraConfig};

/// The folder of golden files, if this checkout has it.
pub(crate) fn goldens() -> Option<PathBuf> {
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let goldens = shared.join("goldens");
    goldens.is_dir().then_some(goldens)
}

/// All tensors of a small `.safetensors` file.
pub(crate) struct Tensors(HashMap<String, TensorData>);

impl Tensors {
    pub(crate) fn open(path: &Path) -> Self {
        let bytes = fs_err::read(path).unwrap();
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap());
        let header: HashMap<String, serde_json::Value> = serde_json::from_slice(header).unwrap();
        let mut tensors = HashMap::new();
        for (name, info) in header {
            let numbers =
                |value: &serde_json::Value| -> Vec<usize> { serde_json::from_value(value.clone()).unwrap() };
            if name == "__metadata__" {
                continue;
            }
            let (shape, range) = (numbers(&info["shape"]), numbers(&info["data_offsets"]));
            let data = &data[range[0]..range[1]];
            let tensor = match info["dtype"].as_str().unwrap() {
                "F32" => TensorData::new(words(data, f32::from_le_bytes), shape),
                "I64" => TensorData::new(words(data, i64::from_le_bytes), shape),
                other => panic!("{other}"),
            };
            tensors.insert(name, tensor);
        }
        Self(tensors)
    }

    pub(crate) fn floats<const D: usize>(&self, name: &str) -> Tensor<D> {
        Tensor::from_data(self.0[name].clone(), &Device::flex())
    }

    pub(crate) fn integers(&self, name: &str) -> Vec<i64> {
        self.0[name].try_to_vec::<i64>().unwrap()
    }

    pub(crate) fn merged(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

fn words<const N: usize, T>(data: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|word| read(*word)).collect()
}

/// A model with the weights of a published folder, and with adapters if `weights` holds them.
pub(crate) fn loaded(config: &Path, lora: Option<&LoraConfig>, weights: Tensors) -> Llama {
    let config = LlamaConfig::from_hf_json(&fs_err::read_to_string(config).unwrap()).unwrap();
    let empty = Llama::empty(&config, lora, DType::F32, &Device::flex());
    let mut fill =
        Fill { path: Vec::new(), value: |path: &str, _: &[usize]| weights.0[&published(path)].clone() };
    empty.map(&mut fill)
}

fn published(path: &str) -> String {
    let name = path.replace(".gamma", ".weight");
    let outer = if name.starts_with("lm_head") { "" } else { "model." };
    let name = format!("{outer}{name}");
    if name.contains(".adapter.") {
        let name = name.replace(".adapter.a", ".lora_A.weight").replace(".adapter.b", ".lora_B.weight");
        return format!("llama_model.base_model.model.{name}");
    }
    name.replace(".base.", ".").replace("embed_tokens", "embed_tokens.weight")
}

struct Fill<F> {
    path: Vec<String>,
    value: F,
}

impl<F: FnMut(&str, &[usize]) -> TensorData> ModuleMapper for Fill<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        param.map(|old| {
            let value = (self.value)(&path, &old.dims());
            Tensor::from_data(value, &old.device())
        })
    }
}

/// Numbers of a seed.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Between -1 and 1.
    pub(crate) fn signed(&mut self) -> f32 {
        f32::from(u16::try_from(self.0.next_u32() >> 16).unwrap()) / 32768.0 - 1.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next_u32()).unwrap() % n
    }
}

/// Sizes of a model that takes less than a millisecond.
pub(crate) fn tiny(n_layers: usize, n_kv_heads: usize, vocab_size: usize) -> LlamaConfig {
    LlamaConfig {
        vocab_size,
        hidden_size: 16,
        intermediate_size: 24,
        n_layers,
        n_heads: 2,
        n_kv_heads,
        head_dim: 8,
        max_positions: 96,
        tied_head: false,
        ..LlamaConfig::nano()
    }
}

/// A model with random weights; `sharpness` widens the spread of its logits.
pub(crate) fn random(config: &LlamaConfig, seed: u64, sharpness: f32) -> Llama {
    let mut draws = Draws::new(seed);
    let value = |path: &str, dims: &[usize]| {
        let scale = match path {
            "embed_tokens" => 1.0,
            path if path.starts_with("lm_head") => sharpness,
            _ => 0.5,
        };
        let one = path.ends_with("gamma");
        let n = dims.iter().product();
        let values: Vec<f32> = (0..n).map(|_| if one { 1.0 } else { scale * draws.signed() }).collect();
        TensorData::new(values, dims.to_vec())
    };
    Llama::empty(config, None, DType::F32, &Device::flex()).map(&mut Fill { path: Vec::new(), value })
}

/// A model whose logits after token i are nearly row i of `table`, `vocab` rows of `vocab`: one
/// block whose output is small beside the embedding.
pub(crate) fn from_table(vocab: usize, table: &[f32], seed: u64) -> Llama {
    let config = LlamaConfig { hidden_size: vocab, head_dim: vocab / 2, ..tiny(1, 2, vocab) };
    let mut draws = Draws::new(seed);
    #[expect(clippy::cast_precision_loss, reason = "a small vocabulary")]
    let norm = (vocab as f32).sqrt(); // of a one-hot row after the final norm
    let value = |path: &str, dims: &[usize]| {
        let n: usize = dims.iter().product();
        let value = |place: usize| match path {
            "embed_tokens" => f32::from(u8::from(place / vocab == place % vocab)),
            path if path.starts_with("lm_head") => table[(place % vocab) * vocab + place / vocab] / norm,
            path if path.ends_with("gamma") => 1.0,
            _ => 0.02 * draws.signed(),
        };
        TensorData::new((0..n).map(value).collect::<Vec<f32>>(), dims.to_vec())
    };
    Llama::empty(&config, None, DType::F32, &Device::flex()).map(&mut Fill { path: Vec::new(), value })
}

/// Largest absolute difference.
pub(crate) fn worst<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> f32 {
    assert_eq!(left.dims(), right.dims());
    (left - right).abs().max().into_scalar::<f32>()
}
