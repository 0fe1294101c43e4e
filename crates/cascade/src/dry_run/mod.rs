//! What a run would take: sizes, samples, memory, disk, time.

mod estimate;
mod sizes;

use burn::tensor::Device;
use ct_slices::dataset::discover;
use serde::Serialize;
use vlm_model::MiniGptConfig;

use crate::base::base_sizes;
use crate::config::{CascadeConfig, StageConfig};
use crate::data::RunData;
use crate::{CascadeError, RESEARCH_NOTE, Stage};

pub use sizes::{MemoryEstimate, ParameterCounts};

/// What a run would take. Times and memory are estimates and say so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPlan {
    /// What results may be used for.
    pub note: String,
    /// Name of the configuration.
    pub name: String,
    /// Sizes of the model.
    pub sizes: MiniGptConfig,
    /// Parameters by part.
    pub parameters: ParameterCounts,
    /// The stages.
    pub stages: Vec<StagePlan>,
    /// Memory of the largest stage.
    pub memory: MemoryEstimate,
    /// Bytes that the run writes, data left out.
    pub disk_bytes: u64,
    /// Operations a second that times are computed with.
    pub flops_per_s: f64,
    /// Whether that was measured by a small matrix product here, or given.
    pub is_measured: bool,
    /// Estimated seconds of all stages.
    pub estimated_s: f64,
    /// What would keep the run from working.
    pub problems: Vec<String>,
}

/// What one stage would take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StagePlan {
    /// The stage.
    pub stage: Stage,
    /// Steps of its training.
    pub steps: u64,
    /// Samples of a step.
    pub batch_size: usize,
    /// Samples that training draws in all.
    pub samples_drawn: u64,
    /// Samples of the parts, where the data are there already.
    pub n_train: Option<usize>,
    /// For choosing.
    pub n_validation: Option<usize>,
    /// For judging.
    pub n_test: Option<usize>,
    /// Positions of a sequence, about.
    pub positions: usize,
    /// Estimated operations.
    pub flops: f64,
    /// Estimated seconds.
    pub estimated_s: f64,
}

/// Resolves a configuration, looks at its data and says what a run would take. Nothing is written,
/// no weights are read.
///
/// `flops_per_s` is what the machine computes; none: it is measured with a small matrix product.
///
/// # Errors
/// [`CascadeError::Weights`] or [`CascadeError::NoEmbeddedBase`] if the sizes of the model cannot
/// be known. What is wrong with data or memory is in the plan's problems.
pub fn plan_run(
    config: &CascadeConfig,
    device: &Device,
    flops_per_s: Option<f64>,
) -> Result<RunPlan, CascadeError> {
    let sizes = base_sizes(&config.model)?;
    let parameters = ParameterCounts::of(&sizes);
    let mut problems = Vec::new();
    let data = look_at_data(config, sizes.vision.image_size, &mut problems);
    if let crate::BaseModel::Folder(folder) = &config.model.base
        && !folder.exists()
    {
        problems.push(format!("the base `{}` is not there", folder.display()));
    }
    let (rate, is_measured) = match flops_per_s {
        Some(rate) => (rate, false),
        None => (estimate::measured_flops(device), true),
    };
    let mut stages = Vec::new();
    let mut memory = MemoryEstimate::default();
    for (stage, settings) in &config.stages {
        let counts = data.as_ref().and_then(|data| data.of(*stage));
        let plan = stage_plan(*stage, settings, &sizes, &parameters, counts, rate);
        let n_images = data.as_ref().map_or(0, |data| data.table.len());
        let of_stage = MemoryEstimate::of(&sizes, &parameters, config, settings, plan.positions, n_images);
        if of_stage.total_bytes > memory.total_bytes {
            memory = of_stage;
        }
        if counts.is_some_and(|samples| samples.train.is_empty()) {
            problems.push(format!("stage `{stage}` has no training sample"));
        }
        if counts.is_some_and(|samples| samples.test.is_empty()) {
            problems.push(format!("stage `{stage}` has no test sample"));
        }
        stages.push(plan);
    }
    if let Some(free) = sizes::free_memory_bytes().filter(|free| memory.total_bytes > *free) {
        let [need, free] = [memory.total_bytes, free].map(|bytes| bytes >> 20);
        problems.push(format!("about {need} MiB of memory are needed, {free} MiB are free here"));
    }
    Ok(RunPlan {
        note: RESEARCH_NOTE.to_owned(),
        name: config.name.clone(),
        disk_bytes: disk_bytes(config, &parameters),
        estimated_s: stages.iter().map(|stage| stage.estimated_s).sum(),
        sizes,
        parameters,
        stages,
        memory,
        flops_per_s: rate,
        is_measured,
        problems,
    })
}

/// Reads what data there is; what is missing becomes a problem.
fn look_at_data(config: &CascadeConfig, size_px: usize, problems: &mut Vec<String>) -> Option<RunData> {
    let data = &config.data;
    if !data.folders.is_empty() {
        return match RunData::load(config, &data.folders, size_px) {
            Ok(data) => Some(data),
            Err(error) => {
                problems.push(describe(&error));
                None
            }
        };
    }
    for raw in &data.raw {
        let known = ct_slices::dataset::builtin_datasets();
        let Some(dataset) = known.into_iter().find(|dataset| dataset.name == raw.name) else {
            problems.push(format!("no dataset is named `{}`", raw.name));
            continue;
        };
        let root = raw.root.clone().unwrap_or_else(|| dataset.root.clone());
        match discover(&dataset, &root) {
            Ok(found) => {
                let expected = dataset.expected_volumes.unwrap_or(found.studies.len());
                if found.studies.len() != expected {
                    let n = found.studies.len();
                    problems.push(format!("`{}` has {n} studies, expected {expected}", raw.name));
                }
            }
            Err(error) => problems.push(describe(&error)),
        }
    }
    if data.raw.is_empty() && data.phantoms.is_empty() {
        problems.push("the configuration names no data: give `--data`".to_owned());
    }
    None
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn stage_plan(
    stage: Stage,
    settings: &StageConfig,
    sizes: &MiniGptConfig,
    parameters: &ParameterCounts,
    samples: Option<&crate::data::Samples>,
    rate: f64,
) -> StagePlan {
    let steps = settings.training.schedule.n_steps();
    let batches = match settings.training.accumulation.mode {
        vlm_train::AccumulationMode::Corrected => settings.training.accumulation.n_batches,
        vlm_train::AccumulationMode::Published => 1,
    };
    let samples_drawn = steps * batches * settings.training.batch_size as u64;
    let positions = estimate::positions(sizes);
    let n_images = samples.map(|samples| samples.train.len() + samples.validation.len() + samples.test.len());
    let flops = estimate::training_flops(
        sizes,
        parameters,
        settings.trains_tower(),
        samples_drawn,
        n_images,
        positions,
    );
    StagePlan {
        stage,
        steps,
        batch_size: settings.training.batch_size,
        samples_drawn,
        n_train: samples.map(|samples| samples.train.len()),
        n_validation: samples.map(|samples| samples.validation.len()),
        n_test: samples.map(|samples| samples.test.len()),
        positions,
        flops,
        estimated_s: flops / rate.max(1.0),
    }
}

/// Checkpoints of every stage: what is trained three times (weights, two moments), and the chosen
/// one with what is copied of the base.
fn disk_bytes(config: &CascadeConfig, parameters: &ParameterCounts) -> u64 {
    let per_stage = |settings: &StageConfig| {
        let trained = if settings.trains_tower() { parameters.total } else { parameters.trainable };
        let n_steps = settings.training.schedule.n_steps();
        let n_written = n_steps.div_ceil(settings.training.checkpoint_every);
        let n_kept = (settings.training.keep_last as u64 + 1).min(n_written + 1);
        let copied = if 4 * parameters.total <= 64 << 20 { parameters.total } else { parameters.trainable };
        n_kept * 3 * 4 * trained + 4 * copied
    };
    config.stages.values().map(per_stage).sum()
}
