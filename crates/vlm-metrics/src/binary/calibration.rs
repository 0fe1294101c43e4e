//! Whether a probability of yes means what it says.

use serde::{Deserialize, Serialize};

use crate::error::MetricsError;
use crate::summary_statistics::{count, mean};

/// One bin of the reliability curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower edge, outside of the bin but for 0.
    pub low: f64,
    /// Upper edge, inside.
    pub high: f64,
    /// Cases in the bin.
    pub n: usize,
    /// Their mean probability of yes; `None` in an empty bin.
    pub mean_probability: Option<f64>,
    /// Share of them where yes is right; `None` in an empty bin.
    pub share_positive: Option<f64>,
}

/// Reliability curve and expected calibration error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: distance of mean probability and share of positives, weighted by cases.
    pub ece: f64,
    /// Bins of equal width over `[0, 1]`, in order.
    pub bins: Vec<ReliabilityBin>,
}

/// Mean squared distance of probability and truth; `None` when there is nothing.
pub fn brier_score(scored: &[(bool, f64)]) -> Option<f64> {
    let squares: Vec<f64> = scored
        .iter()
        .map(|(truth, probability)| (probability - f64::from(u8::from(*truth))).powi(2))
        .collect();
    mean(&squares)
}

/// Reliability of probabilities of yes in `n_bins` bins of equal width. A probability on an inner edge belongs to the
/// lower bin, as in scikit-learn's `calibration_curve`.
///
/// # Errors
/// [`Setting`](MetricsError::Setting) for no bins, [`NoCases`](MetricsError::NoCases) for no cases,
/// [`NotAProbability`](MetricsError::NotAProbability) for a value outside of `[0, 1]`.
pub fn calibration(scored: &[(bool, f64)], n_bins: usize) -> Result<Calibration, MetricsError> {
    if n_bins == 0 {
        return Err(MetricsError::Setting {
            what: "number of bins",
            value: "0".into(),
            expected: "at least 1",
        });
    }
    if scored.is_empty() {
        return Err(MetricsError::NoCases);
    }
    // `numpy.linspace(0, 1, n_bins + 1)`: its edges decide where a probability on an edge belongs.
    let step = 1.0 / count(n_bins);
    let edges: Vec<f64> =
        (0..=n_bins).map(|idx| if idx == n_bins { 1.0 } else { count(idx) * step }).collect();
    let mut members: Vec<Vec<(bool, f64)>> = vec![Vec::new(); n_bins];
    for (place, (truth, probability)) in scored.iter().enumerate() {
        if !(0.0..=1.0).contains(probability) {
            return Err(MetricsError::NotAProbability { case: place.to_string(), value: *probability });
        }
        let bin_idx = edges[1..n_bins].partition_point(|edge| edge < probability);
        members[bin_idx].push((*truth, *probability));
    }
    let mut ece = 0.0;
    let mut bins = Vec::with_capacity(n_bins);
    for (bin_idx, members) in members.iter().enumerate() {
        let mean_probability = mean(&members.iter().map(|member| member.1).collect::<Vec<_>>());
        let share_positive =
            mean(&members.iter().map(|member| f64::from(u8::from(member.0))).collect::<Vec<_>>());
        if let (Some(probability), Some(share)) = (mean_probability, share_positive) {
            ece += (probability - share).abs() * count(members.len()) / count(scored.len());
        }
        bins.push(ReliabilityBin {
            low: edges[bin_idx],
            high: edges[bin_idx + 1],
            n: members.len(),
            mean_probability,
            share_positive,
        });
    }
    Ok(Calibration { ece, bins })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_by_hand() {
        let scored = [(false, 0.0), (true, 0.5), (false, 0.5), (true, 0.51), (true, 1.0)];
        let got = calibration(&scored, 2).unwrap();
        assert_eq!(got.bins.iter().map(|bin| bin.n).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(
            (got.bins[0].mean_probability, got.bins[0].share_positive),
            (Some(1.0 / 3.0), Some(1.0 / 3.0))
        );
        assert!((got.ece - (1.0 - 0.755) * 0.4).abs() < 1e-12, "{}", got.ece);
        assert_eq!(brier_score(&[(true, 0.5), (false, 0.0)]), Some(0.125));
        assert_eq!(brier_score(&[]), None);
    }

    #[test]
    fn settings_and_values_are_checked() {
        assert!(matches!(calibration(&[(true, 0.5)], 0), Err(MetricsError::Setting { .. })));
        assert_eq!(calibration(&[], 10), Err(MetricsError::NoCases));
        assert!(matches!(calibration(&[(true, 1.5)], 10), Err(MetricsError::NotAProbability { .. })));
        let sparse = calibration(&[(true, 0.95)], 10).unwrap();
        assert_eq!((sparse.bins.len(), sparse.bins[3].mean_probability), (10, None));
    }
}
