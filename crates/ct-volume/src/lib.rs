//! A CT study on disk, as a [`Volume`] in Hounsfield units, and back.
//!
//! Reads NIfTI-1 and NIfTI-2 (single files, pairs, gzip), NRRD (attached and detached, raw and gzip)
//! and DICOM CT series (folders, file lists, enhanced multi-frame files) into `f32` arrays with one geometry: an [`Affine`] from voxel index
//! to patient millimetres in RAS+ axes. Masks become a [`LabelVolume`].
//!
//! It refuses what it cannot read right: colour and complex voxels, a 4-D file without a chosen
//! frame, a series whose slices do not form one regular grid (unless told to go on), anything whose
//! header asks for more memory than [`Limits`] allow. It never panics on data and never prints.
//!
//! Start at [`read_study`] and [`read_labels`].
//!
//! ```
//! use ct_volume::{Affine, Geometry, Orientation, Volume};
//! use ndarray::{Array3, ShapeBuilder};
//!
//! let affine = Affine::from_spacing_origin([0.8, 0.8, 2.5], [0.0; 3]);
//! let hu = Array3::<f32>::zeros((4, 5, 6).f());
//! let volume = Volume::new(hu, affine)?;
//! assert_eq!(volume.geometry().orientation(), Orientation::RAS);
//! assert_eq!(volume.geometry().spacing_mm(), [0.8, 0.8, 2.5]);
//! # Ok::<(), ct_volume::GeometryError>(())
//! ```

#![forbid(unsafe_code)]

mod affine;
mod atomic;
mod codes;
pub mod dicom;
mod error;
mod geometry;
mod limits;
pub mod nifti;
pub mod nrrd;
mod orientation;
mod plausible;
mod study;
mod summary;
mod volume;
mod warning;

pub use affine::Affine;
pub use atomic::write_atomic;
pub use error::VolumeError;
pub use geometry::{Geometry, GeometryError};
pub use limits::{LimitExceeded, Limits};
pub use orientation::{AxisCode, AxisTransform, Orientation, ParseOrientationError};
pub use study::{ReadOptions, StudyKind, detect_kind, read_labels, read_study};
pub use summary::{HuSummary, StudySummary, summarize};
pub use volume::{LabelVolume, Volume};
pub use warning::{Warning, WarningCode};
