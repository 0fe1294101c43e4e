//! Bilinear resizing of logits.

use ndarray::{Array2, ArrayView2, Axis};

/// Resizes with pixel centers at halves and edges repeated.
///
/// # Shapes
/// - `source`: `[row, column]`, not empty
/// - returns `[rows, columns]`
///
/// # Source
/// PyTorch's `interpolate(mode="bilinear", align_corners=False)`, ONNX's `Resize` with `linear` and
/// `half_pixel`; without smoothing when shrinking, as those.
pub(crate) fn bilinear(source: ArrayView2<'_, f32>, [rows, columns]: [usize; 2]) -> Array2<f32> {
    let wide = along(source, columns, Axis(1));
    along(wide.view(), rows, Axis(0))
}

fn along(source: ArrayView2<'_, f32>, to: usize, axis: Axis) -> Array2<f32> {
    let from = source.len_of(axis);
    let mut shape = source.raw_dim();
    shape[axis.index()] = to;
    let mut target = Array2::zeros(shape);
    for (place, mut lane) in target.axis_iter_mut(axis).enumerate() {
        let center = ((place as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, below `from`"
        )]
        let first = (center as usize).min(from - 1);
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
        let part = (center - first as f64) as f32;
        let (low, high) =
            (source.index_axis(axis, first), source.index_axis(axis, (first + 1).min(from - 1)));
        ndarray::Zip::from(&mut lane).and(&low).and(&high).for_each(|t, l, h| *t = l + part * (h - l));
    }
    target
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn worked_resizing() {
        // torch.nn.functional.interpolate(x, size=(2, 4), mode="bilinear", align_corners=False)
        let larger = bilinear(array![[0.0, 4.0], [8.0, 12.0]].view(), [2, 4]);
        assert_eq!(larger, array![[0.0, 1.0, 3.0, 4.0], [8.0, 9.0, 11.0, 12.0]]);
        let smaller = bilinear(array![[0.0, 1.0, 2.0, 3.0]].view(), [1, 2]);
        assert_eq!(smaller, array![[0.5, 2.5]]);
    }
}
