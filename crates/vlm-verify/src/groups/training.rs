//! Optimizer steps: learning rates, losses, weights and moments.

use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use serde::Deserialize;
use vlm_model::{MiniGpt, Precision, Trainable};
use vlm_train::{
    OptimizerConfig, Schedule, ScheduleMode, StepOptions, TrainingBatch, moments, optimizer, train_step,
};

use super::minigpt::Composed;
use crate::check::Checker;
use crate::error::InGroup;
use crate::golden_file::{Array, GoldenFile, read_json};
use crate::model_files::first_file;
use crate::parameters::{Named, learning_parameters, of_file};
use crate::{Group, GroupKind, Tolerance, VerifyError};

/// Longer runs are no golden fixtures.
const MAX_STEPS: u64 = 10_000;

/// `train.json`: settings and series.
#[derive(Debug, Deserialize)]
struct Run {
    steps: u64,
    warmup_steps: u64,
    warmup_lr: f64,
    init_lr: f64,
    min_lr: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    /// File of the first weights, relative to the folder above.
    start: Option<String>,
    lr: Option<Vec<f64>>,
    loss: Option<Vec<f64>>,
    loss_after_last_step: Option<f64>,
    full_loss: Option<Vec<f64>>,
    full_loss_after_last_step: Option<f64>,
}

pub(crate) fn check(
    folder: &Path,
    all: &[Group],
    device: &Device,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let run: Run = read_json(&folder.join("train.json"))?;
    let schedule = Schedule {
        warmup_lr: Some(run.warmup_lr),
        init_lr: run.init_lr,
        min_lr: run.min_lr,
        warmup_steps: run.warmup_steps,
        steps_per_epoch: run.steps,
        n_epochs: 1,
        mode: ScheduleMode::Published,
    };
    schedule.validate().in_group(folder)?;
    if run.steps > MAX_STEPS {
        let what = format!("at most {MAX_STEPS} steps, not {}", run.steps);
        return Err(VerifyError::MissingPart { path: folder.to_path_buf(), what });
    }
    let rates: Vec<f64> = (0..run.steps).map(|step| schedule.lr(step)).collect();
    if let Some(expected) = &run.lr {
        checker.series("lr", Tolerance::LearningRate, &rates, expected);
    }
    let (group, variant) = model_group(folder, run.start.as_deref(), all)?;
    let group = Composed::open(&group)?;
    let settings = OptimizerConfig {
        beta_1: run.betas[0],
        beta_2: run.betas[1],
        epsilon: run.eps,
        weight_decay: run.weight_decay,
    };
    let trainable = Trainable::AdaptersAndProjector;
    let mut training =
        Training::new(folder, &group, &variant, trainable, &settings, device, checker.precision)?;
    for (step, lr) in rates.iter().enumerate() {
        training.step(folder, *lr)?;
        check_weights(folder, step + 1, &training, checker)?;
    }
    training.check_losses("loss", run.loss.as_deref(), run.loss_after_last_step, folder, &rates, checker)?;
    if run.full_loss.is_none() {
        return Ok(());
    }
    if checker.precision != Precision::F32 {
        checker.skip("full_loss", "weights in reduced precision do not learn in steps this small");
        return Ok(());
    }
    let everything = Trainable::Everything;
    let mut training =
        Training::new(folder, &group, &variant, everything, &settings, device, checker.precision)?;
    for lr in &rates {
        training.step(folder, *lr)?;
    }
    let expected = run.full_loss.as_deref();
    training.check_losses("full_loss", expected, run.full_loss_after_last_step, folder, &rates, checker)
}

/// The composed group and the variant that a run starts from.
fn model_group(folder: &Path, start: Option<&str>, all: &[Group]) -> Result<(PathBuf, String), VerifyError> {
    let parent = folder.parent().unwrap_or(folder);
    let start = Path::new(start.unwrap_or("minigpt_v2/trainable_qv.safetensors"));
    let name = start.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let variant = name.strip_prefix("trainable_").and_then(|name| name.strip_suffix(".safetensors"));
    let named = start.parent().map(|group| parent.join(group));
    let others =
        all.iter().filter(|group| group.kind == GroupKind::MiniGpt).map(|group| group.folder.clone());
    let found = named.into_iter().chain(others).find(|group| group.join(&name).is_file());
    match (found, variant) {
        (Some(group), Some(variant)) => Ok((group, variant.to_owned())),
        _ => {
            let what = format!("the weights that it starts from, `{}`", start.display());
            Err(VerifyError::MissingPart { path: folder.to_path_buf(), what })
        }
    }
}

/// One run, step by step.
struct Training {
    model: MiniGpt,
    optimizer: ModuleOptimizer,
    batch: TrainingBatch,
    losses: Vec<f64>,
}

impl Training {
    fn new(
        folder: &Path,
        group: &Composed,
        variant: &str,
        trainable: Trainable,
        settings: &OptimizerConfig,
        device: &Device,
        precision: Precision,
    ) -> Result<Self, VerifyError> {
        let model = group.model(variant, precision, device)?.with_trainable(trainable);
        let optimizer = optimizer(&model, settings).in_group(folder)?;
        let batch = group.batch(&model, device)?;
        Ok(Self { model, optimizer, batch, losses: Vec::new() })
    }

    fn step(&mut self, folder: &Path, lr: f64) -> Result<(), VerifyError> {
        let options = StepOptions::default();
        let step = train_step(self.model.clone(), &mut self.optimizer, &self.batch, lr, &options);
        let (model, report) = step.in_group(folder)?;
        self.model = model;
        self.losses.push(f64::from(report.loss));
        Ok(())
    }

    fn check_losses(
        mut self,
        name: &str,
        expected: Option<&[f64]>,
        after: Option<f64>,
        folder: &Path,
        rates: &[f64],
        checker: &mut Checker<'_>,
    ) -> Result<(), VerifyError> {
        if let Some(expected) = expected {
            checker.series(name, Tolerance::TrainingLoss, &self.losses, expected);
        }
        if let Some(after) = after {
            // A step reports the loss before its update; what it updates to does not matter here.
            self.step(folder, rates.last().copied().unwrap_or(0.0))?;
            let last = self.losses.last().copied().unwrap_or(f64::NAN);
            checker.number(&format!("{name}_after_last_step"), Tolerance::TrainingLoss, last, after);
        }
        Ok(())
    }
}

/// Weights and moments after a step, where they are golden.
fn check_weights(
    folder: &Path,
    n_steps: usize,
    training: &Training,
    checker: &mut Checker<'_>,
) -> Result<(), VerifyError> {
    let kind = match n_steps {
        1 => Tolerance::WeightsAfterOne,
        2 => Tolerance::WeightsAfterTwo,
        _ => Tolerance::WeightsAfterMany,
    };
    let weights = format!("weights_step{n_steps}");
    if let Some(path) = first_file(folder, &[&format!("{weights}.safetensors")]) {
        let actual = learning_parameters(&training.model).in_group(folder)?;
        checker.named(&weights, kind, &actual, &of_file(&GoldenFile::open(&path)?)?);
    }
    let state = format!("adamw_state_step{n_steps}");
    if let Some(path) = first_file(folder, &[&format!("{state}.safetensors")]) {
        let mut actual = Named::new();
        for (name, moments) in moments(&training.optimizer, &training.model).in_group(folder)? {
            for (field, data) in [("exp_avg", moments.first), ("exp_avg_sq", moments.second)] {
                let array = Array { shape: data.shape().to_vec(), values: data.iter::<f32>().collect() };
                actual.insert(format!("{name}.{field}"), array);
            }
        }
        checker.named(&state, Tolerance::MomentShare, &actual, &of_file(&GoldenFile::open(&path)?)?);
    }
    Ok(())
}
