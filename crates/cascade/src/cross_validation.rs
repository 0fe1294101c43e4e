//! K-fold cross-validation of the yes/no stage, by patient.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use run_folder::{RunLock, remove_partial_below};
use serde::{Deserialize, Serialize};
use vlm_metrics::{BinaryScores, Bootstrap, binary_scores, mean};
use vlm_model::{DeviceChoice, FeatureFormat};

use crate::base::open_base;
use crate::config::{CascadeConfig, EvaluationSettings};
use crate::data::{
    RunData, Samples, StageSample, cut_validation, strata_of, stratified_folds, stratified_split,
};
use crate::evaluate::write_json;
use crate::evaluate_stage::{StageEvaluation, evaluate_stage};
use crate::events::{CascadeEvent, Observe};
use crate::images::ImageFeatures;
use crate::train_stage::{StageRun, train_stage};
use crate::{CascadeError, RESEARCH_NOTE, Stage};

/// How a cross-validation is carried out.
#[derive(Debug, Clone)]
pub struct CrossValidationOptions {
    /// Folds, at least two.
    pub n_folds: usize,
    /// Prepared tumor sets, or folders of images with `labels.csv`.
    pub data: Vec<PathBuf>,
    /// Where folds are trained.
    pub out: PathBuf,
    /// Where models run.
    pub device: DeviceChoice,
}

/// One fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldScores {
    /// Samples learned from.
    pub n_train: usize,
    /// Samples that chose the checkpoint.
    pub n_validation: usize,
    /// Samples judged.
    pub n: usize,
    /// Patients of these.
    pub n_patients: usize,
    /// Step of the chosen checkpoint.
    pub step: u64,
    /// Share of right answers.
    pub accuracy: f64,
    /// Area under the ROC curve.
    pub auroc: Option<f64>,
    /// The same of the forest that knows sizes and gray levels, on the same fold.
    pub probe_accuracy: Option<f64>,
    /// Its area under the ROC curve.
    pub probe_auroc: Option<f64>,
}

/// The result: every sample answered once, by a model that has not seen its patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossValidation {
    /// What the numbers are for.
    pub note: String,
    /// The folds.
    pub folds: Vec<FoldScores>,
    /// Mean of the folds' accuracies.
    pub accuracy_mean: f64,
    /// The middle 95 % of the accuracy over all answers, patients drawn anew.
    pub accuracy_ci95: Option<[f64; 2]>,
    /// Smallest and largest accuracy of a fold.
    pub accuracy_range: [f64; 2],
    /// Mean of the probe's accuracies on the same folds.
    pub probe_accuracy_mean: Option<f64>,
    /// Scores over all answers together.
    pub pooled: BinaryScores,
}

/// Trains and judges one model per fold. Validation patients are cut from each fold's training
/// patients; the patients of the fold judge and choose nothing.
///
/// # Errors
/// [`CascadeError::Setting`] for fewer than two folds, [`CascadeError::NoSamples`], and those of
/// training and judging.
pub fn cross_validate(
    config: &CascadeConfig,
    options: &CrossValidationOptions,
    observe: Observe<'_>,
    stop: &AtomicBool,
) -> Result<CrossValidation, CascadeError> {
    if options.n_folds < 2 {
        return Err(CascadeError::setting("n_folds", options.n_folds, "expected at least 2"));
    }
    let stage = Stage::TumorYesNo;
    let out = options.out.as_path();
    if config.stages.get(&stage).is_some_and(|settings| settings.region.is_some()) {
        let reason = "folds are trained on images as they are";
        return Err(CascadeError::setting(format!("stages.{stage}.region"), "given", reason));
    }
    let _lock = RunLock::take(out)?;
    // What one that was killed left under temporary names.
    remove_partial_below(out).map_err(CascadeError::io(out))?;
    let config = config.with_folders(&options.data)?;
    let device = options.device.open()?;
    let base = open_base(&config.model, out, &device, &mut |_, _| {})?;
    let mut data = RunData::load(&config, &options.data, base.model.config().vision.image_size)?;
    let all = everyone(data.samples.remove(&stage).unwrap_or_default());
    if all.is_empty() {
        let reason = "the data hold no answers".to_owned();
        return Err(CascadeError::NoSamples { stage: stage.name(), part: "labeled", reason });
    }
    let folds = stratified_folds(&strata_of(&all), options.n_folds, config.data.split_seed);
    let mut images = ImageFeatures::new(Arc::clone(&data.table), FeatureFormat::F32);
    let mut scores = Vec::new();
    let mut pooled = Vec::new();
    for (place, held_out) in folds.iter().enumerate() {
        observe(CascadeEvent::Part(&format!("fold {} of {}", place + 1, folds.len())));
        let samples = fold_samples(&all, held_out, &config);
        let folder = out.join(format!("fold-{}", place + 1));
        let split_sha256 = format!("{} fold {} of {}", data.split_sha256, place + 1, folds.len());
        let run = StageRun {
            stage,
            config: &config,
            samples: &samples,
            conversations: data.conversations_of(stage),
            images: &mut images,
            region: None,
            start: base.clone(),
            split_sha256: &split_sha256,
            out: &folder,
            resume: true,
        };
        let outcome = train_stage(run, observe, stop)?;
        let run = StageEvaluation {
            stage,
            model: &outcome.model,
            tokenizer: &base.tokenizer,
            prompt: outcome.record.prompt,
            settings: EvaluationSettings { control_samples: 0, ..config.evaluation },
            part: "fold",
            samples: &samples.test,
            train: &samples.train,
            images: &mut images,
            out: Some(&folder.join("test")),
            seed: config.seed,
        };
        let (evaluation, predictions) = evaluate_stage(run, observe, stop)?;
        pooled.extend(pooled_cases(&samples.test, &predictions));
        let Some(answers) = evaluation.yes_no() else { continue };
        scores.push(FoldScores {
            n_train: samples.train.len(),
            n_validation: samples.validation.len(),
            n: samples.test.len(),
            n_patients: evaluation.n_patients,
            step: outcome.record.step,
            accuracy: answers.scores.accuracy,
            auroc: answers.scores.auroc,
            probe_accuracy: answers.probe_accuracy,
            probe_auroc: answers.probe_auroc,
        });
    }
    let result = summarize(scores, &pooled, &config)?;
    write_json(&out.join("cross_validation.json"), &result)?;
    Ok(result)
}

fn everyone(samples: Samples) -> Vec<StageSample> {
    let Samples { train, validation, test } = samples;
    train.into_iter().chain(validation).chain(test).collect()
}

fn fold_samples(all: &[StageSample], held_out: &BTreeSet<String>, config: &CascadeConfig) -> Samples {
    let (test, train): (Vec<_>, Vec<_>) =
        all.iter().cloned().partition(|sample| held_out.contains(&sample.patient_key()));
    let (share, seed) = (config.data.validation_share, config.data.split_seed);
    let validation = stratified_split(&strata_of(&train), share, seed).held_out;
    cut_validation(Samples { train, validation: Vec::new(), test }, &validation)
}

fn pooled_cases(samples: &[StageSample], predictions: &[crate::Prediction]) -> Vec<vlm_metrics::BinaryCase> {
    samples
        .iter()
        .zip(predictions)
        .map(|(sample, prediction)| vlm_metrics::BinaryCase {
            image: sample.name.clone(),
            patient: sample.patient_key(),
            dataset: sample.dataset.clone(),
            truth: sample.is_yes().unwrap_or_default(),
            answer: prediction.answer,
            reply: Some(prediction.text.clone()),
            probability: prediction.probability,
            lesion_mm: sample.lesion_mm,
        })
        .collect()
}

fn summarize(
    folds: Vec<FoldScores>,
    pooled: &[vlm_metrics::BinaryCase],
    config: &CascadeConfig,
) -> Result<CrossValidation, CascadeError> {
    let bootstrap = Bootstrap { n_draws: config.evaluation.bootstrap_draws, seed: config.seed };
    let pooled = binary_scores(pooled, &bootstrap)?;
    let accuracies: Vec<f64> = folds.iter().map(|fold| fold.accuracy).collect();
    let probes: Vec<f64> = folds.iter().filter_map(|fold| fold.probe_accuracy).collect();
    let extreme = |pick: fn(f64, f64) -> f64| accuracies.iter().copied().reduce(pick).unwrap_or(f64::NAN);
    Ok(CrossValidation {
        note: RESEARCH_NOTE.to_owned(),
        accuracy_mean: mean(&accuracies).unwrap_or(f64::NAN),
        accuracy_ci95: pooled.ci95.accuracy,
        accuracy_range: [extreme(f64::min), extreme(f64::max)],
        probe_accuracy_mean: mean(&probes),
        pooled,
        folds,
    })
}
