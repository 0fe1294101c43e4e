//! The findings of a study as masks.

use std::sync::atomic::{AtomicBool, Ordering};

use ct_slices::BoxPx;
use ct_slices::pixels::HuWindow;
use ct_volume::{LabelVolume, Volume};
use findings::export::{check_grid, gray_slice, slice_masks};
use findings::{FindingBox, Findings};
use ndarray::Array2;

use crate::error::SegmentError;
use crate::segmenter::BoxSegmenter;

/// The masks of every box of a study's findings as labels, on the grid of the input file. Labels are those
/// of the box mask ([`findings::export::box_mask`]), and so is which one stays where masks overlap.
///
/// A slice is encoded once for all of its boxes, interpolated ones among them; slices without boxes are not
/// encoded.
///
/// # Units
/// `window_hu`: low and high end in HU, as 0 and 255 of the 8-bit slice.
///
/// # Errors
/// [`SegmentError::Findings`] if the volume is not on the grid of the findings;
/// [`SegmentError::Slice`] for a window that cannot be used; [`SegmentError::Stopped`] before the next
/// slice if `stop` is set; those of [`BoxSegmenter::encode`] and [`BoxSegmenter::segment`].
pub fn segment_findings(
    segmenter: &BoxSegmenter,
    volume: &Volume,
    findings: &Findings,
    window_hu: [f64; 2],
    observe: &mut dyn FnMut(usize, usize),
    stop: &AtomicBool,
) -> Result<LabelVolume, SegmentError> {
    check_grid(volume, findings)?;
    let window = HuWindow::from_limits(window_hu[0], window_hu[1])?;
    let n_slices = findings.slices_with_boxes().len();
    let mut n_done = 0;
    slice_masks(findings, |slice_idx, boxes| {
        if stop.load(Ordering::Relaxed) {
            return Err(SegmentError::Stopped);
        }
        let gray = gray_slice(volume, slice_idx, window)?;
        let encoded = segmenter.encode(gray.view())?;
        let (rows, columns) = gray.dim();
        let size = [columns, rows].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let masks = boxes
            .iter()
            .map(|finding_box| match box_of(finding_box, size) {
                Some(box_px) => Ok(segmenter.segment(&encoded, box_px)?.mask),
                None => Ok(Array2::from_elem(gray.dim(), false)),
            })
            .collect::<Result<_, SegmentError>>()?;
        n_done += 1;
        observe(n_done, n_slices);
        Ok(masks)
    })
}

/// The pixels of a finding's box; none for one without.
fn box_of(finding_box: &FindingBox, size_px: [u32; 2]) -> Option<BoxPx> {
    let [columns, rows] = finding_box.box_px.pixels(size_px);
    let edges = [columns.start, rows.start, columns.end.checked_sub(1)?, rows.end.checked_sub(1)?];
    let [x_min, y_min, x_max, y_max] = edges.map(|edge| u32::try_from(edge).ok());
    Some(BoxPx { x_min: x_min?, y_min: y_min?, x_max: x_max?, y_max: y_max? })
}
