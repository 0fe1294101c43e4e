//! Slices with their true and predicted boxes.

use serde::{Deserialize, Serialize};

use super::WIDE;
use crate::canvas::{Anchor, Canvas, MARGIN, Swatch};
use crate::error::{check_count, check_range};
use crate::raster::GrayImage;
use crate::text::{decimal, fit};
use crate::{ReportError, Svg};

const MAX_EXAMPLES: usize = 24;
/// PNG bytes of all images together: with base64 this keeps a figure below 300 KB.
const MAX_BYTES: usize = 195_000;
const GAP: f64 = 12.0;
/// Room under an image for its two lines, in px.
const CAPTION: f64 = 40.0;

/// One image of the grid.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Example {
    /// What is written under the image beside its IoU.
    pub label: String,
    /// The image as PNG, at most 4096 px an edge.
    pub png_bytes: Vec<u8>,
    /// The true box, `[x_min, y_min, x_max, y_max]` in px of the image, right and bottom edge outside.
    pub truth: Option<[f64; 4]>,
    /// The predicted box in the same form; none where the answer could not be parsed.
    pub prediction: Option<[f64; 4]>,
    /// Their IoU, by the convention of the evaluation.
    pub iou: Option<f64>,
}

/// Images with boxes (the published article's appendix figures).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExampleGrid {
    /// The title.
    pub title: String,
    /// Images per row, 1 to 6.
    pub n_columns: usize,
    /// The images, at most 24.
    pub examples: Vec<Example>,
}

/// The PNG of each image, all of them made smaller until they fit together.
fn fitting_pngs(examples: &[Example], images: &[GrayImage]) -> Result<Vec<Vec<u8>>, ReportError> {
    let total = |pngs: &[Vec<u8>]| pngs.iter().map(Vec::len).sum::<usize>();
    let mut pngs: Vec<Vec<u8>> = examples.iter().map(|example| example.png_bytes.clone()).collect();
    let mut longest_edge = 512;
    while total(&pngs) > MAX_BYTES && longest_edge >= 32 {
        pngs = images
            .iter()
            .map(|image| image.shrink(image.width.max(image.height).div_ceil(longest_edge).max(1)).encode())
            .collect::<Result<_, _>>()?;
        longest_edge = longest_edge * 3 / 4;
    }
    Ok(pngs)
}

/// Draws images in a grid: the true box green and solid, the predicted one red and dashed, the IoU
/// under each image. Images that are too large together are averaged down.
///
/// # Errors
/// [`ReportError::TooMany`] for more than 24 images or 6 columns, [`ReportError::Image`] and
/// [`ReportError::ImageSize`] for an image that is no usable PNG, [`ReportError::OutOfRange`] for a
/// box that is not finite or far outside its image, an IoU outside 0 to 1, or no columns.
///
/// # Source
/// SPEC 5.6: truth green, prediction red, IoU under the image.
pub fn example_grid(input: &ExampleGrid) -> Result<Svg, ReportError> {
    check_range("the number of columns", input.n_columns as f64, 1.0, f64::MAX)?;
    check_count("columns of the example grid", input.n_columns, 6)?;
    check_count("images in the example grid", input.examples.len(), MAX_EXAMPLES)?;
    let images = input
        .examples
        .iter()
        .enumerate()
        .map(|(index, example)| GrayImage::decode(&example.png_bytes, index))
        .collect::<Result<Vec<_>, _>>()?;
    let pngs = fitting_pngs(&input.examples, &images)?;
    let legend = [
        (Swatch::Box, "truth".to_owned(), "ground truth (green, solid)".to_owned()),
        (Swatch::Box, "pred".to_owned(), "prediction (red, dashed)".to_owned()),
    ];
    let subtitle = format!("n = {} images", input.examples.len());
    let mut canvas = Canvas::new(WIDE, &input.title, &subtitle, &legend);
    let top = canvas.top;
    if input.examples.is_empty() {
        canvas.rect("empty", MARGIN, top, WIDE - 2.0 * MARGIN, 120.0, None);
        canvas.text("muted", WIDE / 2.0, top + 64.0, Anchor::Middle, "no images to show");
        return Ok(canvas.finish(top + 120.0 + MARGIN));
    }
    // A short row fills the figure as a full one does.
    let n_columns = input.n_columns.min(input.examples.len()).max(2) as f64;
    let cell = ((WIDE - 2.0 * MARGIN - (n_columns - 1.0) * GAP) / n_columns).min(240.0);
    let mut y = top;
    let rows = input.n_columns.min(input.examples.len());
    let all: Vec<_> = input.examples.iter().zip(&images).zip(&pngs).collect();
    for row in all.chunks(rows) {
        // Images of a row share its height, so that their captions stand in line.
        let height_of = |image: &GrayImage| {
            let longest = image.width.max(image.height).max(1) as f64;
            (image.width as f64 / longest * cell, image.height as f64 / longest * cell)
        };
        let row_height = row.iter().map(|((_, image), _)| height_of(image).1).fold(0.0, f64::max);
        for (place, ((example, image), png)) in row.iter().enumerate() {
            let left = MARGIN + place as f64 * (cell + GAP);
            let (width, height) = height_of(image);
            let origin = (left + (cell - width) / 2.0, y + (row_height - height) / 2.0);
            canvas.image("scan", origin.0, origin.1, width, height, png);
            let scale = width / image.width.max(1) as f64;
            let boxes =
                [("truth", "a true box", example.truth), ("pred", "a predicted box", example.prediction)];
            for (class, what, edges) in boxes {
                if let Some(edges) = edges {
                    draw_box(&mut canvas, class, what, edges, origin, (width, height), scale)?;
                }
            }
            caption(&mut canvas, example, left + cell / 2.0, y + row_height, cell)?;
        }
        y += row_height + CAPTION + 8.0;
    }
    Ok(canvas.finish(y + 4.0))
}

fn draw_box(
    canvas: &mut Canvas,
    class: &str,
    what: &'static str,
    edges: [f64; 4],
    origin: (f64, f64),
    size: (f64, f64),
    scale: f64,
) -> Result<(), ReportError> {
    for edge in edges {
        check_range(what, edge, -1e6, 1e6)?;
    }
    let x = |value: f64| origin.0 + (value * scale).clamp(0.0, size.0);
    let y = |value: f64| origin.1 + (value * scale).clamp(0.0, size.1);
    let [x_min, y_min, x_max, y_max] = edges;
    let (left, right) = (x(x_min.min(x_max)), x(x_min.max(x_max)));
    let (top, bottom) = (y(y_min.min(y_max)), y(y_min.max(y_max)));
    canvas.rect("halo", left, top, right - left, bottom - top, None);
    canvas.rect(class, left, top, right - left, bottom - top, None);
    Ok(())
}

fn caption(canvas: &mut Canvas, example: &Example, x: f64, y: f64, space: f64) -> Result<(), ReportError> {
    let score = match (example.iou, example.prediction) {
        (Some(iou), prediction) if iou.is_finite() => {
            check_range("an IoU", iou, 0.0, 1.0)?;
            let no_box = if prediction.is_none() { " (no box)" } else { "" };
            format!("IoU {}{no_box}", decimal(iou, 3))
        }
        (_, None) => "no box predicted".to_owned(),
        _ => "IoU n/a".to_owned(),
    };
    canvas.text("strong", x, y + 16.0, Anchor::Middle, &score);
    canvas.text("muted", x, y + 32.0, Anchor::Middle, &fit(&example.label, 12.0, space));
    Ok(())
}
