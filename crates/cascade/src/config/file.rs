//! The configuration as it is written.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vlm_metrics::TargetEdges;
use vlm_prompt::{BoxDecode, BoxFormat, InstructionPool, PromptMode};

use super::checked::{BoxFrom, CascadeConfig, Decoding, EvaluationSettings, Goal, StageStart};
use super::data::{ConversationData, DataConfig};
use super::model::ModelFile;
use super::training::TrainingFile;
use crate::images::ImageFit;
use crate::stage::YesNoQuestion;
use crate::{CascadeError, RegionSettings};

/// The default run: phantoms, the embedded base, all stages, on a small CPU.
pub const QUICKSTART: &str = include_str!("../../assets/quickstart.toml");

/// Largest configuration that is read.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CascadeFile {
    pub(super) name: String,
    pub(super) seed: u64,
    #[serde(default)]
    pub(super) model: ModelFile,
    #[serde(default)]
    pub(super) prompt: PromptFile,
    #[serde(default)]
    pub(super) data: DataConfig,
    #[serde(default)]
    pub(super) training: TrainingFile,
    pub(super) stages: StagesFile,
    #[serde(default)]
    pub(super) evaluation: EvaluationSettings,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PromptFile {
    pub(super) mode: PromptMode,
    pub(super) instructions: InstructionPool,
    pub(super) box_format: BoxFormat,
    pub(super) box_decode: BoxDecode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) box_edges: Option<TargetEdges>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) box_from: Option<BoxFrom>,
    pub(super) decoding: Decoding,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prune: Option<f64>,
    pub(super) yes_no_question: YesNoQuestion,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StagesFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pancreas_box: Option<StageFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tumor_yes_no: Option<StageFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tumor_box: Option<StageFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) organs: Option<StageFile>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StageFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start: Option<StageStart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datasets: Option<BTreeSet<String>>,
    pub(super) image_fit: ImageFit,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<RegionSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) views: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) calibrate: bool,
    pub(super) goal: Goal,
    pub(super) training: TrainingFile,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) conversations: Vec<ConversationData>,
}

impl CascadeConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`CascadeError::Toml`] for unknown or missing keys and wrong types (`name` is what the error
    /// calls the text), [`CascadeError::Setting`] for values that cannot be used.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, CascadeError> {
        let file: CascadeFile = toml::from_str(text)
            .map_err(|source| CascadeError::Toml { name: name.to_owned(), source: Box::new(source) })?;
        Self::try_from(file)
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`CascadeError::Io`], and those of [`CascadeConfig::from_toml`].
    pub fn read(path: &Path) -> Result<Self, CascadeError> {
        use std::io::Read;
        let file = fs_err::File::open(path).map_err(CascadeError::io(path))?;
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(CascadeError::io(path))?;
        Self::from_toml(&text, &path.display().to_string())
    }

    /// The configuration of the quickstart.
    ///
    /// # Panics
    /// Never: a test reads the same text.
    #[must_use]
    pub fn quickstart() -> Self {
        Self::from_toml(QUICKSTART, "quickstart.toml").expect("the compiled-in configuration is valid")
    }
}
