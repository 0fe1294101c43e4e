//! What a forest answers that knows the size of an image and its gray levels, but not where they
//! are: if it answers as well as the model, the model may have learned nothing of a pancreas.

use ndarray::{ArrayView3, Axis};
use rayon::prelude::*;
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

use crate::CascadeError;
use crate::images::ImageTable;

/// Width, height, area, aspect, 32 bins of gray, mean, deviation, and mean and deviation of the
/// border: what the audit's probe sees too.
pub(crate) type GrayFeatures = Vec<f32>;

const N_BINS: usize = 32;
/// Trees that are grown together.
const TREES_PER_TASK: usize = 10;

/// Size and gray levels of what images show, in their order; each is opened once.
pub(crate) fn gray_features(table: &ImageTable, images: &[u32]) -> Result<Vec<GrayFeatures>, CascadeError> {
    images.par_iter().map(|image| Ok(features_of(table.shown(*image)?.view()))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sides and counts of an image")]
#[expect(clippy::cast_possible_truncation, reason = "the forest takes f32")]
fn features_of(image: ArrayView3<'_, u8>) -> GrayFeatures {
    let (height, width, _) = image.dim();
    let gray: Vec<u8> = image.index_axis(Axis(2), 0).iter().copied().collect();
    let mut bins = [0.0_f64; N_BINS];
    for value in &gray {
        bins[usize::from(*value) * N_BINS / 256] += 1.0 / gray.len() as f64;
    }
    let border: Vec<u8> = (0..height)
        .flat_map(|row| (0..width).map(move |column| (row, column)))
        .filter(|(row, column)| *row == 0 || *column == 0 || row + 1 == height || column + 1 == width)
        .map(|(row, column)| gray[row * width + column])
        .collect();
    let mut features =
        vec![width as f64, height as f64, (width * height) as f64, width as f64 / height.max(1) as f64];
    features.extend(bins);
    features.extend(mean_and_deviation(&gray));
    features.extend(mean_and_deviation(&border));
    features.into_iter().map(|value| value as f32).collect()
}

#[expect(clippy::cast_precision_loss, reason = "pixels of an image")]
fn mean_and_deviation(values: &[u8]) -> [f64; 2] {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
    let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / n;
    [mean, variance.sqrt()]
}

/// Grows a forest on the first cases and gives its probability of yes for the others; none where
/// there are not both kinds to learn from.
pub(crate) fn probe_scores(
    learn: &[(&GrayFeatures, bool)],
    score: &[&GrayFeatures],
    n_trees: usize,
    seed: u64,
) -> Option<Vec<f64>> {
    let n_yes = learn.iter().filter(|case| case.1).count();
    if n_yes == 0 || n_yes == learn.len() || score.is_empty() {
        return None;
    }
    let rows: Vec<Vec<f32>> = learn.iter().map(|case| case.0.clone()).collect();
    let x = DenseMatrix::from_2d_vec(&rows).ok()?;
    let x_score = DenseMatrix::from_2d_vec(&score.iter().map(|row| (*row).clone()).collect()).ok()?;
    let y: Vec<f32> = learn.iter().map(|case| f32::from(u8::from(case.1))).collect();
    let n_tasks = n_trees.div_ceil(TREES_PER_TASK).max(1);
    let per_task: Option<Vec<Vec<f32>>> = (0..n_tasks)
        .into_par_iter()
        .map(|task| {
            let parameters = RandomForestRegressorParameters::default()
                .with_n_trees(TREES_PER_TASK)
                .with_min_samples_leaf(3)
                // Seeds of the trees of one task follow each other: tasks start far apart.
                .with_seed(seed.wrapping_add((task as u64) << 32));
            RandomForestRegressor::fit(&x, &y, parameters).and_then(|forest| forest.predict(&x_score)).ok()
        })
        .collect();
    let mut means = vec![0.0; score.len()];
    #[expect(clippy::cast_precision_loss, reason = "a few tasks")]
    for task in per_task? {
        means.iter_mut().zip(task).for_each(|(mean, share)| *mean += f64::from(share) / n_tasks as f64);
    }
    Some(means.into_iter().map(|mean| mean.clamp(0.0, 1.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortcut_is_found_and_noise_is_not() {
        let row = |n: usize, is_yes: bool, tells: bool| -> GrayFeatures {
            let noise = u16::try_from(n * 7919 % 97).unwrap();
            let told = if tells && is_yes { 50.0 } else { 0.0 };
            vec![f32::from(noise) / 10.0 + told, f32::from(noise % 13)]
        };
        let check = |tells: bool| {
            let rows: Vec<(GrayFeatures, bool)> =
                (0..80).map(|n| (row(n, n % 2 == 0, tells), n % 2 == 0)).collect();
            let learn: Vec<_> = rows[..60].iter().map(|(row, is_yes)| (row, *is_yes)).collect();
            let score: Vec<_> = rows[60..].iter().map(|(row, _)| row).collect();
            let scores = probe_scores(&learn, &score, 20, 1).unwrap();
            assert_eq!(scores, probe_scores(&learn, &score, 20, 1).unwrap());
            scores.iter().zip(&rows[60..]).filter(|(p, (_, yes))| (**p > 0.5) == *yes).count()
        };
        assert_eq!(check(true), 20);
        assert!(check(false) < 18);
        assert!(probe_scores(&[(&vec![1.0], true)], &[&vec![1.0]], 10, 1).is_none());
    }
}
