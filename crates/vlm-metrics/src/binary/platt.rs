//! Probabilities of yes that are made to mean what they say.

use serde::{Deserialize, Serialize};

use crate::summary_statistics::{count, mean};

/// Platt's scaling: a straight line over the log-odds of yes, fitted on labeled answers that
/// nothing was trained on (J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlattScaling {
    /// What log-odds are multiplied by; above 0, so that the order of answers stays.
    pub slope: f64,
    /// What is added to them then.
    pub intercept: f64,
}

/// Fewest answers of each kind that a line is fitted to.
const MIN_OF_EACH: usize = 5;
/// Probabilities this close to 0 or 1 count as this close.
const CLOSEST: f64 = 1e-6;
const MAX_STEPS: usize = 50;
/// Weight of a Gaussian prior on the slope about 1: a few answers that are told apart without error
/// would make it endless.
const SLOPE_PRIOR: f64 = 1.0;
const SLOPES: std::ops::RangeInclusive<f64> = 0.1..=10.0;

impl PlattScaling {
    /// Fits the line to (truth, probability of yes) by penalized likelihood, with Platt's targets in
    /// place of 0 and 1: `1/(n₀+2)` and `(n₁+1)/(n₁+2)`.
    ///
    /// `None` with fewer than 5 answers of a kind, for values that are no numbers, and where no line
    /// that keeps the order is found: then probabilities are better left as they are.
    #[must_use]
    pub fn fit(scored: &[(bool, f64)]) -> Option<Self> {
        let n_yes = scored.iter().filter(|(truth, _)| *truth).count();
        let n_no = scored.len() - n_yes;
        if n_yes.min(n_no) < MIN_OF_EACH || scored.iter().any(|(_, p)| !p.is_finite()) {
            return None;
        }
        let (for_no, for_yes) = (1.0 / (count(n_no) + 2.0), (count(n_yes) + 1.0) / (count(n_yes) + 2.0));
        let cases: Vec<(f64, f64)> = scored
            .iter()
            .map(|(truth, probability)| (log_odds(*probability), if *truth { for_yes } else { for_no }))
            .collect();
        let mut line = Self { slope: 1.0, intercept: 0.0 };
        // Newton's method, halving steps that do not help.
        for _ in 0..MAX_STEPS {
            let Some((slope, intercept)) = line.newton_step(&cases) else { break };
            let now = line.loss(&cases);
            let better = (0..20).map(|n| 0.5_f64.powi(n)).find_map(|part| {
                let next =
                    Self { slope: line.slope + part * slope, intercept: line.intercept + part * intercept };
                (next.loss(&cases) < now).then_some(next)
            });
            let Some(next) = better else { break };
            line = next;
        }
        (SLOPES.contains(&line.slope) && line.intercept.is_finite()).then_some(line)
    }

    /// The probability of yes that goes with a stated one.
    #[must_use]
    pub fn apply(&self, probability: f64) -> f64 {
        sigmoid(self.slope * log_odds(probability) + self.intercept)
    }

    fn loss(&self, cases: &[(f64, f64)]) -> f64 {
        let cross_entropy: f64 = cases
            .iter()
            .map(|(x, target)| {
                let z = self.slope * x + self.intercept;
                // ln(1 + e^z) - target z, without overflow
                z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z
            })
            .sum();
        cross_entropy + 0.5 * SLOPE_PRIOR * (self.slope - 1.0).powi(2)
    }

    /// The step to the minimum of the loss's parabola; `None` where it is flat.
    fn newton_step(&self, cases: &[(f64, f64)]) -> Option<(f64, f64)> {
        let (mut g_slope, mut g_intercept) = (SLOPE_PRIOR * (self.slope - 1.0), 0.0);
        let (mut h_slope, mut h_both, mut h_intercept) = (SLOPE_PRIOR, 0.0, 1e-9);
        for (x, target) in cases {
            let p = sigmoid(self.slope * x + self.intercept);
            let (off, curve) = (p - target, p * (1.0 - p));
            g_slope += off * x;
            g_intercept += off;
            h_slope += curve * x * x;
            h_both += curve * x;
            h_intercept += curve;
        }
        let determinant = h_slope * h_intercept - h_both * h_both;
        if !determinant.is_normal() || g_slope.abs() + g_intercept.abs() < 1e-9 {
            return None;
        }
        let slope = -(h_intercept * g_slope - h_both * g_intercept) / determinant;
        let intercept = -(h_slope * g_intercept - h_both * g_slope) / determinant;
        Some((slope, intercept))
    }
}

/// The probability whose log-odds are the mean of those of some probabilities; `None` of none.
#[must_use]
pub fn mean_probability(probabilities: &[f64]) -> Option<f64> {
    let odds: Vec<f64> = probabilities.iter().map(|probability| log_odds(*probability)).collect();
    mean(&odds).map(sigmoid)
}

fn log_odds(probability: f64) -> f64 {
    let p = probability.clamp(CLOSEST, 1.0 - CLOSEST);
    (p / (1.0 - p)).ln()
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers whose true log-odds are `slope · stated + intercept`, in shares.
    fn answers(slope: f64, intercept: f64) -> Vec<(bool, f64)> {
        let mut scored = Vec::new();
        for step in -30..=30 {
            let x = f64::from(step) / 10.0;
            let n_yes = (sigmoid(slope * x + intercept) * 200.0).round();
            for n in 0..200 {
                scored.push((f64::from(n) < n_yes, sigmoid(x)));
            }
        }
        scored
    }

    #[test]
    fn a_line_is_found_again() {
        for (slope, intercept) in [(1.0, 0.0), (1.7, 1.2), (0.4, -0.8)] {
            let line = PlattScaling::fit(&answers(slope, intercept)).unwrap();
            assert!((line.slope - slope).abs() < 0.02, "{line:?}");
            assert!((line.intercept - intercept).abs() < 0.02, "{line:?}");
        }
    }

    #[test]
    fn answers_that_say_no_too_often_are_set_right() {
        let mut scored: Vec<(bool, f64)> = (0..20).map(|n| (true, 0.25 + f64::from(n) * 0.01)).collect();
        scored.extend((0..20).map(|n| (false, 0.05 + f64::from(n) * 0.008)));
        let line = PlattScaling::fit(&scored).unwrap();
        let n_right = scored.iter().filter(|(truth, p)| (line.apply(*p) > 0.5) == *truth).count();
        assert_eq!(n_right, 40, "{line:?}");
        assert!(line.apply(0.1) < line.apply(0.2), "the order stays");
    }

    #[test]
    fn what_no_line_fits_is_left() {
        assert_eq!(PlattScaling::fit(&[]), None);
        assert_eq!(PlattScaling::fit(&[(true, 0.9); 40]), None, "one kind");
        let few: Vec<_> = (0..8).map(|n| (n % 2 == 0, 0.5)).collect();
        assert_eq!(PlattScaling::fit(&few), None, "too few");
        let mut wrong = answers(-3.0, 0.0);
        assert_eq!(PlattScaling::fit(&wrong), None, "a line that turns answers around");
        wrong[0].1 = f64::NAN;
        assert_eq!(PlattScaling::fit(&wrong), None);
    }

    #[test]
    fn certain_answers_stay_numbers() {
        let line = PlattScaling { slope: 2.0, intercept: -1.0 };
        assert!(line.apply(0.0) > 0.0 && line.apply(1.0) < 1.0);
    }
}
