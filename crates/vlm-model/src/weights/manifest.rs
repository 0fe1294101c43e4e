//! `minigpt.json`: what a checkpoint folder of ours holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::WeightsError;
use crate::MiniGptConfig;

/// The `format` of the checkpoint folders that this version writes and reads.
pub const CHECKPOINT_FORMAT: &str = "minigpt-pancreas-1";
/// The file that makes a folder a checkpoint of ours.
pub const MANIFEST_FILE: &str = "minigpt.json";

/// The contents of `minigpt.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointManifest {
    /// [`CHECKPOINT_FORMAT`].
    pub format: String,
    /// Sizes of the model.
    pub config: MiniGptConfig,
    /// Where its parts are.
    pub files: CheckpointFiles,
    /// How prompts are written for it; this crate passes it on unread.
    #[serde(default)]
    pub prompt: Value,
    /// SHA-256 of files by their path in the folder, in hexadecimal.
    #[serde(default)]
    pub weights_sha256: BTreeMap<String, String>,
}

/// Parts of a checkpoint: paths in the folder; for a base that is not copied `../` and a path beside
/// the folder, or an absolute path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointFiles {
    /// EVA names, and `ln_vision` where it is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vision_tower: Option<PathBuf>,
    /// `ln_vision` in a file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ln_vision: Option<PathBuf>,
    /// LLaMA's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_model: Option<PathBuf>,
    /// A MiniGPT-v2 checkpoint: projector and adapters, or everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,
    /// A PEFT folder, with the projector beside the adapters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,
}

impl CheckpointManifest {
    /// Reads `minigpt.json` of a folder and checks its configuration.
    ///
    /// # Errors
    /// [`WeightsError::Io`], [`WeightsError::Json`], [`WeightsError::Setting`] for another format,
    /// [`WeightsError::Config`] for impossible sizes.
    pub fn read(folder: &Path) -> Result<Self, WeightsError> {
        let path = folder.join(MANIFEST_FILE);
        let text = fs_err::read_to_string(&path)
            .map_err(|source| WeightsError::Io { path: path.clone(), source })?;
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|source| WeightsError::Json { path: path.clone(), source })?;
        if manifest.format != CHECKPOINT_FORMAT {
            return Err(WeightsError::Setting {
                path,
                field: "format",
                value: manifest.format,
                reason: format!("expected `{CHECKPOINT_FORMAT}`"),
            });
        }
        match manifest.config.validate() {
            Ok(()) => Ok(manifest),
            Err(source) => Err(WeightsError::Config { path, source }),
        }
    }
}
