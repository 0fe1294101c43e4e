//! NRRD: `.nrrd` with the voxels in the file, `.nhdr` with them in one file beside it, as 3D Slicer
//! and dcmqi write volumes and label maps.
//!
//! Encodings `raw` and `gzip`, every integer and float type, both byte orders, any number of axes of
//! which three are axes of space. Voxels are decoded as those of NIfTI are, by the same code; nothing
//! is rescaled, and a fill value such as -3024 stays what it is.
//!
//! # What it refuses
//! - Axes that are none of space and longer than 1: a `.seg.nrrd` of overlapping segments is no label
//!   map, and which segment wins where two overlap is not for a reader to decide.
//! - Spaces that do not tell the patient's left from right, other encodings, `line skip`, several
//!   data files, and a data file outside the header's own folder: a header must not choose which files
//!   of a computer are read. (Symbolic links that a user put into the folder are followed.)
//!
//! # What it assumes, with a warning
//! Without `space`, the axes are taken as left, posterior, superior, as ITK does; without `space
//! directions`, as those of the space; a missing spacing as 1 mm and a missing origin as 0.
//!
//! # Source
//! <https://teem.sourceforge.net/nrrd/format.html>

mod error;
mod fields;
mod header;
mod placement;
mod read;

pub use error::NrrdError;
pub use read::{decode_labels, is_nrrd, read_labels, read_volume};
