//! The error of the crate.

use std::path::PathBuf;

use ct_slices::pixels::PixelError;
use ct_volume::{GeometryError, LimitExceeded, VolumeError};

/// Why answers could not become findings, or findings files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindingsError {
    /// A name that no entity can have.
    #[error("entity name `{name}` is not 1 to 48 printable ASCII characters without backslash")]
    EntityName {
        /// The name, made printable.
        name: String,
    },
    /// A slice that the study does not have.
    #[error("slice {slice_idx} is not in a study of {n_slices} slices")]
    SliceIndex {
        /// The slice.
        slice_idx: usize,
        /// Slices of the study.
        n_slices: usize,
    },
    /// One slice was answered twice.
    #[error("slice {slice_idx} has two sets of answers")]
    SliceTwice {
        /// The slice.
        slice_idx: usize,
    },
    /// More boxes than a slice may have.
    #[error("slice {slice_idx} has {got} boxes, above the limit of {limit}")]
    TooManyBoxes {
        /// The slice.
        slice_idx: usize,
        /// Its boxes.
        got: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A box with an edge that is NaN or infinite.
    #[error("a box of slice {slice_idx} has edges {edges:?}, expected finite numbers")]
    BoxEdges {
        /// The slice.
        slice_idx: usize,
        /// `[x_min, y_min, x_max, y_max]`.
        edges: [f64; 4],
    },
    /// A probability outside 0..1.
    #[error("probability {value} of slice {slice_idx} is not in 0..1")]
    Probability {
        /// The slice.
        slice_idx: usize,
        /// The value.
        value: f64,
    },
    /// An option that cannot be used.
    #[error("option `{name}` is {value}, expected {expected}")]
    Option {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What would do.
        expected: &'static str,
    },
    /// A study whose geometry cannot be used.
    #[error("the geometry of the study cannot be used")]
    Geometry(#[from] GeometryError),
    /// Above a limit.
    #[error("the study asks for too much")]
    Limit(#[from] LimitExceeded),
    /// Not a findings document.
    #[error("not a findings document")]
    Json(#[source] serde_json::Error),
    /// A findings document that says what cannot be.
    #[error("findings document: {what} is `{got}`, expected {expected}")]
    Document {
        /// The field.
        what: &'static str,
        /// Its value.
        got: String,
        /// What would do.
        expected: &'static str,
    },
    /// An image could not be made.
    #[error("cannot draw slice {slice_idx}")]
    Image {
        /// The slice.
        slice_idx: usize,
        /// Why.
        source: PixelError,
    },
    /// A file could not be written.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A folder could not be made.
    #[error("cannot make folder `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
