//! The whole recipe: phantoms, tower, language, checkpoint.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use vlm_infer::PromptSettings;
use vlm_model::{CheckpointOptions, MiniGptConfig, Precision, initialized_model, write_checkpoint};
use vlm_prompt::{BoxDecode, BoxFormat};

use crate::{PhantomSlices, PretrainError, TowerScores, make_phantoms, train_language, train_tower};

/// Patients to draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhantomRecipe {
    /// Chooses the patients; a cascade's own seed must differ.
    pub seed: u64,
    /// How many.
    pub patients: u32,
    /// Rows and columns of a scan.
    pub matrix: u32,
    /// Fewest and most slices of a scan.
    pub slices: [u32; 2],
}

/// Phase 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TowerRecipe {
    /// Seed of samples and of the heads' first weights.
    pub seed: u64,
    /// Updates.
    pub steps: u64,
    /// Slices of an update.
    pub batch_size: usize,
    /// Largest learning rate.
    pub rate: f64,
    /// Updates of the warm-up.
    pub warmup_steps: u64,
    /// Updates between two reports of the loss.
    pub report_every: u64,
    /// Updates between two scores on other patients.
    pub score_every: u64,
}

/// Phase 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageRecipe {
    /// Seed of samples and instructions.
    pub seed: u64,
    /// Updates.
    pub steps: u64,
    /// Questions of an update.
    pub batch_size: usize,
    /// Largest learning rate.
    pub rate: f64,
    /// Updates of the warm-up.
    pub warmup_steps: u64,
    /// Share of questions that are answered with yes or no.
    pub yes_no_share: f32,
    /// Updates between two reports of the loss.
    pub report_every: u64,
}

/// Everything that decides the base model's bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainRecipe {
    /// Seed of the model's first weights.
    pub model_seed: u64,
    /// Patients that the model learns from.
    pub phantoms: PhantomRecipe,
    /// Patients that it is scored on.
    pub held_out: PhantomRecipe,
    /// Phase 1.
    pub tower: TowerRecipe,
    /// Phase 2.
    pub language: LanguageRecipe,
}

/// What happens while it runs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PretrainEvent {
    /// Phantoms are there.
    Phantoms {
        /// Slices to learn from.
        n_slices: usize,
        /// Slices of other patients.
        n_held_out: usize,
    },
    /// An update of phase 1.
    TowerStep {
        /// Which, from 0.
        step: u64,
        /// Of how many.
        n_steps: u64,
        /// The whole loss.
        loss: f32,
        /// Cross-entropy of tissues.
        tissue: f32,
        /// Loss of the box head.
        boxes: f32,
    },
    /// The tower was scored on other patients.
    TowerScores {
        /// After which update, from 0.
        step: u64,
        /// How well.
        scores: TowerScores,
    },
    /// An update of phase 2.
    LanguageStep {
        /// Which, from 0.
        step: u64,
        /// Of how many.
        n_steps: u64,
        /// Mean cross-entropy of the answers' tokens.
        loss: f32,
    },
}

impl Default for PretrainRecipe {
    /// The built-in recipe: hours on two CPU cores. Fewer steps give a poorer base sooner.
    fn default() -> Self {
        let phantoms = |seed, patients| PhantomRecipe { seed, patients, matrix: 160, slices: [28, 44] };
        Self {
            model_seed: 11,
            phantoms: phantoms(0x0ba5_e000, 320),
            held_out: phantoms(0x0ba5_e001, 24),
            tower: TowerRecipe {
                seed: 12,
                steps: 5000,
                batch_size: 32,
                rate: 1.5e-3,
                warmup_steps: 150,
                report_every: 25,
                score_every: 1000,
            },
            language: LanguageRecipe {
                seed: 13,
                steps: 4000,
                batch_size: 32,
                rate: 1.2e-3,
                warmup_steps: 150,
                yes_no_share: 0.2,
                report_every: 25,
            },
        }
    }
}

impl TowerRecipe {
    pub(crate) fn check(&self) -> Result<(), PretrainError> {
        check_positive("tower.batch_size", self.batch_size as u64)?;
        check_positive("tower.report_every", self.report_every)?;
        check_positive("tower.score_every", self.score_every)
    }
}

impl LanguageRecipe {
    pub(crate) fn check(&self) -> Result<(), PretrainError> {
        check_positive("language.batch_size", self.batch_size as u64)?;
        check_positive("language.report_every", self.report_every)
    }
}

fn check_positive(field: &'static str, value: u64) -> Result<(), PretrainError> {
    if value == 0 {
        return Err(PretrainError::Recipe { field, value: "0".to_owned(), reason: "expected at least 1" });
    }
    Ok(())
}

/// How the base is asked: the same tokens in training and inference, hundredths of the image read
/// back in the middle of their bins.
pub(crate) fn prompt_settings() -> PromptSettings {
    PromptSettings { box_decode: BoxDecode::BinCenter, ..PromptSettings::consistent(BoxFormat::Percent100) }
}

/// Makes phantoms, trains tower and language, and writes the checkpoint folder `out`.
///
/// The same recipe gives the same weights on one machine. Hours become minutes with fewer steps:
/// the recipe decides.
///
/// # Errors
/// Any [`PretrainError`]; nothing is written then.
pub fn pretrain(
    config: &MiniGptConfig,
    recipe: &PretrainRecipe,
    out: &Path,
    device: &Device,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(PretrainEvent),
) -> Result<TowerScores, PretrainError> {
    let size = config.vision.image_size;
    let slices = make_phantoms(&recipe.phantoms, size, stop)?;
    let held_out = make_phantoms(&recipe.held_out, size, stop)?;
    pretrain_on(config, recipe, &slices, &held_out, out, device, stop, on_event)
}

/// [`pretrain`] on phantoms that are there already.
///
/// # Errors
/// As [`pretrain`].
#[expect(clippy::too_many_arguments, reason = "the same inputs as `pretrain`, and the phantoms")]
pub fn pretrain_on(
    config: &MiniGptConfig,
    recipe: &PretrainRecipe,
    slices: &PhantomSlices,
    held_out: &PhantomSlices,
    out: &Path,
    device: &Device,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(PretrainEvent),
) -> Result<TowerScores, PretrainError> {
    on_event(PretrainEvent::Phantoms { n_slices: slices.len(), n_held_out: held_out.len() });
    let bare = MiniGptConfig { lora: None, ..config.clone() };
    let model = initialized_model(&bare, recipe.model_seed, Precision::F32, device)?;
    let (model, scores) = train_tower(model, slices, held_out, &recipe.tower, device, stop, on_event)?;
    let model = train_language(model, slices, &recipe.language, device, stop, on_event)?;
    let options = CheckpointOptions::default();
    write_checkpoint(&model, out, &prompt_settings().to_json(), &options)?;
    Ok(scores)
}
