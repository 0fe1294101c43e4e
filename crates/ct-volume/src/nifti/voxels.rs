//! Stored voxels to HU or labels, in place.

use super::datatype::{ByteOrder, Datatype};
use super::error::NiftiError;
use super::header::Scaling;

/// Voxels converted at a time: small enough that a block in both forms stays in the first cache.
const BLOCK: usize = 2048;
/// What stands for a voxel that is NaN or infinite: air, in HU.
const AIR_HU: f32 = -1024.0;

/// An array of results whose tail first holds the bytes of the file.
///
/// The bytes lie so far back that converting front to back never overwrites one that is still
/// needed: result `i` ends before stored voxel `i + 1` begins.
#[derive(Debug)]
pub(super) struct Buffer<T> {
    cells: Vec<T>,
    /// Where the file's bytes begin.
    file_start: usize,
    /// Where the voxels begin.
    data_start: usize,
}

impl<T: bytemuck::Pod> Buffer<T> {
    /// Room for `n` results, and at its end for `before + data + after` bytes of a file, `data` of
    /// them voxels: in `spare` if that is large enough, else in memory that the system has zeroed.
    pub(super) fn new(
        mut spare: Vec<T>,
        n: usize,
        before: usize,
        data: usize,
        after: usize,
    ) -> Result<Self, NiftiError> {
        let cell = size_of::<T>();
        let sizes = || {
            let file_bytes = before.checked_add(data)?.checked_add(after)?;
            let result_bytes = n.checked_mul(cell)?.checked_add(after)?;
            Some((file_bytes, file_bytes.max(result_bytes).div_ceil(cell)))
        };
        let (file_bytes, n_cells) = sizes().ok_or(NiftiError::OutOfMemory { bytes: u64::MAX })?;
        let bytes = n_cells as u64 * cell as u64;
        let cells = if spare.capacity() >= n_cells {
            // What the vector holds needs no writing; only what it lacks is.
            spare.resize(n_cells, T::zeroed());
            spare
        } else {
            drop(spare);
            let cells = bytemuck::allocation::try_zeroed_slice_box(n_cells);
            cells.map_err(|()| NiftiError::OutOfMemory { bytes })?.into_vec()
        };
        let file_start = n_cells * cell - file_bytes;
        Ok(Self { cells, file_start, data_start: file_start + before })
    }

    /// The memory, for another try.
    pub(super) fn into_spare(self) -> Vec<T> {
        self.cells
    }

    /// The bytes of the file, to be filled.
    pub(super) fn file_bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.cells)[self.file_start..]
    }

    /// Converts `n` voxels of `N` bytes block by block.
    fn convert<const N: usize>(
        mut self,
        n: usize,
        mut block: impl FnMut(&[[u8; N]], &mut [T]) -> Result<(), NiftiError>,
    ) -> Result<Vec<T>, NiftiError> {
        let mut stored = [[0; N]; BLOCK];
        for first in (0..n).step_by(BLOCK) {
            let count = BLOCK.min(n - first);
            let at = self.data_start + first * N;
            let bytes: &[u8] = &bytemuck::cast_slice(&self.cells)[at..at + count * N];
            stored[..count].as_flattened_mut().copy_from_slice(bytes);
            block(&stored[..count], &mut self.cells[first..first + count])?;
        }
        self.cells.truncate(n);
        // Voxels of more bytes than a result, or a spare that was far too large.
        if self.cells.capacity() > n + n / 4 + BLOCK {
            self.cells.shrink_to_fit();
        }
        Ok(self.cells)
    }
}

/// A stored voxel.
trait Sample: Copy {
    /// Whether it is always a whole number.
    const IS_INTEGER: bool;
    fn to_f64(self) -> f64;
    /// Through `f64`, as `float32(get_fdata())` is.
    fn to_f32(self) -> f32;
    /// As a label, if it is an integer from 0 to 65,535.
    fn to_label(self) -> Option<u16>;
}

macro_rules! integer_sample {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            const IS_INTEGER: bool = true;
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn to_f32(self) -> f32 {
                narrow(self as f64)
            }
            fn to_label(self) -> Option<u16> {
                u16::try_from(self).ok()
            }
        }
    )*};
}

integer_sample!(u8, i8, u16, i16, u32, i32, u64, i64);

impl Sample for f32 {
    const IS_INTEGER: bool = false;
    fn to_f64(self) -> f64 {
        self.into()
    }
    fn to_f32(self) -> f32 {
        self
    }
    fn to_label(self) -> Option<u16> {
        None
    }
}

impl Sample for f64 {
    const IS_INTEGER: bool = false;
    fn to_f64(self) -> f64 {
        self
    }
    fn to_f32(self) -> f32 {
        narrow(self)
    }
    fn to_label(self) -> Option<u16> {
        None
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is what is wanted")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// What is done with the voxels once their type is known.
trait Visit {
    type Out;
    fn visit<const N: usize, S: Sample>(self, read: impl Fn([u8; N]) -> S) -> Self::Out;
}

fn with_type<V: Visit>(datatype: Datatype, order: ByteOrder, visit: V) -> V::Out {
    use ByteOrder::{Big, Little};
    match (datatype, order) {
        (Datatype::Uint8, _) => visit.visit(u8::from_le_bytes),
        (Datatype::Int8, _) => visit.visit(i8::from_le_bytes),
        (Datatype::Uint16, Little) => visit.visit(u16::from_le_bytes),
        (Datatype::Uint16, Big) => visit.visit(u16::from_be_bytes),
        (Datatype::Int16, Little) => visit.visit(i16::from_le_bytes),
        (Datatype::Int16, Big) => visit.visit(i16::from_be_bytes),
        (Datatype::Uint32, Little) => visit.visit(u32::from_le_bytes),
        (Datatype::Uint32, Big) => visit.visit(u32::from_be_bytes),
        (Datatype::Int32, Little) => visit.visit(i32::from_le_bytes),
        (Datatype::Int32, Big) => visit.visit(i32::from_be_bytes),
        (Datatype::Uint64, Little) => visit.visit(u64::from_le_bytes),
        (Datatype::Uint64, Big) => visit.visit(u64::from_be_bytes),
        (Datatype::Int64, Little) => visit.visit(i64::from_le_bytes),
        (Datatype::Int64, Big) => visit.visit(i64::from_be_bytes),
        (Datatype::Float32, Little) => visit.visit(f32::from_le_bytes),
        (Datatype::Float32, Big) => visit.visit(f32::from_be_bytes),
        (Datatype::Float64, Little) => visit.visit(f64::from_le_bytes),
        (Datatype::Float64, Big) => visit.visit(f64::from_be_bytes),
    }
}

/// How voxels are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) n: usize,
    pub(crate) datatype: Datatype,
    pub(crate) order: ByteOrder,
    pub(crate) scaling: Option<Scaling>,
}

impl Stored {
    /// The largest size that a value can have; integers are bounded, floats are not.
    pub(crate) fn largest(&self) -> f64 {
        let stored = match self.datatype {
            Datatype::Int8 | Datatype::Uint8 => 256.0,
            Datatype::Int16 | Datatype::Uint16 => 65_536.0,
            _ => return f64::INFINITY,
        };
        self.scaling.map_or(stored, |Scaling { slope, inter }| stored * slope.abs() + inter.abs())
    }
}

/// HU, and how many voxels were NaN or infinite and became air.
pub(super) fn to_hu(buffer: Buffer<f32>, stored: Stored) -> Result<(Vec<f32>, usize), NiftiError> {
    with_type(stored.datatype, stored.order, ToHu { buffer, stored })
}

struct ToHu {
    buffer: Buffer<f32>,
    stored: Stored,
}

impl Visit for ToHu {
    type Out = Result<(Vec<f32>, usize), NiftiError>;

    fn visit<const N: usize, S: Sample>(self, read: impl Fn([u8; N]) -> S) -> Self::Out {
        let Stored { n, datatype, scaling, .. } = self.stored;
        let can_be_non_finite = datatype.is_float() || scaling.is_some();
        let mut replaced = 0;
        let hu = self.buffer.convert(n, |raw, out| {
            let pairs = out.iter_mut().zip(raw);
            match scaling {
                None => pairs.for_each(|(hu, bytes)| *hu = read(*bytes).to_f32()),
                // Adding an intercept of 0 would turn -0 into 0, which nibabel does not do.
                Some(Scaling { slope, inter: 0.0 }) => {
                    pairs.for_each(|(hu, bytes)| *hu = narrow(read(*bytes).to_f64() * slope));
                }
                Some(Scaling { slope, inter }) => {
                    pairs.for_each(|(hu, bytes)| *hu = narrow(read(*bytes).to_f64() * slope + inter));
                }
            }
            if can_be_non_finite {
                replaced += replace_non_finite(out);
            }
            Ok(())
        })?;
        Ok((hu, replaced))
    }
}

fn replace_non_finite(hu: &mut [f32]) -> usize {
    let count = hu.iter().filter(|v| !v.is_finite()).count();
    if count > 0 {
        for value in hu.iter_mut().filter(|v| !v.is_finite()) {
            *value = AIR_HU;
        }
    }
    count
}

/// Labels, and how many voxels had to be rounded.
pub(super) fn to_labels(buffer: Buffer<u16>, stored: Stored) -> Result<(Vec<u16>, usize), NiftiError> {
    with_type(stored.datatype, stored.order, ToLabels { buffer, stored })
}

struct ToLabels {
    buffer: Buffer<u16>,
    stored: Stored,
}

impl Visit for ToLabels {
    type Out = Result<(Vec<u16>, usize), NiftiError>;

    fn visit<const N: usize, S: Sample>(self, read: impl Fn([u8; N]) -> S) -> Self::Out {
        let Stored { n, scaling, .. } = self.stored;
        let mut rounded = 0;
        let labels = self.buffer.convert(n, |raw, out| {
            if S::IS_INTEGER && scaling.is_none() {
                // Without early exits, so that both loops become vector code.
                let fit = raw.iter().fold(true, |fit, bytes| fit & read(*bytes).to_label().is_some());
                let outside = |bytes: &&[u8; N]| read(**bytes).to_label().is_none();
                if let (false, Some(bytes)) = (fit, raw.iter().find(outside)) {
                    return Err(NiftiError::LabelRange { value: read(*bytes).to_f64() });
                }
                for (label, bytes) in out.iter_mut().zip(raw) {
                    *label = read(*bytes).to_label().unwrap_or_default();
                }
                return Ok(());
            }
            let Scaling { slope, inter } = scaling.unwrap_or(Scaling { slope: 1.0, inter: 0.0 });
            for (label, bytes) in out.iter_mut().zip(raw) {
                *label = whole(read(*bytes).to_f64() * slope + inter, &mut rounded)?;
            }
            Ok(())
        })?;
        Ok((labels, rounded))
    }
}

/// The label nearest to a value, halves to even.
fn whole(value: f64, rounded: &mut usize) -> Result<u16, NiftiError> {
    let nearest = value.round_ties_even();
    if !(0.0..=65_535.0).contains(&nearest) {
        return Err(NiftiError::LabelRange { value });
    }
    *rounded += usize::from(nearest != value);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=65535 was checked")]
    Ok(nearest as u16)
}
