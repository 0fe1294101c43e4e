//! The run itself.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use ct_volume::write_atomic;
use run_folder::{RunLock, remove_partial_below};
use vlm_model::{DeviceChoice, FeatureFormat, MANIFEST_FILE};
use vlm_train::{GradientSync, Single};

use super::{Environment, Timings, prepare_data, prepared_folders};
use crate::base::{BASE_FOLDER, StartModel, open_base, open_folder};
use crate::config::{BaseModel, CascadeConfig, StageStart};
use crate::data::{RunData, Samples};
use crate::embedded::{write_embedded_base, write_embedded_stage};
use crate::evaluate::{Prediction, write_json};
use crate::evaluate_stage::{StageEvaluation, evaluate_stage};
use crate::events::{CascadeEvent, Observe};
use crate::images::ImageFeatures;
use crate::region::Locator;
use crate::report::{ReportInput, write_report};
use crate::train_stage::{
    CHECKPOINT_FOLDER, STAGE_FILE, StageRecord, StageRun, stage_settings, train_stage_on_ranks,
};
use crate::{CascadeError, Evaluation, RegionSettings, Stage, StageRegion};

const CONFIG_FILE: &str = "config.toml";
const LOCATOR_FOLDER: &str = "locator";

/// How a run is carried out; nothing here changes what it makes.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The run folder.
    pub out: PathBuf,
    /// Whether a run that the folder holds goes on.
    pub resume: bool,
    /// Where models run.
    pub device: DeviceChoice,
    /// Threads for everything but the backend's own; none: as many as there are cores.
    pub threads: Option<usize>,
    /// Vision features are kept in this folder too.
    pub feature_cache: Option<PathBuf>,
}

impl RunOptions {
    /// A new run in a folder, with defaults.
    #[must_use]
    pub fn new(out: PathBuf) -> Self {
        Self { out, resume: false, device: DeviceChoice::Auto, threads: None, feature_cache: None }
    }

    fn n_threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, Into::into);
        self.threads.unwrap_or_else(cores).max(1)
    }
}

/// A stage that was trained and judged.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatedStage {
    /// What was trained.
    pub record: StageRecord,
    /// The chosen checkpoint.
    pub checkpoint: PathBuf,
    /// How it did.
    pub evaluation: Evaluation,
}

/// What a run made.
#[derive(Debug, Clone, PartialEq)]
pub struct CascadeOutcome {
    /// The stages, in order.
    pub stages: Vec<EvaluatedStage>,
    /// The page for people.
    pub report: PathBuf,
}

/// Makes or reads the data, trains and judges every stage, and writes the report.
///
/// ```text
/// OUT/config.toml  environment.json  provenance.json  timings.json  splits/  data/  base/
/// OUT/STAGE/training/    the training loop's checkpoints and logs
/// OUT/STAGE/checkpoint/  the chosen weights
/// OUT/STAGE/test/        evaluation.json, predictions.jsonl, COCO and reference files, figures/
/// OUT/report.html  report.json
/// ```
///
/// A part that is complete is not made again. The same configuration makes the same numbers on the
/// CPU, however often the run was stopped.
///
/// # Errors
/// [`CascadeError::Lock`] where another process works in the folder,
/// [`CascadeError::RunExists`] without `resume`, [`CascadeError::Changed`] for another
/// configuration, [`CascadeError::Stopped`] after `stop` was set and everything was saved, and what
/// data, training, evaluation or files return.
pub fn run_cascade(
    config: &CascadeConfig,
    options: &RunOptions,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<CascadeOutcome, CascadeError> {
    match run_cascade_on_ranks(config, options, &mut Single, observe, stop)? {
        Some(outcome) => Ok(outcome),
        None => unreachable!("a process alone is the first rank"),
    }
}

/// As [`run_cascade`], by several processes that train one stage together. They share the run folder and see the
/// data under the same paths. The first rank alone locks, prepares, judges and writes; the others take their part of
/// every batch and return nothing once they are not needed any more.
///
/// # Errors
/// Those of [`run_cascade`]; [`CascadeError::Setting`] for several ranks and more or less than one stage;
/// [`CascadeError::Train`] where ranks were started differently. An error of one rank is not one of the others,
/// which wait for it: whoever calls ends them.
pub fn run_cascade_on_ranks(
    config: &CascadeConfig,
    options: &RunOptions,
    ranks: &mut dyn GradientSync,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<Option<CascadeOutcome>, CascadeError> {
    let out = options.out.as_path();
    let (is_first, is_alone) = (ranks.ranks().rank == 0, ranks.ranks().world_size <= 1);
    if !is_alone && config.stages.len() != 1 {
        let reason = "several ranks train one stage at a time";
        return Err(CascadeError::setting("stages", config.stages.len(), reason));
    }
    let _lock = is_first.then(|| RunLock::take(out)).transpose()?;
    if is_first {
        keep_configuration(config, options)?;
        // What a run that was killed left under temporary names.
        remove_partial_below(out).map_err(CascadeError::io(out))?;
    }
    let threads = options.n_threads();
    let environment = Environment::of(threads, &options.device.to_string());
    let mut timings = if is_first { Timings::open(out) } else { Timings::unkept() };

    let work = out.join("data");
    let folders = if is_first {
        write_json(&out.join("environment.json"), &environment)?;
        let started = Instant::now();
        fs_err::create_dir_all(&work).map_err(CascadeError::io(&work))?;
        let folders = prepare_data(config, &work, threads, observe, stop)?;
        timings.add("data", started)?;
        if !is_alone {
            write_shared_models(config, out)?;
        }
        folders
    } else {
        prepared_folders(config, &work)?
    };
    // The others wait here for what the first has made.
    ranks.sum(&mut [0.0])?;

    let device = options.device.open()?;
    observe(CascadeEvent::Part("opening the base model"));
    let base = open_base(&config.model, out, &device, &mut |_, _| {})?;
    let data = RunData::load(config, &folders, base.model.config().vision.image_size)?;
    data.check()?;
    if is_first {
        write_origin(&data, &base, config, out)?;
    }
    let format = if config.model.features_f16 { FeatureFormat::F16 } else { FeatureFormat::F32 };
    let mut images = ImageFeatures::new(Arc::clone(&data.table), format);
    if let Some(folder) = &options.feature_cache {
        images = images.with_folder(folder);
    }

    let locators = BTreeMap::new();
    let mut run = Run { config, options, data: &data, images, base: &base, device, timings, locators, ranks };
    let mut finished = BTreeMap::new();
    for stage in Stage::ALL.into_iter().filter(|stage| config.stages.contains_key(stage)) {
        let Some(done) = run.stage(stage, &finished, observe, stop)? else { return Ok(None) };
        finished.insert(stage, done);
        if stop.load(Ordering::Relaxed) {
            return Err(CascadeError::Stopped);
        }
    }
    observe(CascadeEvent::Part("writing the report"));
    let started = Instant::now();
    let stages: Vec<(EvaluatedStage, Vec<Prediction>)> = finished.into_values().collect();
    let audit = fs_err::read_to_string(work.join("audit.txt")).ok();
    run.timings.add("report", started)?;
    let input = ReportInput {
        config,
        data: &data,
        environment: &environment,
        base_sha256: &base.sha256,
        stages: &stages,
        timings: run.timings.rows(),
        audit,
        out,
    };
    write_report(&input)?;
    let stages = stages.into_iter().map(|(stage, _)| stage).collect();
    Ok(Some(CascadeOutcome { stages, report: out.join("report.html") }))
}

/// Writes the splits that were made here, and where the run comes from.
fn write_origin(
    data: &RunData,
    base: &StartModel,
    config: &CascadeConfig,
    out: &Path,
) -> Result<(), CascadeError> {
    for (place, split) in data.new_splits.iter().enumerate() {
        let splits = out.join("splits");
        fs_err::create_dir_all(&splits).map_err(CascadeError::io(&splits))?;
        split.write(&splits.join(format!("split-{}.json", place + 1)))?;
    }
    let provenance = serde_json::json!({
        "split_sha256": data.split_sha256,
        "base_weights_sha256": base.sha256,
        "seed": config.seed,
        "validation_patients": data.validation_patients,
    });
    write_json(&out.join("provenance.json"), &provenance)
}

/// Writes the embedded models that ranks open, before they do: whoever finds them whole does not write.
fn write_shared_models(config: &CascadeConfig, out: &Path) -> Result<(), CascadeError> {
    if config.model.base != BaseModel::Embedded {
        return Ok(());
    }
    write_embedded_base(&out.join(BASE_FOLDER))?;
    let mut regions = config.stages.values().filter_map(|settings| settings.region.as_ref());
    if regions.any(|region| region.locator.is_none()) {
        write_embedded_stage(Stage::PancreasBox, &out.join(LOCATOR_FOLDER))?;
    }
    Ok(())
}

/// Writes the configuration of a new run, and compares that of an old one.
fn keep_configuration(config: &CascadeConfig, options: &RunOptions) -> Result<(), CascadeError> {
    let path = options.out.join(CONFIG_FILE);
    if !path.is_file() {
        return Ok(write_atomic(&path, config.to_toml().as_bytes())?);
    }
    if !options.resume {
        return Err(CascadeError::RunExists { folder: options.out.clone() });
    }
    let kept = fs_err::read_to_string(&path).map_err(CascadeError::io(&path))?;
    let differing = || {
        let mut pairs = kept.lines().zip(config.to_toml().lines());
        let line = pairs.find(|(kept, now)| kept != now);
        line.map_or_else(
            || "one has more lines".to_owned(),
            |(kept, now)| format!("`{kept}` there, `{now}` here"),
        )
    };
    if kept == config.to_toml() {
        return Ok(());
    }
    Err(CascadeError::Changed { folder: options.out.clone(), what: differing() })
}

/// What the stages of a run share.
struct Run<'a> {
    config: &'a CascadeConfig,
    options: &'a RunOptions,
    data: &'a RunData,
    images: ImageFeatures,
    base: &'a StartModel,
    device: Device,
    timings: Timings,
    /// What finds the pancreas, by checkpoint folder.
    locators: BTreeMap<PathBuf, Locator>,
    ranks: &'a mut dyn GradientSync,
}

type Finished = BTreeMap<Stage, (EvaluatedStage, Vec<Prediction>)>;

impl Run<'_> {
    /// Trains and judges a stage, or reads what is complete. On other ranks than the first it only takes part in
    /// the training.
    fn stage(
        &mut self,
        stage: Stage,
        finished: &Finished,
        observe: Observe<'_>,
        stop: &AtomicBool,
    ) -> Result<Option<(EvaluatedStage, Vec<Prediction>)>, CascadeError> {
        let out = self.options.out.join(stage.name());
        let checkpoint = out.join(CHECKPOINT_FOLDER);
        let settings = stage_settings(self.config, stage)?;
        let previous = match settings.start {
            StageStart::Base => None,
            StageStart::Previous => stage.previous().and_then(|previous| finished.get(&previous)),
        };
        let start = match previous {
            None => self.base.clone(),
            Some((previous, _)) => {
                open_folder(&previous.checkpoint, &self.config.model, &self.device, &mut |_, _| {})?
            }
        };
        let test = out.join("test");
        let kept = if self.is_first() { kept_evaluation(&test)? } else { None };
        // The record is written last, so that it tells that the checkpoint is whole.
        let is_trained = checkpoint.join(STAGE_FILE).is_file() && checkpoint.join(MANIFEST_FILE).is_file();
        let is_trained = self.first_says(is_trained)?;
        if is_trained && !self.is_first() {
            return Ok(None);
        }
        let mut samples = self.data.of(stage).cloned().unwrap_or_default();
        let mut region = None;
        if let Some(wanted) = settings.region.as_ref().filter(|_| kept.is_none()) {
            observe(CascadeEvent::Part("finding the pancreas"));
            let started = Instant::now();
            region = Some(self.find_regions(wanted, finished, &mut samples, observe, stop)?);
            self.timings.add(&format!("{stage}: regions"), started)?;
        }
        let tokenizer = start.tokenizer.clone();
        let (record, model) = if is_trained {
            let opened = open_folder(&checkpoint, &self.config.model, &self.device, &mut |_, _| {})?;
            (StageRecord::read(&checkpoint)?, opened.model)
        } else {
            observe(CascadeEvent::Part(&format!("training {}", stage.title().to_lowercase())));
            let started = Instant::now();
            let run = StageRun {
                stage,
                config: self.config,
                samples: &samples,
                conversations: self.data.conversations_of(stage),
                images: &mut self.images,
                region,
                start,
                split_sha256: &self.data.split_sha256,
                out: &out,
                resume: true,
            };
            let outcome = train_stage_on_ranks(run, &mut *self.ranks, observe, stop);
            self.timings.add(&format!("{stage}: training"), started)?;
            let Some(outcome) = outcome? else { return Ok(None) };
            (outcome.record, outcome.model)
        };
        if let Some((evaluation, predictions)) = kept {
            return Ok(Some((EvaluatedStage { record, checkpoint, evaluation }, predictions)));
        }
        observe(CascadeEvent::Part(&format!("judging {}", stage.title().to_lowercase())));
        let started = Instant::now();
        let run = StageEvaluation {
            stage,
            model: &model,
            tokenizer: &tokenizer,
            prompt: record.prompt,
            settings: self.config.evaluation,
            part: "test",
            samples: &samples.test,
            train: &samples.train,
            images: &mut self.images,
            out: Some(&test),
            seed: self.config.seed,
        };
        let judged = evaluate_stage(run, observe, stop);
        self.timings.add(&format!("{stage}: evaluation"), started)?;
        let (evaluation, predictions) = judged?;
        Ok(Some((EvaluatedStage { record, checkpoint, evaluation }, predictions)))
    }

    fn is_first(&self) -> bool {
        self.ranks.ranks().rank == 0
    }

    /// What the first rank found, on all of them.
    fn first_says(&mut self, found: bool) -> Result<bool, CascadeError> {
        let mut first = [f64::from(u8::from(self.is_first() && found))];
        self.ranks.sum(&mut first)?;
        Ok(first[0] > 0.0)
    }

    /// Finds the regions that the samples show, and says by what.
    fn find_regions(
        &mut self,
        wanted: &RegionSettings,
        finished: &Finished,
        samples: &mut Samples,
        observe: Observe<'_>,
        stop: &AtomicBool,
    ) -> Result<StageRegion, CascadeError> {
        let out = &self.options.out;
        let folder = match (&wanted.locator, finished.get(&Stage::PancreasBox)) {
            (Some(folder), _) => folder.clone(),
            (None, Some((pancreas, _))) => pancreas.checkpoint.clone(),
            (None, None) if self.config.model.base == BaseModel::Embedded => {
                write_embedded_stage(Stage::PancreasBox, &out.join(LOCATOR_FOLDER))?
            }
            (None, None) => {
                let reason = "nothing finds the pancreas: run the pancreas stage too, or name a checkpoint";
                return Err(CascadeError::setting("region.locator", "nothing", reason));
            }
        };
        let locator = match self.locators.entry(folder.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(Locator::open(&folder, self.config.model.precision, &self.device)?)
            }
        };
        let mut progress = |done, total| observe(CascadeEvent::Progress { what: "answers", done, total });
        locator.frame_samples(samples, wanted.margin, &mut self.images, &mut progress, stop)?;
        samples.train.retain(|sample| sample.framed_truth().is_some());
        // From OUT/STAGE/checkpoint, so that run folders can be moved.
        let locator = match folder.strip_prefix(out) {
            Ok(inside) => Path::new("../..").join(inside),
            Err(_) => fs_err::canonicalize(&folder).map_err(CascadeError::io(&folder))?,
        };
        Ok(StageRegion { margin: wanted.margin, locator })
    }
}

/// An evaluation that is complete: its own file is written last.
fn kept_evaluation(folder: &Path) -> Result<Option<(Evaluation, Vec<Prediction>)>, CascadeError> {
    let path = folder.join("evaluation.json");
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = fs_err::read(&path).map_err(CascadeError::io(&path))?;
    let evaluation = serde_json::from_slice(&bytes).map_err(CascadeError::json(&path))?;
    let path = folder.join("predictions.jsonl");
    let text = fs_err::read_to_string(&path).map_err(CascadeError::io(&path))?;
    let predictions = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(CascadeError::json(&path))?;
    Ok(Some((evaluation, predictions)))
}
