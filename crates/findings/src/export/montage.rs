//! The key slices of all findings in one image.

use ct_slices::pixels::{Filter, HuWindow, resize_gray};
use ct_volume::Volume;

use super::canvas::{Canvas, LETTER};
use super::overlay::{check_grid, colors, gray_slice, image};
use crate::document::{Findings, RESEARCH_NOTE};
use crate::error::FindingsError;
use crate::finding::Finding;
use crate::plane_box::PlaneBox;

/// Longest side of a tile's slice in px; larger slices are made smaller.
const MAX_SIDE: usize = 384;
/// Lines of text above a tile.
const LINES: usize = 2;
const LINE: usize = LETTER + 2;
/// Most findings shown: the ones with the highest confidence.
const MAX_TILES: usize = 25;

/// One tile for each finding (the 25 surest of them): its key slice with all boxes of that slice, and above
/// it number, entity, confidence, slice and level. Without findings, the middle slice and a line that says
/// so. The research note stands at the bottom.
///
/// # Errors
/// [`FindingsError::Geometry`] if the volume is not on the document's grid; [`FindingsError::Image`].
pub fn montage_png(volume: &Volume, findings: &Findings, window: HuWindow) -> Result<Vec<u8>, FindingsError> {
    check_grid(volume, findings)?;
    let mut shown: Vec<&Finding> = findings.findings.iter().collect();
    shown.sort_by(|a, b| b.confidence.unwrap_or(0.0).total_cmp(&a.confidence.unwrap_or(0.0)));
    shown.truncate(MAX_TILES);
    shown.sort_by_key(|finding| finding.number);
    let mut tiles = Vec::with_capacity(shown.len().max(1));
    for finding in shown {
        let confidence = finding.confidence.map_or_else(String::new, |p| format!(" {p:.2}"));
        let lines = [
            format!("F{} {}{confidence}", finding.number, finding.entity),
            format!("slice {} z {:.1} mm", finding.key_slice_idx, finding.key_level_mm),
        ];
        tiles.push((finding.key_slice_idx, lines, colors(findings)(&finding.entity)));
    }
    if tiles.is_empty() {
        let middle = findings.study.n_slices / 2;
        tiles.push((middle, ["no findings".to_owned(), format!("slice {middle}")], [255; 3]));
    }
    let images = tiles
        .into_iter()
        .map(|(slice_idx, lines, color)| tile(volume, findings, slice_idx, &lines, color, window))
        .collect::<Result<Vec<_>, _>>()?;
    let first = &images[0];
    let [width, height] = first.size();
    let columns = (1..).find(|side| side * side >= images.len()).unwrap_or(1);
    let rows = images.len().div_ceil(columns);
    let mut canvas = Canvas::black((columns * width).max(RESEARCH_NOTE.len() * LETTER), rows * height + LINE);
    for (place, image) in images.iter().enumerate() {
        canvas.paste(place % columns * width, place / columns * height, image);
    }
    canvas.text(0, rows * height + 1, RESEARCH_NOTE, [200; 3]);
    canvas.png().map_err(image(0))
}

fn tile(
    volume: &Volume,
    findings: &Findings,
    slice_idx: usize,
    lines: &[String; LINES],
    color: [u8; 3],
    window: HuWindow,
) -> Result<Canvas, FindingsError> {
    let gray = gray_slice(volume, slice_idx, window)?;
    let (height, width) = gray.dim();
    let longest = width.max(height);
    // Whole numbers: side * MAX_SIDE / longest, at least 1.
    let shrunk = |side: usize| if longest > MAX_SIDE { (side * MAX_SIDE / longest).max(1) } else { side };
    let (tile_width, tile_height) = (shrunk(width), shrunk(height));
    let gray =
        resize_gray(gray.view(), tile_width, tile_height, Filter::Bicubic).map_err(image(slice_idx))?;
    let mut slice = Canvas::of_gray(gray.view());
    let (x, y) = (tile_width as f64 / width as f64, tile_height as f64 / height as f64);
    let color_of = colors(findings);
    for finding in &findings.findings {
        if let Some(shown) = finding.box_at(slice_idx) {
            let b = shown.box_px;
            let scaled = PlaneBox::from([b.x_min * x, b.y_min * y, b.x_max * x, b.y_max * y]);
            slice.outline(&scaled, color_of(&finding.entity));
        }
    }
    let mut canvas = Canvas::black(tile_width.max(28 * LETTER), tile_height + LINES * LINE);
    for (place, line) in lines.iter().enumerate() {
        canvas.text(0, place * LINE + 1, line, color);
    }
    canvas.paste(0, LINES * LINE, &slice);
    Ok(canvas)
}
