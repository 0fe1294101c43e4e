//! Rotary positions in the half-split layout of the published weights.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::layers::cast;

/// Tables of cosines and sines; entry j pairs with entry j + `head_dim` / 2.
#[derive(Module, Debug)]
pub struct Rope {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Rope {
    /// Tables for positions `0..n_positions`.
    ///
    /// Frequencies and angles are rounded to f32 as the reference's are, so that far positions
    /// turn by the same angles.
    ///
    /// # Source
    /// SPEC 3.5: `theta^(-2j/d)`.
    #[must_use]
    pub fn new(n_positions: usize, head_dim: usize, theta: f64, device: &Device) -> Self {
        let half = head_dim / 2;
        let frequencies: Vec<f32> = inverse_frequencies(head_dim, theta);
        #[expect(clippy::cast_precision_loss, reason = "positions are far below 2^24")]
        let angles: Vec<f32> = (0..n_positions)
            .flat_map(|position| frequencies.iter().map(move |frequency| position as f32 * frequency))
            .collect();
        let table = |f: fn(f64) -> f64| {
            #[expect(clippy::cast_possible_truncation, reason = "the table is f32")]
            let values: Vec<f32> = angles.iter().map(|angle| f(f64::from(*angle)) as f32).collect();
            Tensor::from_data(TensorData::new(values, [n_positions, half]), device)
        };
        Self { cos: table(f64::cos), sin: table(f64::sin) }
    }

    /// Positions that the tables hold.
    #[must_use]
    pub fn n_positions(&self) -> usize {
        self.cos.dims()[0]
    }

    /// Cosines and sines of the given positions.
    ///
    /// # Shapes
    /// - `positions`: `[batch, n]`, below [`Rope::n_positions`]
    /// - returns two of `[batch, 1, n, head_dim / 2]`
    pub(crate) fn at(&self, positions: Tensor<2, Int>) -> (Tensor<4>, Tensor<4>) {
        let [batch, n] = positions.dims();
        let [_, half] = self.cos.dims();
        let flat = positions.reshape([batch * n]);
        let pick = |table: &Tensor<2>| {
            table.clone().select(0, flat.clone()).reshape([batch, n, half]).unsqueeze_dim(1)
        };
        (pick(&self.cos), pick(&self.sin))
    }
}

/// `theta^(-2j/d)` for j in `0..d/2`, as f32.
fn inverse_frequencies(head_dim: usize, theta: f64) -> Vec<f32> {
    #[expect(clippy::cast_precision_loss, reason = "a head is narrow")]
    #[expect(clippy::cast_possible_truncation, reason = "the reference's frequencies are f32")]
    (0..head_dim / 2).map(|j| (1.0 / theta.powf(2.0 * j as f64 / head_dim as f64)) as f32).collect()
}

/// Turns each pair of entries by its position's angle.
///
/// # Shapes
/// - `x`: `[batch, n_heads, n, head_dim]`
/// - `cos`, `sin`: `[batch, 1, n, head_dim / 2]`
/// - returns as `x`
pub(crate) fn rotate(x: Tensor<4>, cos: &Tensor<4>, sin: &Tensor<4>) -> Tensor<4> {
    let (cos, sin) = (cast(cos.clone(), x.dtype()), cast(sin.clone(), x.dtype()));
    fused_ops::rotate(x, &cos, &sin)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    #[test]
    fn worked_vectors() {
        let frequencies = inverse_frequencies(128, 10_000.0);
        for (index, expected) in [(0, 1.0), (1, 0.865_964_3), (2, 0.749_894_2), (63, 1.154_782e-4)] {
            assert!((frequencies[index] - expected).abs() < 1e-7, "{index}: {}", frequencies[index]);
        }
        let device = Device::flex();
        let rope = Rope::new(4, 4, 10_000.0, &device);
        let (cos, sin) = rope.at(Tensor::from_data([[1]], &device));
        let q = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0, 4.0]]]], &device);
        let expected = TensorData::from([[[[-1.984_110_7_f32, 1.959_900_7, 2.462_377_9, 4.019_799_7]]]]);
        rotate(q, &cos, &sin).into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
    }
}
