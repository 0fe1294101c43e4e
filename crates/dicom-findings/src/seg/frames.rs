//! Boxes as bits.

use std::collections::BTreeMap;
use std::ops::Range;

use findings::Entity;

use crate::context::Context;

/// One plane of one segment.
pub(super) struct Frame {
    /// From 1.
    pub(super) segment: u16,
    /// Along the third axis of the series.
    pub(super) plane: usize,
    /// Columns and rows of each box on the plane.
    pub(super) boxes: Vec<[Range<usize>; 2]>,
}

/// The planes on which segments are not empty: by segment, then by plane.
pub(super) fn frames_of<'e>(context: &Context<'_>, entities: impl Iterator<Item = &'e Entity>) -> Vec<Frame> {
    let mut frames = Vec::new();
    for (segment, entity) in (1..).zip(entities) {
        let mut planes: BTreeMap<usize, Vec<[Range<usize>; 2]>> = BTreeMap::new();
        for finding in context.findings.findings.iter().filter(|finding| finding.entity == *entity) {
            for slice in &finding.boxes {
                let [columns, rows, depth] = context.geometry.source_voxels(&slice.box_px, slice.slice_idx);
                if !columns.is_empty() && !rows.is_empty() {
                    for plane in depth {
                        planes.entry(plane).or_default().push([columns.clone(), rows.clone()]);
                    }
                }
            }
        }
        frames.extend(planes.into_iter().map(|(plane, boxes)| Frame { segment, plane, boxes }));
    }
    frames
}

/// The frames one after the other, a bit a pixel, the first pixel in the lowest bit (PS3.5, 8.1.1); padded
/// to an even number of bytes.
pub(super) fn packed(frames: &[Frame], columns: usize, rows: usize) -> Vec<u8> {
    let n_bytes = (frames.len() * columns * rows).div_ceil(8);
    let mut bytes = vec![0_u8; n_bytes.next_multiple_of(2)];
    for (number, frame) in frames.iter().enumerate() {
        for [across, down] in &frame.boxes {
            for row in down.clone() {
                for column in across.clone() {
                    let bit = (number * rows + row) * columns + column;
                    bytes[bit / 8] |= 1 << (bit % 8);
                }
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_run_on_over_frames() {
        // Frames of 3 x 3: the second begins within the second byte.
        let frame = |segment, boxes| Frame { segment, plane: 0, boxes };
        let frames = [frame(1, vec![[0..2, 0..1]]), frame(2, vec![[2..3, 1..3], [0..1, 0..1]])];
        // First: bits 0, 1. Second: pixel (2, 1) is 9 + 5, (2, 2) is 9 + 8, (0, 0) is 9.
        assert_eq!(packed(&frames, 3, 3), [0b0000_0011, 0b0100_0010, 0b0000_0010, 0]);
    }
}
