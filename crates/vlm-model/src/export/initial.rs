//! The first weights of a model, from a seed.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use serde_json::Value;

use super::ExportError;
use super::checkpoint::{CheckpointOptions, write_parts};
use super::draws::{Distribution, draw};
use super::source::{dims, held_dtype, initial_sources};
use crate::{CheckpointManifest, LoraConfig, MiniGpt, MiniGptConfig, ModelError, Precision};

/// Standard deviation of the matrices, as LLaMA and ViT are started.
const MATRIX_STD: f32 = 0.02;

/// A model with random first weights, the same for one seed on every platform.
///
/// Each tensor depends on the seed, its module path and its shape alone, so the frozen weights do
/// not change with the adapters.
///
/// # Errors
/// [`ModelError::Config`] if no model can have these sizes.
///
/// # Source
/// SPEC 3.4 (projector: torch's default for linear maps), 3.6 (A Kaiming-uniform with `a = √5`, B
/// zeros); matrices are normal with a standard deviation of 0.02, norms ones, biases zeros.
pub fn initialized_model(
    config: &MiniGptConfig,
    seed: u64,
    precision: Precision,
    device: &Device,
) -> Result<MiniGpt, ModelError> {
    let model = MiniGpt::empty(config, precision, device)?;
    let device = device.clone().without_autodiff();
    let projector_inputs = config.merged_width();
    Ok(model.map(&mut Initialize {
        seed,
        precision,
        device,
        projector_inputs,
        adapters_only: false,
        path: Vec::new(),
    }))
}

/// A model with new adapters in place of those it has: they change nothing until they learn. The
/// frozen weights stay as they are.
///
/// # Errors
/// [`ModelError::Config`] for adapters that cannot be.
///
/// # Source
/// SPEC 3.6: A Kaiming-uniform with `a = √5`, B zeros.
pub fn with_new_adapters(model: MiniGpt, lora: &LoraConfig, seed: u64) -> Result<MiniGpt, ModelError> {
    lora.validate()?;
    let device = model.device().without_autodiff();
    let projector_inputs = model.config().merged_width();
    let model = model.adapted(lora);
    // Adapters are f32 whatever the frozen weights are.
    let precision = Precision::F32;
    Ok(model.map(&mut Initialize {
        seed,
        precision,
        device,
        projector_inputs,
        adapters_only: true,
        path: Vec::new(),
    }))
}

/// Writes a checkpoint folder with the weights of [`initialized_model`], one tensor at a time and
/// without building the model: the published sizes need a gigabyte of memory.
///
/// # Errors
/// As [`write_checkpoint`](crate::write_checkpoint), and [`ModelError::Config`] if no model can
/// have these sizes.
pub fn init_checkpoint(
    config: &MiniGptConfig,
    seed: u64,
    precision: Precision,
    folder: &Path,
    prompt: &Value,
    options: &CheckpointOptions,
) -> Result<CheckpointManifest, ExportError> {
    config.validate()?;
    let sources = initial_sources(config, seed, precision)?;
    write_parts(&sources, config, precision.frozen_dtype(), folder, prompt, options)
}

struct Initialize {
    seed: u64,
    precision: Precision,
    device: Device,
    projector_inputs: usize,
    adapters_only: bool,
    path: Vec<String>,
}

impl ModuleMapper for Initialize {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        if self.adapters_only && !path.contains(".adapter.") {
            return param;
        }
        let shape = dims(&param.lazy_shape());
        let dtype = held_dtype(&path, self.precision);
        let data = initial_values(&path, &shape, dtype, self.projector_inputs, self.seed);
        Param::initialized(param.id, Tensor::from_data(data, (&self.device, dtype)))
    }
}

/// The first values of one parameter. `projector_inputs` is the width that the projector reads:
/// its bias depends on it.
pub(crate) fn initial_values(
    path: &str,
    shape: &[usize],
    dtype: DType,
    projector_inputs: usize,
    seed: u64,
) -> TensorData {
    let values = draw(distribution(path, shape, projector_inputs), shape.iter().product(), seed, path);
    rounded(values, shape, dtype)
}

/// Values as a tensor of 16- or 32-bit floats.
pub(crate) fn rounded(values: Vec<f32>, shape: &[usize], dtype: DType) -> TensorData {
    match dtype {
        DType::F16 => {
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(&values);
            TensorData::new(halves, shape.to_vec())
        }
        DType::BF16 => {
            let mut halves = vec![bf16::ZERO; values.len()];
            halves.convert_from_f32_slice(&values);
            TensorData::new(halves, shape.to_vec())
        }
        _ => TensorData::new(values, shape.to_vec()),
    }
}

fn distribution(path: &str, shape: &[usize], projector_inputs: usize) -> Distribution {
    if path.starts_with("projector.") {
        return Distribution::Uniform(inverse_root(projector_inputs));
    }
    if path.ends_with(".adapter.a") {
        return Distribution::Uniform(inverse_root(shape[1]));
    }
    if path.ends_with(".adapter.b") {
        return Distribution::Constant(0.0);
    }
    if path.starts_with("vision_tower.stem.") && path.ends_with(".weight") {
        // No norm follows: He's rule keeps the size of activations.
        return Distribution::Normal(inverse_root(shape[1..].iter().product()) * std::f32::consts::SQRT_2);
    }
    match path.rsplit('.').next().unwrap_or(path) {
        "gamma" => Distribution::Constant(1.0),
        "beta" | "bias" | "q_bias" | "v_bias" => Distribution::Constant(0.0),
        _ => Distribution::Normal(MATRIX_STD),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "widths are small")]
fn inverse_root(fan_in: usize) -> f32 {
    (1.0 / (fan_in as f64).sqrt()) as f32
}
