//! One ONNX file: read with bounds, then made ready for fixed shapes, then run.
//!
//! The run-time meets files of strangers, so every call into it stands behind `catch_unwind`.

use std::collections::BTreeSet;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ct_volume::LimitExceeded;
use sha2::{Digest, Sha256};
use tract_onnx::Onnx;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModelExt, IntoRunnable, IntoTValue, TValue, TVec, Tensor,
    TractError, TractResult, TypedRunnableModel,
};
use tract_onnx::tract_hir::infer::Factoid;

use crate::error::SegmentError;
use crate::form::printable;
use crate::options::ModelLimits;

/// An input as the file declares it.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) name: String,
    /// None: the file leaves the shape open; an axis without length: the file leaves it open.
    pub(crate) shape: Option<Vec<Option<u64>>>,
}

/// A file that was read, and is not yet ready to run.
pub(crate) struct OnnxFile {
    pub(crate) path: PathBuf,
    /// Without those that have a stored value.
    pub(crate) inputs: Vec<Declared>,
    pub(crate) outputs: Vec<String>,
    sha256: String,
    model: ModelProto,
}

/// A model for fixed shapes.
pub(crate) struct Network {
    pub(crate) path: PathBuf,
    /// Of the file, in hex.
    pub(crate) sha256: String,
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<DatumType>,
    /// Names and, where they are known, shapes.
    pub(crate) outputs: Vec<(String, Option<Vec<usize>>)>,
}

impl OnnxFile {
    pub(crate) fn read(path: &Path, limits: &ModelLimits) -> Result<Self, SegmentError> {
        let cannot_read = |source| SegmentError::Read { path: path.to_owned(), source };
        let max = limits.max_file_bytes;
        let file = fs_err::File::open(path).map_err(cannot_read)?;
        let bytes = file.metadata().map_err(cannot_read)?.len();
        check(path, "file, in bytes,", bytes, max)?;
        let mut file = Hashed { file: file.take(max), hash: Sha256::new() };
        let model = guarded(path, "read", || tract_onnx::onnx().proto_model_for_read(&mut file))?;
        let no_graph = || SegmentError::Onnx {
            path: path.to_owned(),
            doing: "read",
            source: "it has no graph: the file is empty, or not ONNX".into(),
        };
        let graph = model.graph.as_ref().filter(|graph| !graph.node.is_empty()).ok_or_else(no_graph)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        check(
            path,
            "file and its files of weights, in bytes,",
            bytes.saturating_add(stored_outside(graph, folder)),
            max,
        )?;
        let stored: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        let inputs = graph.input.iter().filter(|input| !stored.contains(input.name.as_str()));
        let inputs = inputs.map(declared).collect();
        let outputs = graph.output.iter().map(|output| output.name.clone()).collect();
        let sha256 = file.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path: path.to_owned(), inputs, outputs, sha256, model })
    }

    pub(crate) fn input(&self, name: &str) -> Option<&Declared> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Makes the part of the model ready that leads from some inputs to some outputs.
    pub(crate) fn load(
        self,
        inputs: &[(&str, Vec<usize>)],
        outputs: &[&str],
        limits: &ModelLimits,
    ) -> Result<Network, SegmentError> {
        let path = self.path;
        for (name, shape) in inputs {
            let elements = shape.iter().fold(1_u64, |product, side| product.saturating_mul(*side as u64));
            check(&path, "input, in bytes,", elements.saturating_mul(4), limits.max_tensor_bytes)?;
            let declared = self.inputs.iter().find(|input| input.name == *name);
            if let Some(Declared { shape: Some(declared), .. }) = declared
                && !fits(declared, shape)
            {
                return Err(SegmentError::Tensor {
                    path,
                    name: printable(name),
                    got: shown_shape(declared),
                    expected: format!("{shape:?}"),
                });
            }
        }
        let folder = path.parent().and_then(Path::to_str);
        let mut types = Vec::with_capacity(inputs.len());
        let model = guarded(&path, "prepare", || {
            // What a file says of shapes in its middle may hold symbols that are numbers here.
            let onnx: Onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
            let parsed = onnx.parse(&self.model, folder)?;
            let outlet = |name: &str| {
                let found = parsed.outlets_by_name.get(name).copied();
                found.ok_or_else(|| TractError::msg(format!("nothing is named `{}`", printable(name))))
            };
            let from = inputs.iter().map(|(name, _)| outlet(name)).collect::<TractResult<Vec<_>>>()?;
            let to = outputs.iter().map(|name| outlet(name)).collect::<TractResult<Vec<_>>>()?;
            let mut model = parsed.model;
            model.set_input_outlets(&from)?;
            model.select_output_outlets(&to)?;
            for (place, (_, shape)) in inputs.iter().enumerate() {
                let datum = model.input_fact(place)?.datum_type.concretize().unwrap_or(DatumType::F32);
                types.push(datum);
                model.set_input_fact(place, InferenceFact::dt_shape(datum, shape))?;
            }
            let mut model = model.eliminate_dead_branches()?;
            model.analyse(false)?;
            Ok(model)
        })?;
        // The run-time takes memory for tensors when it runs: their shapes are known before.
        for fact in model.nodes().iter().flat_map(|node| &node.outputs).map(|output| &output.fact) {
            let Some(shape) = fact.shape.as_concrete_finite().ok().flatten() else { continue };
            let bytes = fact.datum_type.concretize().map_or(4, |datum| datum.size_of()) as u64;
            let bytes = shape.iter().fold(bytes, |product, side| product.saturating_mul(*side as u64));
            check(&path, "tensor, in bytes,", bytes, limits.max_tensor_bytes)?;
        }
        let plan = guarded(&path, "prepare", || model.into_optimized()?.into_runnable())?;
        let mut named = Vec::with_capacity(outputs.len());
        for (place, name) in outputs.iter().enumerate() {
            let fact = guarded(&path, "prepare", || plan.model().output_fact(place).cloned())?;
            named.push(((*name).to_owned(), fact.shape.as_concrete().map(<[usize]>::to_vec)));
        }
        Ok(Network { path, sha256: self.sha256, plan, inputs: types, outputs: named })
    }
}

impl Network {
    /// Runs the model.
    ///
    /// # Shapes
    /// - `inputs`, returns: those of [`OnnxFile::load`], in its order; results are `f32`
    pub(crate) fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, SegmentError> {
        guarded(&self.path, "run", || {
            let inputs: TVec<TValue> = inputs
                .into_iter()
                .zip(&self.inputs)
                .map(|(tensor, datum)| Ok(tensor.cast_to_dt(*datum)?.into_owned().into_tvalue()))
                .collect::<TractResult<_>>()?;
            let outputs = self.plan.run(inputs)?;
            outputs.into_iter().map(|value| Ok(value.cast_to::<f32>()?.into_owned())).collect()
        })
    }

    /// Says that an output is not as it should be.
    pub(crate) fn wrong_output(&self, place: usize, got: &[usize], expected: &str) -> SegmentError {
        SegmentError::Tensor {
            path: self.path.clone(),
            name: self.outputs.get(place).map(|(name, _)| printable(name)).unwrap_or_default(),
            got: format!("{got:?}"),
            expected: expected.to_owned(),
        }
    }
}

/// A file whose bytes are hashed while they are read.
struct Hashed<R> {
    file: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n_read = self.file.read(buffer)?;
        self.hash.update(&buffer[..n_read]);
        Ok(n_read)
    }
}

/// One call into the run-time.
fn guarded<T>(
    path: &Path,
    doing: &'static str,
    call: impl FnOnce() -> TractResult<T>,
) -> Result<T, SegmentError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => {
            result.map_err(|error| SegmentError::Onnx { path: path.to_owned(), doing, source: error.into() })
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let message = text.unwrap_or("no message").chars().take(300).collect();
            Err(SegmentError::RunTime { path: path.to_owned(), doing, message })
        }
    }
}

fn check(path: &Path, what: &'static str, got: u64, limit: u64) -> Result<(), SegmentError> {
    if got <= limit {
        return Ok(());
    }
    Err(SegmentError::Limit { path: path.to_owned(), source: LimitExceeded { what, got, limit } })
}

fn declared(input: &ValueInfoProto) -> Declared {
    let kind = input.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let shape = kind.and_then(|kind| {
        let type_proto::Value::TensorType(tensor) = kind;
        let axes = &tensor.shape.as_ref()?.dim;
        Some(axes.iter().map(|axis| match axis.value {
            Some(Dimension::DimValue(length)) => u64::try_from(length).ok().filter(|length| *length > 0),
            _ => None,
        }))
    });
    Declared { name: input.name.clone(), shape: shape.map(Iterator::collect) }
}

pub(crate) fn shown_shape(declared: &[Option<u64>]) -> String {
    let sides: Vec<String> =
        declared.iter().take(8).map(|side| side.map_or_else(|| "?".to_owned(), |n| n.to_string())).collect();
    format!("[{}]", sides.join(", "))
}

fn fits(declared: &[Option<u64>], shape: &[usize]) -> bool {
    declared.len() == shape.len()
        && declared.iter().zip(shape).all(|(side, length)| side.is_none_or(|side| side == *length as u64))
}

/// Bytes of weights that lie in other files; those of files that are not there are none.
fn stored_outside(graph: &GraphProto, folder: &Path) -> u64 {
    let mut bytes =
        graph.initializer.iter().map(|tensor| tensor_outside(tensor, folder)).fold(0, u64::saturating_add);
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        let tensors = attribute.t.iter().chain(&attribute.tensors);
        let graphs = attribute.g.iter().chain(&attribute.graphs);
        let inside = tensors.map(|tensor| tensor_outside(tensor, folder));
        let inside = inside.chain(graphs.map(|graph| stored_outside(graph, folder)));
        bytes = inside.fold(bytes, u64::saturating_add);
    }
    bytes
}

fn tensor_outside(tensor: &TensorProto, folder: &Path) -> u64 {
    let entry =
        |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|e| e.value.as_str());
    let Some(location) = entry("location") else { return 0 };
    if let Some(length) = entry("length").and_then(|text| text.parse().ok()) {
        return length;
    }
    // The run-time refuses places outside of the folder; here only their sizes are asked for.
    let is_inside =
        Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let file = is_inside.then(|| fs_err::metadata(folder.join(location)).ok()).flatten();
    file.map_or(0, |file| file.len())
}
