//! What can be wrong with weight files.

use std::path::PathBuf;

use crate::{LoadReport, ModelError};

/// An error of reading weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The operating system could not read a file or folder.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what its name says, or is damaged.
    #[error("`{}` is not a readable weight file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        reason: String,
    },
    /// A JSON file beside the weights is not of the expected form.
    #[error("cannot parse `{}`", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A JSON file beside the weights holds an impossible value.
    #[error("`{field}` of `{}` is `{value}`: {reason}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// Its field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it must hold.
        reason: String,
    },
    /// A tensor was asked for that the file has not.
    #[error("`{}` holds no tensor `{name}`", path.display())]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor could not be read from its file.
    #[error("cannot read tensor `{name}` of `{}`: {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What the reader found.
        reason: String,
    },
    /// A checkpoint was given, but none of its tensors belongs to an adapter of the model: run as
    /// is, it would silently be the base model.
    #[error("no LoRA tensor of `{}` fits the model (targets `{targets}`)", path.display())]
    NoAdapters {
        /// The file or folder.
        path: PathBuf,
        /// The maps that the configuration adapts.
        targets: String,
    },
    /// The files and the model do not fit each other.
    #[error("the weights do not fit the model: {0}")]
    Incompatible(Box<LoadReport>),
    /// A folder is in no layout that is known.
    #[error("`{}` is not a model folder: {reason}", folder.display())]
    Layout {
        /// The folder.
        folder: PathBuf,
        /// What is missing or in the way.
        reason: String,
    },
    /// The configuration of a model folder cannot be built.
    #[error("the configuration from `{}` is not usable", path.display())]
    Config {
        /// The file that it came from.
        path: PathBuf,
        /// Why.
        source: ModelError,
    },
    /// The configuration cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl WeightsError {
    /// The stable code of this error, for programs; `docs/DATA.md` lists them.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "read",
            Self::Format { .. } => "weights-format",
            Self::Json { .. } => "weights-json",
            Self::Setting { .. } => "weights-setting",
            Self::NoTensor { .. } => "weights-no-tensor",
            Self::Tensor { .. } => "weights-tensor",
            Self::NoAdapters { .. } => "weights-no-adapters",
            Self::Incompatible(_) => "weights-incompatible",
            Self::Layout { .. } => "weights-layout",
            Self::Config { .. } | Self::Model(_) => "weights-config",
        }
    }
}
