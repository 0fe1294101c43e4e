//! Parameters by their published names.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Shape, Tensor, TensorData};
use vlm_model::{MiniGpt, ModelError, published_name};

use crate::TrainError;

/// A float parameter of a model.
pub(crate) struct Parameter {
    pub(crate) id: u64,
    /// Module path.
    pub(crate) path: String,
    pub(crate) published: String,
    pub(crate) decays: bool,
}

pub(crate) fn parameters(model: &MiniGpt) -> Vec<Parameter> {
    let mut list = ListParameters::default();
    model.visit(&mut list);
    list.parameters
}

/// The published name; every parameter of the model has one, another would keep its path.
fn name_of(path: &[String]) -> String {
    let path = path.join(".");
    published_name(&path).unwrap_or(path)
}

fn read_back<const D: usize>(tensor: Tensor<D>) -> Result<TensorData, TrainError> {
    let data = tensor.without_autodiff().try_into_data();
    data.map_err(|error| ModelError::ReadBack(error.to_string()).into())
}

#[derive(Default)]
struct ListParameters {
    path: Vec<String>,
    parameters: Vec<Parameter>,
}

impl ModuleVisitor for ListParameters {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let published = name_of(&self.path);
        let decays = D >= 2 && !["bias", "ln", "bn"].iter().any(|part| published.contains(part));
        self.parameters.push(Parameter { id: param.id.val(), path: self.path.join("."), published, decays });
    }
}

/// The learning parameters in f32.
///
/// # Errors
/// [`TrainError::Model`] if one cannot be read from the device.
pub(crate) fn learning_weights(model: &MiniGpt) -> Result<BTreeMap<String, TensorData>, TrainError> {
    read_rows(&flat_weights(model))
}

/// Shapes of the learning parameters by published name; nothing is read.
pub(crate) fn learning_shapes(model: &MiniGpt) -> BTreeMap<String, Vec<usize>> {
    let mut list = LearningShapes::default();
    model.visit(&mut list);
    list.found
}

#[derive(Default)]
struct LearningShapes {
    path: Vec<String>,
    found: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for LearningShapes {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_initialized() && param.is_require_grad() {
            self.found.insert(name_of(&self.path), param.lazy_shape().iter().copied().collect());
        }
    }
}

/// Rows read back in their shapes.
///
/// # Errors
/// [`TrainError::Model`] if one cannot be read from the device.
pub(crate) fn read_rows(
    rows: &BTreeMap<String, (Tensor<1>, Shape)>,
) -> Result<BTreeMap<String, TensorData>, TrainError> {
    let read = |(name, (row, shape)): (&String, &(Tensor<1>, Shape))| {
        let (bytes, _, dtype) = read_back(row.clone())?.into_parts();
        Ok((name.clone(), TensorData::from_bytes(bytes, shape.clone(), dtype)))
    };
    rows.iter().map(read).collect()
}

/// The learning parameters in f32, each as one row with its shape, on the model's device.
pub(crate) fn flat_weights(model: &MiniGpt) -> BTreeMap<String, (Tensor<1>, Shape)> {
    let mut read = FlatWeights::default();
    model.visit(&mut read);
    read.found
}

#[derive(Default)]
struct FlatWeights {
    path: Vec<String>,
    found: BTreeMap<String, (Tensor<1>, Shape)>,
}

impl ModuleVisitor for FlatWeights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_initialized() || !param.is_require_grad() {
            return;
        }
        let weights = param.val().without_autodiff().cast(DType::F32);
        let shape = weights.shape();
        let row = weights.reshape([shape.num_elements()]);
        self.found.insert(name_of(&self.path), (row, shape));
    }
}

/// The model with these values in the parameters of these names, each in the type that the model
/// holds; whether a parameter learns stays as it is.
///
/// # Errors
/// The names that the model has not, or whose values have another shape.
pub(crate) fn with_weights(
    model: MiniGpt,
    weights: BTreeMap<String, TensorData>,
) -> Result<MiniGpt, Vec<String>> {
    let mut write = WriteWeights { path: Vec::new(), weights };
    let model = model.map(&mut write);
    if write.weights.is_empty() { Ok(model) } else { Err(write.weights.into_keys().collect()) }
}

struct WriteWeights {
    path: Vec<String>,
    weights: BTreeMap<String, TensorData>,
}

impl ModuleMapper for WriteWeights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = name_of(&self.path);
        let fits = self.weights.get(&name).is_some_and(|data| *data.shape() == param.lazy_shape());
        let Some(data) = fits.then(|| self.weights.remove(&name)).flatten() else { return param };
        let learns = param.is_require_grad();
        param
            .map(|old| {
                let is_autodiff = old.is_autodiff();
                let old = old.without_autodiff();
                let new = Tensor::from_data(data, (&old.device(), old.dtype()));
                if is_autodiff { new.autodiff() } else { new }
            })
            .set_require_grad(learns)
    }
}

/// Gradients by published names, in their own type.
///
/// # Errors
/// [`TrainError::Model`] if one cannot be read from the device.
pub(crate) fn named_gradients(
    model: &MiniGpt,
    gradients: &GradientsParams,
) -> Result<BTreeMap<String, TensorData>, TrainError> {
    let mut read = ReadGradients { gradients, path: Vec::new(), found: Ok(BTreeMap::new()) };
    model.visit(&mut read);
    read.found
}

struct ReadGradients<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: Result<BTreeMap<String, TensorData>, TrainError>,
}

impl ModuleVisitor for ReadGradients<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Ok(found) = &mut self.found else { return };
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        match read_back(gradient) {
            Ok(data) => drop(found.insert(name_of(&self.path), data)),
            Err(error) => self.found = Err(error),
        }
    }
}

/// Gradients from values by published names, on the model's device; the rest of the values comes
/// back where the model has no parameter of that name and shape.
pub(crate) fn gradients_of(
    model: &MiniGpt,
    named: BTreeMap<String, TensorData>,
) -> Result<GradientsParams, Vec<String>> {
    let mut write = WriteGradients { path: Vec::new(), named, gradients: GradientsParams::new() };
    model.visit(&mut write);
    if write.named.is_empty() { Ok(write.gradients) } else { Err(write.named.into_keys().collect()) }
}

struct WriteGradients {
    path: Vec<String>,
    named: BTreeMap<String, TensorData>,
    gradients: GradientsParams,
}

impl ModuleVisitor for WriteGradients {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = name_of(&self.path);
        let fits = self.named.get(&name).is_some_and(|data| *data.shape() == param.lazy_shape());
        let Some(data) = fits.then(|| self.named.remove(&name)).flatten() else { return };
        let dtype = data.dtype();
        let device = param.lazy_device().without_autodiff();
        self.gradients.register(param.id, Tensor::<D>::from_data(data, (&device, dtype)));
    }
}
