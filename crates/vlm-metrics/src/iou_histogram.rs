//! How IoU is spread.

use serde::{Deserialize, Serialize};

use crate::error::MetricsError;
use crate::summary_statistics::{Spread, count};

/// Counts of IoU in bins of equal width over `[0, 1]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IouHistogram {
    /// Cases per bin. Bin `i` of `n` holds `[i / n, (i + 1) / n)`, the last one also 1.
    pub counts: Vec<usize>,
    /// Cases that share nothing with the truth, unread replies among them: part of the first bin.
    pub n_zero: usize,
    /// Mean and median; `None` without cases.
    pub spread: Option<Spread>,
}

impl IouHistogram {
    /// Of IoU in `[0, 1]`, one per case (see [`case_iou`](crate::case_iou)).
    ///
    /// # Errors
    /// [`Setting`](MetricsError::Setting) for no bins, [`NotFinite`](MetricsError::NotFinite) for a value outside of
    /// `[0, 1]`.
    pub fn of(ious: &[f64], n_bins: usize) -> Result<Self, MetricsError> {
        if n_bins == 0 {
            return Err(MetricsError::Setting {
                what: "number of bins",
                value: "0".into(),
                expected: "at least 1",
            });
        }
        let mut counts = vec![0; n_bins];
        for (idx, iou) in ious.iter().enumerate() {
            if !(0.0..=1.0).contains(iou) {
                return Err(MetricsError::NotFinite { case: idx.to_string(), what: "IoU", value: *iou });
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to n_bins")]
            let bin_idx = (iou * count(n_bins)) as usize;
            counts[bin_idx.min(n_bins - 1)] += 1;
        }
        let n_zero = ious.iter().filter(|iou| **iou == 0.0).count();
        Ok(Self { counts, n_zero, spread: Spread::of(ious) })
    }

    /// Edges of the bins, one more than there are bins.
    pub fn edges(&self) -> Vec<f64> {
        (0..=self.counts.len()).map(|idx| count(idx) / count(self.counts.len())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_by_hand() {
        let histogram = IouHistogram::of(&[0.0, 0.0, 0.24, 0.25, 0.99, 1.0], 4).unwrap();
        assert_eq!((histogram.counts.as_slice(), histogram.n_zero), ([3, 1, 0, 2].as_slice(), 2));
        assert_eq!(histogram.edges(), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert!(IouHistogram::of(&[1.1], 4).is_err() && IouHistogram::of(&[], 0).is_err());
        assert_eq!(IouHistogram::of(&[], 3).unwrap().spread, None);
    }
}
