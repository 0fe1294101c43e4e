//! Why a phantom could not be made or written.

use std::path::PathBuf;

use ct_volume::{GeometryError, VolumeError};

use crate::spec::SpecError;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// A number of the spec cannot be used.
    #[error("the phantom spec cannot be used")]
    Spec(#[from] SpecError),
    /// The patient is not one of the data set.
    #[error("there is no patient {index}: patients are numbered from 0 and there are {patients}")]
    NoSuchPatient {
        /// The number asked for.
        index: u32,
        /// How many there are.
        patients: u32,
    },
    /// Shape and affine do not fit; a defect of this crate.
    #[error("the phantom's geometry cannot be used")]
    Geometry(#[from] GeometryError),
    /// A folder could not be made.
    #[error("cannot make folder `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A study could not be written.
    #[error("cannot write a study")]
    Write(#[from] VolumeError),
    /// The record beside the files could not be made.
    #[error("cannot make `{}`", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}
