//! What the first stage starts from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vlm_model::{LoraConfig, LoraTarget, MiniGptConfig, Precision};

use crate::CascadeError;

/// The weights that the first stage starts from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum BaseModel {
    /// The small checkpoint that this program carries.
    Embedded,
    /// A checkpoint folder of ours, or a folder of the published files.
    Folder(PathBuf),
    /// Random weights.
    Scratch {
        /// Sizes.
        config: Box<MiniGptConfig>,
        /// Seed of the weights.
        seed: u64,
    },
}

/// The checked `[model]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The weights.
    pub base: BaseModel,
    /// Number type of the frozen weights.
    pub precision: Precision,
    /// Adapters to train, where the base has none or others.
    pub lora: Option<LoraConfig>,
    /// Whether vision features are kept as halves.
    pub features_f16: bool,
    /// The published sizes are known without their files: a plan can be made without them.
    pub plan: Option<Box<MiniGptConfig>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BaseKind {
    #[default]
    Embedded,
    Folder,
    Scratch,
}

/// The `[model]` table as it is written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ModelFile {
    base: BaseKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sizes: Option<MiniGptConfig>,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lora: Option<LoraFile>,
    features_f16: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoraFile {
    rank: usize,
    alpha: f64,
    #[serde(default = "published_dropout")]
    dropout: f64,
    targets: Vec<LoraTarget>,
}

fn published_dropout() -> f64 {
    LoraConfig::default().dropout
}

impl TryFrom<&ModelFile> for ModelConfig {
    type Error = CascadeError;

    fn try_from(file: &ModelFile) -> Result<Self, Self::Error> {
        let refuse =
            |field: &str, reason: &str| Err(CascadeError::setting(format!("model.{field}"), "set", reason));
        let lora = file.lora.as_ref().map(|lora| LoraConfig {
            rank: lora.rank,
            alpha: lora.alpha,
            dropout: lora.dropout,
            targets: lora.targets.clone(),
        });
        let preset = file.preset.as_deref().map(MiniGptConfig::preset).transpose()?;
        let with_lora = |mut config: MiniGptConfig| {
            if lora.is_some() {
                config.lora.clone_from(&lora);
            }
            config
        };
        let is_scratch = file.base == BaseKind::Scratch;
        if file.base != BaseKind::Folder && file.folder.is_some() {
            return refuse("folder", "expected with `base = \"folder\"` alone");
        }
        if !is_scratch && file.sizes.is_some() {
            return refuse("sizes", "expected with `base = \"scratch\"` alone");
        }
        let (base, plan) = match file.base {
            BaseKind::Embedded if preset.is_some() => {
                return refuse("preset", "the embedded base has its own sizes");
            }
            BaseKind::Embedded => (BaseModel::Embedded, None),
            BaseKind::Folder => match &file.folder {
                Some(folder) => (BaseModel::Folder(folder.clone()), preset.map(&with_lora)),
                None => return Err(CascadeError::setting("model.folder", "nothing", "expected a path")),
            },
            BaseKind::Scratch => {
                let config = match (preset, file.sizes.clone()) {
                    (Some(config), None) | (None, Some(config)) => with_lora(config),
                    (None, None) => with_lora(MiniGptConfig::nano()),
                    (Some(_), Some(_)) => return refuse("sizes", "expected without `preset`"),
                };
                config.validate()?;
                (BaseModel::Scratch { config: Box::new(config.clone()), seed: file.seed }, Some(config))
            }
        };
        if let Some(plan) = &plan {
            plan.validate()?;
        }
        Ok(Self {
            base,
            precision: file.precision.as_deref().unwrap_or("f32").parse()?,
            lora,
            features_f16: file.features_f16,
            plan: plan.map(Box::new),
        })
    }
}
