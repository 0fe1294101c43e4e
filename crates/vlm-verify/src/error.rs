//! What keeps a golden folder from being checked.

use std::path::{Path, PathBuf};

use vlm_model::{ModelError, WeightsError};
use vlm_train::TrainError;

/// A golden folder that cannot be read. What is read and computed wrong is no error but a failed
/// case of the [`Report`](crate::Report).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Nothing below the folder looks like golden fixtures.
    #[error("no golden group below `{}`", folder.display())]
    NoGroup {
        /// The folder that was searched.
        folder: PathBuf,
    },
    /// A file or folder could not be read.
    #[error("cannot read golden fixtures")]
    Io(#[from] std::io::Error),
    /// A JSON file is not of the expected form.
    #[error("cannot parse `{}`", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A tensor that the group cannot do without is not in its file.
    #[error("`{}` has no tensor `{name}`", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor has a shape or a type that its meaning does not allow.
    #[error("`{name}` of `{}` is `{got}`, expected `{expected}`", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What it is.
        got: String,
        /// What it must be.
        expected: String,
    },
    /// A group lacks another group or folder that it is based on.
    #[error("`{}` needs {what}", path.display())]
    MissingPart {
        /// The group.
        path: PathBuf,
        /// What it needs.
        what: String,
    },
    /// A file of tensors could not be read, or does not fit the model that the group describes.
    #[error("cannot load weights")]
    Weights(#[from] WeightsError),
    /// The optimizer cannot be run as the files say.
    #[error("cannot train the model of `{}`", path.display())]
    Train {
        /// The group.
        path: PathBuf,
        /// Why.
        source: Box<TrainError>,
    },
    /// The model cannot be built or run as the files say.
    #[error("cannot run the model of `{}`", path.display())]
    Model {
        /// The group.
        path: PathBuf,
        /// Why.
        source: ModelError,
    },
}

/// Names the group of an error.
pub(crate) trait InGroup<T> {
    fn in_group(self, path: &Path) -> Result<T, VerifyError>;
}

impl<T> InGroup<T> for Result<T, ModelError> {
    fn in_group(self, path: &Path) -> Result<T, VerifyError> {
        self.map_err(|source| VerifyError::Model { path: path.to_path_buf(), source })
    }
}

impl<T> InGroup<T> for Result<T, TrainError> {
    fn in_group(self, path: &Path) -> Result<T, VerifyError> {
        self.map_err(|source| VerifyError::Train { path: path.to_path_buf(), source: Box::new(source) })
    }
}
