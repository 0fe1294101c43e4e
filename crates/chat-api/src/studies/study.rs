//! A study as it is looked at.

use std::sync::Arc;

use ct_slices::PlaneMap;
use ct_slices::pixels::{HuWindow, Rendering, render};
use ct_volume::{Orientation, Warning};
use ndarray::{Array2, ArrayView2, Axis};

use super::{StudyError, StudyKind};
use crate::images::{ImageError, RasterImage};
use crate::model::{ChatImage, StudyInput, StudySource};

/// A study: slices to look at, and nothing that tells whose they are.
#[derive(Debug, Clone)]
pub struct Study {
    kind: StudyKind,
    input: Arc<StudyInput>,
}

impl Study {
    pub(crate) fn new(kind: StudyKind, input: StudyInput) -> Self {
        Self { kind, input: Arc::new(input) }
    }

    /// What it was made of.
    #[must_use]
    pub fn kind(&self) -> StudyKind {
        self.kind
    }

    /// What a model gets of it.
    #[must_use]
    pub fn input(&self) -> &Arc<StudyInput> {
        &self.input
    }

    /// Number of slices.
    #[must_use]
    pub fn n_slices(&self) -> usize {
        match &self.input.source {
            StudySource::Volume(volume) => volume.view_as(Orientation::LPS).len_of(Axis(2)),
            StudySource::Images(images) => images.len(),
        }
    }

    /// Columns and rows of a slice.
    ///
    /// # Errors
    /// [`StudyError::NoSuchSlice`].
    pub fn slice_size_px(&self, slice_idx: usize) -> Result<[usize; 2], StudyError> {
        self.check(slice_idx)?;
        Ok(match &self.input.source {
            StudySource::Volume(volume) => {
                let view = volume.view_as(Orientation::LPS);
                [view.len_of(Axis(0)), view.len_of(Axis(1))]
            }
            StudySource::Images(images) => [images[slice_idx].width_px(), images[slice_idx].height_px()],
        })
    }

    /// Distances of columns, rows and slices in mm, where they are known.
    #[must_use]
    pub fn spacing_mm(&self) -> Option<[f64; 3]> {
        match &self.input.source {
            StudySource::Volume(volume) => Some(volume.geometry().reoriented(Orientation::LPS).spacing_mm()),
            StudySource::Images(_) => None,
        }
    }

    /// The axes of the file, such as `LPS`.
    #[must_use]
    pub fn orientation(&self) -> Option<String> {
        match &self.input.source {
            StudySource::Volume(volume) => Some(volume.geometry().orientation().to_string()),
            StudySource::Images(_) => None,
        }
    }

    /// What the reader noticed.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        match &self.input.source {
            StudySource::Volume(volume) => volume.warnings(),
            StudySource::Images(_) => &[],
        }
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let pixels = match &self.input.source {
            StudySource::Volume(volume) => 4 * volume.hu().len(),
            StudySource::Images(images) => images.iter().map(|image| image.pixels().len()).sum(),
        };
        let files: usize = self.input.files.0.iter().map(|file| file.len()).sum();
        (pixels + files) as u64
    }

    /// A slice as PNG file: gray in `window`, or a picture as it is.
    ///
    /// # Errors
    /// [`StudyError::NoSuchSlice`] or [`StudyError::Render`].
    pub fn slice_png(&self, slice_idx: usize, window: &HuWindow) -> Result<Vec<u8>, StudyError> {
        self.raster(slice_idx, window)?.png().map_err(StudyError::Render)
    }

    /// A slice as a model gets it.
    ///
    /// # Errors
    /// [`StudyError::NoSuchSlice`] or [`StudyError::Render`].
    pub fn chat_image(&self, slice_idx: usize, window: &HuWindow) -> Result<ChatImage, StudyError> {
        self.raster(slice_idx, window)?.to_chat_image().map_err(StudyError::Render)
    }

    /// The HU of a slice, rounded and held within 16 bits, row after row; none of a picture.
    ///
    /// # Errors
    /// [`StudyError::NoSuchSlice`].
    pub fn slice_hu(&self, slice_idx: usize) -> Result<Option<Vec<i16>>, StudyError> {
        self.check(slice_idx)?;
        let StudySource::Volume(volume) = &self.input.source else { return Ok(None) };
        let view = volume.view_as(Orientation::LPS);
        let plane = PlaneMap::Display.view(view.index_axis(Axis(2), slice_idx));
        Ok(Some(plane.iter().map(|&hu| to_i16(hu)).collect()))
    }

    fn raster(&self, slice_idx: usize, window: &HuWindow) -> Result<RasterImage, StudyError> {
        self.check(slice_idx)?;
        match &self.input.source {
            StudySource::Images(images) => Ok(images[slice_idx].clone()),
            StudySource::Volume(volume) => {
                let view = volume.view_as(Orientation::LPS);
                let plane: ArrayView2<'_, f32> = PlaneMap::Display.view(view.index_axis(Axis(2), slice_idx));
                let gray: Array2<u8> =
                    render(plane, &Rendering::FixedWindow(*window)).map_err(StudyError::Render)?;
                let (rows, columns) = gray.dim();
                RasterImage::gray(columns, rows, gray.iter().copied().collect())
                    .ok_or(StudyError::Image(ImageError::UnknownFormat))
            }
        }
    }

    fn check(&self, slice_idx: usize) -> Result<(), StudyError> {
        let n = self.n_slices();
        if slice_idx < n {
            Ok(())
        } else {
            Err(StudyError::NoSuchSlice { got: slice_idx, last: n.saturating_sub(1) })
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate, as is wanted here")]
fn to_i16(hu: f32) -> i16 {
    hu.round() as i16
}
