//! Small models with random weights, every tensor away from zero.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use vlm_model::{LlamaConfig, LoraConfig, LoraTarget, MiniGpt, MiniGptConfig, Precision, VisionConfig};

/// Sizes that differ from each other wherever they could be confused.
pub(crate) fn small_config() -> MiniGptConfig {
    MiniGptConfig {
        vision: VisionConfig {
            image_size: 28,
            patch_size: 7,
            stem_channels: Vec::new(),
            width: 12,
            depth: 2,
            n_heads: 3,
            mlp_hidden: 20,
            norm_eps: 1e-6,
            ln_vision_eps: 1e-5,
        },
        merge: 4,
        llama: LlamaConfig {
            vocab_size: 40,
            hidden_size: 32,
            intermediate_size: 48,
            n_layers: 3,
            n_heads: 4,
            n_kv_heads: 2,
            head_dim: 8,
            max_positions: 64,
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

/// The model with every value drawn uniformly within ±`scale`; norms stay near their ones.
pub(crate) fn random_model(config: &MiniGptConfig, seed: u64, scale: f32) -> MiniGpt {
    let device = Device::flex();
    let model = MiniGpt::empty(config, Precision::F32, &device).unwrap();
    model.map(&mut Fill { draws: ChaCha8Rng::seed_from_u64(seed), scale, path: Vec::new() })
}

/// Uniform values within ±`scale`.
pub(crate) fn random_values(draws: &mut ChaCha8Rng, n: usize, scale: f32) -> Vec<f32> {
    (0..n).map(|_| ((draws.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale).collect()
}

struct Fill {
    draws: ChaCha8Rng,
    scale: f32,
    path: Vec<String>,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let mut values = random_values(&mut self.draws, shape.num_elements(), self.scale);
        if self.path.last().is_some_and(|name| name == "gamma") {
            values.iter_mut().for_each(|value| *value += 1.0);
        }
        let device = param.lazy_device();
        Param::initialized(param.id, Tensor::from_data(TensorData::new(values, shape), &device))
    }
}
