//! Where the data of each tensor come from when it is written: a model, or a seed.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Shape, Tensor, TensorData};

use super::initial::initial_values;
use super::{ExportError, TensorHeader};
use crate::weights::{LLAMA_PREFIX, VISION_PREFIX};
use crate::{MiniGptConfig, ModelError, Part, Precision, published_name, tensor_plan};

type Read<'a> = Box<dyn Fn() -> Result<TensorData, ExportError> + 'a>;

/// A tensor that can be read when its turn comes.
pub(crate) struct Source<'a> {
    pub(crate) part: Part,
    /// Its name in the file of its part.
    pub(crate) header: TensorHeader,
    /// Module path.
    pub(crate) path: String,
    pub(crate) read: Read<'a>,
}

impl<'a> Source<'a> {
    fn new(path: String, dtype: DType, shape: Vec<usize>, read: Read<'a>) -> Result<Self, ExportError> {
        let named = published_name(&path).and_then(|name| Some((Part::of(&name)?, name)));
        let Some((part, published)) = named else {
            return Err(ExportError::Name { path });
        };
        let prefix = match part {
            Part::VisionTower => VISION_PREFIX,
            Part::LanguageModel => LLAMA_PREFIX,
            // PEFT saves the wrapped model without what holds it.
            Part::Adapters => "llama_model.",
            Part::LnVision | Part::Projector => "",
        };
        let name = published.strip_prefix(prefix).unwrap_or(&published).to_owned();
        Ok(Self { part, header: TensorHeader { name, dtype, shape }, path, read })
    }
}

/// The tensors of a module that is the model, or its part at `prefix`.
///
/// They are shared, not copied, and read back one at a time.
pub(crate) fn module_sources<M: Module>(
    module: &M,
    prefix: &str,
) -> Result<Vec<Source<'static>>, ExportError> {
    let path = if prefix.is_empty() { Vec::new() } else { vec![prefix.to_owned()] };
    let mut collect = Collect { path, found: Vec::new() };
    module.visit(&mut collect);
    collect.found.into_iter().collect()
}

struct Collect {
    path: Vec<String>,
    found: Vec<Result<Source<'static>, ExportError>>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val().without_autodiff();
        let (dtype, shape) = (tensor.dtype(), tensor.dims().to_vec());
        let read = move || {
            let data = tensor.clone().try_into_data();
            data.map_err(|error| ExportError::Model(ModelError::ReadBack(error.to_string())))
        };
        self.found.push(Source::new(self.path.join("."), dtype, shape, Box::new(read)));
    }
}

/// The first weights of a model that is not built.
pub(crate) fn initial_sources(
    config: &MiniGptConfig,
    seed: u64,
    precision: Precision,
) -> Result<Vec<Source<'static>>, ExportError> {
    let projector_inputs = config.merged_width();
    let plan = tensor_plan(config).into_iter().map(|planned| {
        let dtype = held_dtype(&planned.path, precision);
        let (path, shape) = (planned.path.clone(), planned.shape.clone());
        let read = move || Ok(initial_values(&path, &shape, dtype, projector_inputs, seed));
        Source::new(planned.path, dtype, planned.shape, Box::new(read))
    });
    plan.collect()
}

/// The number type in which a model holds the parameter at `path`: what is not a weight of a
/// frozen linear map, patch embedding or token embedding is f32 always.
pub(crate) fn held_dtype(path: &str, precision: Precision) -> DType {
    let name = path.rsplit('.').next().unwrap_or(path);
    let is_trained = path.starts_with("projector.") || path.contains(".adapter.");
    if is_trained || matches!(name, "gamma" | "beta" | "cls_token" | "pos_embed") {
        DType::F32
    } else {
        precision.frozen_dtype()
    }
}

pub(crate) fn dims(shape: &Shape) -> Vec<usize> {
    shape.iter().copied().collect()
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::MiniGpt;

    #[test]
    fn a_model_and_its_plan_have_the_same_tensors() {
        for config in [MiniGptConfig::nano(), MiniGptConfig { lora: None, ..MiniGptConfig::nano() }] {
            let model = MiniGpt::empty(&config, Precision::F16, &Device::flex()).unwrap();
            let held: Vec<_> =
                module_sources(&model, "").unwrap().into_iter().map(|one| (one.path, one.header)).collect();
            let planned: Vec<_> = initial_sources(&config, 1, Precision::F16)
                .unwrap()
                .into_iter()
                .map(|one| (one.path, one.header))
                .collect();
            assert_eq!(held, planned, "paths, names, shapes and types");
        }
    }
}
