//! One pass over the labels of one slice, in memory order, for all organs at once.

use std::collections::BTreeMap;

use ndarray::{ArrayView2, Axis};

use crate::organ::{LabelMap, Organ};
use crate::plane::VoxelBox;

/// Pixel count and box of one organ in one slice, in voxel indices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) pixels: u64,
    inner: (u32, u32),
    outer: (u32, u32),
}

impl Extent {
    const EMPTY: Self = Self { pixels: 0, inner: (u32::MAX, 0), outer: (u32::MAX, 0) };

    fn add(&mut self, outer: u32, start: u32, length: u32) {
        self.pixels += u64::from(length);
        self.inner = (self.inner.0.min(start), self.inner.1.max(start + length - 1));
        self.outer = (self.outer.0.min(outer), self.outer.1.max(outer));
    }
}

/// Which organs a label number means, one bit per organ.
#[derive(Debug)]
pub(super) struct OrganTable {
    organs: Vec<Organ>,
    bits: Vec<u8>,
}

impl OrganTable {
    pub(super) fn new(map: &LabelMap) -> Self {
        let largest = map.0.values().flatten().copied().max();
        let mut bits = vec![0_u8; largest.map_or(0, |label| usize::from(label) + 1)];
        for (number, labels) in map.0.values().enumerate() {
            for &label in labels {
                bits[usize::from(label)] |= 1 << number; // five organs fit into eight bits
            }
        }
        Self { organs: map.organs().collect(), bits }
    }

    pub(super) fn organs(&self) -> &[Organ] {
        &self.organs
    }

    pub(super) fn bits(&self, label: u16) -> u8 {
        self.bits.get(usize::from(label)).copied().unwrap_or(0)
    }

    /// The bit of one organ; 0 if the map does not name it.
    pub(super) fn bit_of(&self, organ: Organ) -> u8 {
        self.organs.iter().position(|&o| o == organ).map_or(0, |number| 1 << number)
    }
}

/// Extents per organ of the table, of one slice `[i, j]` whose axes fit `u32`.
///
/// Runs along the axis with the smaller stride, so that a Fortran-order slice is read once from
/// front to back; runs of one label are counted as a whole. Lanes that are not contiguous are
/// copied to `buffer` first. Voxels of labels that no organ has are counted in `outside`.
pub(super) fn scan_slice(
    slice: ArrayView2<'_, u16>,
    table: &OrganTable,
    buffer: &mut Vec<u16>,
    outside: &mut BTreeMap<u16, u64>,
) -> Vec<Option<(u64, VoxelBox)>> {
    let mut slice = slice;
    let strides = [slice.strides()[0], slice.strides()[1]];
    let inner_axis = usize::from(strides[1].unsigned_abs() < strides[0].unsigned_abs());
    let inner_reversed = strides[inner_axis] < 0;
    if inner_reversed {
        slice.invert_axis(Axis(inner_axis));
    }
    let mut extents = vec![Extent::EMPTY; table.organs.len()];
    for (outer, lane) in (0_u32..).zip(slice.axis_iter(Axis(1 - inner_axis))) {
        if let Some(labels) = lane.as_slice() {
            scan_lane(labels, outer, table, &mut extents, outside);
        } else {
            buffer.clear();
            buffer.extend(lane.iter().copied());
            scan_lane(buffer, outer, table, &mut extents, outside);
        }
    }
    let n_inner = slice.len_of(Axis(inner_axis));
    let last = u32::try_from(n_inner).map_or(u32::MAX, |n| n.saturating_sub(1));
    extents
        .into_iter()
        .map(|e| (e.pixels > 0).then(|| (e.pixels, voxel_box(&e, inner_axis, inner_reversed, last))))
        .collect()
}

fn voxel_box(extent: &Extent, inner_axis: usize, inner_reversed: bool, last: u32) -> VoxelBox {
    let (low, high) = extent.inner;
    let inner = if inner_reversed { (last - high, last - low) } else { (low, high) };
    let (i, j) = if inner_axis == 0 { (inner, extent.outer) } else { (extent.outer, inner) };
    VoxelBox { i_min: i.0, i_max: i.1, j_min: j.0, j_max: j.1 }
}

fn scan_lane(
    labels: &[u16],
    outer: u32,
    table: &OrganTable,
    extents: &mut [Extent],
    outside: &mut BTreeMap<u16, u64>,
) {
    let (mut rest, mut start) = (labels, 0_u32);
    while let Some(&label) = rest.first() {
        let n = run_length(rest, label);
        let length = u32::try_from(n).unwrap_or(u32::MAX); // the caller has checked the axes
        let mut bits = table.bits(label);
        if bits == 0 && label != 0 {
            *outside.entry(label).or_default() += u64::from(length);
        }
        while bits != 0 {
            extents[bits.trailing_zeros() as usize].add(outer, start, length);
            bits &= bits - 1;
        }
        start += length;
        rest = &rest[n..];
    }
}

/// How many of the first labels are `label`. Whole chunks are compared without a branch inside,
/// which the compiler turns into vector instructions.
fn run_length(labels: &[u16], label: u16) -> usize {
    const CHUNK: usize = 32;
    let same = |chunk: &&[u16]| chunk.iter().fold(0, |differing, &l| differing | (l ^ label)) == 0;
    let whole = labels.chunks_exact(CHUNK).take_while(same).count() * CHUNK;
    whole + labels[whole..].iter().take_while(|&&l| l == label).count()
}
