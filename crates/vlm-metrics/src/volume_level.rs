//! Scores of volumes from scores of their slices.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::binary::{auroc, average_precision};
use crate::bootstrap::Bootstrap;
use crate::error::MetricsError;
use crate::summary_statistics::count;

/// How the scores of slices become one score of their volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeRule {
    /// The highest.
    #[default]
    Max,
    /// The mean of the `k` highest, or of all when there are fewer.
    TopMean(usize),
    /// The chance that at least one slice is positive, were they independent: `1 - Π (1 - p)`.
    NoisyOr,
}

/// The score of one slice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SliceScore {
    /// Pseudonymous volume.
    pub volume: String,
    /// Pseudonymous patient, whose volumes are drawn together.
    pub patient: String,
    /// Whether the target is in this slice; a volume is positive when any of its slices is.
    pub truth: bool,
    /// Higher is surer; a probability for [`VolumeRule::NoisyOr`].
    pub score: f64,
}

/// The score of one volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeScore {
    /// Pseudonymous volume.
    pub volume: String,
    /// Pseudonymous patient.
    pub patient: String,
    /// Whether the target is in any of its slices.
    pub truth: bool,
    /// Its slices.
    pub n_slices: usize,
    /// Its score.
    pub score: f64,
}

/// How well volumes are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct VolumeLevelScores {
    /// How slices were put together.
    pub rule: VolumeRule,
    /// Volumes.
    pub n: usize,
    /// Volumes with the target.
    pub n_positive: usize,
    /// Area under the ROC curve; `None` without both kinds.
    pub auroc: Option<f64>,
    /// Its 95 % interval over patients.
    pub auroc_ci95: Option<[f64; 2]>,
    /// Average precision; `None` without positives.
    pub auprc: Option<f64>,
    /// Its 95 % interval over patients.
    pub auprc_ci95: Option<[f64; 2]>,
}

/// One score per volume, ordered by name.
///
/// # Errors
/// [`NotFinite`](MetricsError::NotFinite) for a score that cannot be ranked,
/// [`NotAProbability`](MetricsError::NotAProbability) for one outside of `[0, 1]` under [`VolumeRule::NoisyOr`],
/// [`Setting`](MetricsError::Setting) for the mean of the 0 highest.
pub fn volume_scores<S: Borrow<SliceScore>>(
    slices: &[S],
    rule: VolumeRule,
) -> Result<Vec<VolumeScore>, MetricsError> {
    if rule == VolumeRule::TopMean(0) {
        return Err(MetricsError::Setting {
            what: "number of slices",
            value: "0".into(),
            expected: "at least 1",
        });
    }
    let mut volumes: BTreeMap<&str, Vec<&SliceScore>> = BTreeMap::new();
    for slice in slices.iter().map(Borrow::borrow) {
        let (case, value) = (slice.volume.clone(), slice.score);
        if !value.is_finite() {
            return Err(MetricsError::NotFinite { case, what: "score", value });
        }
        if rule == VolumeRule::NoisyOr && !(0.0..=1.0).contains(&value) {
            return Err(MetricsError::NotAProbability { case, value });
        }
        volumes.entry(&slice.volume).or_default().push(slice);
    }
    Ok(volumes
        .into_iter()
        .map(|(volume, slices)| VolumeScore {
            volume: volume.to_owned(),
            patient: slices[0].patient.clone(),
            truth: slices.iter().any(|slice| slice.truth),
            n_slices: slices.len(),
            score: joined(slices.iter().map(|slice| slice.score).collect(), rule),
        })
        .collect())
}

fn joined(mut scores: Vec<f64>, rule: VolumeRule) -> f64 {
    scores.sort_by(|a, b| b.total_cmp(a));
    match rule {
        VolumeRule::Max => scores[0],
        VolumeRule::TopMean(k) => {
            scores.truncate(k);
            scores.iter().sum::<f64>() / count(scores.len())
        }
        // In logarithms, so that many small probabilities keep their digits.
        VolumeRule::NoisyOr => -scores.iter().map(|p| (-p).ln_1p()).sum::<f64>().exp_m1(),
    }
}

/// How well the volumes are told apart.
///
/// # Errors
/// As [`volume_scores`], and [`NoCases`](MetricsError::NoCases) when there are no slices.
pub fn volume_level_scores<S: Borrow<SliceScore>>(
    slices: &[S],
    rule: VolumeRule,
    bootstrap: &Bootstrap,
) -> Result<VolumeLevelScores, MetricsError> {
    let volumes = volume_scores(slices, rule)?;
    if volumes.is_empty() {
        return Err(MetricsError::NoCases);
    }
    let scored: Vec<(bool, f64)> = volumes.iter().map(|volume| (volume.truth, volume.score)).collect();
    let [auroc_ci95, auprc_ci95] = bootstrap.intervals(
        &volumes,
        |volume| volume.patient.as_str(),
        |drawn| {
            let scored: Vec<(bool, f64)> = drawn.iter().map(|volume| (volume.truth, volume.score)).collect();
            [auroc(&scored), average_precision(&scored)]
        },
    );
    Ok(VolumeLevelScores {
        rule,
        n: volumes.len(),
        n_positive: volumes.iter().filter(|volume| volume.truth).count(),
        auroc: auroc(&scored),
        auroc_ci95,
        auprc: average_precision(&scored),
        auprc_ci95,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(volume: &str, truth: bool, score: f64) -> SliceScore {
        SliceScore { volume: volume.into(), patient: volume.into(), truth, score }
    }

    #[test]
    fn slices_become_volumes() {
        let slices =
            [slice("b", false, 0.5), slice("a", false, 0.5), slice("a", true, 0.8), slice("a", false, 0.2)];
        let rows = [
            (VolumeRule::Max, 0.8),
            (VolumeRule::TopMean(2), 0.65),
            (VolumeRule::TopMean(9), 0.5),
            (VolumeRule::NoisyOr, 1.0 - 0.5 * 0.2 * 0.8),
        ];
        for (rule, expected) in rows {
            let volumes = volume_scores(&slices, rule).unwrap();
            assert_eq!((volumes[0].volume.as_str(), volumes[0].truth, volumes[0].n_slices), ("a", true, 3));
            assert!((volumes[0].score - expected).abs() < 1e-12, "{rule:?}: {}", volumes[0].score);
            assert!((volumes[1].score - 0.5).abs() < 1e-12 && !volumes[1].truth);
        }
        let certain =
            volume_scores(&[slice("a", true, 1.0), slice("a", true, 0.3)], VolumeRule::NoisyOr).unwrap();
        assert_eq!(certain[0].score, 1.0);
    }

    #[test]
    fn volumes_are_ranked() {
        let slices =
            [slice("a", true, 0.9), slice("b", false, 0.4), slice("b", false, 0.3), slice("c", true, 0.35)];
        let scores =
            volume_level_scores(&slices, VolumeRule::Max, &Bootstrap { n_draws: 100, seed: 0 }).unwrap();
        assert_eq!((scores.n, scores.n_positive, scores.auroc), (3, 2, Some(0.5)));
        assert_eq!(scores.auroc_ci95, Some([0.0, 1.0]));
    }

    #[test]
    fn what_cannot_be_ranked() {
        let check = |score, rule, expected: &str| {
            let error = volume_scores(&[slice("a", true, score)], rule).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(f64::NAN, VolumeRule::Max, "case `a` has score `NaN`, expected a finite number");
        check(2.0, VolumeRule::NoisyOr, "case `a` has probability `2`, expected 0 to 1");
        check(0.5, VolumeRule::TopMean(0), "number of slices is `0`, expected at least 1");
        let none: [SliceScore; 0] = [];
        assert_eq!(
            volume_level_scores(&none, VolumeRule::Max, &Bootstrap::none()),
            Err(MetricsError::NoCases)
        );
    }
}
