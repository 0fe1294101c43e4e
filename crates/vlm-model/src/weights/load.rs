//! Files to model, one tensor at a time.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Instant;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Element, Tensor, TensorData};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use serde_json::Value;

use super::adapter_config::{ADAPTER_CONFIG_FILE, AdapterConfig, target_names};
use super::tensor_set::TensorSet;
use super::{
    Ignored, LoadReport, Mismatch, ModelFiles, Part, PlannedTensor, UnknownTensor, WeightsError, discover,
    fit, tensor_plan,
};
use crate::{MiniGpt, MiniGptConfig, Precision, resize_position_embedding};

const POSITIONS: &str = "visual_encoder.pos_embed";

/// Builds a model and fills every parameter from files.
///
/// Names and shapes of all files are compared with the model before the first tensor is read. Then
/// one tensor at a time is read, cast to the model's number type, uploaded and dropped: the host
/// holds little more than the largest one. `progress` is told the bytes read and the bytes to read.
///
/// `ln_vision` alone may be missing, as it is in published checkpoints (SPEC 3.4): it keeps ones
/// and zeros. A position embedding of another grid is resized (SPEC 3.3).
///
/// # Errors
/// [`WeightsError::Incompatible`] where tensors are missing, unknown or of another shape;
/// [`WeightsError::NoAdapters`] for a checkpoint without a LoRA tensor of an adapted model;
/// [`WeightsError::Setting`] if a PEFT folder was trained with other settings than `config`'s;
/// others for files that cannot be read.
pub fn load(
    files: &ModelFiles,
    config: &MiniGptConfig,
    precision: Precision,
    device: &Device,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(MiniGpt, LoadReport), WeightsError> {
    load_parts(files, config, &Part::ALL, precision, device, progress)
}

/// As [`load`], but only these parts; the others stay empty, to be filled in another way.
///
/// # Errors
/// As [`load`], for the tensors of these parts.
pub fn load_parts(
    files: &ModelFiles,
    config: &MiniGptConfig,
    parts: &[Part],
    precision: Precision,
    device: &Device,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(MiniGpt, LoadReport), WeightsError> {
    let start = Instant::now();
    let model = MiniGpt::empty(config, precision, device)?;
    check_adapter(files, config)?;
    let set = TensorSet::open(files, config.vision.depth)?;
    let plan: Vec<PlannedTensor> =
        tensor_plan(config).into_iter().filter(|tensor| parts.contains(&tensor.part)).collect();
    let mut report = compare(&set, &plan, config, parts);
    if parts.contains(&Part::Adapters) {
        check_any_adapter(files, config, &plan, &set)?;
    }
    if !report.is_complete() {
        return Err(WeightsError::Incompatible(Box::new(report)));
    }
    let total = report.matched.iter().filter_map(|name| set.info(name)).map(|info| info.n_bytes()).sum();
    let mut filler = Filler {
        set: &set,
        published: plan.iter().map(|tensor| (tensor.path.as_str(), tensor.published.as_str())).collect(),
        grid: config.vision.grid(),
        precision,
        device: device.clone().without_autodiff(),
        path: Vec::new(),
        done: 0,
        total,
        progress,
        error: None,
    };
    let mut model = model.map(&mut filler);
    if let Some(error) = filler.error {
        return Err(error);
    }
    // An image has hundreds of tokens; the language model's weights meet single ones too.
    model.vision_tower = model.vision_tower.for_many_rows();
    report.bytes = filler.done;
    report.seconds = start.elapsed().as_secs_f64();
    Ok((model, report))
}

/// Opens a model folder: [`discover`](super::discover), then [`load`].
///
/// Returned with the model are the report and the folder's prompt settings, null where it has none.
///
/// # Errors
/// As these two.
pub fn load_checkpoint(
    folder: &Path,
    precision: Precision,
    device: &Device,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(MiniGpt, LoadReport, Value), WeightsError> {
    let (config, files, prompt) = discover(folder)?;
    let (model, report) = load(&files, &config, precision, device, progress)?;
    Ok((model, report, prompt))
}

/// A PEFT folder's own settings against the model's.
fn check_adapter(files: &ModelFiles, config: &MiniGptConfig) -> Result<(), WeightsError> {
    match (&files.adapter, &config.lora) {
        (Some(folder), Some(lora)) if folder.join(ADAPTER_CONFIG_FILE).is_file() => {
            AdapterConfig::read(folder)?.check(folder, lora)
        }
        _ => Ok(()),
    }
}

/// An adapted model must not silently become the base model (SPEC 3.8 c).
fn check_any_adapter(
    files: &ModelFiles,
    config: &MiniGptConfig,
    plan: &[PlannedTensor],
    set: &TensorSet,
) -> Result<(), WeightsError> {
    let (Some(lora), Some(path)) = (&config.lora, files.adapter.as_ref().or(files.checkpoint.as_ref()))
    else {
        return Ok(());
    };
    let is_found =
        |tensor: &PlannedTensor| tensor.part == Part::Adapters && set.info(&tensor.published).is_some();
    if plan.iter().any(is_found) {
        return Ok(());
    }
    Err(WeightsError::NoAdapters { path: path.clone(), targets: target_names(&lora.targets) })
}

/// What the files hold against what the model needs.
fn compare(set: &TensorSet, plan: &[PlannedTensor], config: &MiniGptConfig, parts: &[Part]) -> LoadReport {
    let mut report =
        LoadReport { unknown: set.unknown.clone(), ignored: set.ignored.clone(), ..LoadReport::default() };
    for PlannedTensor { published, part, shape, .. } in plan {
        let Some(info) = set.info(published) else {
            let list = if *part == Part::LnVision { &mut report.defaulted } else { &mut report.missing };
            list.push(published.clone());
            continue;
        };
        let is_resized = published == POSITIONS && is_other_grid(&info.shape, shape);
        if info.shape == *shape || is_resized {
            report.matched.push(published.clone());
            if is_resized {
                report.resized.push(published.clone());
            }
        } else {
            let (_, path) = set.source(published).expect("found above");
            report.mismatched.push(Mismatch {
                name: published.clone(),
                path: path.to_owned(),
                file: info.shape.clone(),
                model: shape.clone(),
                hint: fit::hint(published, &info.shape, shape),
            });
        }
    }
    let planned: BTreeSet<&str> = plan.iter().map(|tensor| tensor.published.as_str()).collect();
    for published in set.published().filter(|published| !planned.contains(published)) {
        let (name, file) = set.source(published).expect("a name of the set");
        let (name, file) = (name.to_owned(), file.to_owned());
        let is_head = config.llama.tied_head && published.ends_with(".lm_head.weight");
        if Part::of(published).is_some_and(|part| !parts.contains(&part)) {
            report.ignored.push(Ignored { name, file, reason: "of a part that is not asked for".to_owned() });
        } else if is_head {
            report.ignored.push(Ignored { name, file, reason: "the head is the token embedding".to_owned() });
        } else {
            report.unknown.push(UnknownTensor { name, file });
        }
    }
    report
}

/// Whether a position embedding is for another square grid of the same width.
fn is_other_grid(file: &[usize], model: &[usize]) -> bool {
    let (&[1, n_rows, width], &[1, _, model_width]) = (file, model) else { return false };
    let grid = n_rows.saturating_sub(1).isqrt();
    file != model && width == model_width && grid > 0 && grid * grid + 1 == n_rows
}

struct Filler<'a> {
    set: &'a TensorSet,
    /// Published names by module path.
    published: HashMap<&'a str, &'a str>,
    /// Patches along one edge of the model's image.
    grid: usize,
    precision: Precision,
    device: Device,
    path: Vec<String>,
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
    /// The first failure: a mapper cannot return one.
    error: Option<WeightsError>,
}

impl Filler<'_> {
    /// The values of a parameter in the model's number type, or `None` if it keeps its default.
    fn values(&mut self, path: &str) -> Result<Option<TensorData>, WeightsError> {
        let Some(published) = self.published.get(path).copied() else { return Ok(None) };
        let Some(info) = self.set.info(published) else { return Ok(None) };
        let n_bytes = info.n_bytes();
        let data = self.set.read(published)?;
        let data = cast(data, declared_dtype(path, self.precision))
            .map_err(|reason| self.failed(published, reason))?;
        let data = if published == POSITIONS { self.positions(data)? } else { data };
        self.done += n_bytes;
        Ok(Some(data))
    }

    /// The position embedding for the model's image size.
    fn positions(&self, data: TensorData) -> Result<TensorData, WeightsError> {
        let width = data.shape()[2];
        if data.shape()[1] == 1 + self.grid * self.grid {
            return Ok(data);
        }
        let table = data.try_into_vec::<f32>().map_err(|error| self.failed(POSITIONS, error.to_string()))?;
        let table = resize_position_embedding(&table, width, self.grid)?;
        Ok(TensorData::new(table, [1, 1 + self.grid * self.grid, width]))
    }

    fn failed(&self, published: &str, reason: String) -> WeightsError {
        let (name, path) = self.set.source(published).expect("a name of the set");
        WeightsError::Tensor { path: path.to_owned(), name: name.to_owned(), reason }
    }
}

impl ModuleMapper for Filler<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        match self.values(&self.path.join(".")) {
            Ok(None) => param,
            Ok(Some(data)) => {
                let dtype = data.dtype();
                let tensor = Tensor::from_data(data, (&self.device, dtype));
                (self.progress)(self.done, self.total);
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}

/// The number type that the empty model's parameter declares: asking it would fill it with zeros.
fn declared_dtype(path: &str, precision: Precision) -> DType {
    let is_f32 = path.starts_with("projector.")
        || [".adapter.a", ".adapter.b", ".gamma", ".beta"].iter().any(|end| path.ends_with(end))
        || matches!(path, "vision_tower.cls_token" | "vision_tower.pos_embed");
    if is_f32 { DType::F32 } else { precision.frozen_dtype() }
}

/// Casts floats; a weight of integers is a quantized one, which is not read here.
///
/// Between f32 and the halves the processor's own instructions convert, some ten times as fast as
/// burn's cast of one element after the other.
fn cast(data: TensorData, dtype: DType) -> Result<TensorData, String> {
    let from = data.dtype();
    if !matches!(from, DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
        return Err(format!("`{from:?}`, expected a float type"));
    }
    let fast = match (from, dtype) {
        (DType::F16, DType::F32) => widen::<f16>(&data),
        (DType::BF16, DType::F32) => widen::<bf16>(&data),
        (DType::F32, DType::F16) => narrow::<f16>(&data),
        (DType::F32, DType::BF16) => narrow::<bf16>(&data),
        (DType::F16, DType::BF16) => exchange::<f16, bf16>(&data),
        (DType::BF16, DType::F16) => exchange::<bf16, f16>(&data),
        _ => None,
    };
    fast.map_or_else(|| data.try_cast(dtype).map_err(|error| error.to_string()), Ok)
}

fn widen<H: Element>(data: &TensorData) -> Option<TensorData>
where
    [H]: HalfFloatSliceExt,
{
    let mut values = vec![0.0; data.num_elements()];
    data.as_slice::<H>().ok()?.convert_to_f32_slice(&mut values);
    Some(TensorData::new(values, data.shape().clone()))
}

fn narrow<H: Element + Default>(data: &TensorData) -> Option<TensorData>
where
    [H]: HalfFloatSliceExt,
{
    let mut values = vec![H::default(); data.num_elements()];
    values.convert_from_f32_slice(data.as_slice::<f32>().ok()?);
    Some(TensorData::new(values, data.shape().clone()))
}

fn exchange<From: Element, To: Element + Default>(data: &TensorData) -> Option<TensorData>
where
    [From]: HalfFloatSliceExt,
    [To]: HalfFloatSliceExt,
{
    const CHUNK: usize = 4096;
    let mut between = [0.0; CHUNK];
    let mut values = vec![To::default(); data.num_elements()];
    for (from, to) in data.as_slice::<From>().ok()?.chunks(CHUNK).zip(values.chunks_mut(CHUNK)) {
        let between = &mut between[..from.len()];
        from.convert_to_f32_slice(between);
        to.convert_from_f32_slice(between);
    }
    Some(TensorData::new(values, data.shape().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_casts_are_burns_casts() {
        let values = [0.0, -0.0, 1.0, -2.5, 1e-7, 6e-8, 65504.0, 1e6, -1e30, 1e-40, f32::INFINITY, f32::NAN];
        let many: Vec<f32> = values.into_iter().cycle().take(5000).collect();
        let floats = [DType::F64, DType::F32, DType::F16, DType::BF16];
        for from in floats {
            for to in floats {
                let data = TensorData::new(many.clone(), [50, 100]).convert_dtype(from);
                // halves have no direct way: over f32, as here
                let expected = data.clone().convert_dtype(DType::F32).convert_dtype(to);
                let got = cast(data, to).unwrap();
                assert_eq!((got.dtype(), got.shape()), (to, expected.shape()));
                let bits = |data: TensorData| {
                    let values: Vec<f64> = data.convert_dtype(DType::F64).try_into_vec().unwrap();
                    values.into_iter().map(|value| if value.is_nan() { u64::MAX } else { value.to_bits() })
                };
                assert!(bits(got).eq(bits(expected)), "{from:?} to {to:?}");
            }
        }
        assert!(cast(TensorData::new(vec![1_i32], [1]), DType::F32).is_err());
    }
}
