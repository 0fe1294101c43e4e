//! The whole recipe: phantoms, tower, language, checkpoint.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use vlm_infer::PromptSettings;
use vlm_model::{
    CheckpointOptions, MiniGpt, MiniGptConfig, ModelFiles, Part, Precision, TensorFile, initialized_model,
    load_parts, write_checkpoint,
};
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
    /// Whether every patient has a tumor; half of them if not.
    #[serde(default)]
    pub all_tumors: bool,
    /// Enlarged squares around the pancreas that are made of each slice that shows it, beside the slice.
    #[serde(default)]
    pub regions: u32,
    /// Smallest and largest side of those squares, against the longer side of the pancreas; below 1 they show
    /// a part of it.
    #[serde(default = "region_sides")]
    pub region_sides: [f32; 2],
    /// Masses of each patient whose regions are made twice, as a tumor and as none; with the patient's own
    /// mass the first of them.
    #[serde(default)]
    pub mass_pairs: u32,
}

fn region_sides() -> [f32; 2] {
    [1.2, 1.8]
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
    pub phantoms: Vec<PhantomRecipe>,
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
        let phantoms = |seed, patients, all_tumors| PhantomRecipe {
            seed,
            patients,
            matrix: 256,
            slices: [28, 44],
            all_tumors,
            regions: 2,
            region_sides: region_sides(),
            mass_pairs: 0,
        };
        Self {
            model_seed: 11,
            phantoms: vec![phantoms(0x0ba5_e000, 900, false), phantoms(0x0ba5_e002, 300, true)],
            held_out: phantoms(0x0ba5_e001, 60, false),
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
                yes_no_share: 0.35,
                report_every: 25,
            },
        }
    }
}

impl PhantomRecipe {
    pub(crate) fn check(&self) -> Result<(), PretrainError> {
        let [low, high] = self.region_sides;
        if low > 0.0 && low <= high && high <= 100.0 {
            return Ok(());
        }
        Err(PretrainError::Recipe {
            field: "phantoms.region_sides",
            value: format!("{:?}", self.region_sides),
            reason: "expected two numbers above 0, at most 100, the smaller one first",
        })
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
/// `start` is a safetensors file under published names with the tower and the norm after it, and
/// perhaps the language model and the projector: then phase 1 is left out, nothing is scored, and
/// phase 2 goes on from there. The same recipe gives the same weights on one machine.
///
/// # Errors
/// Any [`PretrainError`]; nothing is written then.
pub fn pretrain(
    config: &MiniGptConfig,
    recipe: &PretrainRecipe,
    start: Option<&Path>,
    out: &Path,
    device: &Device,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(PretrainEvent),
) -> Result<Option<TowerScores>, PretrainError> {
    let size = config.vision.image_size;
    let bare = MiniGptConfig { lora: None, ..config.clone() };
    let mut model = initialized_model(&bare, recipe.model_seed, Precision::F32, device)?;
    if let Some(file) = start {
        model = started_from(model, file, device)?;
    }
    let mut slices = PhantomSlices::empty(size);
    for phantoms in &recipe.phantoms {
        slices.append(make_phantoms(phantoms, size, stop)?);
    }
    let mut scores = None;
    if start.is_none() {
        let held_out = make_phantoms(&recipe.held_out, size, stop)?;
        on_event(PretrainEvent::Phantoms { n_slices: slices.len(), n_held_out: held_out.len() });
        let trained = train_tower(model, &slices, &held_out, &recipe.tower, device, stop, on_event)?;
        (model, scores) = (trained.0, Some(trained.1));
    } else {
        on_event(PretrainEvent::Phantoms { n_slices: slices.len(), n_held_out: 0 });
    }
    let model = train_language(model, &slices, &recipe.language, device, stop, on_event)?;
    write_checkpoint(&model, out, &prompt_settings().to_json(), &CheckpointOptions::default())?;
    Ok(scores)
}

/// The model with the parts that a file holds.
fn started_from(mut model: MiniGpt, file: &Path, device: &Device) -> Result<MiniGpt, PretrainError> {
    let speaks = TensorFile::open(file)?.names().any(|name| name.starts_with("llama_"));
    let files = ModelFiles { checkpoint: Some(file.to_path_buf()), ..ModelFiles::default() };
    let mut parts = vec![Part::VisionTower, Part::LnVision];
    if speaks {
        parts.extend([Part::Projector, Part::LanguageModel]);
    }
    let (read, _) = load_parts(&files, model.config(), &parts, Precision::F32, device, &mut |_, _| {})?;
    if speaks {
        return Ok(read);
    }
    model.vision_tower = read.vision_tower;
    model.ln_vision = read.ln_vision;
    Ok(model)
}
