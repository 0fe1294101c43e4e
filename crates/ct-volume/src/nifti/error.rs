//! The error of everything NIfTI.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::VolumeError;
use crate::geometry::GeometryError;
use crate::limits::LimitExceeded;

/// Why a NIfTI file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NiftiError {
    /// Fewer bytes than a header.
    #[error("{found} bytes are fewer than the {expected} of a header")]
    HeaderTooShort {
        /// Bytes there are.
        found: u64,
        /// Bytes a header has.
        expected: u64,
    },
    /// No NIfTI magic.
    #[error(
        "the header's magic is neither `n+1`, `ni1`, `n+2` nor `ni2` (sizeof_hdr {sizeof_hdr}, magic `{magic}`)"
    )]
    NotNifti {
        /// The field `sizeof_hdr`, little endian.
        sizeof_hdr: i32,
        /// The bytes at the place of the NIfTI-1 magic, escaped.
        magic: String,
    },
    /// An ANALYZE 7.5 header: the size of NIfTI-1, without its magic.
    #[error(
        "an ANALYZE 7.5 header, not NIfTI: it does not tell left from right; convert it with a tool that \
         knows where it came from"
    )]
    Analyze,
    /// NIfTI-2: the bytes that detect a conversion of line ends were changed.
    #[error(
        "line-end check bytes are {found:?}, expected [13, 10, 26, 10]: a transfer in text mode damages voxels"
    )]
    LineEnds {
        /// What stands there.
        found: [u8; 4],
    },
    /// `dim[0]` is no number of axes.
    #[error("dim[0] is {rank}, expected 1 to 7 axes")]
    Rank {
        /// The field, in the byte order that `sizeof_hdr` suggests.
        rank: i64,
    },
    /// An axis has no voxels or fewer.
    #[error("dim[{axis}] is {length}, expected at least 1")]
    AxisLength {
        /// Which entry of `dim`.
        axis: usize,
        /// Its value.
        length: i64,
    },
    /// The voxels are more than 64 bits can count in bytes.
    #[error("dim {dim:?} asks for more voxels than 64 bits can count")]
    VoxelCount {
        /// The field `dim`.
        dim: [i64; 8],
    },
    /// A voxel type that is no gray value.
    #[error(
        "voxel type {name} (code {code}) is not a gray value; only 8- to 64-bit integers and floats are read"
    )]
    UnsupportedDatatype {
        /// The field `datatype`.
        code: i16,
        /// Its name in the format.
        name: &'static str,
    },
    /// A voxel type the format does not know.
    #[error("voxel type code {code} is not one of the format")]
    UnknownDatatype {
        /// The field `datatype`.
        code: i16,
    },
    /// The voxels cannot begin where the header says.
    #[error("vox_offset is {offset}, expected at least {minimum}")]
    VoxelOffset {
        /// The field `vox_offset`.
        offset: f64,
        /// The smallest that is possible.
        minimum: u64,
    },
    /// A header of a pair in a file that should hold the voxels too.
    #[error("the header's magic says that the voxels are in another file: read the `.hdr`/`.img` pair")]
    PairHeader,
    /// The other file of a pair is not there.
    #[error("the pair's other file is missing: looked for `{}`", looked_for.display())]
    PairMissing {
        /// The name that was tried first.
        looked_for: PathBuf,
    },
    /// A slope that would be used, with an intercept that cannot be.
    #[error("scl_slope is {slope} but scl_inter is {inter}")]
    Intercept {
        /// The field `scl_slope`.
        slope: f64,
        /// The field `scl_inter`.
        inter: f64,
    },
    /// The qform's quaternion is longer than 1.
    #[error("quaternion b, c, d = {bcd:?} is longer than 1, so it is no rotation")]
    Quaternion {
        /// The fields `quatern_b`, `quatern_c`, `quatern_d`.
        bcd: [f64; 3],
    },
    /// More than one frame, and none chosen.
    #[error("the file holds {n_frames} frames: choose one, 0 to {}", n_frames - 1)]
    FrameNeeded {
        /// Frames there are.
        n_frames: u64,
    },
    /// A frame that is not there.
    #[error("frame {frame} was asked for, but the file holds {n_frames} (counted from 0)")]
    FrameOutOfRange {
        /// The frame asked for.
        frame: usize,
        /// Frames there are.
        n_frames: u64,
    },
    /// The file ends before the voxels do.
    #[error("the voxels end at byte {expected}, but the file (inflated, if gzip) ends at byte {found}")]
    Truncated {
        /// Bytes needed.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The gzip file is too small to hold what the header promises.
    #[error("the voxels end at byte {expected}, more than {compressed} bytes of gzip can hold")]
    GzipTooSmall {
        /// Bytes needed after inflating.
        expected: u64,
        /// Bytes of the compressed file.
        compressed: u64,
    },
    /// The gzip stream is damaged.
    #[error("the gzip stream is damaged after {inflated} good bytes")]
    Gzip {
        /// Bytes that came out before the damage was noticed.
        inflated: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// A label that is not a whole number from 0 to 65,535.
    #[error("label {value} is not in 0..=65535")]
    LabelRange {
        /// The voxel, after slope and intercept.
        value: f64,
    },
    /// A value that does not fit into the voxel type of the file to write.
    #[error("{value} HU does not fit into a 16-bit file: write 32-bit floats")]
    VoxelRange {
        /// The voxel.
        value: f32,
    },
    /// An axis that does not fit into the header of the file to write.
    #[error("axis length {length} does not fit into a NIfTI-1 header, which ends at 32767")]
    AxisTooLong {
        /// Voxels along the axis.
        length: usize,
    },
    /// The system has not enough memory.
    #[error("no memory for {bytes} bytes")]
    OutOfMemory {
        /// What was asked for.
        bytes: u64,
    },
    /// Above a limit.
    #[error("the header asks for too much")]
    Limit(#[from] LimitExceeded),
    /// The geometry cannot be used.
    #[error("the header's geometry is unusable")]
    Geometry(#[from] GeometryError),
    /// The system would not read it.
    #[error("cannot read")]
    Read(#[source] io::Error),
}

impl NiftiError {
    /// Adds the file's name.
    pub(super) fn at(self, path: &Path) -> VolumeError {
        let path = path.to_owned();
        match self {
            Self::Limit(source) => VolumeError::Limit { path, source },
            Self::Geometry(source) => VolumeError::Geometry { path, source },
            Self::Read(source) => VolumeError::Read { path, source },
            source => VolumeError::Nifti { path, source },
        }
    }
}
