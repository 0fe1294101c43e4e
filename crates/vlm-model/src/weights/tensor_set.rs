//! All files of a model as one set of tensors under their published names.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;

use super::adapter_config::ADAPTER_CONFIG_FILE;
use super::file_names::{Meaning, Role, meaning};
use super::shards::open_weights;
use super::{Ignored, TensorFile, TensorInfo, UnknownTensor, WeightsError};

/// PEFT's files, the preferred first.
const ADAPTER_FILES: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];
/// The projector's file beside them.
pub(crate) const PROJECTOR_FILE: &str = "llama_proj.safetensors";

/// Where the parts of a model are. Where two files hold one tensor, the one that is listed later
/// here wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelFiles {
    /// The image encoder: a file or a folder, in EVA's names or HF's.
    pub vision_tower: Option<PathBuf>,
    /// `ln_vision` in a file of its own.
    pub ln_vision: Option<PathBuf>,
    /// LLaMA in HF's names: a file, or a folder with one file or an index of shards.
    pub language_model: Option<PathBuf>,
    /// A MiniGPT-v2 checkpoint: projector and adapters, or every tensor of the model.
    pub checkpoint: Option<PathBuf>,
    /// A PEFT folder, with the projector beside the adapters.
    pub adapter: Option<PathBuf>,
}

/// Where a parameter is.
#[derive(Debug, Clone)]
struct Location {
    file: usize,
    name: String,
    /// Its third of a joined bias.
    third: Option<usize>,
    info: TensorInfo,
}

/// Opened files and what each of their tensors is.
#[derive(Debug)]
pub(crate) struct TensorSet {
    files: Vec<TensorFile>,
    parameters: BTreeMap<String, Location>,
    pub(crate) unknown: Vec<UnknownTensor>,
    pub(crate) ignored: Vec<Ignored>,
    depth: usize,
}

impl TensorSet {
    /// Opens every file; `depth` blocks of the image encoder are run.
    pub(crate) fn open(files: &ModelFiles, depth: usize) -> Result<Self, WeightsError> {
        let mut set = Self {
            files: Vec::new(),
            parameters: BTreeMap::new(),
            unknown: Vec::new(),
            ignored: Vec::new(),
            depth,
        };
        for (path, role) in [
            (&files.vision_tower, Role::VisionTower),
            (&files.ln_vision, Role::LnVision),
            (&files.language_model, Role::LanguageModel),
            (&files.checkpoint, Role::Checkpoint),
        ] {
            for file in path.as_deref().map(open_weights).transpose()?.into_iter().flatten() {
                set.add(file, role);
            }
        }
        if let Some(folder) = &files.adapter {
            for file in adapter_files(folder)? {
                set.add(TensorFile::open(&file)?, Role::Adapter);
            }
        }
        Ok(set)
    }

    fn add(&mut self, file: TensorFile, role: Role) {
        let index = self.files.len();
        let mut found = Vec::new();
        for name in file.names() {
            let info = file.info(name).expect("a name of the file").clone();
            let location = |third, info| Location { file: index, name: name.to_owned(), third, info };
            match meaning(role, name, self.depth) {
                Meaning::Parameter(published) => found.push((published, location(None, info))),
                Meaning::QkvBias { q, v } if info.shape.len() == 1 && info.shape[0].is_multiple_of(3) => {
                    let info = TensorInfo { shape: vec![info.shape[0] / 3], ..info };
                    found.push((q, location(Some(0), info.clone())));
                    found.push((v, location(Some(2), info)));
                }
                Meaning::QkvBias { .. } | Meaning::Unknown => {
                    let file = file.path().to_owned();
                    self.unknown.push(UnknownTensor { name: name.to_owned(), file });
                }
                Meaning::Ignored(reason) => {
                    let (name, file) = (name.to_owned(), file.path().to_owned());
                    self.ignored.push(Ignored { name, file, reason: reason.to_owned() });
                }
            }
        }
        let path = file.path().to_owned();
        self.files.push(file);
        for (published, location) in found {
            match self.parameters.entry(published) {
                Entry::Vacant(entry) => {
                    entry.insert(location);
                }
                Entry::Occupied(mut entry) => {
                    let old = entry.insert(location);
                    self.ignored.push(Ignored {
                        name: old.name,
                        file: self.files[old.file].path().to_owned(),
                        reason: format!("replaced by the one of `{}`", path.display()),
                    });
                }
            }
        }
    }

    /// Published names of all parameters found, sorted.
    pub(crate) fn published(&self) -> impl Iterator<Item = &str> {
        self.parameters.keys().map(String::as_str)
    }

    /// Number type and shape of a parameter.
    pub(crate) fn info(&self, published: &str) -> Option<&TensorInfo> {
        self.parameters.get(published).map(|location| &location.info)
    }

    /// The name in its file, and the file.
    pub(crate) fn source(&self, published: &str) -> Option<(&str, &Path)> {
        let location = self.parameters.get(published)?;
        Some((&location.name, self.files[location.file].path()))
    }

    /// Reads one parameter in the file's number type.
    pub(crate) fn read(&self, published: &str) -> Result<TensorData, WeightsError> {
        let location = &self.parameters[published];
        let file = &self.files[location.file];
        let data = file.read(&location.name)?;
        let Some(third) = location.third else { return Ok(data) };
        let n_bytes = location.info.shape[0] * location.info.dtype.size();
        let bytes = data.into_bytes()[third * n_bytes..][..n_bytes].to_vec();
        Ok(TensorData::from_bytes_vec(bytes, location.info.shape.clone(), location.info.dtype))
    }
}

/// PEFT's file of a folder, where it has one, and the projector's.
fn adapter_files(folder: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let layout = |reason: String| WeightsError::Layout { folder: folder.to_owned(), reason };
    let adapter = ADAPTER_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    if adapter.is_none() && folder.join(ADAPTER_CONFIG_FILE).is_file() {
        return Err(layout(format!("`{ADAPTER_CONFIG_FILE}` but no `{}`", ADAPTER_FILES[0])));
    }
    let projector = Some(folder.join(PROJECTOR_FILE)).filter(|path| path.is_file());
    let files: Vec<PathBuf> = adapter.into_iter().chain(projector).collect();
    if files.is_empty() {
        return Err(layout(format!("no `{}` and no `{PROJECTOR_FILE}`", ADAPTER_FILES[0])));
    }
    Ok(files)
}
