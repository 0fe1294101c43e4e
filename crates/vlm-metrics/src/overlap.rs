//! How much two boxes share.

use vlm_prompt::PixelBox;

/// Overlap and areas of two boxes whose edges are `extra` px apart more than their difference says.
struct Areas {
    intersection: f64,
    a: f64,
    b: f64,
}

impl Areas {
    /// Inverted boxes and edges that are no numbers have no area.
    fn guarded(a: PixelBox, b: PixelBox, extra: f64) -> Self {
        let area = |pixels: PixelBox| {
            if pixels.x_max < pixels.x_min || pixels.y_max < pixels.y_min {
                return 0.0;
            }
            (pixels.x_max - pixels.x_min + extra).max(0.0) * (pixels.y_max - pixels.y_min + extra).max(0.0)
        };
        let (area_a, area_b) = (area(a), area(b));
        let intersection = if area_a > 0.0 && area_b > 0.0 { intersection(a, b, extra) } else { 0.0 };
        Self { intersection, a: area_a, b: area_b }
    }

    fn iou(&self) -> f64 {
        ratio(self.intersection, self.a + self.b - self.intersection)
    }

    fn dsc(&self) -> f64 {
        ratio(2.0 * self.intersection, self.a + self.b)
    }
}

fn intersection(a: PixelBox, b: PixelBox, extra: f64) -> f64 {
    let width = (a.x_max.min(b.x_max) - a.x_min.max(b.x_min) + extra).max(0.0);
    let height = (a.y_max.min(b.y_max) - a.y_min.max(b.y_min) + extra).max(0.0);
    width * height
}

/// 0 where the whole is empty or not finite. The cap holds back a last-digit excess of rounding.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 && whole.is_finite() { (part / whole).min(1.0) } else { 0.0 }
}

/// Intersection over union of two boxes with width `x_max - x_min`: era H's rule, and ours once the truth is given as
/// [`covered_area`]. 0 when the union is empty; an inverted box is empty.
///
/// # Units
/// Any, the same for both boxes.
///
/// # Source
/// SPEC 5.4, era H.
pub fn iou(a: PixelBox, b: PixelBox) -> f64 {
    Areas::guarded(a, b, 0.0).iou()
}

/// Dice score of two boxes with width `x_max - x_min`, `2 I / (A + B)`; 0 when both are empty, an inverted box is empty.
///
/// # Source
/// SPEC 5.4, era H.
pub fn dsc(a: PixelBox, b: PixelBox) -> f64 {
    Areas::guarded(a, b, 0.0).dsc()
}

/// Intersection over union of two boxes in px whose maximum edges are the last pixels inside: width
/// `x_max - x_min + 1`. An inverted box is empty; for ordered boxes this is era P's number, see [`iou_era_p`].
///
/// # Source
/// SPEC 5.4, era P.
pub fn iou_inclusive(a: PixelBox, b: PixelBox) -> f64 {
    Areas::guarded(a, b, 1.0).iou()
}

/// Dice score of two boxes in px with width `x_max - x_min + 1`; an inverted box is empty.
pub fn dsc_inclusive(a: PixelBox, b: PixelBox) -> f64 {
    Areas::guarded(a, b, 1.0).dsc()
}

/// Era P's intersection over union, with negative areas of inverted boxes left as they are, so that the result may be
/// outside `[0, 1]`. Only for comparison with published numbers.
///
/// # Source
/// SPEC 5.4, era P.
pub fn iou_era_p(predicted: PixelBox, truth: PixelBox) -> f64 {
    let area = |pixels: PixelBox| (pixels.x_max - pixels.x_min + 1.0) * (pixels.y_max - pixels.y_min + 1.0);
    let shared = intersection(predicted, truth, 1.0);
    let union = area(predicted) + area(truth) - shared;
    if union.is_finite() && union != 0.0 { shared / union } else { 0.0 }
}

/// What era P's tumor script called satisfactory: at least half of the truth is covered by a box of at most three times
/// its area, without `+ 1`.
///
/// # Source
/// SPEC 5.4, era P.
pub fn is_satisfactory_in_paper(predicted: PixelBox, truth: PixelBox) -> bool {
    let areas = Areas::guarded(predicted, truth, 0.0);
    areas.intersection >= 0.5 * areas.b && areas.a <= 3.0 * areas.b
}

/// The area that a stored true box covers on the continuous axis: `[x_min, x_max + 1)`, since its maximum edges are the
/// last pixels inside.
pub fn covered_area(truth: PixelBox) -> PixelBox {
    PixelBox { x_max: truth.x_max + 1.0, y_max: truth.y_max + 1.0, ..truth }
}

#[cfg(test)]
mod tests {
    use vlm_prompt::{BoxDecode, BoxFormat, GridBox};

    use super::*;

    #[test]
    fn published_vectors_of_both_eras() {
        // SPEC 5.4, 512 by 512 px.
        let rows: [([u32; 4], [u32; 4], f64, f64); 9] = [
            ([38, 45, 46, 50], [196, 235, 237, 260], 0.677_027_954_8, 0.667_322_796_7),
            ([42, 46, 46, 49], [220, 238, 237, 255], 0.513_987_418_5, 0.495_194_156_1),
            ([40, 45, 50, 55], [196, 235, 237, 260], 0.292_249_563_3, 0.283_307_055_6),
            ([0, 0, 100, 100], [196, 235, 237, 260], 0.004_149_424_9, 0.003_910_064_7),
            ([19, 19, 39, 39], [100, 100, 200, 200], 0.942_392_192_5, 0.941_841_221_5),
            ([25, 25, 50, 50], [128, 128, 256, 256], 1.0, 1.0),
            ([0; 4], [196, 235, 237, 260], 0.0, 0.0),
            ([0; 4], [0; 4], 1.0, 0.0),
            ([50, 50, 40, 60], [196, 235, 237, 260], 0.0, 0.0),
        ];
        for (grid, truth, paper, head) in rows {
            let predicted =
                BoxFormat::Percent100.decode(GridBox::from(grid), 512, 512, BoxDecode::GridLine).unwrap();
            let truth = PixelBox::from(truth);
            let got = [iou_era_p(predicted, truth), iou(predicted, truth), iou_inclusive(predicted, truth)];
            for (got, expected) in got.into_iter().zip([paper, head, paper]) {
                assert!((got - expected).abs() < 1e-10, "{grid:?} {truth:?}: {got} {expected}");
            }
        }
        let inverted =
            BoxFormat::Percent100.decode([50, 50, 40, 60].into(), 512, 512, BoxDecode::GridLine).unwrap();
        assert!(iou_era_p(inverted, [196, 235, 237, 260].into()).is_sign_negative());
    }

    #[test]
    fn the_truth_covers_its_last_pixel() {
        let truth = PixelBox::from([10, 20, 19, 29]);
        assert_eq!(covered_area(truth).to_array(), [10.0, 20.0, 20.0, 30.0]);
        assert_eq!(iou(covered_area(truth), [10, 20, 20, 30].into()), 1.0);
        assert_eq!(iou(covered_area([7, 7, 7, 7].into()), [7, 7, 8, 8].into()), 1.0);
    }

    #[test]
    fn edges_that_are_no_numbers_share_nothing() {
        let truth = PixelBox::from([0, 0, 10, 10]);
        for odd in [
            [f64::NAN, 0.0, 10.0, 10.0],
            [f64::NEG_INFINITY, 0.0, f64::INFINITY, 10.0],
            [0.0, 0.0, 1e308, 1e308],
        ] {
            for score in [iou, dsc, iou_inclusive, dsc_inclusive, iou_era_p] {
                let got = score(odd.into(), truth);
                assert!((0.0..=1.0).contains(&got), "{odd:?}: {got}");
            }
        }
    }

    #[test]
    fn satisfactory_needs_half_of_the_truth_and_no_giant() {
        let truth = PixelBox::from([0, 0, 10, 10]);
        let rows =
            [([0, 0, 10, 5], true), ([0, 0, 10, 4], false), ([0, 0, 30, 10], true), ([0, 0, 31, 10], false)];
        for (predicted, expected) in rows {
            assert_eq!(is_satisfactory_in_paper(predicted.into(), truth), expected, "{predicted:?}");
        }
    }
}
