//! What a perfect answer can score.

use serde::{Deserialize, Serialize};
use vlm_prompt::{BoxDecode, BoxFormat, PixelBox};

use crate::detection::{EraHReading, PublishedAnswer, PublishedSample, score_era_h, score_era_p};
use crate::error::MetricsError;
use crate::overlap::{covered_area, iou};
use crate::summary_statistics::mean;

/// Which edges of a true box are written as the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetEdges {
    /// Published: the edges as stored, maximum edges inside.
    #[default]
    Stored,
    /// The area that is covered, `[x_min, x_max + 1)`.
    Covered,
}

/// Mean IoU of perfect answers: any IoU of a model that answers in this format must be read against it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FormatCeiling {
    /// Boxes.
    pub n: usize,
    /// By our convention, see [`DetectionScores`](crate::DetectionScores).
    pub iou_mean: f64,
    /// As era P computes it.
    pub iou_era_p_mean: f64,
    /// As era H computes it.
    pub iou_era_h_mean: f64,
}

/// Writes every true box (in px, maximum edges inside, with its image's width and height) in `format`, reads it back
/// and compares.
///
/// # Errors
/// [`NoCases`](MetricsError::NoCases) when there are no boxes, [`Box`](MetricsError::Box) for an image without pixels.
///
/// # Source
/// SPEC 5.5.
pub fn format_ceiling(
    format: BoxFormat,
    decode: BoxDecode,
    edges: TargetEdges,
    boxes: &[(PixelBox, [u32; 2])],
) -> Result<FormatCeiling, MetricsError> {
    let mut samples = Vec::with_capacity(boxes.len());
    let mut ious = Vec::with_capacity(boxes.len());
    for (box_idx, (truth, [width, height])) in boxes.iter().enumerate() {
        let target = match edges {
            TargetEdges::Stored => *truth,
            TargetEdges::Covered => covered_area(*truth),
        };
        let read = format
            .encode(target, *width, *height)
            .and_then(|grid| format.decode(grid, *width, *height, decode))
            .map_err(|source| MetricsError::Box { box_idx, source })?;
        ious.push(iou(read, covered_area(*truth)));
        samples.push(PublishedSample { truth: *truth, answer: PublishedAnswer::Box(read) });
    }
    Ok(FormatCeiling {
        n: boxes.len(),
        iou_mean: mean(&ious).ok_or(MetricsError::NoCases)?,
        iou_era_p_mean: score_era_p(&samples).iou,
        iou_era_h_mean: score_era_h(&samples, EraHReading::Plain).iou,
    })
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    /// Boxes of uniform size and place at 512 by 512 px.
    fn uniform_boxes(widths: [u32; 2], heights: [u32; 2]) -> Vec<(PixelBox, [u32; 2])> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut between = |low: u32, high: u32| low + rng.next_u32() % (high - low + 1);
        (0..20_000)
            .map(|_| {
                let (width, height) = (between(widths[0], widths[1]), between(heights[0], heights[1]));
                let (x, y) = (between(0, 511 - width), between(0, 511 - height));
                ([x, y, x + width, y + height].into(), [512, 512])
            })
            .collect()
    }

    #[test]
    fn published_ceilings() {
        // SPEC 5.5, era H: pancreas-like 0.887, tumor-like 0.663.
        let rows = [([30, 215], [31, 147], 0.887), ([8, 50], [8, 50], 0.663)];
        for (widths, heights, expected) in rows {
            let boxes = uniform_boxes(widths, heights);
            let ceiling =
                format_ceiling(BoxFormat::Percent100, BoxDecode::GridLine, TargetEdges::Stored, &boxes)
                    .unwrap();
            assert!((ceiling.iou_era_h_mean - expected).abs() < 0.01, "{ceiling:?}");
            let fine =
                format_ceiling(BoxFormat::Permille1000, BoxDecode::GridLine, TargetEdges::Covered, &boxes)
                    .unwrap();
            assert!(fine.iou_mean > 0.97 && fine.iou_mean > ceiling.iou_mean, "{fine:?}");
        }
    }

    #[test]
    fn the_paper_example() {
        // SPEC 0.4, trap 15.
        let boxes = [([196, 235, 237, 260].into(), [512, 512])];
        let ceiling =
            format_ceiling(BoxFormat::Percent100, BoxDecode::GridLine, TargetEdges::Stored, &boxes).unwrap();
        assert_eq!(format!("{:.3}", ceiling.iou_era_h_mean), "0.667");
    }

    #[test]
    fn what_cannot_be_written() {
        let ceiling = |boxes: &[(PixelBox, [u32; 2])]| {
            format_ceiling(BoxFormat::Percent100, BoxDecode::GridLine, TargetEdges::Stored, boxes)
        };
        assert_eq!(ceiling(&[]), Err(MetricsError::NoCases));
        assert!(matches!(
            ceiling(&[(PixelBox::default(), [0, 5])]),
            Err(MetricsError::Box { box_idx: 0, .. })
        ));
    }
}
