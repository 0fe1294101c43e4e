//! One weight file, opened but not read.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Bytes, DType, TensorData};
use burn_store::pytorch_reader::PytorchError;
use burn_store::{ModuleStore, PytorchStore, PytorchStoreError, SafetensorsStore, bridge};
use serde::Deserialize;

use super::WeightsError;

/// Keys under which training checkpoints keep the state dict, the most specific first.
const STATE_DICT_KEYS: [&str; 3] = ["model", "state_dict", "model_state_dict"];
/// The longest header that the safetensors format allows.
const MAX_HEADER: u64 = 100_000_000;
/// Number type and shape of a tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its number type in the file.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// Bytes of the tensor; shapes that overflow are not opened.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        (self.shape.iter().product::<usize>() * self.dtype.size()) as u64
    }
}

/// A `.safetensors`, `.pth`, `.pt` or `.bin` file whose tensors are read one at a time.
///
/// Opening reads names, types and shapes only. Nothing that a pickle asks for is executed. A
/// training checkpoint's `model` entry is what counts as its tensors.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    tensors: BTreeMap<String, TensorInfo>,
    reader: Mutex<Reader>,
}

/// Where the tensors of a file are read from.
enum Reader {
    /// Plain reads: pages of a memory map would count as the process's memory besides the tensors.
    Safetensors(Safetensors),
    Pytorch(Box<PytorchStore>),
}

struct Safetensors {
    file: fs_err::File,
    /// Where each tensor begins and ends in the file.
    places: BTreeMap<String, (u64, u64)>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Safetensors(_) => "Safetensors",
            Self::Pytorch(_) => "Pytorch",
        })
    }
}

impl Safetensors {
    fn read(&mut self, name: &str, info: &TensorInfo) -> Result<TensorData, String> {
        let (start, end) = *self.places.get(name).ok_or("no place in the file")?;
        if end - start != info.n_bytes() {
            return Err(format!("{} bytes for the shape {:?}", end - start, info.shape));
        }
        let n_bytes = usize::try_from(end - start).map_err(|error| error.to_string())?;
        self.file.seek(SeekFrom::Start(start)).map_err(|error| error.to_string())?;
        let mut bytes = Vec::with_capacity(n_bytes);
        let n_read = (&mut self.file).take(end - start).read_to_end(&mut bytes);
        let n_read = n_read.map_err(|error| error.to_string())?;
        if n_read != n_bytes {
            return Err(format!("{n_read} of {n_bytes} bytes: the file was cut while it was read"));
        }
        Ok(TensorData::from_bytes(Bytes::from_bytes_vec(bytes), info.shape.clone(), info.dtype))
    }
}

impl TensorFile {
    /// Opens a file and reads what tensors it holds.
    ///
    /// # Errors
    /// [`WeightsError::Io`] if it cannot be opened; [`WeightsError::Format`] for another ending, a
    /// damaged or truncated file, or sizes that do not fit the file.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let (reader, tensors) = match ending {
            "safetensors" => open_safetensors(path)?,
            "pth" | "pt" | "bin" => open_pytorch(path)?,
            _ => return Err(format_error(path, "expected `.safetensors`, `.pth`, `.pt` or `.bin`")),
        };
        Ok(Self { path: path.to_owned(), tensors, reader: Mutex::new(reader) })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of its tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Number type and shape of a tensor.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// Reads one tensor in the file's number type.
    ///
    /// # Errors
    /// [`WeightsError::NoTensor`] for a name that the file has not; [`WeightsError::Tensor`] if its
    /// bytes cannot be read.
    pub fn read(&self, name: &str) -> Result<TensorData, WeightsError> {
        let no_tensor = || WeightsError::NoTensor { path: self.path.clone(), name: name.to_owned() };
        let info = self.info(name).ok_or_else(no_tensor)?;
        let failed =
            |reason: String| WeightsError::Tensor { path: self.path.clone(), name: name.to_owned(), reason };
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *reader {
            Reader::Safetensors(file) => file.read(name, info).map_err(failed),
            Reader::Pytorch(store) => {
                let tensor = store.get_tensor(name).map_err(|e| failed(e.to_string()))?;
                bridge::to_data(tensor.ok_or_else(no_tensor)?).map_err(|error| failed(error.to_string()))
            }
        }
    }
}

type Opened = (Reader, BTreeMap<String, TensorInfo>);

fn open_safetensors(path: &Path) -> Result<Opened, WeightsError> {
    let file = read_header(path)?;
    let mut store = SafetensorsStore::from_file(path);
    let tensors = index(&mut store, path, |error| error.to_string())?;
    Ok((Reader::Safetensors(file), tensors))
}

/// Sizes and offsets of a header against the file, before anything is mapped or taken: the reader
/// adds offsets up unchecked.
fn read_header(path: &Path) -> Result<Safetensors, WeightsError> {
    #[derive(Deserialize)]
    struct Entry {
        data_offsets: Option<(u64, u64)>,
    }
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let mut file = fs_err::File::open(path).map_err(io)?;
    let n_bytes = file.metadata().map_err(io)?.len();
    let mut length = [0; 8];
    if n_bytes < 8 {
        return Err(format_error(path, format!("{n_bytes} bytes are no header")));
    }
    file.read_exact(&mut length).map_err(io)?;
    let length = u64::from_le_bytes(length);
    if length > (n_bytes - 8).min(MAX_HEADER) {
        return Err(format_error(path, format!("a header of {length} bytes in a file of {n_bytes}")));
    }
    let mut header = Vec::new();
    (&mut file).take(length).read_to_end(&mut header).map_err(io)?;
    let entries: BTreeMap<String, Entry> =
        serde_json::from_slice(&header).map_err(|error| format_error(path, format!("header: {error}")))?;
    let data = 8 + length;
    let room = n_bytes - data;
    let mut places = BTreeMap::new();
    for (name, entry) in entries {
        let Some((start, end)) = entry.data_offsets else { continue };
        if start > end || end > room {
            let reason =
                format!("tensor `{name}` is at {start} to {end}, but there are {room} bytes of data");
            return Err(format_error(path, reason));
        }
        places.insert(name, (data + start, data + end));
    }
    Ok(Safetensors { file, places })
}

fn open_pytorch(path: &Path) -> Result<Opened, WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let n_bytes = fs_err::metadata(path).map_err(io)?.len();
    for key in STATE_DICT_KEYS.map(Some).into_iter().chain([None]) {
        let store = PytorchStore::from_file(path).map_indices_contiguous(false);
        let mut store = match key {
            Some(key) => store.with_top_level_key(key),
            None => store,
        };
        match store.get_all_tensors() {
            // no such entry, or it is a tensor or a number: the dict is flat
            Err(PytorchStoreError::Reader(PytorchError::KeyNotFound(_))) => continue,
            Err(PytorchStoreError::Reader(PytorchError::InvalidFormat(_))) if key.is_some() => continue,
            _ => {}
        }
        let tensors = index(&mut store, path, |error| error.to_string())?;
        if tensors.is_empty() {
            break;
        }
        // A view may repeat a small storage many times over; weights do not.
        if let Some((name, info)) = tensors.iter().find(|(_, info)| info.n_bytes() > n_bytes) {
            let reason = format!("tensor `{name}` of shape `{:?}` is larger than the file", info.shape);
            return Err(format_error(path, reason));
        }
        return Ok((Reader::Pytorch(Box::new(store)), tensors));
    }
    Err(format_error(path, "no dictionary of tensors"))
}

/// Names, types and shapes of what a store holds.
fn index<S: ModuleStore>(
    store: &mut S,
    path: &Path,
    reason: impl Fn(S::Error) -> String,
) -> Result<BTreeMap<String, TensorInfo>, WeightsError> {
    let tensors = store.get_all_tensors().map_err(|error| format_error(path, reason(error)))?;
    let mut index = BTreeMap::new();
    for (name, tensor) in tensors {
        let shape = tensor.shape.to_vec();
        let n_elements = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        if n_elements.and_then(|n| n.checked_mul(tensor.dtype.size())).is_none() {
            return Err(format_error(path, format!("tensor `{name}` has the shape `{shape:?}`")));
        }
        index.insert(name.clone(), TensorInfo { dtype: tensor.dtype, shape });
    }
    Ok(index)
}

fn format_error(path: &Path, reason: impl Into<String>) -> WeightsError {
    WeightsError::Format { path: path.to_owned(), reason: reason.into() }
}
