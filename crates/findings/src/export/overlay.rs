//! Slices with the outlines of their boxes.

use std::path::{Path, PathBuf};

use ct_slices::PlaneMap;
use ct_slices::pixels::{HuWindow, PixelError, Rendering, render};
use ct_volume::{Orientation, Volume, write_atomic};
use ndarray::{Array2, Axis};

use super::canvas::{Canvas, LETTER};
use crate::document::{Findings, RESEARCH_NOTE};
use crate::error::FindingsError;

/// How far corners of the volume and of the document may be apart.
const SAME_GRID_MM: f64 = 0.01;

/// The name of a slice's image.
#[must_use]
pub fn slice_file_name(slice_idx: usize) -> String {
    format!("slice-{slice_idx:04}.png")
}

/// A windowed slice as RGB PNG, with the outline of each box in the color of its entity
/// ([`EntityRecord`](crate::EntityRecord)); interpolated boxes are outlined as well. Where it fits, the
/// research note stands in the bottom row.
///
/// # Errors
/// [`FindingsError::Geometry`] if the volume is not on the document's grid;
/// [`FindingsError::SliceIndex`]; [`FindingsError::Image`].
pub fn overlay_png(
    volume: &Volume,
    findings: &Findings,
    slice_idx: usize,
    window: HuWindow,
) -> Result<Vec<u8>, FindingsError> {
    check_grid(volume, findings)?;
    overlay(volume, findings, slice_idx, window)
}

/// Writes [`overlay_png`] of every slice with a box into a folder, as [`slice_file_name`]; gives the files.
///
/// # Errors
/// As [`overlay_png`]; [`FindingsError::Folder`]; [`FindingsError::Volume`] for a file.
pub fn write_overlays(
    folder: &Path,
    volume: &Volume,
    findings: &Findings,
    window: HuWindow,
) -> Result<Vec<PathBuf>, FindingsError> {
    check_grid(volume, findings)?;
    fs_err::create_dir_all(folder)
        .map_err(|source| FindingsError::Folder { path: folder.to_owned(), source })?;
    let mut files = Vec::new();
    for slice_idx in findings.slices_with_boxes() {
        let path = folder.join(slice_file_name(slice_idx));
        write_atomic(&path, &overlay(volume, findings, slice_idx, window)?)?;
        files.push(path);
    }
    Ok(files)
}

/// Checks that a volume is on the document's grid.
///
/// # Errors
/// [`FindingsError::Geometry`] if it is not.
pub fn check_grid(volume: &Volume, findings: &Findings) -> Result<(), FindingsError> {
    Ok(findings.geometry()?.source().check_same_grid(volume.geometry(), SAME_GRID_MM)?)
}

/// The gray image of a slice.
///
/// # Shapes
/// - returns `[row, column]`, in LPS axes
///
/// # Errors
/// [`FindingsError::SliceIndex`]; [`FindingsError::Image`].
pub fn gray_slice(volume: &Volume, slice_idx: usize, window: HuWindow) -> Result<Array2<u8>, FindingsError> {
    let oriented = volume.view_as(Orientation::LPS);
    let n_slices = oriented.len_of(Axis(2));
    if slice_idx >= n_slices {
        return Err(FindingsError::SliceIndex { slice_idx, n_slices });
    }
    let plane = PlaneMap::Display.view(oriented.index_axis_move(Axis(2), slice_idx));
    render(plane, &Rendering::FixedWindow(window)).map_err(image(slice_idx))
}

pub(super) fn image(slice_idx: usize) -> impl Fn(PixelError) -> FindingsError {
    move |source| FindingsError::Image { slice_idx, source }
}

/// The color of a finding's entity.
pub(super) fn colors(findings: &Findings) -> impl Fn(&crate::Entity) -> [u8; 3] + '_ {
    |entity| {
        let record = findings.entities.iter().find(|record| record.entity == *entity);
        record.map_or([255; 3], |record| record.color_rgb)
    }
}

fn overlay(
    volume: &Volume,
    findings: &Findings,
    slice_idx: usize,
    window: HuWindow,
) -> Result<Vec<u8>, FindingsError> {
    let mut canvas = Canvas::of_gray(gray_slice(volume, slice_idx, window)?.view());
    let color = colors(findings);
    for finding in &findings.findings {
        if let Some(shown) = finding.box_at(slice_idx) {
            canvas.outline(&shown.box_px, color(&finding.entity));
        }
    }
    let [width, height] = canvas.size();
    if width >= RESEARCH_NOTE.len() * LETTER && height >= 8 * LETTER {
        canvas.text(0, height - LETTER, RESEARCH_NOTE, [200; 3]);
    }
    canvas.png().map_err(image(slice_idx))
}
