//! How well scores separate two classes, and how sure that is.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Area under the ROC curve: the share of (yes, no) pairs in which the yes has the higher score, ties
/// counting half. None without a case of each.
pub(super) fn auroc(cases: impl Iterator<Item = (f64, bool)>) -> Option<f64> {
    let ranked = Ranked::new(cases.map(|(score, is_yes)| (score, is_yes, 0)).collect());
    ranked.auroc(&[1])
}

/// Cases sorted by score, with the patient each belongs to.
struct Ranked(Vec<(f64, bool, usize)>);

impl Ranked {
    fn new(mut cases: Vec<(f64, bool, usize)>) -> Self {
        cases.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        Self(cases)
    }

    /// Area with each case counted as often as its patient.
    fn auroc(&self, times: &[u32]) -> Option<f64> {
        let (mut n_yes, mut n_no, mut n_pairs) = (0.0, 0.0, 0.0);
        for ties in self.0.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let (mut yes, mut no) = (0.0, 0.0);
            for &(_, is_yes, patient) in ties {
                *(if is_yes { &mut yes } else { &mut no }) += f64::from(times[patient]);
            }
            n_pairs += yes * (n_no + no / 2.0);
            n_yes += yes;
            n_no += no;
        }
        (n_yes > 0.0 && n_no > 0.0).then(|| n_pairs / (n_yes * n_no))
    }
}

/// The middle 95 % of the area over patients drawn anew, with replacement.
///
/// Slices of one patient are alike, so that the patients, not the slices, are what was sampled.
pub(super) fn bootstrap_interval(
    cases: &[(f64, bool, usize)],
    n_patients: usize,
    seed: u64,
) -> Option<[f64; 2]> {
    const N_DRAWS: usize = 1000;
    let ranked = Ranked::new(cases.to_vec());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut areas = Vec::with_capacity(N_DRAWS);
    for _ in 0..N_DRAWS {
        let mut times = vec![0_u32; n_patients];
        for _ in 0..n_patients {
            times[draw_below(&mut rng, n_patients)] += 1;
        }
        areas.extend(ranked.auroc(&times));
    }
    areas.sort_unstable_by(f64::total_cmp);
    let last = areas.len().checked_sub(1)?;
    let tail = areas.len() / 40; // 2.5 %
    Some([areas[tail], areas[last - tail]])
}

/// How likely scores drawn without regard to the label would separate the units (a patient's slices
/// of one kind, by their mean score) at least this well: a permutation test, one-sided.
///
/// With 4 patients of each kind the smallest value is above 0.01, however clear the separation looks.
pub(super) fn permutation_p(units: &[(f64, bool)], seed: u64) -> Option<f64> {
    const N_DRAWS: u32 = 9999;
    let n_yes = units.iter().filter(|unit| unit.1).count();
    if n_yes == 0 || n_yes == units.len() {
        return None;
    }
    let mut sorted = units.to_vec();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    // Doubled ranks, ties sharing their mean: whole numbers, so that sums compare exactly.
    let mut ranks = Vec::with_capacity(sorted.len());
    let mut observed = 0;
    for ties in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let rank = 2 * ranks.len() as u64 + ties.len() as u64 - 1;
        observed += rank * ties.iter().filter(|unit| unit.1).count() as u64;
        ranks.extend(std::iter::repeat_n(rank, ties.len()));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut n_as_good = 0_u32;
    for _ in 0..N_DRAWS {
        for k in 0..n_yes {
            let other = k + draw_below(&mut rng, ranks.len() - k);
            ranks.swap(k, other);
        }
        n_as_good += u32::from(ranks[..n_yes].iter().sum::<u64>() >= observed);
    }
    Some(f64::from(n_as_good + 1) / f64::from(N_DRAWS + 1))
}

/// A number from 0 to `n - 1`; the bias of the remainder is below 2^-32 for any number of patients.
fn draw_below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    usize::try_from(rng.next_u64() % (n.max(1) as u64)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_of_small_sets() {
        let check = |scores: &[(f64, bool)], expected: Option<f64>| {
            assert_eq!(auroc(scores.iter().copied()), expected, "{scores:?}");
        };
        check(&[], None);
        check(&[(0.5, true)], None);
        check(&[(0.1, false), (0.9, true)], Some(1.0));
        check(&[(0.9, false), (0.1, true)], Some(0.0));
        check(&[(0.5, false), (0.5, true)], Some(0.5));
        check(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)], Some(0.75));
    }

    #[test]
    fn few_patients_prove_nothing() {
        let separated = |n: usize| -> Vec<(f64, bool)> { (0..2 * n).map(|k| (k as f64, k >= n)).collect() };
        let p = |n| permutation_p(&separated(n), 3).unwrap();
        // One of 70, of 252, and of 184,756 ways to choose.
        assert!((p(4) - 1.0 / 70.0).abs() < 0.005, "{}", p(4));
        assert!((p(5) - 1.0 / 252.0).abs() < 0.003, "{}", p(5));
        assert!(p(10) < 0.001);
        assert!(permutation_p(&[(0.5, true), (0.5, false), (0.5, true), (0.5, false)], 3).unwrap() > 0.99);
        assert_eq!(permutation_p(&[(0.5, true)], 3), None);
    }

    #[test]
    fn interval_of_few_patients_is_wide() {
        let cases = |n: usize| -> Vec<(f64, bool, usize)> {
            (0..n).map(|k| (((k * 37) % 11) as f64, k % 2 == 0, k)).collect()
        };
        let width = |n| bootstrap_interval(&cases(n), n, 1).map(|[low, high]| high - low).unwrap();
        assert!(width(10) > 2.0 * width(200), "{} {}", width(10), width(200));
        assert_eq!(bootstrap_interval(&cases(10), 10, 7), bootstrap_interval(&cases(10), 10, 7));
        assert_eq!(bootstrap_interval(&cases(0), 0, 7), None);
    }
}
