//! Cross-entropy over answer positions.

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::ModelError;
use crate::layers::cast;

/// The label of a position that has none, as in the published code.
pub const IGNORED_LABEL: i64 = -100;

/// Labels of a batch: the token that stands at each position, or [`IGNORED_LABEL`].
///
/// The prediction for the label at position t is made at position t - 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    rows: Vec<Vec<i64>>,
}

impl Labels {
    /// Labels from rows, one entry a position.
    #[must_use]
    pub fn new(rows: Vec<Vec<i64>>) -> Self {
        Self { rows }
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Vec<i64>] {
        &self.rows
    }

    /// Labels that count: those of first positions have nothing before them and do not.
    #[must_use]
    pub fn n_targets(&self) -> usize {
        self.targets().count()
    }

    /// Row, predicting position and label of everything that counts.
    fn targets(&self) -> impl Iterator<Item = (usize, usize, i64)> + '_ {
        self.rows.iter().enumerate().flat_map(|(row, labels)| {
            labels
                .iter()
                .enumerate()
                .skip(1)
                .filter(|(_, label)| **label != IGNORED_LABEL)
                .map(move |(position, label)| (row, position - 1, *label))
        })
    }

    /// Flat indices of predicting positions in a batch of `n_positions`, and their targets.
    pub(crate) fn flat_targets(
        &self,
        batch: usize,
        n_positions: usize,
        vocab: usize,
    ) -> Result<(Vec<i64>, Vec<i64>), ModelError> {
        if self.rows.len() != batch || self.rows.iter().any(|row| row.len() != n_positions) {
            return Err(ModelError::Input {
                what: "labels",
                got: format!("{} rows of {}", self.rows.len(), self.rows.first().map_or(0, Vec::len)),
                expected: format!("{batch} rows of {n_positions}"),
            });
        }
        let mut indices = Vec::new();
        let mut targets = Vec::new();
        for (row, position, label) in self.targets() {
            if usize::try_from(label).map_or(true, |label| label >= vocab) {
                return Err(ModelError::Input {
                    what: "label",
                    got: label.to_string(),
                    expected: format!("{IGNORED_LABEL} or 0 to {}", vocab - 1),
                });
            }
            indices.push(i64::try_from(row * n_positions + position).unwrap_or(i64::MAX));
            targets.push(label);
        }
        if targets.is_empty() {
            return Err(ModelError::Input {
                what: "labels",
                got: "no target".to_owned(),
                expected: "at least one position with a label".to_owned(),
            });
        }
        Ok((indices, targets))
    }
}

/// Mean cross-entropy, in f32.
///
/// # Shapes
/// - `logits`: `[n, vocab]`
/// - `targets`: n ids below vocab
/// - returns `[1]`
///
/// # Panics
/// If there are no targets or their number is not that of the rows.
///
/// # Source
/// SPEC 4.1: the mean over all targets of the batch, logits in f32.
pub fn masked_cross_entropy(logits: Tensor<2>, targets: &[i64]) -> Tensor<1> {
    let [n, _] = logits.dims();
    assert_eq!(n, targets.len(), "rows and targets");
    assert!(n > 0, "at least one target");
    let index = Tensor::<2, Int>::from_data(
        TensorData::new(targets.to_vec(), [n, 1]),
        &logits.device().without_autodiff(),
    );
    log_softmax(cast(logits, DType::F32), 1).gather(1, index).mean().neg()
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn worked_vectors() {
        let device = Device::flex();
        for (target, expected) in [(0, 0.417_03_f32), (2, 2.317_03)] {
            let logits = Tensor::<2>::from_data([[2.0, 1.0, 0.1]], &device);
            let loss: f32 = masked_cross_entropy(logits, &[target]).into_scalar();
            assert!((loss - expected).abs() < 1e-6, "SPEC 4.1, target {target}: {loss}");
        }
    }

    #[test]
    fn targets_are_shifted_and_checked() {
        let labels = Labels::new(vec![vec![5, -100, 7, 2], vec![-100, 3, -100, -100]]);
        assert_eq!(labels.flat_targets(2, 4, 8).unwrap(), (vec![1, 2, 4], vec![7, 2, 3]));
        assert_eq!(labels.n_targets(), 3);
        assert!(labels.flat_targets(2, 4, 7).is_err(), "a label outside the vocabulary");
        assert!(labels.flat_targets(1, 4, 8).is_err(), "another batch");
        assert!(Labels::new(vec![vec![3, -100]]).flat_targets(1, 2, 8).is_err(), "no target");
    }
}
