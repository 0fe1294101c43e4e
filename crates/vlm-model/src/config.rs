//! Sizes of the model, its two presets, and LLaMA's published `config.json`.

mod llama;
mod lora;
mod vision;

use serde::{Deserialize, Serialize};

use crate::ModelError;

pub use llama::LlamaConfig;
pub use lora::{LoraConfig, LoraTarget};
pub use vision::VisionConfig;

/// Sizes of the whole model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MiniGptConfig {
    /// The image encoder.
    pub vision: VisionConfig,
    /// Neighboring patches that become one image token (SPEC 3.4: 4).
    pub merge: usize,
    /// The language model.
    pub llama: LlamaConfig,
    /// Its adapters; none for a merged model.
    pub lora: Option<LoraConfig>,
}

impl MiniGptConfig {
    /// The names that [`MiniGptConfig::preset`] knows.
    pub const PRESETS: [&'static str; 2] = ["minigpt-v2", "nano"];

    /// The published model: EVA ViT-g/14 at 448 px, LLaMA-2-7B-chat, LoRA r 64 alpha 16 on
    /// queries and values (SPEC 3.1 to 3.6).
    #[must_use]
    pub fn minigpt_v2() -> Self {
        Self {
            vision: VisionConfig::eva_vit_g_448(),
            merge: 4,
            llama: LlamaConfig::llama_2_7b(),
            lora: Some(LoraConfig::default()),
        }
    }

    /// The same modules with small numbers, about 4 million parameters, for two CPU cores:
    /// 128 px, 16 image tokens, a vocabulary of 1024.
    #[must_use]
    pub fn nano() -> Self {
        Self {
            vision: VisionConfig::nano(),
            merge: 4,
            llama: LlamaConfig::nano(),
            lora: Some(LoraConfig { rank: 8, alpha: 16.0, ..LoraConfig::default() }),
        }
    }

    /// A preset by its name, `minigpt-v2` or `nano`.
    ///
    /// # Errors
    /// [`ModelError::Config`] for another name.
    pub fn preset(name: &str) -> Result<Self, ModelError> {
        match name {
            "minigpt-v2" => Ok(Self::minigpt_v2()),
            "nano" => Ok(Self::nano()),
            _ => Err(config_error("preset", name, "expected `minigpt-v2` or `nano`")),
        }
    }

    /// Reads a configuration from JSON and checks it.
    ///
    /// # Errors
    /// [`ModelError::ConfigText`] for other JSON, [`ModelError::Config`] for impossible numbers.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let config: Self = serde_json::from_str(text).map_err(ModelError::ConfigText)?;
        config.validate()?;
        Ok(config)
    }

    /// Image tokens that one image becomes: 256 for the published model.
    #[must_use]
    pub fn n_image_tokens(&self) -> usize {
        self.vision.n_patches() / self.merge
    }

    /// Width of one merged token before the projector: 5632 for the published model.
    #[must_use]
    pub fn merged_width(&self) -> usize {
        self.vision.width * self.merge
    }

    /// Checks that a model can be built.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the first field that is impossible.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.vision.validate()?;
        self.llama.validate()?;
        if let Some(lora) = &self.lora {
            lora.validate()?;
        }
        if self.merge == 0 || !self.vision.n_patches().is_multiple_of(self.merge) {
            return Err(config_error(
                "merge",
                self.merge,
                format!("{} patches are not a multiple of it", self.vision.n_patches()),
            ));
        }
        Ok(())
    }
}

pub(crate) fn config_error(
    field: &'static str,
    value: impl ToString,
    reason: impl Into<String>,
) -> ModelError {
    ModelError::Config { field, value: value.to_string(), reason: reason.into() }
}

/// Fails unless `value` is in `1..=limit`: sizes come from files and decide what memory is taken.
pub(crate) fn check_size(field: &'static str, value: usize, limit: usize) -> Result<(), ModelError> {
    if value == 0 || value > limit {
        return Err(config_error(field, value, format!("expected 1 to {limit}")));
    }
    Ok(())
}

/// Fails unless `value` is finite and above zero.
pub(crate) fn check_positive(field: &'static str, value: f64) -> Result<(), ModelError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(config_error(field, value, "expected a finite number above 0"))
    }
}
