//! A configuration that can be run.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vlm_infer::PromptSettings;
use vlm_metrics::{PlattScaling, TargetEdges};
use vlm_model::GroundedOptions;
use vlm_prompt::{AnswerHistory, InstructionPool, PromptMode};
use vlm_train::{TrainableParts, TrainingConfig};

use super::data::{ConversationData, DataConfig};
use super::file::{CascadeFile, PromptFile, StageFile};
use super::model::ModelConfig;
use crate::data::AnswerStyle;
use crate::images::{Augmentation, ImageFit, LOOKS};
use crate::stage::YesNoQuestion;
use crate::{CascadeError, RegionSettings, Stage};

/// Everything that decides what a run makes.
#[derive(Debug, Clone, PartialEq)]
pub struct CascadeConfig {
    /// What reports call it.
    pub name: String,
    /// Seed of everything that has none of its own.
    pub seed: u64,
    /// The weights that the first stage starts from.
    pub model: ModelConfig,
    /// How models are asked and answer.
    pub prompt: PromptConfig,
    /// The data.
    pub data: DataConfig,
    /// The stages that run.
    pub stages: BTreeMap<Stage, StageConfig>,
    /// How stages are judged.
    pub evaluation: EvaluationSettings,
    /// The text it was made of, resolved: read again it gives the same.
    pub(crate) resolved: String,
}

/// How models are asked and how answers are read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptConfig {
    /// Templates, box format and history, as checkpoints keep them.
    pub settings: PromptSettings,
    /// The instructions that training draws from.
    pub instructions: InstructionPool,
    /// How boxes are written.
    pub style: AnswerStyle,
    /// Whether answers are held to their form.
    pub decoding: Decoding,
    /// Beginnings of grounded numbers less probable than this are not looked into: less is slower
    /// and gives the means of edges to more digits.
    pub prune: f64,
    /// Which numbers of a grounded answer become the box.
    pub box_from: BoxFrom,
    /// The question of the yes/no stage.
    pub yes_no_question: YesNoQuestion,
    /// Fixed views of an image that a grounded yes or no is averaged over; 1: the image as it is; 2 to 5: shifted
    /// a little too; 6 to 9: its corners enlarged too.
    #[serde(default = "one")]
    pub yes_no_views: u32,
    /// What makes probabilities of yes mean what they say; none: they stay as the model states them.
    /// Grounded answers follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yes_no_scaling: Option<PlattScaling>,
}

fn one() -> u32 {
    1
}

/// How answers are generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decoding {
    /// Only well-formed answers can come out, with their probabilities.
    #[default]
    Grounded,
    /// As published: any 20 tokens, greedily (SPEC 5.1).
    Free,
}

/// Which numbers of a grounded answer become the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxFrom {
    /// The mean of each edge's distribution, finer than the grid.
    #[default]
    Mean,
    /// The numbers of the text, as published.
    Grid,
}

/// Where a stage starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageStart {
    /// At the base.
    Base,
    /// At the chosen checkpoint of the stage before, the base where that one does not run.
    Previous,
}

/// One stage of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct StageConfig {
    /// Where it starts.
    pub start: StageStart,
    /// Sources that it takes; none: all that have its task.
    pub datasets: Option<BTreeSet<String>>,
    /// How images become squares.
    pub image_fit: ImageFit,
    /// What of them is shown; none: all.
    pub region: Option<RegionSettings>,
    /// Fixed views that its answers are averaged over ([`PromptConfig::yes_no_views`]).
    pub views: u32,
    /// Whether validation patients set its probabilities of yes right.
    pub calibrate: bool,
    /// Other questions and answers that it learns too.
    pub conversations: Vec<ConversationData>,
    /// How training images are changed.
    pub augmentation: Augmentation,
    /// The training loop's settings.
    pub training: TrainingConfig,
    /// What its score has to reach.
    pub goal: Goal,
}

/// What a score has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Goal {
    /// The least that is acceptable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// The aim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<f64>,
}

/// How stages are judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationSettings {
    /// Questions answered together.
    pub batch_size: usize,
    /// Draws of patients for intervals.
    pub bootstrap_draws: usize,
    /// Most samples that the image controls answer, evenly drawn; 0 leaves them out.
    pub control_samples: usize,
    /// Most samples that validation answers, evenly drawn.
    pub validation_samples: usize,
    /// Trees of the shortcut probe.
    pub probe_trees: usize,
    /// Examples in the report.
    pub examples: usize,
}

impl Default for EvaluationSettings {
    fn default() -> Self {
        Self {
            batch_size: 32,
            bootstrap_draws: 2000,
            control_samples: 200,
            validation_samples: 200,
            probe_trees: 100,
            examples: 12,
        }
    }
}

impl CascadeConfig {
    /// The configuration as TOML, every choice that the file left open included where it is
    /// written down by name. Read again it gives the same configuration.
    #[must_use]
    pub fn to_toml(&self) -> &str {
        &self.resolved
    }

    /// The same run on other data: prepared folders, or a folder of images with `labels.csv`.
    ///
    /// # Errors
    /// [`CascadeError::Setting`] if the result cannot be run.
    pub fn with_folders(&self, folders: &[std::path::PathBuf]) -> Result<Self, CascadeError> {
        let mut file: CascadeFile = self.file()?;
        file.data.phantoms.clear();
        file.data.raw.clear();
        file.data.folders = folders.to_vec();
        Self::try_from(file)
    }

    /// The same run of some stages alone.
    ///
    /// # Errors
    /// [`CascadeError::Setting`] for a stage that the configuration does not have.
    pub fn with_stages(&self, stages: &[Stage]) -> Result<Self, CascadeError> {
        if let Some(missing) = stages.iter().find(|stage| !self.stages.contains_key(stage)) {
            return Err(CascadeError::setting("stages", missing, "the configuration has no such stage"));
        }
        let mut file: CascadeFile = self.file()?;
        let slots = [
            (Stage::PancreasBox, &mut file.stages.pancreas_box),
            (Stage::TumorYesNo, &mut file.stages.tumor_yes_no),
            (Stage::TumorBox, &mut file.stages.tumor_box),
            (Stage::Organs, &mut file.stages.organs),
        ];
        for (stage, slot) in slots {
            if !stages.contains(&stage) {
                *slot = None;
            }
        }
        Self::try_from(file)
    }

    /// A configuration that reads data for one stage and holds nothing back for validation.
    pub(crate) fn for_stage(
        stage: Stage,
        fit: ImageFit,
        region: Option<f64>,
        seed: u64,
    ) -> Result<Self, CascadeError> {
        let region = region.map_or_else(String::new, |margin| format!("region = {{ margin = {margin:?} }}"));
        let fit = if stage.is_box() || fit == ImageFit::Stretch {
            String::new()
        } else {
            format!("image_fit = \"{}\"", fit.name())
        };
        let text = format!(
            "name = \"evaluation\"\nseed = {seed}\n[data]\nvalidation_share = 0.0\nsplit_seed = {seed}\n\
             [stages.{stage}]\n{fit}\n{region}\n"
        );
        Self::from_toml(&text, "evaluation")
    }

    fn file(&self) -> Result<CascadeFile, CascadeError> {
        toml::from_str(&self.resolved).map_err(|source| CascadeError::Toml {
            name: "resolved configuration".to_owned(),
            source: Box::new(source),
        })
    }
}

impl TryFrom<CascadeFile> for CascadeConfig {
    type Error = CascadeError;

    fn try_from(file: CascadeFile) -> Result<Self, Self::Error> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if file.name.is_empty() || !file.name.chars().all(is_name) {
            return Err(CascadeError::setting(
                "name",
                &file.name,
                "expected letters, digits, `-`, `_` and `.`",
            ));
        }
        file.data.check()?;
        let prompt = PromptConfig::from(file.prompt.clone());
        if !(0.0..1.0).contains(&prompt.prune) {
            return Err(CascadeError::setting(
                "prompt.prune",
                prompt.prune,
                "expected 0 or more and below 1",
            ));
        }
        let mut stages = BTreeMap::new();
        let written = [
            (Stage::PancreasBox, &file.stages.pancreas_box),
            (Stage::TumorYesNo, &file.stages.tumor_yes_no),
            (Stage::TumorBox, &file.stages.tumor_box),
            (Stage::Organs, &file.stages.organs),
        ];
        for (stage, written) in written {
            if let Some(written) = written {
                stages.insert(stage, stage_config(stage, written, &file, prompt.settings.mode)?);
            }
        }
        if stages.is_empty() {
            return Err(CascadeError::setting("stages", "nothing", "expected at least one stage"));
        }
        check_evaluation(&file.evaluation)?;
        let resolved = toml::to_string(&file).map_err(|error| {
            CascadeError::setting("configuration", "resolved", format!("cannot be written: {error}"))
        })?;
        Ok(Self {
            name: file.name,
            seed: file.seed,
            model: ModelConfig::try_from(&file.model)?,
            prompt,
            data: file.data,
            stages,
            evaluation: file.evaluation,
            resolved,
        })
    }
}

fn stage_config(
    stage: Stage,
    written: &StageFile,
    file: &CascadeFile,
    mode: PromptMode,
) -> Result<StageConfig, CascadeError> {
    let field = format!("stages.{stage}");
    let training_file = written.training.over(&file.training);
    let augmentation = training_file.augmentation();
    augmentation.check(&format!("{field}.training.augmentation"))?;
    if stage.is_box() && augmentation.flip {
        let field = format!("{field}.training.augmentation.flip");
        return Err(CascadeError::setting(field, true, "sides mean something to boxes"));
    }
    if stage.is_box() && augmentation.whole_pixels {
        let field = format!("{field}.training.augmentation.whole_pixels");
        return Err(CascadeError::setting(field, true, "boxes are placed between pixels"));
    }
    if stage.is_box() && written.image_fit != ImageFit::Stretch {
        let field = format!("{field}.image_fit");
        return Err(CascadeError::setting(field, format!("{:?}", written.image_fit), "boxes need `stretch`"));
    }
    if let Some(region) = &written.region {
        region.check(stage, &format!("{field}.region"))?;
    }
    let (views, most) = (written.views.unwrap_or(1), u32::try_from(LOOKS.len()).unwrap_or(1));
    if !(1..=most).contains(&views) || (stage.is_box() && views != 1) {
        let reason = format!("expected 1 to {most}, of boxes 1");
        return Err(CascadeError::setting(format!("{field}.views"), views, reason));
    }
    if stage.is_box() && written.calibrate {
        let field = format!("{field}.calibrate");
        return Err(CascadeError::setting(field, true, "only yes and no have a probability to set right"));
    }
    ConversationData::check(&written.conversations, &format!("{field}.conversations"))?;
    // Stages draw apart: the same sample has another instruction in another stage.
    let training = training_file.resolve(file.seed.wrapping_add(stage as u64), mode);
    training.validate()?;
    let start = written.start.unwrap_or(match stage.previous() {
        Some(_) => StageStart::Previous,
        None => StageStart::Base,
    });
    Ok(StageConfig {
        start,
        datasets: written.datasets.clone(),
        image_fit: written.image_fit,
        region: written.region.clone(),
        views,
        calibrate: written.calibrate,
        conversations: written.conversations.clone(),
        augmentation,
        training,
        goal: written.goal,
    })
}

fn check_evaluation(evaluation: &EvaluationSettings) -> Result<(), CascadeError> {
    let counts = [
        ("batch_size", evaluation.batch_size, 1, 4096),
        ("validation_samples", evaluation.validation_samples, 1, usize::MAX),
        ("probe_trees", evaluation.probe_trees, 1, 10_000),
        ("examples", evaluation.examples, 0, 24),
    ];
    for (field, value, least, most) in counts {
        if !(least..=most).contains(&value) {
            let reason = format!("expected {least} to {most}");
            return Err(CascadeError::setting(format!("evaluation.{field}"), value, reason));
        }
    }
    Ok(())
}

impl PromptConfig {
    /// What goes with a checkpoint's own settings where nothing else is said.
    pub(crate) fn of(settings: PromptSettings) -> Self {
        let file = PromptFile {
            mode: settings.mode,
            box_format: settings.box_format,
            box_decode: settings.box_decode,
            ..PromptFile::default()
        };
        Self { settings, ..Self::from(file) }
    }
}

impl From<PromptFile> for PromptConfig {
    fn from(file: PromptFile) -> Self {
        let is_reference = file.mode == PromptMode::Reference;
        let edges = if is_reference { TargetEdges::Stored } else { TargetEdges::Covered };
        let settings = PromptSettings {
            mode: file.mode,
            box_format: file.box_format,
            box_decode: file.box_decode,
            history: if is_reference { AnswerHistory::EndSymbolOnly } else { AnswerHistory::Keep },
        };
        Self {
            settings,
            instructions: file.instructions,
            style: AnswerStyle { format: file.box_format, edges: file.box_edges.unwrap_or(edges) },
            decoding: file.decoding,
            prune: file.prune.unwrap_or(GroundedOptions::default().prune),
            box_from: file.box_from.unwrap_or(if is_reference { BoxFrom::Grid } else { BoxFrom::Mean }),
            yes_no_question: file.yes_no_question,
            yes_no_views: 1,
            yes_no_scaling: None,
        }
    }
}

impl StageConfig {
    /// Whether the vision tower learns in it.
    #[must_use]
    pub fn trains_tower(&self) -> bool {
        self.training.trainable == TrainableParts::Everything
    }
}
