//! Which positions a forward pass sees, and where they stand.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::Pass;

/// Real and padding positions of a batch, held on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttentionMask {
    rows: Vec<Vec<bool>>,
    n_positions: usize,
}

impl AttentionMask {
    /// A mask from rows of equal length; `true` is a real position.
    ///
    /// # Panics
    /// If there are no rows or their lengths differ.
    #[must_use]
    pub fn new(rows: Vec<Vec<bool>>) -> Self {
        let n_positions = rows.first().expect("at least one row").len();
        assert!(rows.iter().all(|row| row.len() == n_positions), "rows of one length");
        Self { rows, n_positions }
    }

    /// A batch without padding.
    #[must_use]
    pub fn full(batch: usize, n_positions: usize) -> Self {
        Self { rows: vec![vec![true; n_positions]; batch], n_positions }
    }

    /// Rows.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.rows.len()
    }

    /// Positions of each row.
    #[must_use]
    pub fn n_positions(&self) -> usize {
        self.n_positions
    }

    /// The rows; `true` is a real position.
    #[must_use]
    pub fn rows(&self) -> &[Vec<bool>] {
        &self.rows
    }

    /// Whether no position is padding.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rows.iter().flatten().all(|real| *real)
    }

    /// The same rows with `n` more real positions each.
    #[must_use]
    pub fn extended(&self, n: usize) -> Self {
        let rows = self.rows.iter().map(|row| row.iter().copied().chain((0..n).map(|_| true)).collect());
        Self { rows: rows.collect(), n_positions: self.n_positions + n }
    }

    /// A mask whose row i is row `rows[i]` of this one.
    ///
    /// # Panics
    /// If a row is not there.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { rows: rows.iter().map(|row| self.rows[*row].clone()).collect(), n_positions: self.n_positions }
    }

    /// Positions counted from the mask, as generation does: the number of real positions before.
    ///
    /// Padding is given 1, as the reference gives it; it is never seen.
    ///
    /// # Source
    /// SPEC 5.1.
    #[must_use]
    pub fn counted_positions(&self) -> Vec<Vec<usize>> {
        let count = |row: &Vec<bool>| {
            let mut before = 0;
            row.iter()
                .map(|real| {
                    let position = if *real { before } else { 1 };
                    before += usize::from(*real);
                    position
                })
                .collect()
        };
        self.rows.iter().map(count).collect()
    }
}

/// What a block needs to know of the positions it is given: one for all blocks of a pass.
#[derive(Debug, Clone)]
pub struct AttentionContext {
    pub(crate) cos: Tensor<4>,
    pub(crate) sin: Tensor<4>,
    /// `[batch, 1, n_queries, n_keys]`, true where hidden; none where only the future is hidden.
    pub(crate) hidden: Option<Tensor<4, Bool>>,
    pub(crate) n_queries: usize,
    pub(crate) pass: Pass,
}

impl AttentionContext {
    /// A context for the last `n_queries` positions of `mask`, standing at `positions`.
    ///
    /// # Panics
    /// If `positions` has not `n_queries` entries for each row of `mask`, or one is past the
    /// tables of `rope`: the model checks lengths before.
    pub(crate) fn new(
        mask: &AttentionMask,
        positions: &[Vec<usize>],
        rope: &super::Rope,
        device: &Device,
    ) -> Self {
        let batch = mask.batch();
        assert_eq!(positions.len(), batch, "rows of positions");
        let n_queries = positions.first().map_or(0, Vec::len);
        #[expect(clippy::cast_possible_wrap, reason = "positions are far below 2^31")]
        let flat: Vec<i64> = positions.iter().flatten().map(|position| *position as i64).collect();
        assert!(positions.iter().flatten().all(|position| *position < rope.n_positions()), "positions");
        let ids = Tensor::<2, Int>::from_data(TensorData::new(flat, [batch, n_queries]), device);
        let (cos, sin) = rope.at(ids);
        let hidden = (!mask.is_full()).then(|| hidden_keys(mask, n_queries, device));
        Self { cos, sin, hidden, n_queries, pass: Pass::Inference }
    }

    /// The same context for a training pass.
    pub(crate) fn training(self) -> Self {
        Self { pass: Pass::Training, ..self }
    }
}

/// True where a query must not look: at the future and at padding.
fn hidden_keys(mask: &AttentionMask, n_queries: usize, device: &Device) -> Tensor<4, Bool> {
    let n_keys = mask.n_positions();
    let first_query = n_keys - n_queries;
    let mut hidden = Vec::with_capacity(mask.batch() * n_queries * n_keys);
    for row in mask.rows() {
        for query in 0..n_queries {
            let seen = first_query + query;
            hidden.extend(row.iter().enumerate().map(|(key, real)| key > seen || !real));
        }
    }
    Tensor::from_data(TensorData::new(hidden, [mask.batch(), 1, n_queries, n_keys]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_from_the_mask() {
        let mask = AttentionMask::new(vec![vec![false, false, true, true, true], vec![true; 5]]);
        assert_eq!(mask.counted_positions(), [[1, 1, 0, 1, 2], [0, 1, 2, 3, 4]], "SPEC 5.1");
        assert_eq!(mask.extended(1).counted_positions()[0], [1, 1, 0, 1, 2, 3]);
        assert!(!mask.is_full() && mask.select(&[1, 1]).is_full());
    }
}
