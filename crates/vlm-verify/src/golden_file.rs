//! Tensors of a golden file as host values.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::de::DeserializeOwned;
use vlm_model::{AttentionMask, TensorFile};

use crate::VerifyError;

/// Values of one golden tensor, row major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<T>,
}

impl<T: Copy> Array<T> {
    /// Rows of a matrix.
    pub(crate) fn rows(&self) -> Vec<Vec<T>> {
        let width = self.shape.last().copied().unwrap_or(1).max(1);
        self.values.chunks(width).map(<[T]>::to_vec).collect()
    }
}

impl Array<f32> {
    pub(crate) fn tensor<const D: usize>(&self, device: &Device) -> Tensor<D> {
        let data = TensorData::new(self.values.clone(), self.shape.clone());
        Tensor::from_data(data, (device, DType::F32))
    }
}

impl Array<i64> {
    /// A mask in which 1 is a real position.
    pub(crate) fn mask(&self) -> AttentionMask {
        AttentionMask::new(
            self.rows().iter().map(|row| row.iter().map(|real| *real != 0).collect()).collect(),
        )
    }
}

/// One tensor file of a golden group.
pub(crate) struct GoldenFile {
    file: TensorFile,
}

impl GoldenFile {
    pub(crate) fn open(path: &Path) -> Result<Self, VerifyError> {
        Ok(Self { file: TensorFile::open(path)? })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.file.names()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.info(name).is_some()
    }

    /// The shape of a tensor; none where it is not there.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.file.info(name).map(|info| info.shape.as_slice())
    }

    fn data(&self, name: &str, rank: usize) -> Result<Option<TensorData>, VerifyError> {
        if !self.has(name) {
            return Ok(None);
        }
        let data = self.file.read(name)?;
        if data.shape().to_vec().len() != rank && rank != 0 {
            return Err(self.wrong(name, &data, &format!("{rank} axes")));
        }
        if data.shape().to_vec().contains(&0) {
            return Err(self.wrong(name, &data, "no empty axis"));
        }
        Ok(Some(data))
    }

    /// Fails unless a tensor that was read has this shape: the model's functions take no other.
    pub(crate) fn check_shape(&self, name: &str, expected: &[usize]) -> Result<(), VerifyError> {
        match self.shape(name) {
            Some(got) if got == expected => Ok(()),
            Some(got) => Err(VerifyError::Tensor {
                path: self.file.path().to_path_buf(),
                name: name.to_owned(),
                got: format!("{got:?}"),
                expected: format!("{expected:?}"),
            }),
            None => Err(self.missing(name)),
        }
    }

    /// A float tensor of `rank` axes (0: of any number), as f32; none where it is not there.
    pub(crate) fn floats(&self, name: &str, rank: usize) -> Result<Option<Array<f32>>, VerifyError> {
        let Some(data) = self.data(name, rank)? else { return Ok(None) };
        if !data.dtype().is_float() {
            return Err(self.wrong(name, &data, "floats"));
        }
        Ok(Some(Array { shape: data.shape().to_vec(), values: data.iter::<f32>().collect() }))
    }

    /// An integer tensor of `rank` axes; none where it is not there.
    pub(crate) fn integers(&self, name: &str, rank: usize) -> Result<Option<Array<i64>>, VerifyError> {
        let Some(data) = self.data(name, rank)? else { return Ok(None) };
        if data.dtype().is_float() {
            return Err(self.wrong(name, &data, "integers"));
        }
        Ok(Some(Array { shape: data.shape().to_vec(), values: data.iter::<i64>().collect() }))
    }

    /// As [`GoldenFile::floats`], where the tensor must be there.
    pub(crate) fn need_floats(&self, name: &str, rank: usize) -> Result<Array<f32>, VerifyError> {
        self.floats(name, rank)?.ok_or_else(|| self.missing(name))
    }

    /// As [`GoldenFile::integers`], where the tensor must be there.
    pub(crate) fn need_integers(&self, name: &str, rank: usize) -> Result<Array<i64>, VerifyError> {
        self.integers(name, rank)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn missing(&self, name: &str) -> VerifyError {
        VerifyError::MissingTensor { path: self.file.path().to_path_buf(), name: name.to_owned() }
    }

    fn wrong(&self, name: &str, data: &TensorData, expected: &str) -> VerifyError {
        VerifyError::Tensor {
            path: self.file.path().to_path_buf(),
            name: name.to_owned(),
            got: format!("{:?} {:?}", data.dtype(), data.shape().to_vec()),
            expected: expected.to_owned(),
        }
    }
}

/// Reads a JSON file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, VerifyError> {
    let text = fs_err::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|source| VerifyError::Json { path: path.to_path_buf(), source })
}
