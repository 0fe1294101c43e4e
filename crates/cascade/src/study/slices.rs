//! The slices of a study as images.

use std::sync::Arc;

use ct_slices::pixels::{HuWindow, Rendering, encode_gray, render};
use ct_slices::{BoxPx, PlaneMap};
use ct_volume::{Orientation, Volume};
use ndarray::{Array2, Axis};
use vlm_prompt::PixelBox;

use super::frame_of;
use crate::CascadeError;
use crate::evaluate_stage::OpenCheckpoint;
use crate::images::{ImageFit, ImageTable};

/// Every slice of a volume as the preset `fixed` shows it, gray, feet first.
///
/// # Shapes
/// - returns `[rows, columns]` of each slice in LPS axes
pub(crate) fn render_slices(volume: &Volume, window_hu: [f64; 2]) -> Result<Vec<Array2<u8>>, CascadeError> {
    let [low, high] = window_hu;
    let unusable = |reason: String| CascadeError::setting("window_hu", format!("{low}..{high}"), reason);
    let window = HuWindow::from_limits(low, high).map_err(|error| unusable(error.to_string()))?;
    let oriented = volume.view_as(Orientation::LPS);
    oriented
        .axis_iter(Axis(2))
        .map(|slice| {
            render(PlaneMap::Display.view(slice), &Rendering::FixedWindow(window))
                .map_err(|error| unusable(error.to_string()))
        })
        .collect()
}

/// The images of a study: whole slices, and one more of each for every stage that is shown regions.
pub(super) struct StudySlices {
    pub(super) table: Arc<ImageTable>,
    /// Columns and rows.
    pub(super) size_px: [u32; 2],
    /// By slice.
    pub(super) whole: Vec<u32>,
    /// By stage (yes/no, box), then by slice; empty where there is no such stage.
    of_stage: [Vec<u32>; 2],
}

impl StudySlices {
    pub(super) fn render(
        volume: &Volume,
        window_hu: [f64; 2],
        model_px: usize,
        stages: [&Option<OpenCheckpoint>; 2],
    ) -> Result<Self, CascadeError> {
        let mut table = ImageTable::new(model_px);
        let (mut whole, mut of_stage) = (Vec::new(), [Vec::new(), Vec::new()]);
        let mut size_px = [0, 0];
        for (slice_idx, gray) in render_slices(volume, window_hu)?.into_iter().enumerate() {
            let png: Arc<[u8]> = encode_gray(gray.view())
                .map_err(|error| CascadeError::setting("slice", slice_idx, error.to_string()))?
                .into();
            let (rows, columns) = gray.dim();
            size_px = [columns, rows].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
            let name = format!("slice {slice_idx}");
            whole.push(table.add_png(&name, Arc::clone(&png), ImageFit::Stretch));
            for (images, stage) in of_stage.iter_mut().zip(stages) {
                if let Some(stage) = stage {
                    images.push(table.add_png(&name, Arc::clone(&png), stage.image_fit));
                }
            }
        }
        Ok(Self { table: Arc::new(table), size_px, whole, of_stage })
    }

    /// The images that a stage is shown of slices with a pancreas, each with its frame.
    pub(super) fn regions(
        &self,
        stage: usize,
        opened: &OpenCheckpoint,
        pancreas: &[(usize, PixelBox)],
    ) -> Result<Vec<(u32, BoxPx)>, CascadeError> {
        let mut shown = Vec::with_capacity(pancreas.len());
        for (slice_idx, bbox) in pancreas {
            let (image, frame) = (self.of_stage[stage][*slice_idx], frame_of(opened, *bbox, self.size_px));
            if opened.region.is_some() {
                self.table.set_region(image, frame)?;
            }
            shown.push((image, frame));
        }
        Ok(shown)
    }
}
