//! Where the data comes from.

use std::path::PathBuf;

use ct_phantom::{Layout, PhantomSpec};
use ct_slices::Preset;
use ct_slices::prepare::{ImageOrientation, TumorCrop};
use serde::{Deserialize, Serialize};

use crate::CascadeError;

/// Questions and answers that a stage learns beside its own: a file of conversations, as JSON or JSON
/// lines ([`vlm_train::ConversationSource`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationData {
    /// The file.
    pub file: PathBuf,
    /// The folder that its images' names begin in; the file's own if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Share of the samples that training draws, between 0 and 1.
    pub share: f64,
}

impl ConversationData {
    /// What a stage's conversations must be: shares that leave room for the stage.
    pub(super) fn check(all: &[Self], field: &str) -> Result<(), CascadeError> {
        let sum: f64 = all.iter().map(|data| data.share).sum();
        let is_wrong = |share: f64| share.is_nan() || share <= 0.0 || share >= 1.0;
        match all.iter().find(|data| is_wrong(data.share)) {
            Some(wrong) => {
                Err(CascadeError::setting(format!("{field}.share"), wrong.share, "expected 0 to 1"))
            }
            None if sum >= 1.0 => {
                Err(CascadeError::setting(format!("{field}.share"), sum, "expected a sum below 1"))
            }
            None => Ok(()),
        }
    }
}

/// Synthetic studies of one layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhantomConfig {
    /// Layout: which organs are labeled, and how files lie.
    pub layout: Layout,
    /// Patients.
    pub patients: u32,
    /// Rows and columns of a slice.
    pub matrix: u32,
    /// Fewest and most slices.
    pub slices: [u32; 2],
    /// Seed of the patients.
    pub seed: u64,
}

impl PhantomConfig {
    /// The generator's own form.
    #[must_use]
    pub fn spec(&self) -> PhantomSpec {
        PhantomSpec::new(self.layout, self.seed, self.patients)
            .with_matrix(self.matrix)
            .with_slices(self.slices[0]..=self.slices[1])
    }
}

/// A dataset of `datasets.toml` and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDataset {
    /// Its name in the list, such as `msd-pancreas`.
    pub name: String,
    /// Where it lies, if not where the list says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
}

/// The tumor yes/no set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TumorMixSettings {
    /// How it is mixed: as published, answer equal to source (D9), or matched within sources.
    pub preset: Preset,
    /// What its images show; none: as its preset has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<TumorCrop>,
    /// A tumor slice counts above this box ratio.
    pub threshold: f64,
}

impl Default for TumorMixSettings {
    fn default() -> Self {
        Self { preset: Preset::Fixed, crop: None, threshold: 0.6 }
    }
}

/// The `[data]` table. Exactly one of `phantoms`, `raw` and `folders` says where data comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Synthetic studies that are made on the spot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phantoms: Vec<PhantomConfig>,
    /// Studies on disk.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<RawDataset>,
    /// Prepared folders, tumor sets, or folders of images with `labels.csv`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<PathBuf>,
    /// How studies become slices.
    pub preset: Preset,
    /// For preset `paper-2024`: whether images agree with their boxes.
    pub image_orientation: ImageOrientation,
    /// Limits of the HU window of preset `fixed`.
    pub window_hu: [f64; 2],
    /// Slices are selected above this box ratio.
    pub threshold: f64,
    /// Seed of splits and mixes.
    pub split_seed: u64,
    /// How the tumor set is made, where it is not among the folders.
    pub tumor_mix: TumorMixSettings,
    /// Share of the training patients that choose checkpoints; 0 for none, as published.
    pub validation_share: f64,
    /// Whether the audit runs.
    pub audit: bool,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            phantoms: Vec::new(),
            raw: Vec::new(),
            folders: Vec::new(),
            preset: Preset::Fixed,
            image_orientation: ImageOrientation::default(),
            window_hu: [-150.0, 250.0],
            threshold: 0.6,
            split_seed: 42,
            tumor_mix: TumorMixSettings::default(),
            validation_share: 0.15,
            audit: true,
        }
    }
}

impl DataConfig {
    pub(super) fn check(&self) -> Result<(), CascadeError> {
        let n_kinds = [!self.phantoms.is_empty(), !self.raw.is_empty(), !self.folders.is_empty()]
            .into_iter()
            .filter(|given| *given)
            .count();
        if n_kinds > 1 {
            return Err(CascadeError::setting(
                "data",
                format!("{n_kinds} kinds of data"),
                "expected one of `phantoms`, `raw` and `folders`",
            ));
        }
        for phantoms in &self.phantoms {
            phantoms.spec().check().map_err(ct_phantom::PhantomError::Spec)?;
        }
        let shares = [
            ("data.threshold", self.threshold, 1.0),
            ("data.tumor_mix.threshold", self.tumor_mix.threshold, 1.0),
            ("data.validation_share", self.validation_share, 0.5),
        ];
        for (field, value, most) in shares {
            if !(0.0..=most).contains(&value) {
                return Err(CascadeError::setting(field, value, format!("expected 0 to {most}")));
            }
        }
        Ok(())
    }
}
