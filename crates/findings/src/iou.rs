//! Overlap in 3-D, for evaluation.

use std::collections::BTreeMap;

use ct_volume::{LabelVolume, Orientation};
use ndarray::Axis;

use crate::error::FindingsError;
use crate::plane_box::PlaneBox;

/// One box for each of some slices: a tube, a finding, or the truth.
pub type BoxStack = BTreeMap<usize, PlaneBox>;

/// Intersection over union of two stacks of boxes of one study, as volumes: sums of areas over the slices,
/// in which voxel sizes cancel. None if both are without area.
#[must_use]
pub fn stack_iou(a: &BoxStack, b: &BoxStack) -> Option<f64> {
    let volume = |stack: &BoxStack| stack.values().map(PlaneBox::area_px2).sum::<f64>();
    let both: f64 = a.iter().filter_map(|(slice, a)| Some(a.intersection_px2(b.get(slice)?))).sum();
    let union = volume(a) + volume(b) - both;
    (union > 0.0).then(|| both / union)
}

/// The bounding box of some labels on each slice that has them, whole pixels: the truth that a model of
/// boxes can reach.
#[must_use]
pub fn mask_boxes(mask: &LabelVolume, labels: &[u16]) -> BoxStack {
    let mut stack = BoxStack::new();
    for (slice_idx, plane) in mask.view_as(Orientation::LPS).axis_iter(Axis(2)).enumerate() {
        for ((x, y), label) in plane.indexed_iter() {
            if labels.contains(label) {
                let pixel = PlaneBox::from([x as f64, y as f64, x as f64 + 1.0, y as f64 + 1.0]);
                stack.entry(slice_idx).and_modify(|b| *b = b.hull(&pixel)).or_insert(pixel);
            }
        }
    }
    stack
}

/// Intersection over union of the voxels of a stack of boxes and of some labels of a mask. An organ does
/// not fill its boxes, so even perfect boxes are below 1. None if both are empty.
///
/// # Errors
/// [`FindingsError::SliceIndex`] if the stack has slices that the mask has not.
pub fn mask_iou(stack: &BoxStack, mask: &LabelVolume, labels: &[u16]) -> Result<Option<f64>, FindingsError> {
    let view = mask.view_as(Orientation::LPS);
    let (width, height, n_slices) = view.dim();
    if let Some((&slice_idx, _)) = stack.last_key_value().filter(|(slice, _)| **slice >= n_slices) {
        return Err(FindingsError::SliceIndex { slice_idx, n_slices });
    }
    let size_px = [width, height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let (mut both, mut union) = (0_u64, 0_u64);
    for (slice_idx, plane) in view.axis_iter(Axis(2)).enumerate() {
        let covered = stack.get(&slice_idx).map(|box_px| box_px.pixels(size_px));
        for ((x, y), label) in plane.indexed_iter() {
            let in_box =
                covered.as_ref().is_some_and(|[columns, rows]| columns.contains(&x) && rows.contains(&y));
            let in_mask = labels.contains(label);
            both += u64::from(in_box && in_mask);
            union += u64::from(in_box || in_mask);
        }
    }
    Ok((union > 0).then(|| both as f64 / union as f64))
}

#[cfg(test)]
mod tests {
    use ct_volume::Affine;
    use ndarray::Array3;

    use super::*;

    #[test]
    fn worked_stacks() {
        let square = PlaneBox::from([0.0, 0.0, 4.0, 4.0]);
        let (a, b) = (BoxStack::from([(1, square), (2, square)]), BoxStack::from([(2, square), (3, square)]));
        assert!((stack_iou(&a, &b).unwrap() - 16.0 / 48.0).abs() < 1e-15);
        assert_eq!(stack_iou(&a, &a), Some(1.0));
        assert_eq!(stack_iou(&a, &BoxStack::new()), Some(0.0));
        assert_eq!(stack_iou(&BoxStack::new(), &BoxStack::new()), None);
    }

    #[test]
    fn boxes_of_a_mask_are_in_px_of_its_slices() {
        // RAS: columns and rows of the slices are flipped.
        let mut labels = Array3::<u16>::zeros((10, 8, 5));
        labels[[2, 3, 1]] = 2;
        labels[[4, 3, 1]] = 2;
        let mask = LabelVolume::new(labels, Affine::from_spacing_origin([1.0; 3], [0.0; 3])).unwrap();
        let stack = mask_boxes(&mask, &[2]);
        assert_eq!(stack, BoxStack::from([(1, PlaneBox::from([5.0, 4.0, 8.0, 5.0]))]));
        assert_eq!(mask_iou(&stack, &mask, &[2]).unwrap(), Some(2.0 / 3.0));
        assert_eq!(mask_iou(&BoxStack::new(), &mask, &[1]).unwrap(), None);
        let outside = BoxStack::from([(5, PlaneBox::from([0.0, 0.0, 1.0, 1.0]))]);
        assert!(mask_iou(&outside, &mask, &[2]).is_err());
    }
}
