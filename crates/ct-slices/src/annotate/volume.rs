//! Pixel counts, boxes and ratios of all slices of a volume.

use std::collections::BTreeMap;

use ndarray::{ArrayView3, Axis};

use super::kidney::{KidneyRule, right_kidney_in};
use super::ratio::round_ratio;
use super::scan::{OrganTable, scan_slice};
use crate::bbox::BoxPx;
use crate::index::OrganRecord;
use crate::organ::{LabelMap, Organ};
use crate::plane::PlaneMap;

/// One organ in one slice (SPEC 1.4).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OrganSlice {
    /// Mask pixels.
    pub pixels: u64,
    /// Box around them, if any.
    pub bbox: Option<BoxPx>,
    /// `pixels` over the volume's largest, rounded as numpy rounds.
    pub pixels_ratio: f64,
    /// Box area over the volume's largest, rounded as numpy rounds.
    pub bbox_ratio: f64,
}

/// Largest values of one organ over the slices of a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrganMaxima {
    /// Most mask pixels in a slice.
    pub pixels: u64,
    /// Largest [`BoxPx::selection_area`] in a slice.
    pub bbox_area: u64,
}

/// All organs of one slice.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceAnnotation {
    /// Slice number along the third axis, from 0.
    pub slice_index: usize,
    /// One entry per organ of the label map, present in the slice or not.
    pub organs: BTreeMap<Organ, OrganSlice>,
}

/// All slices of one volume.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeAnnotation {
    /// Columns of a slice image.
    pub width_px: usize,
    /// Rows of a slice image.
    pub height_px: usize,
    /// Slices in order.
    pub slices: Vec<SliceAnnotation>,
    /// Largest values per organ.
    pub maxima: BTreeMap<Organ, OrganMaxima>,
    /// Voxels by label, of labels that the label map gives to no organ; background (0) is none of them.
    pub labels_outside_map: BTreeMap<u16, u64>,
}

impl VolumeAnnotation {
    /// One organ of one slice as the index has it; all zeros for an organ outside the label map.
    ///
    /// # Panics
    /// If there is no such slice: a caller's bug.
    #[must_use]
    pub fn organ_record(&self, slice_idx: usize, organ: Organ) -> OrganRecord {
        let slice = self.slices[slice_idx].organs.get(&organ).copied().unwrap_or_default();
        let maxima = self.maxima.get(&organ).copied().unwrap_or_default();
        OrganRecord {
            pixels: slice.pixels,
            bbox: slice.bbox,
            pixels_ratio: slice.pixels_ratio,
            bbox_ratio: slice.bbox_ratio,
            max_pixels: maxima.pixels,
            max_bbox_area: maxima.bbox_area,
        }
    }

    /// Organs of the label map that no slice of the volume can be selected by: absent, or one
    /// pixel thin wherever they are. Under [`MaxZero::Zero`] these are to be reported (D6).
    pub fn organs_without_area(&self) -> impl Iterator<Item = Organ> + '_ {
        self.maxima.iter().filter(|(_, maxima)| maxima.bbox_area == 0).map(|(&organ, _)| organ)
    }
}

/// What an organ without pixels or box area in the whole volume means (D6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxZero {
    /// An error, as the published MSD and NIH scripts stop with a division by zero.
    Error,
    /// Ratios are 0, as in the published AbdomenCT-1K script, and in the repaired default.
    Zero,
}

/// Choices of [`annotate_volume`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct AnnotateRules {
    /// An organ absent from the whole volume.
    pub max_zero: MaxZero,
    /// Which part of [`Organ::Kidney`] is meant.
    pub kidney: KidneyRule,
}

impl AnnotateRules {
    /// The repaired rules: absent organs have ratio 0, the right kidney is found by its side of
    /// the image's middle.
    pub const FIXED: Self = Self { max_zero: MaxZero::Zero, kidney: KidneyRule::Fixed { midline_col: None } };
    /// The published MSD and NIH rules.
    pub const PUBLISHED: Self = Self { max_zero: MaxZero::Error, kidney: KidneyRule::Published };
    /// The published AbdomenCT-1K rules.
    pub const PUBLISHED_ABDOMEN: Self = Self { max_zero: MaxZero::Zero, kidney: KidneyRule::Published };
}

/// Why a mask cannot be annotated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotateError {
    /// Boxes and slice numbers are `u32`.
    #[error("axis {axis} has {length} voxels, more than `u32` holds")]
    AxisTooLong {
        /// The array axis.
        axis: usize,
        /// Its length.
        length: usize,
    },
    /// Under [`MaxZero::Error`]: no ratio of box areas can be formed.
    #[error("no slice has a `{organ}` box with an area (at most {max_pixels} pixels in a slice)")]
    NoBoxArea {
        /// The organ.
        organ: Organ,
        /// Most pixels of it in a slice: 0 if it is absent, else its boxes are one pixel thin.
        max_pixels: u64,
    },
}

/// Counts, boxes and ratios of every slice of a mask.
///
/// Each slice is read once, in memory order, for all organs together; boxes are found in voxel
/// indices and then mapped, so no array is copied or turned.
///
/// # Shapes
/// - `labels`: `[i, j, k]`, any strides; fastest where `i` is contiguous
///
/// # Errors
/// [`AnnotateError::AxisTooLong`]; [`AnnotateError::NoBoxArea`] under [`MaxZero::Error`].
///
/// # Source
/// SPEC 1.2 to 1.4, 1.10.
pub fn annotate_volume(
    labels: ArrayView3<'_, u16>,
    map: &LabelMap,
    plane: PlaneMap,
    rules: &AnnotateRules,
) -> Result<VolumeAnnotation, AnnotateError> {
    let (n0, n1, _) = labels.dim();
    let length = |axis: usize| {
        let length = labels.len_of(Axis(axis));
        u32::try_from(length).map_err(|_| AnnotateError::AxisTooLong { axis, length })
    };
    let shape = [length(0)?, length(1)?];
    length(2)?;
    let table = OrganTable::new(map);
    let kidney_bit = table.bit_of(Organ::Kidney);
    let mut buffer = Vec::new();
    let mut labels_outside_map = BTreeMap::new();
    let mut maxima = vec![OrganMaxima::default(); table.organs().len()];
    let mut slices = Vec::with_capacity(labels.len_of(Axis(2)));
    for slice in labels.axis_iter(Axis(2)) {
        let extents = scan_slice(slice, &table, &mut buffer, &mut labels_outside_map);
        let mut organs = Vec::with_capacity(extents.len());
        for ((extent, &organ), maxima) in extents.into_iter().zip(table.organs()).zip(&mut maxima) {
            let mut found = extent.map(|(pixels, voxels)| (pixels, plane.map_box(shape, voxels)));
            if let (Organ::Kidney, Some((_, bbox))) = (organ, found) {
                let is_kidney = |label| table.bits(label) & kidney_bit != 0;
                let right = right_kidney_in(plane.view(slice), bbox, is_kidney, rules.kidney);
                found = right.map(|kidney| (kidney.pixels, kidney.bbox));
            }
            if let Some((pixels, bbox)) = found {
                maxima.pixels = maxima.pixels.max(pixels);
                maxima.bbox_area = maxima.bbox_area.max(bbox.selection_area());
            }
            organs.push(found);
        }
        slices.push(organs);
    }
    let maxima: BTreeMap<Organ, OrganMaxima> = table.organs().iter().copied().zip(maxima).collect();
    if rules.max_zero == MaxZero::Error
        && let Some((&organ, none)) = maxima.iter().find(|(_, m)| m.bbox_area == 0)
    {
        return Err(AnnotateError::NoBoxArea { organ, max_pixels: none.pixels });
    }
    let annotate = |found: Option<(u64, BoxPx)>, organ: &Organ| {
        let Some((pixels, bbox)) = found else { return OrganSlice::default() };
        let most = maxima[organ];
        let ratio = |value, max| if max == 0 { 0.0 } else { round_ratio(value, max) };
        OrganSlice {
            pixels,
            bbox: Some(bbox),
            pixels_ratio: ratio(pixels, most.pixels),
            bbox_ratio: ratio(bbox.selection_area(), most.bbox_area),
        }
    };
    let slices = slices.into_iter().enumerate().map(|(slice_index, found)| {
        let organs = table.organs().iter().zip(found).map(|(&organ, f)| (organ, annotate(f, &organ)));
        SliceAnnotation { slice_index, organs: organs.collect() }
    });
    let slices = slices.collect();
    let (width_px, height_px) = plane.plane_size(n0, n1);
    Ok(VolumeAnnotation { width_px, height_px, slices, maxima, labels_outside_map })
}
