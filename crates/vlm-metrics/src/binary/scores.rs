//! Scores of yes and no over cases.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use super::calibration::{ReliabilityBin, brier_score, calibration};
use super::case::BinaryCase;
use super::ranking::{auroc, average_precision};
use crate::bootstrap::Bootstrap;
use crate::confusion::{ConfusionCounts, ConfusionScores};
use crate::error::MetricsError;

/// Bins of the reliability curve.
const N_BINS: usize = 10;

/// Scores of yes and no. An unread reply counts as the wrong answer: missed where yes is right, a false alarm where no
/// is. What depends on probabilities is over the cases that have one. No threshold is chosen here: answers are scored
/// as they were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinaryScores {
    /// All cases.
    pub n: usize,
    /// Cases where yes is right.
    pub n_positive: usize,
    /// Replies that could not be read.
    pub n_unparsed: usize,
    /// Cases with a probability.
    pub n_with_probability: usize,
    /// Counts, unread replies as wrong.
    pub counts: ConfusionCounts,
    /// Share of right answers.
    pub accuracy: f64,
    /// Share of right ones among answers of yes.
    pub precision: f64,
    /// Share of positives that were found.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Share of negatives that were told.
    pub specificity: f64,
    /// Mean of recall and specificity.
    pub balanced_accuracy: f64,
    /// Area under the ROC curve, ties as half; `None` without both kinds of cases.
    pub auroc: Option<f64>,
    /// Average precision; `None` without positives.
    pub auprc: Option<f64>,
    /// Mean squared distance of probability and truth.
    pub brier: Option<f64>,
    /// Expected calibration error over 10 bins of equal width.
    pub ece: Option<f64>,
    /// The reliability curve; empty without probabilities.
    pub reliability: Vec<ReliabilityBin>,
    /// By the published rule, anything but exactly yes is no (SPEC 5.6): to be compared with the paper's numbers.
    pub published: ConfusionScores,
    /// 95 % intervals over patients.
    pub ci95: BinaryIntervals,
}

/// 95 % intervals over patients; `None` where the score is not defined or no draws were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BinaryIntervals {
    /// Of the accuracy.
    pub accuracy: Option<[f64; 2]>,
    /// Of the precision.
    pub precision: Option<[f64; 2]>,
    /// Of the recall.
    pub recall: Option<[f64; 2]>,
    /// Of F1.
    pub f1: Option<[f64; 2]>,
    /// Of the specificity.
    pub specificity: Option<[f64; 2]>,
    /// Of the balanced accuracy.
    pub balanced_accuracy: Option<[f64; 2]>,
    /// Of the area under the ROC curve.
    pub auroc: Option<[f64; 2]>,
    /// Of the average precision.
    pub auprc: Option<[f64; 2]>,
    /// Of the Brier score.
    pub brier: Option<[f64; 2]>,
    /// Of the expected calibration error. It is biased upwards in small samples, and its draws more so.
    pub ece: Option<[f64; 2]>,
    /// Of the accuracy by the published rule.
    pub published_accuracy: Option<[f64; 2]>,
}

/// Scores yes and no.
///
/// # Errors
/// [`NoCases`](MetricsError::NoCases) when there are none, [`NotAProbability`](MetricsError::NotAProbability) for a
/// value outside of `[0, 1]`.
pub fn binary_scores<C: Borrow<BinaryCase>>(
    cases: &[C],
    bootstrap: &Bootstrap,
) -> Result<BinaryScores, MetricsError> {
    if cases.is_empty() {
        return Err(MetricsError::NoCases);
    }
    let cases: Vec<&BinaryCase> = cases.iter().map(Borrow::borrow).collect();
    let mut scored = Vec::new();
    for case in &cases {
        scored.extend(case.scored_probability()?);
    }
    let counts = counts_of(&cases);
    let calibration = if scored.is_empty() { None } else { Some(calibration(&scored, N_BINS)?) };
    Ok(BinaryScores {
        n: cases.len(),
        n_positive: cases.iter().filter(|case| case.truth).count(),
        n_unparsed: cases.iter().filter(|case| case.answer.is_none()).count(),
        n_with_probability: scored.len(),
        counts,
        accuracy: counts.accuracy(),
        precision: counts.precision(),
        recall: counts.recall(),
        f1: counts.f1(),
        specificity: counts.specificity(),
        balanced_accuracy: counts.balanced_accuracy(),
        auroc: auroc(&scored),
        auprc: average_precision(&scored),
        brier: brier_score(&scored),
        ece: calibration.as_ref().map(|calibration| calibration.ece),
        reliability: calibration.map(|calibration| calibration.bins).unwrap_or_default(),
        published: published_counts(&cases).into(),
        ci95: intervals(&cases, bootstrap),
    })
}

fn counts_of(cases: &[&BinaryCase]) -> ConfusionCounts {
    ConfusionCounts::of(cases.iter().map(|case| (case.truth, case.scored_answer())))
}

fn published_counts(cases: &[&BinaryCase]) -> ConfusionCounts {
    ConfusionCounts::of(cases.iter().map(|case| (case.truth, case.published_answer())))
}

/// A drawn set without yes answers has no precision, one without positives no recall: such draws are left out, where
/// the score itself is 0 by convention.
fn intervals(cases: &[&BinaryCase], bootstrap: &Bootstrap) -> BinaryIntervals {
    let mut scored = Vec::with_capacity(cases.len());
    let mut statistics = |drawn: &[&&BinaryCase]| {
        let counts = ConfusionCounts::of(drawn.iter().map(|case| (case.truth, case.scored_answer())));
        let published = ConfusionCounts::of(drawn.iter().map(|case| (case.truth, case.published_answer())));
        scored.clear();
        scored.extend(drawn.iter().filter_map(|case| case.probability.map(|value| (case.truth, value))));
        let has = |n: usize, value: f64| (n > 0).then_some(value);
        let (n_positive, n_negative) = (counts.tp + counts.fn_, counts.tn + counts.fp);
        [
            Some(counts.accuracy()),
            has(counts.tp + counts.fp, counts.precision()),
            has(n_positive, counts.recall()),
            has(n_positive + counts.fp, counts.f1()),
            has(n_negative, counts.specificity()),
            has(n_positive.min(n_negative), counts.balanced_accuracy()),
            auroc(&scored),
            average_precision(&scored),
            brier_score(&scored),
            calibration(&scored, N_BINS).ok().map(|calibration| calibration.ece),
            Some(published.accuracy()),
        ]
    };
    let [
        accuracy,
        precision,
        recall,
        f1,
        specificity,
        balanced_accuracy,
        auroc,
        auprc,
        brier,
        ece,
        published_accuracy,
    ] = bootstrap.intervals(cases, |case| case.patient.as_str(), &mut statistics);
    BinaryIntervals {
        accuracy,
        precision,
        recall,
        f1,
        specificity,
        balanced_accuracy,
        auroc,
        auprc,
        brier,
        ece,
        published_accuracy,
    }
}

#[cfg(test)]
mod tests {
    use vlm_prompt::YesNoRule;

    use super::*;

    fn case(patient: &str, truth: bool, reply: &str, probability: Option<f64>) -> BinaryCase {
        BinaryCase { patient: patient.into(), truth, probability, ..BinaryCase::default() }
            .with_reply(reply, YesNoRule::FirstWord)
    }

    #[test]
    fn an_unread_reply_is_wrong_and_counted() {
        let cases = [
            case("a", true, "yes", None),
            case("a", true, "Yes.", None),
            case("b", false, "no", None),
            case("b", false, "a dark picture", None),
        ];
        let scores = binary_scores(&cases, &Bootstrap { n_draws: 100, seed: 0 }).unwrap();
        assert_eq!((scores.n, scores.n_positive, scores.n_unparsed), (4, 2, 1));
        assert_eq!(scores.counts, ConfusionCounts { tp: 2, tn: 1, fp: 1, fn_: 0 });
        assert_eq!(scores.accuracy, 0.75);
        // The published rule takes `Yes.` and the unread reply for no.
        assert_eq!(scores.published.counts, ConfusionCounts { tp: 1, tn: 2, fp: 0, fn_: 1 });
        assert_eq!((scores.auroc, scores.ece, scores.ci95.auroc), (None, None, None));
        assert_eq!(scores.ci95.accuracy, Some([0.5, 1.0]));
        assert!(scores.reliability.is_empty());
    }

    #[test]
    fn probabilities_are_scored_where_they_are() {
        let cases = [
            case("a", true, "yes", Some(0.9)),
            case("b", false, "no", Some(0.2)),
            case("c", false, "no", None),
            case("d", true, "?", Some(0.6)),
        ];
        let scores = binary_scores(&cases, &Bootstrap { n_draws: 200, seed: 0 }).unwrap();
        assert_eq!((scores.n_with_probability, scores.auroc, scores.auprc), (3, Some(1.0), Some(1.0)));
        assert!((scores.brier.unwrap() - (0.01 + 0.04 + 0.16) / 3.0).abs() < 1e-12);
        assert!((scores.ece.unwrap() - (0.1 + 0.2 + 0.4) / 3.0).abs() < 1e-12);
        assert_eq!(scores.ci95.auroc, Some([1.0, 1.0]));
        let odd = case("a", true, "yes", Some(1.2));
        assert!(matches!(
            binary_scores(&[odd], &Bootstrap::none()),
            Err(MetricsError::NotAProbability { .. })
        ));
        let none: [BinaryCase; 0] = [];
        assert_eq!(binary_scores(&none, &Bootstrap::none()), Err(MetricsError::NoCases));
    }
}
