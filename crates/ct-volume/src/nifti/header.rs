//! A header whose every field was checked.

use super::datatype::{ByteOrder, Datatype};
use super::error::NiftiError;
use super::fields::Fields;
use super::transform::Placement;
use crate::geometry::Geometry;
use crate::limits::{LimitExceeded, Limits};
use crate::warning::{Warning, WarningCode};

/// What a NIfTI header says, checked: nothing here can overflow, divide by zero or point outside
/// what [`Limits`] allow.
#[derive(Clone, Debug)]
pub struct Header {
    version: u8,
    byte_order: ByteOrder,
    datatype: Datatype,
    geometry: Geometry,
    affine_source: AffineSource,
    n_frames: u64,
    data_offset: u64,
    scaling: Option<Scaling>,
    warnings: Vec<Warning>,
}

/// Which fields the affine was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AffineSource {
    /// `srow_x`, `srow_y`, `srow_z`.
    Sform,
    /// The quaternion.
    Qform,
    /// `pixdim` alone: the orientation is a guess.
    Pixdim,
}

/// Slope and intercept that are to be applied: `value = stored * slope + inter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// The field `scl_slope`: finite, not 0.
    pub slope: f64,
    /// The field `scl_inter`: finite.
    pub inter: f64,
}

/// Where the header came from, which decides what `vox_offset` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Header and voxels in one file.
    Single,
    /// `.hdr` and `.img`.
    Pair,
}

/// Where the wanted voxels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte of the frame in the (inflated) voxel file.
    pub(crate) start: u64,
    /// Bytes of the frame.
    pub(crate) len: usize,
    /// Voxels of the frame.
    pub(crate) n_voxels: usize,
    /// Byte after the last frame.
    pub(crate) end_of_frames: u64,
    /// True if the frame is all the voxels there are.
    pub(crate) is_whole: bool,
}

impl Header {
    /// Checks the first bytes of a header.
    pub(super) fn parse(head: &[u8], layout: Layout) -> Result<Self, NiftiError> {
        let fields = Fields::parse(head)?;
        let mut warnings = Vec::new();
        let datatype = Datatype::from_code(fields.datatype)?;
        let mut repaired = |text| warnings.push(Warning::new(WarningCode::HeaderRepaired, text));
        let size = fields.size();
        if u64::try_from(fields.sizeof_hdr).ok() != Some(size as u64) {
            repaired(format!("sizeof_hdr is {}; {size} was taken", fields.sizeof_hdr));
        }
        let bits = datatype.size() * 8;
        if usize::try_from(fields.bitpix).ok() != Some(bits) {
            repaired(format!("bitpix is {}; {bits} was taken, from the voxel type", fields.bitpix));
        }
        let data_offset = data_offset(&fields, layout, &mut warnings)?;
        let (rank, shape, n_frames) = axes(&fields)?;
        let placement = Placement::new(&fields, shape, rank, &mut warnings);
        let (geometry, affine_source) = placement.geometry(&mut warnings)?;
        let (slope, inter) = (fields.scl_slope, fields.scl_inter);
        if !slope.is_finite() {
            // Zero is how the format says "none"; this is a writer gone wrong.
            let text = format!("scl_slope is {slope}; stored values were taken as they are, as nibabel does");
            warnings.push(Warning::new(WarningCode::HeaderRepaired, text));
        }
        Ok(Self {
            version: fields.version,
            byte_order: fields.order,
            datatype,
            geometry,
            affine_source,
            n_frames,
            data_offset,
            scaling: scaling(slope, inter)?,
            warnings,
        })
    }

    /// 1 or 2.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Byte order of header and voxels.
    #[must_use]
    pub fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    /// Voxel type in the file.
    #[must_use]
    pub fn datatype(&self) -> Datatype {
        self.datatype
    }

    /// Shape of one frame and its affine.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Which fields the affine was taken from.
    #[must_use]
    pub fn affine_source(&self) -> AffineSource {
        self.affine_source
    }

    /// Frames in the file: the product of all axes after the third.
    #[must_use]
    pub fn n_frames(&self) -> u64 {
        self.n_frames
    }

    /// Where the voxels begin, in bytes.
    #[must_use]
    pub fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Slope and intercept, if they are to be applied.
    #[must_use]
    pub fn scaling(&self) -> Option<Scaling> {
        self.scaling
    }

    /// What was odd.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Checks one frame against the limits, with voxels of at least `bytes_in_memory`.
    pub(super) fn check_limits(&self, limits: &Limits, bytes_in_memory: usize) -> Result<(), LimitExceeded> {
        let axes = self.geometry.shape().map(|n| n as u64);
        limits.check_array(&axes, self.datatype.size().max(bytes_in_memory) as u64)?;
        Limits::check("byte offset of the voxels", self.data_offset, limits.max_bytes)
    }

    /// Where a frame is. The limits are to be checked before.
    pub(super) fn span(&self, frame: Option<usize>) -> Result<Span, NiftiError> {
        let n_frames = self.n_frames;
        let frame = match frame {
            Some(frame) if (frame as u64) < n_frames => frame as u64,
            Some(frame) => return Err(NiftiError::FrameOutOfRange { frame, n_frames }),
            None if n_frames == 1 => 0,
            None => return Err(NiftiError::FrameNeeded { n_frames }),
        };
        // None of this overflows: `axes` counted all voxels in 64 bits with room for 8 bytes each.
        let n_voxels: u64 = self.geometry.shape().iter().map(|&n| n as u64).product();
        let frame_bytes = n_voxels * self.datatype.size() as u64;
        let start = self.data_offset + frame * frame_bytes;
        let end_of_frames = self.data_offset + n_frames * frame_bytes;
        let in_memory = |n: u64| usize::try_from(n).map_err(|_| NiftiError::OutOfMemory { bytes: n });
        let (len, n_voxels) = (in_memory(frame_bytes)?, in_memory(n_voxels)?);
        Ok(Span { start, len, n_voxels, end_of_frames, is_whole: n_frames == 1 })
    }
}

/// Rank, the first three axes (1 where there are fewer) and the number of frames.
///
/// nibabel takes FreeSurfer's `dim = (-1, 1, 1)` as a surface of `glmin` vertices; that is no
/// volume, and is refused here as a negative axis.
fn axes(fields: &Fields) -> Result<(usize, [usize; 3], u64), NiftiError> {
    let dim = fields.dim;
    let rank = usize::try_from(dim[0]).ok().filter(|rank| (1..=7).contains(rank));
    let rank = rank.ok_or(NiftiError::Rank { rank: dim[0] })?;
    let mut shape = [1; 3];
    let mut n_frames = 1;
    // Bytes of the largest voxel type times 2, so that byte offsets have room too.
    let mut total = 16_i64;
    for axis in 1..=rank {
        let length = dim[axis];
        if length < 1 {
            return Err(NiftiError::AxisLength { axis, length });
        }
        total = total.checked_mul(length).ok_or(NiftiError::VoxelCount { dim })?;
        if axis <= 3 {
            shape[axis - 1] = usize::try_from(length).map_err(|_| NiftiError::VoxelCount { dim })?;
        } else {
            n_frames *= length.cast_unsigned();
        }
    }
    Ok((rank, shape, n_frames))
}

/// Checks `vox_offset`.
///
/// nibabel reads a single file whose `vox_offset` is 0 from byte 0, so that the header appears as
/// voxels; here such a file is read from where the header ends, as the C library does.
fn data_offset(fields: &Fields, layout: Layout, warnings: &mut Vec<Warning>) -> Result<u64, NiftiError> {
    let mut repaired = |text| warnings.push(Warning::new(WarningCode::HeaderRepaired, text));
    let offset = fields.vox_offset;
    // Four bytes after the header say whether extensions follow.
    let after_header = fields.size() as u64 + 4;
    let minimum = if layout == Layout::Single { after_header } else { 0 };
    let error = NiftiError::VoxelOffset { offset, minimum };
    if !(0.0..=9_007_199_254_740_992.0).contains(&offset) {
        return Err(error);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=2^53 was checked")]
    let whole = offset as u64;
    if whole as f64 != offset {
        repaired(format!("vox_offset is {offset}; {whole} was taken"));
    }
    match layout {
        Layout::Single if !fields.single && whole < minimum => Err(NiftiError::PairHeader),
        Layout::Single if whole == 0 => {
            repaired(format!("vox_offset is 0; {minimum} was taken"));
            Ok(minimum)
        }
        _ if whole < minimum => Err(error),
        _ => Ok(whole),
    }
}

/// nibabel's rule: a slope of 0, NaN or infinity means none, whatever the intercept; a slope that
/// counts needs a finite intercept.
fn scaling(slope: f64, inter: f64) -> Result<Option<Scaling>, NiftiError> {
    if slope == 0.0 || !slope.is_finite() {
        return Ok(None);
    }
    if !inter.is_finite() {
        return Err(NiftiError::Intercept { slope, inter });
    }
    Ok(((slope, inter) != (1.0, 0.0)).then_some(Scaling { slope, inter }))
}
