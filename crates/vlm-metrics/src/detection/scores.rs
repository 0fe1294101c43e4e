//! Scores of boxes over cases.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};
use vlm_prompt::PixelBox;

use super::case::{DetectionCase, case_iou};
use super::eras::{EraHReading, PublishedSample, score_era_h, score_era_p};
use crate::bootstrap::Bootstrap;
use crate::coco::{evaluate, from_cases};
use crate::confusion::{ConfusionCounts, ConfusionScores};
use crate::error::MetricsError;
use crate::overlap::{covered_area, dsc};
use crate::summary_statistics::{Spread, mean, median, share};

/// Scores of boxes. Means, medians and accuracies are over all cases with a true box, `n_with_truth`; an unread reply
/// counts as 0. Cases without a true box enter `presence` and the average precisions.
///
/// The truth is the area that it covers, `[x_min, x_max + 1)`, and the answer is taken as it is; the numbers of both
/// published eras, which compare the stored edges, stand beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectionScores {
    /// All cases.
    pub n: usize,
    /// Cases with a true box.
    pub n_with_truth: usize,
    /// Replies that could not be read.
    pub n_unparsed: usize,
    /// Mean IoU, unread replies as 0.
    pub iou_mean: f64,
    /// Its 95 % interval over patients; `None` when no draws were asked for.
    pub iou_ci95: Option<[f64; 2]>,
    /// Mean IoU of the replies that were read; `None` when there are none.
    pub iou_answered_mean: Option<f64>,
    /// Median IoU, unread replies as 0.
    pub iou_median: f64,
    /// Mean Dice score, unread replies as 0.
    pub dsc_mean: f64,
    /// Share with an IoU of at least 0.5.
    pub accuracy_50: f64,
    /// Share with an IoU of at least 0.75.
    pub accuracy_75: f64,
    /// Distance of the centers in mm, over cases with spacing and an answered box.
    pub center_distance_mm: Option<Spread>,
    /// Absolute difference of the longer edges in mm, over the same cases.
    pub size_error_mm: Option<Spread>,
    /// Longer edge of the answer minus that of the truth in mm: positive when answers are too large.
    pub size_bias_mm: Option<Spread>,
    /// Average precision at IoU 0.5, as COCO defines it; mean over targets.
    pub ap_50: f64,
    /// Average precision at IoU 0.75.
    pub ap_75: f64,
    /// Average precision over IoU 0.5 to 0.95.
    pub ap: f64,
    /// Mean IoU as era P computes it: `+ 1` on every edge, over all cases with a true box (SPEC 5.4).
    pub iou_era_p_mean: f64,
    /// Mean IoU as era H computes it: stored edges, over replies that were read (SPEC 5.4).
    pub iou_era_h_mean: f64,
    /// Whether the target was said to be there, where cases without it are among these; unread replies count as wrong.
    pub presence: Option<ConfusionScores>,
    /// More intervals.
    pub ci95: DetectionIntervals,
}

/// 95 % intervals over patients.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct DetectionIntervals {
    /// Of the mean Dice score.
    pub dsc_mean: Option<[f64; 2]>,
    /// Of the accuracy at 0.5.
    pub accuracy_50: Option<[f64; 2]>,
    /// Of the accuracy at 0.75.
    pub accuracy_75: Option<[f64; 2]>,
    /// Of era P's mean IoU.
    pub iou_era_p_mean: Option<[f64; 2]>,
}

/// One case with a true box, scored.
struct Scored<'a> {
    case: &'a DetectionCase,
    truth: PixelBox,
    iou: f64,
    dsc: f64,
    sample: PublishedSample,
}

impl<'a> Scored<'a> {
    fn of(case: &'a DetectionCase) -> Option<Self> {
        let truth = covered_area(case.truth?);
        let dsc = case.answered_box().map_or(0.0, |predicted| dsc(predicted, truth));
        Some(Self { case, truth, iou: case_iou(case)?, dsc, sample: case.published_sample() })
    }

    /// Spacing, truth and answer where all three are there.
    fn in_mm(&self) -> Option<([f64; 2], PixelBox, PixelBox)> {
        Some((self.case.spacing_mm?, self.truth, self.case.answered_box()?))
    }
}

/// Scores boxes.
///
/// # Errors
/// [`NoTruth`](MetricsError::NoTruth) when no case has a true box, [`NoCases`](MetricsError::NoCases) when there are no
/// cases, [`NotFinite`](MetricsError::NotFinite) for a confidence or an edge that is not a finite number.
pub fn detection_scores<C: Borrow<DetectionCase>>(
    cases: &[C],
    bootstrap: &Bootstrap,
) -> Result<DetectionScores, MetricsError> {
    if cases.is_empty() {
        return Err(MetricsError::NoCases);
    }
    let scored: Vec<Scored<'_>> = cases.iter().filter_map(|case| Scored::of(case.borrow())).collect();
    let ious: Vec<f64> = scored.iter().map(|scored| scored.iou).collect();
    let dscs: Vec<f64> = scored.iter().map(|scored| scored.dsc).collect();
    let (Some(iou_mean), Some(iou_median), Some(dsc_mean)) = (mean(&ious), median(&ious), mean(&dscs)) else {
        return Err(MetricsError::NoTruth { n: cases.len() });
    };
    let answered: Vec<f64> =
        scored.iter().filter(|scored| scored.case.is_parsed).map(|scored| scored.iou).collect();
    let samples: Vec<PublishedSample> = scored.iter().map(|scored| scored.sample).collect();
    let (ground_truth, detections) = from_cases(cases)?;
    let coco = evaluate(&ground_truth, &detections)?;
    let size_biases = spread(&scored, size_bias);
    let interval = |value: fn(&Scored<'_>) -> f64| {
        bootstrap.interval_of_mean(scored.iter().map(|scored| (scored.case.patient.as_str(), value(scored))))
    };
    Ok(DetectionScores {
        n: cases.len(),
        n_with_truth: scored.len(),
        n_unparsed: cases.iter().filter(|case| !(*case).borrow().is_parsed).count(),
        iou_mean,
        iou_ci95: interval(|scored| scored.iou),
        iou_answered_mean: mean(&answered),
        iou_median,
        dsc_mean,
        accuracy_50: accuracy_at(&ious, 0.5),
        accuracy_75: accuracy_at(&ious, 0.75),
        center_distance_mm: Spread::of(&spread(&scored, center_distance)),
        size_error_mm: Spread::of(&size_biases.iter().map(|bias| bias.abs()).collect::<Vec<_>>()),
        size_bias_mm: Spread::of(&size_biases),
        ap_50: coco.ap_50.unwrap_or(0.0),
        ap_75: coco.ap_75.unwrap_or(0.0),
        ap: coco.ap.unwrap_or(0.0),
        iou_era_p_mean: score_era_p(&samples).iou,
        iou_era_h_mean: score_era_h(&samples, EraHReading::Plain).iou,
        presence: presence(cases),
        ci95: DetectionIntervals {
            dsc_mean: interval(|scored| scored.dsc),
            accuracy_50: interval(|scored| f64::from(u8::from(scored.iou >= 0.5))),
            accuracy_75: interval(|scored| f64::from(u8::from(scored.iou >= 0.75))),
            iou_era_p_mean: interval(|scored| score_era_p(&[scored.sample]).iou),
        },
    })
}

fn accuracy_at(ious: &[f64], least: f64) -> f64 {
    share(ious.iter().filter(|iou| **iou >= least).count(), ious.len())
}

fn presence<C: Borrow<DetectionCase>>(cases: &[C]) -> Option<ConfusionScores> {
    let cases = || cases.iter().map(Borrow::borrow);
    cases().any(|case: &DetectionCase| case.truth.is_none()).then(|| {
        let pairs = cases().map(|case| {
            let truth = case.truth.is_some();
            (truth, if case.is_parsed { case.answered_box().is_some() } else { !truth })
        });
        ConfusionCounts::of(pairs).into()
    })
}

/// Measures every case that can be measured in mm.
fn spread(scored: &[Scored<'_>], measure: fn([f64; 2], PixelBox, PixelBox) -> f64) -> Vec<f64> {
    scored
        .iter()
        .filter_map(|scored| {
            scored.in_mm().map(|(spacing, truth, predicted)| measure(spacing, truth, predicted))
        })
        .collect()
}

fn center_distance(spacing_mm: [f64; 2], truth: PixelBox, predicted: PixelBox) -> f64 {
    let x = f64::midpoint(predicted.x_min, predicted.x_max) - f64::midpoint(truth.x_min, truth.x_max);
    let y = f64::midpoint(predicted.y_min, predicted.y_max) - f64::midpoint(truth.y_min, truth.y_max);
    (x * spacing_mm[0]).hypot(y * spacing_mm[1])
}

fn size_bias(spacing_mm: [f64; 2], truth: PixelBox, predicted: PixelBox) -> f64 {
    let longer_edge = |pixels: PixelBox| {
        let width = (pixels.x_max - pixels.x_min).max(0.0) * spacing_mm[0];
        width.max((pixels.y_max - pixels.y_min).max(0.0) * spacing_mm[1])
    };
    longer_edge(predicted) - longer_edge(truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(patient: &str, truth: Option<[u32; 4]>, predicted: Option<[u32; 4]>) -> DetectionCase {
        DetectionCase {
            image: format!("{patient}-{truth:?}-{predicted:?}"),
            patient: patient.into(),
            target: "pancreas".into(),
            image_size: [512, 512],
            truth: truth.map(PixelBox::from),
            predicted: predicted.map(PixelBox::from),
            spacing_mm: Some([0.5, 2.0]),
            ..DetectionCase::default()
        }
    }

    /// A perfect box, one of IoU 0.5, one that says nothing is there, one that could not be read.
    fn four() -> Vec<DetectionCase> {
        vec![
            case("a", Some([10, 10, 19, 19]), Some([10, 10, 20, 20])),
            case("a", Some([10, 10, 19, 19]), Some([10, 10, 20, 30])),
            case("b", Some([10, 10, 19, 19]), Some([0; 4])),
            DetectionCase { is_parsed: false, ..case("b", Some([10, 10, 19, 19]), Some([10, 10, 20, 20])) },
        ]
    }

    #[test]
    fn every_case_counts() {
        let scores = detection_scores(&four(), &Bootstrap { n_draws: 100, seed: 1 }).unwrap();
        assert_eq!((scores.n, scores.n_with_truth, scores.n_unparsed), (4, 4, 1));
        assert_eq!((scores.iou_mean, scores.iou_answered_mean, scores.iou_median), (0.375, Some(0.5), 0.25));
        assert_eq!((scores.accuracy_50, scores.accuracy_75), (0.5, 0.25));
        assert!((scores.dsc_mean - (1.0 + 2.0 / 3.0) / 4.0).abs() < 1e-12);
        // Two patients of mean 0.75 and 0: the interval spans both.
        assert_eq!(scores.iou_ci95, Some([0.0, 0.75]));
        let centers = scores.center_distance_mm.unwrap();
        assert_eq!((centers.n, centers.mean), (2, 5.0));
        let (error, bias) = (scores.size_error_mm.unwrap(), scores.size_bias_mm.unwrap());
        assert_eq!((error.mean, bias.mean), (10.0, 10.0));
        assert_eq!(scores.presence, None);
    }

    #[test]
    fn the_eras_stand_beside() {
        let scores = detection_scores(&four(), &Bootstrap::none()).unwrap();
        // Inclusive: 100 of 121 px, and 100 of 11 * 21; the box of zeros shares nothing.
        let paper = (100.0 / 121.0 + 100.0 / 231.0) / 4.0;
        let head = (81.0 / 100.0 + 81.0 / 200.0) / 3.0;
        assert!((scores.iou_era_p_mean - paper).abs() < 1e-12, "{}", scores.iou_era_p_mean);
        assert!((scores.iou_era_h_mean - head).abs() < 1e-12, "{}", scores.iou_era_h_mean);
        assert_eq!(scores.iou_ci95, None);
    }

    #[test]
    fn cases_without_the_target_are_told_apart() {
        let mut cases = four();
        cases.push(case("c", None, None));
        cases.push(case("c", None, Some([1, 1, 5, 5])));
        cases.push(DetectionCase { is_parsed: false, ..case("d", None, None) });
        let scores = detection_scores(&cases, &Bootstrap::none()).unwrap();
        assert_eq!((scores.n, scores.n_with_truth, scores.n_unparsed, scores.iou_mean), (7, 4, 2, 0.375));
        assert_eq!(scores.presence.unwrap().counts, ConfusionCounts { tp: 2, tn: 1, fp: 2, fn_: 2 });
        // A box where nothing is costs precision.
        assert!(scores.ap_50 < detection_scores(&four(), &Bootstrap::none()).unwrap().ap_50 + 1e-12);
    }

    #[test]
    fn what_cannot_be_scored() {
        let none: [DetectionCase; 0] = [];
        assert_eq!(detection_scores(&none, &Bootstrap::none()), Err(MetricsError::NoCases));
        let error = detection_scores(&[case("a", None, None)], &Bootstrap::none()).unwrap_err();
        assert_eq!(error.to_string(), "none of `1` cases has a true box");
        let odd = DetectionCase { confidence: Some(f64::NAN), ..four().remove(0) };
        assert!(matches!(
            detection_scores(&[odd], &Bootstrap::none()),
            Err(MetricsError::NotFinite { what: "confidence", .. })
        ));
    }
}
