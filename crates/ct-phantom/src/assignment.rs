//! Who has a tumour: half of the patients, chosen so that nothing simple tells which half.
//!
//! With a few dozen patients a plain coin leaves chance differences between the two halves (fatter
//! glands here, brighter ones there) that a classifier on histograms picks up. Clinical trials have
//! the same problem and solve it by minimisation (Pocock and Simon, Biometrics 31, 1975): of each
//! pair of patients, the tumour goes mostly to the one that keeps the halves alike in the listed
//! traits. The traits are drawn before, and without, the tumour.

use crate::acquisition::Phase;
use crate::draws::{Draws, Purpose};
use crate::patient::Patient;
use crate::render::{Survey, survey};
use crate::spec::{PhantomSpec, Tumors};

/// Patients are balanced within blocks of this many, so that one can be made without all others.
const BLOCK: u32 = 32;
/// Share of pairs that a fair coin decides the other way, so that no label follows from the rest.
const SURPRISE: f32 = 0.1;
const N_TRAITS: usize = 8 + Survey::N;

/// The deviation of each trait over patients, which puts them on one scale.
const DEVIATIONS: [f32; 8] = [15.1, 12.2, 2.95, 0.37, 0.40, 9.6, 9.7, 0.15];

/// What the two halves are balanced by. Nothing here depends on matrix or slices, so that a quick
/// and a full study of one patient have the same label.
fn traits(spec: &PhantomSpec, index: u32) -> [f32; N_TRAITS] {
    let patient = Patient::draw(spec, index, 0);
    let (scan, gland, mass) = (&patient.scan, &patient.anatomy.pancreas, &patient.mass);
    let is = |phase: Phase| if scan.phase == phase { 1.0 } else { 0.0 };
    let drawn = [
        gland.hu,
        scan.half_width_mm,
        scan.dose_noise_hu,
        is(Phase::Arterial),
        is(Phase::Delayed),
        2.0 * mass.radius_mm,
        mass.contrast_hu,
        gland.fat_share,
    ];
    let seen = survey(&patient);
    let mut traits = [0.0; N_TRAITS];
    for (n, value) in traits.iter_mut().enumerate() {
        *value = match n.checked_sub(drawn.len()) {
            None => drawn[n] / DEVIATIONS[n],
            Some(m) => seen.0[m] / Survey::DEVIATIONS[m],
        };
    }
    traits
}

/// Whether each patient from 0 to `last` has a tumour, if `last` is in the first block; in general
/// whether each from the start of its block to `last`.
fn block_until(spec: &PhantomSpec, last: u32) -> Vec<bool> {
    let start = last / BLOCK * BLOCK;
    let mut labels = Vec::new();
    let mut imbalance = [0.0_f32; N_TRAITS];
    for first in (start..=last).step_by(2) {
        let (a, b) = (traits(spec, first), traits(spec, first + 1));
        let mut coin = Draws::new(spec.seed, spec.layout, u64::from(first / 2), Purpose::TumorAssignment);
        let size = |sign: f32| {
            let parts = imbalance.iter().zip(a.iter().zip(&b));
            parts.map(|(sum, (a, b))| (sum + sign * (a - b)) * (sum + sign * (a - b))).sum::<f32>()
        };
        let first_if_balanced = match size(1.0).total_cmp(&size(-1.0)) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => coin.chance(0.5),
        };
        // At the start of a block nothing is out of balance yet: a fair coin.
        let is_first =
            if first == start { coin.chance(0.5) } else { first_if_balanced != coin.chance(SURPRISE) };
        let sign = if is_first { 1.0 } else { -1.0 };
        for (sum, (a, b)) in imbalance.iter_mut().zip(a.iter().zip(&b)) {
            *sum += sign * (a - b);
        }
        labels.extend([is_first, !is_first]);
    }
    labels
}

/// Whether one patient has a tumour.
pub(crate) fn has_tumor(spec: &PhantomSpec, index: u32) -> bool {
    match spec.tumors {
        Tumors::None => false,
        Tumors::All => true,
        Tumors::Half => block_until(spec, index)[(index % BLOCK) as usize],
    }
}

/// Whether each patient of the spec has a tumour; the same answers, each block drawn once.
pub(crate) fn tumor_labels(spec: &PhantomSpec) -> Vec<bool> {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    let blocks: Vec<Vec<bool>> = (0..spec.patients.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let last = ((block + 1) * BLOCK).min(spec.patients) - 1;
            match spec.tumors {
                Tumors::Half => block_until(spec, last),
                Tumors::None => vec![false; BLOCK as usize],
                Tumors::All => vec![true; BLOCK as usize],
            }
        })
        .collect();
    blocks.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Layout;

    #[test]
    fn one_by_one_and_together_agree() {
        for tumors in [Tumors::Half, Tumors::None, Tumors::All] {
            let spec = PhantomSpec::quick(Layout::Msd, 5, 37).with_tumors(tumors);
            let together = tumor_labels(&spec);
            for index in [0, 1, 7, 31, 32, 36] {
                assert_eq!(has_tumor(&spec, index), together[index as usize], "{tumors:?} {index}");
            }
        }
    }

    #[test]
    fn exactly_one_of_each_pair_and_not_always_the_same() {
        let spec = PhantomSpec::quick(Layout::Abd, 1, 64);
        let labels = tumor_labels(&spec);
        assert_eq!(labels.len(), 64);
        assert!(labels.chunks_exact(2).all(|pair| pair[0] != pair[1]));
        let first = labels.iter().step_by(2).filter(|&&tumor| tumor).count();
        assert!((6..=26).contains(&first), "{first} of 32");
    }

    #[test]
    fn labels_do_not_depend_on_how_finely_or_how_many_are_scanned() {
        let quick = PhantomSpec::quick(Layout::Msd, 9, 10);
        let full = PhantomSpec::new(Layout::Msd, 9, 30);
        assert_eq!(tumor_labels(&quick), tumor_labels(&full)[..10]);
    }

    #[test]
    fn the_halves_are_alike() {
        let spec = PhantomSpec::quick(Layout::Msd, 2, 64);
        let labels = tumor_labels(&spec);
        for n in 0..N_TRAITS {
            let mut difference = 0.0;
            for (index, &tumor) in (0..64).zip(&labels) {
                difference += traits(&spec, index)[n] * if tumor { 1.0 } else { -1.0 } / 32.0;
            }
            // A coin would leave a deviation of 0.25 for each of the traits.
            assert!(difference.abs() < 0.6, "trait {n}: {difference}");
        }
    }
}
