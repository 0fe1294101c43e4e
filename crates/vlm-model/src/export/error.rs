//! What can go wrong when weights are written.

use std::path::PathBuf;

use crate::ModelError;

/// An error of writing weights or features.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The operating system could not write a file or folder.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file or folder; nothing is left under this name.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder holds something already.
    #[error("`{}` is not empty and is not overwritten unless asked for", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// A plain LLaMA folder was asked for, but a map still has an adapter beside it.
    #[error("`{path}` is not merged: a plain language model has no place for it")]
    Unmerged {
        /// Module path of the adapter's tensor.
        path: String,
    },
    /// A tensor is not what the header of its file says.
    #[error("tensor `{name}` is `{got}`, expected `{expected}`")]
    Tensor {
        /// Its name in the file.
        name: String,
        /// Type and shape, or the size.
        got: String,
        /// What was announced.
        expected: String,
    },
    /// A tensor's number type has no name in the file's format.
    #[error("tensor `{name}` is of type `{dtype}`, which is not written here")]
    NumberType {
        /// Its name in the file.
        name: String,
        /// The type.
        dtype: String,
    },
    /// A module path is not one of the model's.
    #[error("no published name for parameter `{path}`")]
    Name {
        /// The path.
        path: String,
    },
    /// Settings could not be turned into JSON.
    #[error("cannot express `{what}` as JSON")]
    Json {
        /// Which file.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// Values could not be read back, or the configuration cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
}
