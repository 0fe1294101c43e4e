//! One stage judged: by a run, or by itself from its checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use ct_slices::index::{SplitFile, SplitPart};
use vlm_infer::{PromptSettings, open_tokenizer};
use vlm_model::{FeatureFormat, MiniGpt, Precision, load_checkpoint};
use vlm_prompt::Tokenizer;

use crate::answerer::ModelAnswerer;
use crate::config::{CascadeConfig, Decoding, EvaluationSettings, PromptConfig};
use crate::data::{RunData, Samples, StageSample, patient_key};
use crate::evaluate::{EvaluationInput, Prediction, evaluate_samples, write_predictions};
use crate::events::{CascadeEvent, Observe};
use crate::figures::write_figures;
use crate::images::{ImageFeatures, ImageFit};
use crate::region::Locator;
use crate::train_stage::StageRecord;
use crate::{CascadeError, Evaluation, Stage, StageRegion};

/// What a stage's model is judged with.
#[derive(Debug)]
pub struct StageEvaluation<'a> {
    /// The stage.
    pub stage: Stage,
    /// The model.
    pub model: &'a MiniGpt,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// How it is asked.
    pub prompt: PromptConfig,
    /// How much is computed.
    pub settings: EvaluationSettings,
    /// Name of the part.
    pub part: &'a str,
    /// Samples that judge.
    pub samples: &'a [StageSample],
    /// Training samples, for the probes.
    pub train: &'a [StageSample],
    /// The images of both.
    pub images: &'a mut ImageFeatures,
    /// Where files and figures go; none: nowhere.
    pub out: Option<&'a Path>,
    /// Seed of draws.
    pub seed: u64,
}

/// Asks a model about all samples, scores it, and writes predictions, scores and figures.
///
/// # Errors
/// [`CascadeError::NoSamples`], [`CascadeError::Stopped`], and what images, the model or files
/// return.
pub fn evaluate_stage(
    run: StageEvaluation<'_>,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<(Evaluation, Vec<Prediction>), CascadeError> {
    let StageEvaluation { stage, model, tokenizer, prompt, settings, samples, train, images, out, .. } = run;
    images.begin(model)?;
    let table = images.shared_table();
    let mut progress = |done, total| observe(CascadeEvent::Progress { what: "answers", done, total });
    let mut answerer =
        ModelAnswerer::new(model, tokenizer, prompt, images, settings.batch_size, &mut progress, stop)?;
    let input = EvaluationInput {
        stage,
        part: run.part,
        samples,
        train,
        table: &table,
        prompt,
        settings,
        seed: run.seed,
    };
    let (evaluation, predictions) = evaluate_samples(&mut answerer, &input)?;
    if let Some(out) = out {
        write_figures(out, &evaluation, &predictions, samples, &table, settings.examples)?;
        write_predictions(out, &evaluation, &predictions)?;
    }
    observe(CascadeEvent::Evaluated(&evaluation));
    Ok((evaluation, predictions))
}

/// The patients that a checkpoint is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluationPart {
    /// Patients that no training sees.
    Test,
    /// Patients that chose the checkpoint.
    Validation,
    /// Patients that it learned from.
    Train,
}

/// What a checkpoint is judged with, by itself.
#[derive(Debug, Clone)]
pub struct CheckpointEvaluation {
    /// A checkpoint folder of ours, or a folder of published files.
    pub checkpoint: PathBuf,
    /// The stage; none: as the checkpoint says.
    pub stage: Option<Stage>,
    /// Prepared folders, or a folder of images with `labels.csv`.
    pub data: Vec<PathBuf>,
    /// The part that judges.
    pub part: EvaluationPart,
    /// A split file in place of the data's own split; for images with a table.
    pub split: Option<PathBuf>,
    /// Number type of the frozen weights.
    pub precision: Precision,
    /// Other decoding than the checkpoint was trained for; none: the same.
    pub decoding: Option<Decoding>,
    /// How much is computed.
    pub settings: EvaluationSettings,
    /// Where files and figures go; none: nowhere.
    pub out: Option<PathBuf>,
    /// Seed of draws, and of the split of images with a table where the checkpoint tells none.
    pub seed: u64,
}

impl CheckpointEvaluation {
    /// The test part of one folder, with all numbers and no files.
    #[must_use]
    pub fn new(checkpoint: PathBuf, data: PathBuf) -> Self {
        Self {
            checkpoint,
            stage: None,
            data: vec![data],
            part: EvaluationPart::Test,
            split: None,
            precision: Precision::F32,
            decoding: None,
            settings: EvaluationSettings::default(),
            out: None,
            seed: 42,
        }
    }
}

/// A checkpoint with how it is asked.
#[derive(Debug)]
pub(crate) struct OpenCheckpoint {
    pub(crate) model: MiniGpt,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) prompt: PromptConfig,
    pub(crate) stage: Stage,
    pub(crate) image_fit: ImageFit,
    /// What it is shown, and the folder of what finds it.
    pub(crate) region: Option<StageRegion>,
    pub(crate) split_seed: Option<u64>,
    /// Salt and marks of the patients that chose it.
    pub(crate) validation: (String, BTreeSet<String>),
}

/// Opens a checkpoint for a stage: as its `stage.json` says, else as its prompt settings say.
pub(crate) fn open_checkpoint(
    folder: &Path,
    stage: Option<Stage>,
    precision: Precision,
    device: &Device,
) -> Result<OpenCheckpoint, CascadeError> {
    let record = StageRecord::read(folder).ok();
    let (model, _, prompt) = load_checkpoint(folder, precision, device, &mut |_, _| {})?;
    let tokenizer = open_tokenizer(folder)?;
    let settings = PromptSettings::from_json(&prompt).map_err(CascadeError::json(folder))?;
    let missing =
        || CascadeError::setting("stage", "nothing", "the checkpoint does not say its stage: name it");
    let stage = stage.or(record.as_ref().map(|record| record.stage)).ok_or_else(missing)?;
    let of_stage = record.as_ref().filter(|record| record.stage == stage);
    let image_fit = of_stage.map_or_else(ImageFit::default, |record| record.image_fit);
    let region = of_stage
        .and_then(|record| record.region.clone())
        .map(|region| StageRegion { locator: folder.join(&region.locator), ..region });
    Ok(OpenCheckpoint {
        split_seed: record.as_ref().map(|record| record.split_seed),
        validation: record
            .as_ref()
            .map(|record| (record.split_sha256.clone(), record.validation_marks.clone()))
            .unwrap_or_default(),
        model,
        tokenizer,
        prompt: record.as_ref().map_or_else(|| PromptConfig::of(settings), |record| record.prompt),
        stage,
        image_fit,
        region,
    })
}

/// Judges a checkpoint on data.
///
/// # Errors
/// Those of [`evaluate_stage`], and what the checkpoint and the data's files return.
pub fn evaluate_checkpoint(
    evaluation: &CheckpointEvaluation,
    device: &Device,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<Evaluation, CascadeError> {
    let CheckpointEvaluation { checkpoint, data, seed, .. } = evaluation;
    let mut opened = open_checkpoint(checkpoint, evaluation.stage, evaluation.precision, device)?;
    opened.prompt.decoding = evaluation.decoding.unwrap_or(opened.prompt.decoding);
    // Another split would judge patients that were learned from.
    let split_seed = opened.split_seed.unwrap_or(*seed);
    let margin = opened.region.as_ref().map(|region| region.margin);
    let config = CascadeConfig::for_stage(opened.stage, opened.image_fit, margin, split_seed)?;
    let size_px = opened.model.config().vision.image_size;
    let mut run_data = RunData::load(&config, data, size_px)?;
    let mut samples = run_data.samples.remove(&opened.stage).unwrap_or_default();
    if let Some(path) = &evaluation.split {
        samples = split_by_file(samples, &SplitFile::read(path)?);
    }
    let mut images = ImageFeatures::new(Arc::clone(&run_data.table), FeatureFormat::F32);
    if let Some(region) = &opened.region {
        observe(CascadeEvent::Part("finding the pancreas"));
        let mut locator = Locator::open(&region.locator, evaluation.precision, device)?;
        let mut progress = |done, total| observe(CascadeEvent::Progress { what: "answers", done, total });
        locator.frame_samples(&mut samples, region.margin, &mut images, &mut progress, stop)?;
    }
    let Samples { train, validation: _, test } = samples;
    let (salt, marks) = &opened.validation;
    let (validation, mut train): (Vec<_>, Vec<_>) =
        train.into_iter().partition(|sample| marks.contains(&sample.patient_mark(salt)));
    train.retain(|sample| sample.framed_truth().is_some());
    let (part, judged, learned) = match evaluation.part {
        EvaluationPart::Test => ("test", test, train),
        EvaluationPart::Validation => ("validation", validation, train),
        // The probe has nothing else to learn from.
        EvaluationPart::Train => ("train", train, Vec::new()),
    };
    let run = StageEvaluation {
        stage: opened.stage,
        model: &opened.model,
        tokenizer: &opened.tokenizer,
        prompt: opened.prompt,
        settings: evaluation.settings,
        part,
        samples: &judged,
        train: &learned,
        images: &mut images,
        out: evaluation.out.as_deref(),
        seed: *seed,
    };
    evaluate_stage(run, observe, stop).map(|(evaluation, _)| evaluation)
}

/// The same samples in the parts of a split file, which names patients, or `source/patient` where
/// the samples are of several sources. Patients that it does not name are left out.
fn split_by_file(samples: Samples, split: &SplitFile) -> Samples {
    let parts: BTreeMap<&str, SplitPart> = split.parts();
    let part_of = |sample: &StageSample| {
        let key = patient_key(&sample.dataset, &sample.patient);
        parts.get(key.as_str()).or_else(|| parts.get(sample.patient.as_str())).copied()
    };
    let mut again = Samples::default();
    let mut seen = BTreeSet::new();
    for sample in samples.train.into_iter().chain(samples.validation).chain(samples.test) {
        if !seen.insert((sample.whole_image(), sample.target)) {
            continue;
        }
        match part_of(&sample) {
            Some(SplitPart::Train) => again.train.push(sample),
            Some(SplitPart::Test) => again.test.push(sample),
            None => {}
        }
    }
    again
}
