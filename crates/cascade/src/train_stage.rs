//! One stage trained, from the model it starts with to the checkpoint that is chosen.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use vlm_metrics::PlattScaling;
use vlm_model::MiniGpt;
use vlm_train::{
    BatchImages, CallerError, Ending, GradientSync, ImageId, ImageProvider, MixtureEntry, Provenance, Single,
    TrainError, TrainingRun, load_trained_weights, train,
};

use crate::answerer::ModelAnswerer;
use crate::base::{StartModel, write_stage_checkpoint};
use crate::config::{CascadeConfig, PromptConfig, StageConfig};
use crate::data::{Conversations, Samples, StageSample, StageSource};
use crate::evaluate::{validation_score, write_json, yes_probabilities};
use crate::events::{CascadeEvent, Observe};
use crate::images::ImageFeatures;
use crate::{CascadeError, Stage, StageRegion};

/// The chosen checkpoint in a stage's folder.
pub const CHECKPOINT_FOLDER: &str = "checkpoint";
/// The training loop's folder in a stage's folder.
pub const TRAINING_FOLDER: &str = "training";
/// What a checkpoint was trained for, in its folder.
pub const STAGE_FILE: &str = "stage.json";

/// What a stage's checkpoint was trained for: `stage.json` in its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRecord {
    /// What the file is for.
    pub note: String,
    /// The stage.
    pub stage: Stage,
    /// Name of the configuration.
    pub configuration: String,
    /// How it is asked.
    pub prompt: PromptConfig,
    /// How its images become squares.
    pub image_fit: crate::ImageFit,
    /// What of them it is shown; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<StageRegion>,
    /// Steps of the chosen weights.
    pub step: u64,
    /// Their score on the validation patients; none without validation.
    pub validation_score: Option<f64>,
    /// Samples it learned from.
    pub n_train: usize,
    /// Samples that chose it.
    pub n_validation: usize,
    /// Seed that patients without a split were split with: judged again, they are split alike.
    pub split_seed: u64,
    /// SHA-256 of the split.
    pub split_sha256: String,
    /// SHA-256 of the weights it started from.
    pub start_sha256: String,
    /// What tells the patients that chose it from those it learned from, without naming them: hashes,
    /// which whoever can guess a name can check.
    #[serde(default)]
    pub validation_marks: BTreeSet<String>,
}

impl StageRecord {
    /// Reads the record of a checkpoint folder.
    ///
    /// # Errors
    /// [`CascadeError::Io`] where there is none, [`CascadeError::Json`].
    pub fn read(checkpoint: &Path) -> Result<Self, CascadeError> {
        let path = checkpoint.join(STAGE_FILE);
        let bytes = fs_err::read(&path).map_err(CascadeError::io(&path))?;
        serde_json::from_slice(&bytes).map_err(CascadeError::json(&path))
    }
}

/// What a stage is trained with.
#[derive(Debug)]
pub struct StageRun<'a> {
    /// The stage.
    pub stage: Stage,
    /// The run's configuration, which has the stage.
    pub config: &'a CascadeConfig,
    /// Its samples.
    pub samples: &'a Samples,
    /// Other questions and answers that it learns too.
    pub conversations: &'a [Conversations],
    /// The images of all of them.
    pub images: &'a mut ImageFeatures,
    /// What found the regions that the samples show; none where they show all.
    pub region: Option<StageRegion>,
    /// The model it starts from.
    pub start: StartModel,
    /// SHA-256 of the split.
    pub split_sha256: &'a str,
    /// The stage's folder.
    pub out: &'a Path,
    /// Whether a training that the folder holds goes on.
    pub resume: bool,
}

/// What a stage led to.
#[derive(Debug)]
pub struct StageOutcome {
    /// The chosen weights.
    pub model: MiniGpt,
    /// Their checkpoint folder.
    pub checkpoint: PathBuf,
    /// What it was trained for.
    pub record: StageRecord,
    /// Why the training ended.
    pub ending: Ending,
}

/// Trains a stage in `out/training`, chooses the checkpoint with the best validation score (the
/// last one without validation) and writes it to `out/checkpoint`.
///
/// # Errors
/// [`CascadeError::NoSamples`], [`CascadeError::Stopped`] after everything is saved, and what
/// training, validation or files return.
pub fn train_stage(
    run: StageRun<'_>,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<StageOutcome, CascadeError> {
    match train_stage_on_ranks(run, &mut Single, observe, stop)? {
        Some(outcome) => Ok(outcome),
        None => unreachable!("a process alone is the first rank"),
    }
}

/// As [`train_stage`], by several processes with one run folder, each with its part of every batch. The first alone
/// chooses and writes; the others return nothing once they are not needed any more.
pub(crate) fn train_stage_on_ranks(
    run: StageRun<'_>,
    ranks: &mut dyn GradientSync,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<Option<StageOutcome>, CascadeError> {
    let StageRun { stage, config, samples, conversations, images, region, start, split_sha256, out, resume } =
        run;
    let settings = stage_settings(config, stage)?;
    if samples.train.is_empty() {
        let reason = format!("no training slice has the task `{}`", stage.task());
        return Err(CascadeError::NoSamples { stage: stage.name(), part: "training", reason });
    }
    let mut prompt = PromptConfig { yes_no_views: settings.views, ..config.prompt };
    let sources = sources(stage, config, settings, samples, images);
    let mut training = settings.training.clone();
    if samples.validation.is_empty() {
        // Nothing to choose by: the last checkpoint is taken, as published.
        training.validate_every = None;
        training.early_stopping = None;
    }
    images.set_learning(settings.trains_tower());
    images.begin(&start.model)?;
    if !settings.trains_tower() {
        let mut ids: Vec<ImageId> = sources.iter().flat_map(StageSource::repeated_views).collect();
        ids.extend(conversations.iter().flat_map(|data| data.source.images().map(|(image, _)| image)));
        ids.extend(samples.validation.iter().map(|sample| crate::images::View::plain(sample.image).id()));
        images.prepare(
            &start.model,
            &ids,
            &mut |done, total| observe(CascadeEvent::Progress { what: "vision features", done, total }),
            stop,
        )?;
    }
    let shared = RefCell::new(images);
    let mut provider = SharedImages(&shared);
    let never = AtomicBool::new(false);
    let mut validate = |model: &MiniGpt| -> Result<f64, CallerError> {
        let mut images = shared.borrow_mut();
        let mut quiet = |_, _| {};
        let mut answerer = ModelAnswerer::new(
            model,
            &start.tokenizer,
            prompt,
            &mut images,
            config.evaluation.batch_size,
            &mut quiet,
            &never,
        )?;
        let most = config.evaluation.validation_samples;
        Ok(validation_score(&mut answerer, stage, &prompt, &samples.validation, most, config.seed)?)
    };
    let validates = training.validate_every.is_some();
    let outcome = train(TrainingRun {
        model: start.model.clone(),
        tokenizer: &start.tokenizer,
        config: &training,
        sources: mixture(sources, conversations),
        images: &mut provider,
        folder: &out.join(TRAINING_FOLDER),
        resume,
        provenance: Provenance {
            config: serde_json::json!({ "stage": stage, "configuration": config.to_toml() }),
            split_sha256: split_sha256.to_owned(),
            base_weights_sha256: start.sha256.clone(),
        },
        stop,
        validate: if validates { Some(&mut validate) } else { None },
        observe: &mut |event| observe(CascadeEvent::Training { stage, event }),
        sync: &mut *ranks,
    })?;
    let images = shared.into_inner();
    images.set_learning(false);
    // All stop where one is asked to, and none before the first has saved.
    let mut stopped =
        [f64::from(u8::from(outcome.ending == Ending::Stopped || stop.load(Ordering::Relaxed)))];
    ranks.sum(&mut stopped)?;
    if stopped[0] > 0.0 {
        return Err(CascadeError::Stopped);
    }
    if ranks.ranks().rank > 0 {
        return Ok(None);
    }
    let (model, step, score) = match &outcome.best {
        Some(best) => {
            let model = load_trained_weights(start.model.clone(), &best.folder)?;
            (model, best.best.step, Some(best.best.score))
        }
        None => (outcome.model, outcome.step, None),
    };
    if settings.calibrate {
        images.begin(&model)?;
        let mut quiet = |_, _| {};
        let (size, n) = (config.evaluation.batch_size, config.evaluation.validation_samples);
        let tokenizer = &start.tokenizer;
        let mut answerer = ModelAnswerer::new(&model, tokenizer, prompt, images, size, &mut quiet, stop)?;
        let scored = yes_probabilities(&mut answerer, stage, &prompt, &samples.validation, n, config.seed)?;
        prompt.yes_no_scaling = PlattScaling::fit(&scored);
    }
    let checkpoint = out.join(CHECKPOINT_FOLDER);
    write_stage_checkpoint(&model, &checkpoint, &config.prompt.settings, &start, settings.trains_tower())?;
    let record = StageRecord {
        note: crate::RESEARCH_NOTE.to_owned(),
        stage,
        configuration: config.name.clone(),
        prompt,
        image_fit: settings.image_fit,
        region,
        step,
        validation_score: score,
        n_train: samples.train.len(),
        n_validation: samples.validation.len(),
        split_seed: config.data.split_seed,
        split_sha256: split_sha256.to_owned(),
        start_sha256: start.sha256,
        validation_marks: samples.validation.iter().map(|sample| sample.patient_mark(split_sha256)).collect(),
    };
    write_json(&checkpoint.join(STAGE_FILE), &record)?;
    Ok(Some(StageOutcome { model, checkpoint, record, ending: outcome.ending }))
}

pub(crate) fn stage_settings(config: &CascadeConfig, stage: Stage) -> Result<&StageConfig, CascadeError> {
    config
        .stages
        .get(&stage)
        .ok_or_else(|| CascadeError::setting("stages", stage, "the configuration has no such stage"))
}

/// One source per dataset, as published (SPEC 4.2).
fn sources(
    stage: Stage,
    config: &CascadeConfig,
    settings: &StageConfig,
    samples: &Samples,
    images: &ImageFeatures,
) -> Vec<StageSource> {
    let mut by_dataset: BTreeMap<&str, Vec<StageSample>> = BTreeMap::new();
    for sample in &samples.train {
        by_dataset.entry(&sample.dataset).or_default().push(sample.clone());
    }
    let source = |(dataset, samples): (&str, Vec<StageSample>)| {
        let (pool, style) = (config.prompt.instructions, config.prompt.style);
        StageSource::new(dataset, stage, samples, pool, style, images.table(), settings.trains_tower())
    };
    by_dataset.into_iter().map(source).collect()
}

/// The stage's sources, drawn alike as published (SPEC 4.2), and conversations with their shares.
fn mixture(sources: Vec<StageSource>, conversations: &[Conversations]) -> Vec<MixtureEntry> {
    if conversations.is_empty() {
        return sources.into_iter().map(MixtureEntry::new).collect();
    }
    let left = 1.0 - conversations.iter().map(|data| data.share).sum::<f64>();
    #[expect(clippy::cast_precision_loss, reason = "data sets are few")]
    let share = left / sources.len() as f64;
    let own = sources.into_iter().map(|source| MixtureEntry::with_ratio(source, share));
    own.chain(conversations.iter().map(|data| MixtureEntry::with_ratio(data.source.clone(), data.share)))
        .collect()
}

/// Images that the training loop and its validation take turns with.
struct SharedImages<'a, 'b>(&'a RefCell<&'b mut ImageFeatures>);

impl ImageProvider for SharedImages<'_, '_> {
    fn batch(&mut self, model: &MiniGpt, images: &[ImageId]) -> Result<BatchImages, TrainError> {
        self.0.borrow_mut().batch(model, images)
    }
}
