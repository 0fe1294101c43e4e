//! Why a study or a run could not be prepared.

use std::io;
use std::path::PathBuf;

use ct_volume::{GeometryError, VolumeError};

use crate::annotate::AnnotateError;
use crate::dataset::DatasetError;
use crate::index::{IndexError, SplitFileError};
use crate::pixels::PixelError;

/// Why a study or a run could not be prepared; names the file or the study.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A study or mask could not be read, or a file not written.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The dataset's folders.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The split file.
    #[error(transparent)]
    Split(#[from] SplitFileError),
    /// A slice could not be made into an image.
    #[error("study `{study}`, slice {slice_index}")]
    Pixels {
        /// The study.
        study: String,
        /// The slice.
        slice_index: usize,
        /// Why.
        source: PixelError,
    },
    /// A mask could not be annotated.
    #[error("mask of study `{study}`")]
    Annotate {
        /// The study.
        study: String,
        /// Why.
        source: AnnotateError,
    },
    /// Study and mask do not lie on one grid.
    #[error("study `{study}` and its mask do not lie on one grid")]
    Grid {
        /// The study.
        study: String,
        /// How they differ.
        source: GeometryError,
    },
    /// The slice asked for does not exist.
    #[error("slice {index} does not exist: the study has slices 0 to {}", n_slices - 1)]
    NoSuchSlice {
        /// What was asked for.
        index: usize,
        /// Slices of the study.
        n_slices: usize,
    },
    /// Another process works in the output folder.
    #[error(transparent)]
    Lock(#[from] run_folder::LockError),
    /// An option cannot be used.
    #[error("{0}")]
    Config(String),
    /// The output folder holds something else.
    #[error("`{}` {reason}", path.display())]
    Output {
        /// The folder or file.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// The system would not do it.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An image of a shard is not the one that was written.
    #[error("image `{}` {reason}: run its shard again", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// How it differs.
        reason: String,
    },
    /// Shards do not make up one run.
    #[error("shards do not fit together: {0}")]
    Shards(String),
    /// Stopped on request; what is complete is kept.
    #[error("stopped; finished volumes are kept, go on with --resume")]
    Cancelled,
}

impl PrepareError {
    pub(super) fn io(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
