//! NIfTI-1 and NIfTI-2: `.nii`, `.hdr`/`.img` pairs, each also gzip.
//!
//! What is read equals what nibabel reads: the same affine (sform, else qform, else pixdim with the
//! x axis flipped) and, voxel for voxel, `float32(get_fdata())`. NaN and infinite voxels become air.
//!
//! # What comes from the `nifti` crate and what does not
//! The model of the 348-byte NIfTI-1 header, its parser and its field types are the `nifti` crate's
//! [`NiftiHeader`](::nifti::NiftiHeader), for reading and for writing. The rest is our own:
//! - every field is checked in [`Header`] before it is used. The crate's affine code panics on a
//!   negative spacing, its size arithmetic trusts `bitpix`, and it does not know NIfTI-2;
//! - voxels are decoded here. The crate applies slope and intercept in the file's integer type,
//!   which truncates, and decodes `.nii.gz` at 137 MB/s. Here a gzip file is inflated by libdeflate
//!   into the tail of the array that is returned, and converted there front to back, so that the
//!   only large memory is the result itself (twice that for voxels of 8 bytes) and, while inflating,
//!   the compressed file;
//! - files are written whole or not at all, and with the same bytes each time.
//!
//! # What a hostile file costs
//! A header is checked against [`Limits`](crate::Limits) before memory is taken, and no more memory
//! is taken than the file could fill: its own length, or 1032 times that for gzip (the most that
//! deflate can expand). A gzip stream is inflated to the end of the wanted voxels and no further,
//! but for 64 KiB in which its checksum may follow.
//!
//! # Where this differs from nibabel, on purpose
//! - A single file with `vox_offset` 0 is read from the end of its header, with a warning; nibabel
//!   reads the header as voxels.
//! - An affine that is singular or not finite, and an empty axis, are errors; so is FreeSurfer's
//!   `dim` of -1 for surfaces, which are no volumes.
//! - Extensions are skipped unread, so that a damaged one does not stop a reader that needs none.
//! - A wrong gzip checksum is an error even where the voxels end before it.

mod datatype;
mod error;
mod fields;
pub(crate) mod frame;
mod gzip;
pub(crate) mod header;
mod read;
pub(crate) mod source;
pub(crate) mod transform;
pub(crate) mod voxels;
mod write;

pub use datatype::{ByteOrder, Datatype};
pub use error::NiftiError;
pub use header::{AffineSource, Header, Scaling};
pub use read::{
    decode_labels, decode_volume, decode_volume_into, is_nifti, read_header, read_labels, read_volume,
    read_volume_into,
};
pub use write::{VoxelType, labels_gz, write_labels, write_volume};
