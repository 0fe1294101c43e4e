//! Mean, median and quantiles.

use serde::{Deserialize, Serialize};

/// Center of a set of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many numbers.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their median.
    pub median: f64,
}

impl Spread {
    /// Of `values`; `None` when there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        Some(Self { n: values.len(), mean: mean(values)?, median: median(values)? })
    }
}

/// Arithmetic mean; `None` when there is nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values.len()))
}

/// Middle value, of two middle values their mean; `None` when there is nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The value below which a share `q` of `values` lies, with linear interpolation between neighbors as in NumPy.
/// `None` when there is nothing or `q` is not in `[0, 1]`.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * count(sorted.len() - 1);
    let below = place.floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= below < len")]
    let idx = below as usize;
    let (low, high) = (sorted[idx], sorted[(idx + 1).min(sorted.len() - 1)]);
    Some(low + (high - low) * (place - below))
}

/// A count as a number to divide by: exact up to 2^53, which no list in memory reaches.
pub(crate) fn count(n: usize) -> f64 {
    n as f64
}

/// `part / whole`, and 0 when there is no whole (the published `zero_division = 0`).
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { count(part) / count(whole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        let values = [3.0, 1.0, 2.0, 10.0];
        let rows = [(0.0, 1.0), (0.25, 1.75), (0.5, 2.5), (0.9, 7.9), (1.0, 10.0)];
        for (q, expected) in rows {
            let got = quantile(&values, q).unwrap();
            assert!((got - expected).abs() < 1e-12, "{q}: {got}");
        }
        assert_eq!(median(&[5.0]), Some(5.0));
        assert_eq!((median(&[]), quantile(&values, 1.5), Spread::of(&[])), (None, None, None));
    }
}
