//! Intervals by drawing patients again.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::summary_statistics::{count, quantile};

/// Percentile bootstrap over patients: slices of one patient are alike, so whole patients are drawn, with replacement,
/// and an interval over slices would be too narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bootstrap {
    /// Number of draws; 0 leaves intervals out.
    pub n_draws: usize,
    /// Where the draws start: the same seed gives the same interval.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 2000 draws.
    fn default() -> Self {
        Self { n_draws: 2000, seed: 0 }
    }
}

impl Bootstrap {
    /// No intervals, for scores that are computed often.
    pub fn none() -> Self {
        Self { n_draws: 0, seed: 0 }
    }

    /// The 95 % interval of one statistic. The statistic sees a drawn patient's items as often as the patient was
    /// drawn. A draw in which it is not defined (`None`) is left out; the interval is `None` when no draw was left.
    ///
    /// The order of the patients does not matter, the order of items within a patient is kept.
    pub fn interval<T>(
        &self,
        items: &[T],
        patient: impl Fn(&T) -> &str,
        mut statistic: impl FnMut(&[&T]) -> Option<f64>,
    ) -> Option<[f64; 2]> {
        let [interval] = self.intervals(items, patient, |drawn| [statistic(drawn)]);
        interval
    }

    /// The 95 % intervals of several statistics of the same draws.
    pub fn intervals<T, const N: usize>(
        &self,
        items: &[T],
        patient: impl Fn(&T) -> &str,
        mut statistics: impl FnMut(&[&T]) -> [Option<f64>; N],
    ) -> [Option<[f64; 2]>; N] {
        let mut by_patient: BTreeMap<&str, Vec<&T>> = BTreeMap::new();
        for item in items {
            by_patient.entry(patient(item)).or_default().push(item);
        }
        let patients: Vec<Vec<&T>> = by_patient.into_values().collect();
        let mut values: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(self.n_draws));
        if !patients.is_empty() {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            let mut drawn = Vec::with_capacity(items.len());
            for _ in 0..self.n_draws {
                drawn.clear();
                for _ in 0..patients.len() {
                    drawn.extend_from_slice(&patients[draw_below(&mut rng, patients.len())]);
                }
                for (values, value) in values.iter_mut().zip(statistics(&drawn)) {
                    values.extend(value.filter(|value| value.is_finite()));
                }
            }
        }
        values.map(|values| Some([quantile(&values, 0.025)?, quantile(&values, 0.975)?]))
    }

    /// The 95 % interval of the mean of values that are already computed, one per item.
    ///
    /// Sums of patients are drawn instead of items, so this is quick for any number of items.
    pub fn interval_of_mean<'a>(&self, values: impl IntoIterator<Item = (&'a str, f64)>) -> Option<[f64; 2]> {
        let mut by_patient: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for (patient, value) in values {
            let (sum, n) = by_patient.entry(patient).or_default();
            *sum += value;
            *n += 1;
        }
        let sums: Vec<(String, f64, usize)> =
            by_patient.into_iter().map(|(patient, (sum, n))| (patient.to_owned(), sum, n)).collect();
        self.interval(
            &sums,
            |sum| sum.0.as_str(),
            |drawn| {
                let (sum, n) = drawn.iter().fold((0.0, 0), |(sum, n), item| (sum + item.1, n + item.2));
                (n > 0).then(|| sum / count(n))
            },
        )
    }
}

/// A whole number below `n`, by multiplication: the bias is below `n / 2^64`.
fn draw_below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the high half of the product is below n")]
    let drawn = ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize;
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary_statistics::mean;

    type Item = (String, f64);

    fn items(n_patients: usize, per_patient: usize) -> Vec<Item> {
        (0..n_patients)
            .flat_map(|patient| (0..per_patient).map(move |_| (format!("p{patient:03}"), count(patient))))
            .collect()
    }

    fn mean_of(drawn: &[&Item]) -> Option<f64> {
        mean(&drawn.iter().map(|item| item.1).collect::<Vec<_>>())
    }

    #[test]
    fn the_interval_is_as_wide_as_theory_says() {
        // Patients 0..=99: the mean's standard error is sqrt(833.25 / 100) = 2.887 for any number of slices.
        for per_patient in [1, 7] {
            let items = items(100, per_patient);
            let [low, high] = Bootstrap::default().interval(&items, |item| &item.0, mean_of).unwrap();
            assert!((low - (49.5 - 5.66)).abs() < 0.6, "{low}");
            assert!((high - (49.5 + 5.66)).abs() < 0.6, "{high}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_whatever_the_order() {
        let ordered = items(20, 3);
        let mut reversed = ordered.clone();
        reversed.reverse();
        let interval =
            |items: &[Item], seed| Bootstrap { n_draws: 200, seed }.interval(items, |item| &item.0, mean_of);
        assert_eq!(interval(&ordered, 3), interval(&ordered, 3));
        assert_eq!(interval(&ordered, 3), interval(&reversed, 3));
        assert_ne!(interval(&ordered, 3), interval(&ordered, 4));
    }

    #[test]
    fn the_quick_way_for_means_draws_the_same_patients() {
        let items = items(13, 4);
        let bootstrap = Bootstrap { n_draws: 300, seed: 9 };
        let slow = bootstrap.interval(&items, |item| &item.0, mean_of).unwrap();
        let quick = bootstrap.interval_of_mean(items.iter().map(|item| (item.0.as_str(), item.1))).unwrap();
        for (slow, quick) in slow.into_iter().zip(quick) {
            assert!((slow - quick).abs() < 1e-12, "{slow} {quick}");
        }
    }

    #[test]
    fn undefined_draws_are_left_out() {
        let items = items(5, 1);
        let bootstrap = Bootstrap { n_draws: 50, seed: 0 };
        assert_eq!(bootstrap.interval(&items, |item| &item.0, |_| None), None);
        assert_eq!(Bootstrap::none().interval(&items, |item| &item.0, mean_of), None);
        assert_eq!(bootstrap.interval(&Vec::<Item>::new(), |item| &item.0, mean_of), None);
        let [constant, absent] =
            bootstrap.intervals(&items, |item| &item.0, |_| [Some(0.25), Some(f64::NAN)]);
        assert_eq!((constant, absent), (Some([0.25, 0.25]), None));
    }
}
