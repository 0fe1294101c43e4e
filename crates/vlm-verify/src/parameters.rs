//! Parameters and gradients of a model as host values, by published names.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use vlm_model::{MiniGpt, ModelError, published_name};

use crate::VerifyError;
use crate::golden_file::{Array, GoldenFile};

/// Tensors by published names.
pub(crate) type Named = BTreeMap<String, Array<f32>>;

/// Values of the learning parameters.
pub(crate) fn learning_parameters(model: &MiniGpt) -> Result<Named, ModelError> {
    collect(model, None)
}

/// All gradients.
pub(crate) fn gradients(model: &MiniGpt, gradients: &GradientsParams) -> Result<Named, ModelError> {
    collect(model, Some(gradients))
}

/// All tensors of a file.
pub(crate) fn of_file(file: &GoldenFile) -> Result<Named, VerifyError> {
    file.names().map(|name| Ok((name.to_owned(), file.need_floats(name, 0)?))).collect()
}

/// A tensor's values.
pub(crate) fn read_back<const D: usize>(tensor: Tensor<D>) -> Result<Array<f32>, ModelError> {
    let shape = tensor.dims().to_vec();
    let data = tensor.without_autodiff().cast(DType::F32).try_into_data();
    let data = data.map_err(|error| ModelError::ReadBack(error.to_string()))?;
    Ok(Array { shape, values: data.iter::<f32>().collect() })
}

fn collect(model: &MiniGpt, gradients: Option<&GradientsParams>) -> Result<Named, ModelError> {
    let mut visitor = Collect { gradients, path: Vec::new(), found: Ok(Named::new()) };
    model.visit(&mut visitor);
    visitor.found
}

struct Collect<'a> {
    /// None: the learning parameters themselves.
    gradients: Option<&'a GradientsParams>,
    path: Vec<String>,
    found: Result<Named, ModelError>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id),
            None => (param.is_initialized() && param.is_require_grad()).then(|| param.val()),
        };
        let (Some(tensor), Ok(found)) = (tensor, &mut self.found) else { return };
        let path = self.path.join(".");
        match read_back(tensor) {
            Ok(values) => _ = found.insert(published_name(&path).unwrap_or(path), values),
            Err(error) => self.found = Err(error),
        }
    }
}
