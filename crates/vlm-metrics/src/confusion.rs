//! Four counts and what follows from them.

use serde::{Deserialize, Serialize};

use crate::summary_statistics::share;

/// Counts of yes/no answers; yes is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfusionCounts {
    /// True positives.
    pub tp: usize,
    /// True negatives.
    pub tn: usize,
    /// False positives.
    pub fp: usize,
    /// False negatives.
    #[serde(rename = "fn")]
    pub fn_: usize,
}

impl ConfusionCounts {
    /// Counts pairs of (truth, answer).
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for (truth, answer) in pairs {
            counts.add(truth, answer);
        }
        counts
    }

    /// Counts one answer.
    pub fn add(&mut self, truth: bool, answer: bool) {
        match (truth, answer) {
            (true, true) => self.tp += 1,
            (true, false) => self.fn_ += 1,
            (false, true) => self.fp += 1,
            (false, false) => self.tn += 1,
        }
    }

    /// All answers.
    pub fn n(&self) -> usize {
        self.tp + self.tn + self.fp + self.fn_
    }

    /// Share of right answers.
    pub fn accuracy(&self) -> f64 {
        share(self.tp + self.tn, self.n())
    }

    /// Share of right ones among answers of yes; 0 when there are none.
    pub fn precision(&self) -> f64 {
        share(self.tp, self.tp + self.fp)
    }

    /// Share of positives that were found (sensitivity); 0 when there are none.
    pub fn recall(&self) -> f64 {
        share(self.tp, self.tp + self.fn_)
    }

    /// Share of negatives that were told; 0 when there are none.
    pub fn specificity(&self) -> f64 {
        share(self.tn, self.tn + self.fp)
    }

    /// Harmonic mean of precision and recall; 0 when undefined.
    pub fn f1(&self) -> f64 {
        share(2 * self.tp, 2 * self.tp + self.fp + self.fn_)
    }

    /// Mean of recall and specificity.
    pub fn balanced_accuracy(&self) -> f64 {
        f64::midpoint(self.recall(), self.specificity())
    }
}

/// Counts and their scores, in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ConfusionScores {
    /// The counts.
    pub counts: ConfusionCounts,
    /// See [`ConfusionCounts::accuracy`].
    pub accuracy: f64,
    /// See [`ConfusionCounts::precision`].
    pub precision: f64,
    /// See [`ConfusionCounts::recall`].
    pub recall: f64,
    /// See [`ConfusionCounts::f1`].
    pub f1: f64,
}

impl From<ConfusionCounts> for ConfusionScores {
    fn from(counts: ConfusionCounts) -> Self {
        Self {
            counts,
            accuracy: counts.accuracy(),
            precision: counts.precision(),
            recall: counts.recall(),
            f1: counts.f1(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vector() {
        // SPEC 5.6: truth y y n n, answers y n n n.
        let counts = ConfusionCounts::of([(true, true), (true, false), (false, false), (false, false)]);
        assert_eq!((counts.accuracy(), counts.recall(), counts.precision()), (0.75, 0.5, 1.0));
        assert_eq!(format!("{:.4}", counts.f1()), "0.6667");
        assert_eq!((counts.specificity(), counts.balanced_accuracy()), (1.0, 0.75));
    }

    #[test]
    fn nothing_is_zero() {
        let counts = ConfusionCounts::default();
        assert_eq!(ConfusionScores::from(counts), ConfusionScores::default());
    }

    #[test]
    fn the_paper_table_follows_from_its_counts() {
        // SPEC 7.3: 378 + 378 images.
        let rows = [(115, 144, [0.462, 0.444, 0.304, 0.361]), (129, 159, [0.460, 0.448, 0.341, 0.387])];
        for (tp, fp, expected) in rows.into_iter().chain([(332, 48, [0.876, 0.874, 0.878, 0.876])]) {
            let counts = ConfusionCounts { tp, fp, fn_: 378 - tp, tn: 378 - fp };
            let got = [counts.accuracy(), counts.precision(), counts.recall(), counts.f1()];
            for (got, expected) in got.into_iter().zip(expected) {
                assert!((got - expected).abs() < 0.0006, "{tp} {fp}: {got} {expected}");
            }
        }
    }
}
