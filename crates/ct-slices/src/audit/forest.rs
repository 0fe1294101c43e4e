//! Out-of-fold scores of a random forest, with whole patients held out.

use std::collections::BTreeMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

/// Trees that are grown together; forests of this size are grown side by side.
const TREES_PER_TASK: usize = 10;

/// Cases that a model learns from and is tried on.
pub(super) struct Table {
    /// One row per case.
    pub(super) rows: Vec<Vec<f32>>,
    pub(super) is_yes: Vec<bool>,
}

/// Which fold each patient is in: patients in a seeded order, those with a "yes" first, each to the
/// fold that has the fewest cases of its kind.
pub(super) fn assign_folds(
    patients: &BTreeMap<usize, [usize; 2]>,
    names: impl Fn(usize) -> String,
    n_folds: usize,
    seed: u64,
) -> BTreeMap<usize, usize> {
    let mut order: Vec<(bool, Vec<u8>, usize)> = patients
        .iter()
        .map(|(&patient, n_no_yes)| {
            let key = Sha256::digest(format!("{seed}\n{}", names(patient)).as_bytes()).to_vec();
            (n_no_yes[1] == 0, key, patient)
        })
        .collect();
    order.sort();
    let mut n_cases = vec![[0_usize; 2]; n_folds];
    let mut folds = BTreeMap::new();
    for (without_yes, _, patient) in order {
        let kind = usize::from(!without_yes);
        let fold = (0..n_folds).min_by_key(|&fold| (n_cases[fold][kind], fold)).unwrap_or_default();
        let [n_no, n_yes] = patients[&patient];
        n_cases[fold][0] += n_no;
        n_cases[fold][1] += n_yes;
        folds.insert(patient, fold);
    }
    folds
}

/// Grows a forest on some cases and scores others: the mean over trees of the share of "yes" in the
/// leaf. None where there are not both kinds to learn from.
///
/// Regression trees on 0 and 1 split where classification trees with Gini impurity would (the
/// variance is half the impurity), and their leaves give shares instead of votes.
pub(super) fn scores(
    table: &Table,
    learn: &[usize],
    score: &[usize],
    n_trees: usize,
    seed: u64,
) -> Option<Vec<f64>> {
    let n_yes = learn.iter().filter(|&&n| table.is_yes[n]).count();
    if n_yes == 0 || n_yes == learn.len() || score.is_empty() {
        return None;
    }
    let matrix = |cases: &[usize]| {
        DenseMatrix::from_2d_vec(&cases.iter().map(|&n| table.rows[n].clone()).collect()).ok()
    };
    let (x, x_score) = (matrix(learn)?, matrix(score)?);
    let y: Vec<f32> = learn.iter().map(|&n| f32::from(u8::from(table.is_yes[n]))).collect();
    let n_tasks = n_trees.div_ceil(TREES_PER_TASK).max(1);
    let per_task: Option<Vec<Vec<f32>>> = (0..n_tasks)
        .into_par_iter()
        .map(|task| {
            // Seeds of the trees of one task follow each other: tasks start far apart.
            let task_seed = seed.wrapping_add((task as u64) << 32);
            let parameters = RandomForestRegressorParameters::default()
                .with_n_trees(TREES_PER_TASK)
                .with_min_samples_leaf(3)
                .with_seed(task_seed);
            RandomForestRegressor::fit(&x, &y, parameters).and_then(|forest| forest.predict(&x_score)).ok()
        })
        .collect();
    let mut means = vec![0.0; score.len()];
    for task in per_task? {
        means.iter_mut().zip(task).for_each(|(mean, share)| *mean += f64::from(share) / n_tasks as f64);
    }
    Some(means)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_keep_classes_apart_evenly() {
        let patients: BTreeMap<usize, [usize; 2]> =
            (0..20).map(|p| (p, if p % 2 == 0 { [4, 0] } else { [0, 4] })).collect();
        let folds = assign_folds(&patients, |p| format!("patient {p}"), 5, 42);
        for fold in 0..5 {
            let of_kind = |odd: usize| folds.iter().filter(|(p, f)| **f == fold && *p % 2 == odd).count();
            assert_eq!([of_kind(0), of_kind(1)], [2, 2]);
        }
        let other = assign_folds(&patients, |p| format!("patient {p}"), 5, 43);
        assert_ne!(folds, other);
    }

    #[test]
    fn a_forest_learns_a_threshold_and_repeats_itself() {
        let rows: Vec<Vec<f32>> = (0..200_u8).map(|n| vec![f32::from(n), f32::from(n % 7)]).collect();
        let table = Table { is_yes: (0..200).map(|n| n >= 100).collect(), rows };
        let (learn, score): (Vec<usize>, Vec<usize>) = (0..200).partition(|n| n % 3 != 0);
        let first = scores(&table, &learn, &score, 20, 1).unwrap();
        for (&n, &share) in score.iter().zip(&first) {
            assert_eq!(share > 0.5, n >= 100, "{n}: {share}");
        }
        assert_eq!(scores(&table, &learn, &score, 20, 1).unwrap(), first);
        assert!(scores(&table, &learn[..10], &score, 20, 1).is_none());
    }
}
