//! Findings as files of other tools.
//!
//! [`coco`] gives COCO's data set and results, [`box_mask`] a mask on the grid of the input,
//! [`slicer_markups`] 3D Slicer's regions of interest, [`overlay_png`] and [`montage_png`] images.
//! Functions that end in a folder or file write whole files or nothing.

mod canvas;
mod coco;
mod mask;
mod montage;
mod overlay;
mod slicer;

pub use coco::{CocoFiles, coco};
pub use mask::{box_mask, box_mask_gz, entity_mask, slice_masks, write_box_mask};
pub use montage::montage_png;
pub use overlay::{check_grid, gray_slice, overlay_png, slice_file_name, write_overlays};
pub use slicer::slicer_markups;
