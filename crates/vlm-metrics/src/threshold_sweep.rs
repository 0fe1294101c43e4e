//! IoU against the least share of the largest section that a slice must have.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use crate::bootstrap::Bootstrap;
use crate::detection::{DetectionCase, detection_scores};
use crate::error::MetricsError;

/// A row of the sweep, as the paper's appendix has it per dataset (SPEC 7.2, 7.7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdSweepRow {
    /// Slices are kept whose ratio is above this, in percent.
    pub threshold_percent: u8,
    /// Slices that were trained on, where every threshold has a training of its own.
    pub n_train: Option<usize>,
    /// Slices that were scored.
    pub n_test: usize,
    /// Mean IoU, all samples counted; `None` when no slice is left.
    pub iou_mean: Option<f64>,
    /// Its 95 % interval over patients.
    pub iou_ci95: Option<[f64; 2]>,
    /// Mean IoU as era P computes it.
    pub iou_era_p_mean: Option<f64>,
}

/// Scores one model on the slices above 0, 10, … 90 percent. Each case comes with its rounded ratio (SPEC 1.4); it is
/// kept when that is strictly above the threshold. The paper trains anew at each threshold, which this does not.
///
/// # Errors
/// As [`detection_scores`], but for thresholds that leave nothing.
pub fn threshold_sweep<C: Borrow<DetectionCase>>(
    cases: &[(C, f64)],
    bootstrap: &Bootstrap,
) -> Result<Vec<ThresholdSweepRow>, MetricsError> {
    (0..10_u8)
        .map(|step| {
            let threshold_percent = 10 * step;
            let threshold = f64::from(threshold_percent) / 100.0;
            let kept: Vec<&DetectionCase> =
                cases.iter().filter(|(_, ratio)| *ratio > threshold).map(|(case, _)| case.borrow()).collect();
            let scores = match detection_scores(&kept, bootstrap) {
                Ok(scores) => Some(scores),
                Err(MetricsError::NoCases | MetricsError::NoTruth { .. }) => None,
                Err(error) => return Err(error),
            };
            Ok(ThresholdSweepRow {
                threshold_percent,
                n_train: None,
                n_test: kept.len(),
                iou_mean: scores.as_ref().map(|scores| scores.iou_mean),
                iou_ci95: scores.as_ref().and_then(|scores| scores.iou_ci95),
                iou_era_p_mean: scores.as_ref().map(|scores| scores.iou_era_p_mean),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_leave_one_threshold_after_another() {
        let case = |ratio: f64, predicted: [u32; 4]| {
            let case = DetectionCase {
                image: ratio.to_string(),
                truth: Some([0, 0, 9, 9].into()),
                predicted: Some(predicted.into()),
                ..DetectionCase::default()
            };
            (case, ratio)
        };
        // 0.6 itself is not above 60 %.
        let cases = [case(0.0, [0, 0, 10, 10]), case(0.6, [0, 0, 10, 5]), case(0.61, [0, 0, 10, 10])];
        let rows = threshold_sweep(&cases, &Bootstrap::none()).unwrap();
        let n: Vec<usize> = rows.iter().map(|row| row.n_test).collect();
        assert_eq!(n, [2, 2, 2, 2, 2, 2, 1, 0, 0, 0]);
        assert_eq!((rows[0].iou_mean, rows[6].iou_mean, rows[7].iou_mean), (Some(0.75), Some(1.0), None));
        assert_eq!(rows[9].threshold_percent, 90);
    }
}
