//! The fields of a header as the file has them, one form for both versions and byte orders.

use super::datatype::ByteOrder;
use super::error::NiftiError;

/// Bytes of a NIfTI-1 header.
pub(super) const SIZE_1: usize = 348;
/// Bytes of a NIfTI-2 header.
pub(super) const SIZE_2: usize = 540;

/// Unchecked fields; only what reading needs. 32-bit floats are widened without loss.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    /// 1 or 2.
    pub(super) version: u8,
    pub(super) order: ByteOrder,
    /// True if header and voxels are one file (`n+1`, `n+2`).
    pub(super) single: bool,
    pub(super) sizeof_hdr: i32,
    pub(super) dim: [i64; 8],
    pub(super) datatype: i16,
    pub(super) bitpix: i16,
    pub(super) pixdim: [f64; 8],
    /// A 32-bit float in NIfTI-1, a 64-bit integer in NIfTI-2: both fit up to 2^53.
    pub(super) vox_offset: f64,
    pub(super) scl_slope: f64,
    pub(super) scl_inter: f64,
    pub(super) xyzt_units: i32,
    pub(super) qform_code: i32,
    pub(super) sform_code: i32,
    pub(super) quatern: [f64; 3],
    pub(super) qoffset: [f64; 3],
    pub(super) srow: [[f64; 4]; 3],
}

/// True if `head`, the first bytes of a file, hold a NIfTI magic.
pub(super) fn has_magic(head: &[u8]) -> bool {
    version_and_kind(head).is_some()
}

/// Version, and whether header and voxels are one file. As in nibabel, NIfTI-1 is told by its magic
/// and not by `sizeof_hdr`.
fn version_and_kind(head: &[u8]) -> Option<(u8, bool)> {
    match head.get(344..SIZE_1) {
        Some(b"n+1\0") => return Some((1, true)),
        Some(b"ni1\0") => return Some((1, false)),
        _ => {}
    }
    if head.len() < SIZE_2 {
        return None;
    }
    match head.get(4..8) {
        Some(b"n+2\0") => Some((2, true)),
        Some(b"ni2\0") => Some((2, false)),
        _ => None,
    }
}

impl Fields {
    /// From the first bytes of a header file, at most [`SIZE_2`] of which are looked at.
    pub(super) fn parse(head: &[u8]) -> Result<Self, NiftiError> {
        match version_and_kind(head) {
            Some((1, single)) => Self::parse_1(head, single),
            Some((_, single)) => Self::parse_2(head, single),
            None => Err(no_magic(head)),
        }
    }

    /// NIfTI-1, by the `nifti` crate's parser; like nibabel it takes the byte order in which
    /// `dim[0]` is a number of axes.
    fn parse_1(head: &[u8], single: bool) -> Result<Self, NiftiError> {
        let too_short = |_| NiftiError::HeaderTooShort { found: head.len() as u64, expected: SIZE_1 as u64 };
        let header = ::nifti::NiftiHeader::from_reader(head).map_err(too_short)?;
        // The crate types `dim` as unsigned; the format says signed.
        let dim = header.dim.map(|d| i64::from(d.cast_signed()));
        if !(1..=7).contains(&dim[0]) {
            let big = header.sizeof_hdr.swap_bytes() == 348;
            return Err(NiftiError::Rank { rank: if big { swapped(header.dim[0]) } else { dim[0] } });
        }
        let order = match header.endianness {
            ::nifti::Endianness::Little => ByteOrder::Little,
            ::nifti::Endianness::Big => ByteOrder::Big,
        };
        Ok(Self {
            version: 1,
            order,
            single,
            sizeof_hdr: header.sizeof_hdr,
            dim,
            datatype: header.datatype,
            bitpix: header.bitpix,
            pixdim: header.pixdim.map(f64::from),
            vox_offset: header.vox_offset.into(),
            scl_slope: header.scl_slope.into(),
            scl_inter: header.scl_inter.into(),
            xyzt_units: header.xyzt_units.into(),
            qform_code: header.qform_code.into(),
            sform_code: header.sform_code.into(),
            quatern: [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from),
            qoffset: [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from),
            srow: [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from)),
        })
    }

    /// NIfTI-2, which the `nifti` crate does not know. Offsets are those of `nifti2.h`.
    fn parse_2(head: &[u8], single: bool) -> Result<Self, NiftiError> {
        let mut at = At { head, order: ByteOrder::Little };
        let line_ends: [u8; 4] = at.bytes(8);
        // Zeros are let through, as nibabel does: early writers left the field empty.
        if line_ends != [13, 10, 26, 10] && line_ends != [0; 4] {
            return Err(NiftiError::LineEnds { found: line_ends });
        }
        let rank = at.i64(16);
        if !(1..=7).contains(&rank) {
            at.order = ByteOrder::Big;
            let big_rank = at.i64(16);
            if !(1..=7).contains(&big_rank) {
                let big = at.i32(0) == 540;
                return Err(NiftiError::Rank { rank: if big { big_rank } else { rank } });
            }
        }
        Ok(Self {
            version: 2,
            order: at.order,
            single,
            sizeof_hdr: at.i32(0),
            dim: std::array::from_fn(|n| at.i64(16 + 8 * n)),
            datatype: at.i16(12),
            bitpix: at.i16(14),
            pixdim: at.f64s(104),
            vox_offset: at.i64(168) as f64,
            scl_slope: at.f64(176),
            scl_inter: at.f64(184),
            xyzt_units: at.i32(500),
            qform_code: at.i32(344),
            sform_code: at.i32(348),
            quatern: at.f64s(352),
            qoffset: at.f64s(376),
            srow: [at.f64s(400), at.f64s(432), at.f64s(464)],
        })
    }

    /// `sizeof_hdr` of this version.
    pub(super) fn size(&self) -> usize {
        if self.version == 1 { SIZE_1 } else { SIZE_2 }
    }
}

fn swapped(value: u16) -> i64 {
    i64::from(value.swap_bytes().cast_signed())
}

fn no_magic(head: &[u8]) -> NiftiError {
    if head.len() < SIZE_1 {
        return NiftiError::HeaderTooShort { found: head.len() as u64, expected: SIZE_1 as u64 };
    }
    let sizeof_hdr = At { head, order: ByteOrder::Little }.i32(0);
    if sizeof_hdr == 348 || sizeof_hdr.swap_bytes() == 348 {
        return NiftiError::Analyze;
    }
    let magic = head[344..SIZE_1].escape_ascii().to_string();
    NiftiError::NotNifti { sizeof_hdr, magic }
}

/// Reads numbers at fixed places of a header that is long enough.
struct At<'a> {
    head: &'a [u8],
    order: ByteOrder,
}

impl At<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|n| self.head[at + n])
    }

    /// Bytes in little-endian order.
    fn little<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = self.bytes(at);
        if self.order == ByteOrder::Big {
            bytes.reverse();
        }
        bytes
    }

    fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.little(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.little(at))
    }

    fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.little(at))
    }

    fn f64(&self, at: usize) -> f64 {
        f64::from_le_bytes(self.little(at))
    }

    fn f64s<const N: usize>(&self, at: usize) -> [f64; N] {
        std::array::from_fn(|n| self.f64(at + 8 * n))
    }
}
