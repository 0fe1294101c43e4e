//! Patients into parts and folds: seeded, by patient, stratified.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::sample::{Samples, StageSample};

/// Names of patients by what they are alike in (source and answer).
type Strata<'a> = BTreeMap<String, Vec<(Vec<u8>, &'a str)>>;

/// A split of patients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The larger part.
    pub(crate) train: BTreeSet<String>,
    /// The smaller one.
    pub(crate) held_out: BTreeSet<String>,
}

/// Patients in an order that depends on the seed and their names alone, by stratum.
fn ordered<'a>(patients: &'a BTreeMap<String, String>, seed: u64) -> Strata<'a> {
    let mut strata = Strata::new();
    for (patient, stratum) in patients {
        let key = Sha256::digest(format!("{seed}\n{patient}").as_bytes()).to_vec();
        strata.entry(stratum.clone()).or_default().push((key, patient));
    }
    strata.values_mut().for_each(|patients| patients.sort());
    strata
}

/// Holds out about a share of the patients of every stratum: at least one where a stratum has two
/// or more, never all. `patients` maps each to its stratum.
#[must_use]
pub(crate) fn stratified_split(patients: &BTreeMap<String, String>, share: f64, seed: u64) -> Parts {
    let mut parts = Parts::default();
    for (_, patients) in ordered(patients, seed) {
        let n = patients.len();
        let n_held_out = if share <= 0.0 || n < 2 {
            0
        } else {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
            let wanted = (n as f64 * share).round() as usize;
            wanted.clamp(1, n - 1)
        };
        for (place, (_, patient)) in patients.into_iter().enumerate() {
            let part = if place < n_held_out { &mut parts.held_out } else { &mut parts.train };
            part.insert(patient.to_owned());
        }
    }
    parts
}

/// Shares patients out to folds, one stratum after another, so that each has about as many of each.
/// Returns the held-out patients of every fold.
///
/// # Panics
/// With no fold.
#[must_use]
pub(crate) fn stratified_folds(
    patients: &BTreeMap<String, String>,
    n_folds: usize,
    seed: u64,
) -> Vec<BTreeSet<String>> {
    assert!(n_folds > 0, "at least one fold");
    let mut folds = vec![BTreeSet::new(); n_folds];
    let mut place = 0;
    for (_, patients) in ordered(patients, seed) {
        for (_, patient) in patients {
            folds[place % n_folds].insert(patient.to_owned());
            place += 1;
        }
    }
    folds
}

/// The stratum of every patient: source, and whether any of its samples is a yes.
pub(crate) fn strata_of<'a>(samples: impl IntoIterator<Item = &'a StageSample>) -> BTreeMap<String, String> {
    let mut of_patient: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for sample in samples {
        let entry = of_patient.entry(sample.patient_key()).or_insert_with(|| (sample.dataset.clone(), false));
        entry.1 |= sample.is_yes() == Some(true);
    }
    of_patient.into_iter().map(|(patient, (dataset, yes))| (patient, format!("{dataset} {yes}"))).collect()
}

/// Moves the training samples of these patients to the validation part.
#[must_use]
pub(crate) fn cut_validation(samples: Samples, patients: &BTreeSet<String>) -> Samples {
    let Samples { train, mut validation, test } = samples;
    let (cut, train): (Vec<_>, Vec<_>) =
        train.into_iter().partition(|sample| patients.contains(&sample.patient_key()));
    validation.extend(cut);
    Samples { train, validation, test }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patients() -> BTreeMap<String, String> {
        (0..30).map(|n| (format!("p{n}"), if n < 20 { "A yes" } else { "A no" }.to_owned())).collect()
    }

    #[test]
    fn splits_are_seeded_and_stratified() {
        let split = stratified_split(&patients(), 0.2, 7);
        assert_eq!(split, stratified_split(&patients(), 0.2, 7));
        assert_ne!(split, stratified_split(&patients(), 0.2, 8));
        assert_eq!((split.train.len(), split.held_out.len()), (24, 6));
        let n_yes = split.held_out.iter().filter(|p| patients()[*p] == "A yes").count();
        assert_eq!(n_yes, 4);
        assert!(split.train.is_disjoint(&split.held_out));
        assert!(stratified_split(&patients(), 0.0, 7).held_out.is_empty());
        let two: BTreeMap<String, String> =
            [("a", "s"), ("b", "s"), ("c", "t")].map(|(p, s)| (p.to_owned(), s.to_owned())).into();
        assert_eq!(stratified_split(&two, 0.01, 1).held_out.len(), 1, "one of two, none of one");
    }

    #[test]
    fn folds_cover_each_patient_once() {
        let folds = stratified_folds(&patients(), 5, 1);
        assert_eq!(folds.iter().map(BTreeSet::len).collect::<Vec<_>>(), [6; 5]);
        let all: BTreeSet<_> = folds.iter().flatten().collect();
        assert_eq!(all.len(), 30);
        for fold in &folds {
            assert_eq!(fold.iter().filter(|p| patients()[*p] == "A yes").count(), 4);
        }
    }
}
