//! Which linear maps get an adapter, and how large.

use serde::{Deserialize, Serialize};

use super::{check_positive, check_size, config_error};
use crate::ModelError;

/// A linear map of a LLaMA block, under its published name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the maps'")]
pub enum LoraTarget {
    QProj,
    KProj,
    VProj,
    OProj,
    GateProj,
    UpProj,
    DownProj,
}

impl LoraTarget {
    /// All targets, in the order of a block.
    pub const ALL: [Self; 7] =
        [Self::QProj, Self::KProj, Self::VProj, Self::OProj, Self::GateProj, Self::UpProj, Self::DownProj];

    /// The published name, `q_proj` to `down_proj`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QProj => "q_proj",
            Self::KProj => "k_proj",
            Self::VProj => "v_proj",
            Self::OProj => "o_proj",
            Self::GateProj => "gate_proj",
            Self::UpProj => "up_proj",
            Self::DownProj => "down_proj",
        }
    }

    /// The target with this published name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }
}

/// Low-rank adapters (SPEC 3.6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank of the update.
    pub rank: usize,
    /// The update is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Dropout on the adapter's input while training.
    pub dropout: f64,
    /// The adapted maps. The code adapts queries and values, the paper says queries and keys.
    pub targets: Vec<LoraTarget>,
}

impl Default for LoraConfig {
    /// The published code's: r 64, alpha 16, dropout 0.05, queries and values.
    fn default() -> Self {
        Self { rank: 64, alpha: 16.0, dropout: 0.05, targets: vec![LoraTarget::QProj, LoraTarget::VProj] }
    }
}

impl LoraConfig {
    /// `alpha / rank`: 0.25 for the published model.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Whether this map has an adapter.
    #[must_use]
    pub fn adapts(&self, target: LoraTarget) -> bool {
        self.targets.contains(&target)
    }

    /// Checks rank, alpha, dropout and targets.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the first impossible field.
    pub fn validate(&self) -> Result<(), ModelError> {
        check_size("lora.rank", self.rank, 1 << 14)?;
        check_positive("lora.alpha", self.alpha)?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(config_error("lora.dropout", self.dropout, "expected 0 or more and below 1"));
        }
        if self.targets.is_empty() {
            return Err(config_error("lora.targets", "[]", "expected at least one map"));
        }
        let mut sorted = self.targets.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != self.targets.len() {
            return Err(config_error("lora.targets", format!("{:?}", self.targets), "a map is named twice"));
        }
        Ok(())
    }
}
