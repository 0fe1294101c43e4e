//! Parameters and memory.

use serde::Serialize;
use vlm_model::{MiniGptConfig, Part, Precision, tensor_plan};

use crate::config::{CascadeConfig, StageConfig};

/// Parameters by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ParameterCounts {
    /// The image encoder.
    pub vision_tower: u64,
    /// The norm after it.
    pub ln_vision: u64,
    /// The linear map to the language model.
    pub projector: u64,
    /// The language model without adapters.
    pub language_model: u64,
    /// LoRA factors.
    pub lora: u64,
    /// What the published training trains: LoRA and projector.
    pub trainable: u64,
    /// All.
    pub total: u64,
}

impl ParameterCounts {
    /// Counts a model of these sizes; none is built.
    #[must_use]
    pub fn of(sizes: &MiniGptConfig) -> Self {
        let mut counts = Self::default();
        for tensor in tensor_plan(sizes) {
            let n = tensor.shape.iter().product::<usize>() as u64;
            *match tensor.part {
                Part::VisionTower => &mut counts.vision_tower,
                Part::LnVision => &mut counts.ln_vision,
                Part::Projector => &mut counts.projector,
                Part::LanguageModel => &mut counts.language_model,
                Part::Adapters => &mut counts.lora,
            } += n;
            counts.total += n;
        }
        counts.trainable = counts.lora + counts.projector;
        counts
    }
}

/// An estimate of the memory that training a stage takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MemoryEstimate {
    /// Weights.
    pub weights_bytes: u64,
    /// Gradients and the optimizer's two moments of what learns.
    pub optimizer_bytes: u64,
    /// What the forward pass keeps for the backward pass.
    pub activation_bytes: u64,
    /// Vision features in memory.
    pub feature_bytes: u64,
    /// All.
    pub total_bytes: u64,
}

/// Numbers that a block keeps of each position, in widths of the model: norms, queries, keys,
/// values, attention's output, and the wide part of the feed-forward.
const KEPT_WIDTHS: u64 = 16;

impl MemoryEstimate {
    pub(super) fn of(
        sizes: &MiniGptConfig,
        parameters: &ParameterCounts,
        config: &CascadeConfig,
        settings: &StageConfig,
        positions: usize,
        n_images: usize,
    ) -> Self {
        let frozen_size = if config.model.precision == Precision::F32 { 4 } else { 2 };
        let learning = if settings.trains_tower() { parameters.total } else { parameters.trainable };
        let frozen = parameters.total - parameters.trainable;
        let llama = &sizes.llama;
        let places = (settings.training.batch_size * positions) as u64;
        let width = llama.hidden_size as u64;
        let n_heads = llama.n_heads as u64;
        let of_block = places * (KEPT_WIDTHS * width + n_heads * positions as u64) * 4;
        let n_blocks = llama.n_layers as u64;
        let activations = if settings.training.recompute_blocks {
            n_blocks * places * width * 4 + of_block
        } else {
            n_blocks * of_block
        };
        let feature_size = if config.model.features_f16 { 2 } else { 4 };
        let views = u64::from(settings.augmentation.views.max(1));
        let features = n_images as u64 * views * (sizes.n_image_tokens() * sizes.merged_width()) as u64;
        let mut memory = Self {
            weights_bytes: frozen * frozen_size + parameters.trainable * 4,
            optimizer_bytes: learning * 12,
            activation_bytes: activations,
            feature_bytes: features * feature_size,
            total_bytes: 0,
        };
        memory.total_bytes =
            memory.weights_bytes + memory.optimizer_bytes + memory.activation_bytes + memory.feature_bytes;
        memory
    }
}

/// Memory that the system would give, where it says so.
pub(super) fn free_memory_bytes() -> Option<u64> {
    let info = fs_err::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_model_has_the_published_counts() {
        // SPEC 3.9
        let counts = ParameterCounts::of(&MiniGptConfig::minigpt_v2());
        assert_eq!(counts.lora, 33_554_432);
        assert_eq!(counts.trainable, 56_627_200);
        assert_eq!(counts.total, 7_782_021_504);
    }
}
