//! One tumor score of a study from the probabilities of its slices.

use serde::{Deserialize, Serialize};

/// How slice probabilities become one score.
///
/// The default is [`MeanOfTop3`](Self::MeanOfTop3): a tumor shows on several slices, so three that agree
/// are asked for, where [`Max`](Self::Max) believes a single false alarm and rises with the number of
/// slices of healthy patients too, and [`NoisyOr`](Self::NoisyOr) takes neighboring slices for
/// independent witnesses and comes near 1 for any long study.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseScoreRule {
    /// The largest.
    Max,
    /// The mean of the three largest; of all where there are fewer.
    #[default]
    MeanOfTop3,
    /// `1 - Π (1 - p)`.
    NoisyOr,
}

/// The tumor score of a study, by every rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseScore {
    /// By which rule [`value`](Self::value) is.
    pub rule: CaseScoreRule,
    /// The score, 0..1.
    pub value: f64,
    /// The largest probability.
    pub max: f64,
    /// Mean of the three largest.
    pub mean_of_top_3: f64,
    /// `1 - Π (1 - p)`.
    pub noisy_or: f64,
    /// Slices with a probability.
    pub n_slices: usize,
}

/// The score of a study; none without a probability.
///
/// # Units
/// Probabilities in 0..1, in any order. The result is no calibrated probability of a patient.
#[must_use]
pub fn case_score(probabilities: &[f64], rule: CaseScoreRule) -> Option<CaseScore> {
    let mut sorted = probabilities.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let max = *sorted.first()?;
    let top = &sorted[..sorted.len().min(3)];
    let mean_of_top_3 = top.iter().sum::<f64>() / top.len() as f64;
    // Summed from the largest down, so that the order of slices changes no bit.
    let noisy_or = -sorted.iter().map(|p| (-p).ln_1p()).sum::<f64>().exp_m1();
    let value = match rule {
        CaseScoreRule::Max => max,
        CaseScoreRule::MeanOfTop3 => mean_of_top_3,
        CaseScoreRule::NoisyOr => noisy_or,
    };
    Some(CaseScore { rule, value, max, mean_of_top_3, noisy_or, n_slices: sorted.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_scores() {
        assert_eq!(case_score(&[], CaseScoreRule::Max), None);
        let score = case_score(&[0.1, 0.9, 0.5, 0.4], CaseScoreRule::default()).unwrap();
        assert_eq!((score.max, score.n_slices), (0.9, 4));
        assert!((score.value - 0.6).abs() < 1e-15);
        assert!((score.noisy_or - (1.0 - 0.9 * 0.1 * 0.5 * 0.6)).abs() < 1e-15);
        let certain = case_score(&[1.0, 0.2], CaseScoreRule::NoisyOr).unwrap();
        assert_eq!(certain.value, 1.0);
        assert!((certain.mean_of_top_3 - 0.6).abs() < 1e-15);
        assert_eq!(case_score(&[0.0], CaseScoreRule::NoisyOr).unwrap().value, 0.0);
    }
}
