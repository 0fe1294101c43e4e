//! Norms over the last axis and their gradients.

use burn::tensor::Shape;
use burn_flex::FlexTensor;

use super::math::{fma, sum};
use super::raw::{by_rows, by_rows_2, sum_of_rows};
use super::view::{Contiguous, rows_and_width, tensor};

/// Which norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Centre {
    /// Layer norm: the mean is taken away.
    Mean,
    /// Root-mean-square norm: it is not.
    Zero,
}

/// The normed rows and what the gradient needs: mean and inverse deviation of each row.
///
/// # Shapes
/// - `x`: `[..., width]`
/// - `weight`, `bias`: `[width]`
/// - returns `[..., width]` and `[rows, 2]`
pub(crate) fn forward(
    x: &FlexTensor,
    weight: &FlexTensor,
    bias: Option<&FlexTensor>,
    centre: Centre,
    epsilon: f32,
) -> (FlexTensor, FlexTensor) {
    let [n_rows, width] = rows_and_width(x);
    let shape = x.layout().shape().clone();
    let (x, weight, bias) = (Contiguous::new(x), Contiguous::new(weight), bias.map(Contiguous::new));
    let (x, weight) = (x.numbers(), &weight.numbers()[..width]);
    let bias = bias.as_ref().map(|bias| &bias.numbers()[..width]);
    let inverse_width = 1.0 / width_as_f32(width);
    let (out, moments) = by_rows_2(
        n_rows,
        [width, 2],
        #[inline(always)]
        |first, rows, moments| {
            for (i, (y, moments)) in rows.chunks_exact_mut(width).zip(moments.chunks_exact_mut(2)).enumerate()
            {
                let x = &x[(first + i) * width..][..width];
                let mean = match centre {
                    Centre::Mean => sum(width, |at| x[at]) * inverse_width,
                    Centre::Zero => 0.0,
                };
                let squares = sum(width, |at| (x[at] - mean) * (x[at] - mean));
                let inverse = 1.0 / fma(squares, inverse_width, epsilon).sqrt();
                match bias {
                    Some(bias) => {
                        for at in 0..width {
                            y[at] = fma((x[at] - mean) * inverse, weight[at], bias[at]);
                        }
                    }
                    None => {
                        for at in 0..width {
                            y[at] = (x[at] - mean) * inverse * weight[at];
                        }
                    }
                }
                moments[0] = mean;
                moments[1] = inverse;
            }
        },
    );
    (tensor(out, shape), tensor(moments, Shape::from([n_rows, 2])))
}

/// The gradient of `x`.
pub(crate) fn x_gradient(
    dy: &FlexTensor,
    x: &FlexTensor,
    weight: &FlexTensor,
    moments: &FlexTensor,
    centre: Centre,
) -> FlexTensor {
    let [n_rows, width] = rows_and_width(x);
    let shape = x.layout().shape().clone();
    let [dy, x, weight, moments] = [dy, x, weight, moments].map(Contiguous::new);
    let (dy, x, weight) = (dy.numbers(), x.numbers(), &weight.numbers()[..width]);
    let moments = moments.numbers();
    let inverse_width = 1.0 / width_as_f32(width);
    let out = by_rows(
        n_rows,
        width,
        #[inline(always)]
        |first, rows| {
            for (i, dx) in rows.chunks_exact_mut(width).enumerate() {
                let row = first + i;
                let (x, dy) = (&x[row * width..][..width], &dy[row * width..][..width]);
                let (mean, inverse) = (moments[2 * row], moments[2 * row + 1]);
                let along = sum(width, |at| dy[at] * weight[at] * (x[at] - mean)) * inverse;
                let shift = match centre {
                    Centre::Mean => sum(width, |at| dy[at] * weight[at]) * inverse_width,
                    Centre::Zero => 0.0,
                };
                let along = along * inverse_width * inverse;
                for at in 0..width {
                    dx[at] = inverse * (dy[at] * weight[at] - shift - (x[at] - mean) * along);
                }
            }
        },
    );
    tensor(out, shape)
}

/// The gradient of the weight.
pub(crate) fn weight_gradient(dy: &FlexTensor, x: &FlexTensor, moments: &FlexTensor) -> FlexTensor {
    let [n_rows, width] = rows_and_width(x);
    let [dy, x, moments] = [dy, x, moments].map(Contiguous::new);
    let (dy, x, moments) = (dy.numbers(), x.numbers(), moments.numbers());
    let sums = sum_of_rows(
        n_rows,
        width,
        #[inline(always)]
        |row, sums| {
            let (x, dy) = (&x[row * width..][..width], &dy[row * width..][..width]);
            let (mean, inverse) = (moments[2 * row], moments[2 * row + 1]);
            for at in 0..width {
                sums[at] += dy[at] * (x[at] - mean) * inverse;
            }
        },
    );
    tensor(sums, Shape::from([width]))
}

#[expect(clippy::cast_precision_loss, reason = "a row is far below 2^24")]
fn width_as_f32(width: usize) -> f32 {
    width as f32
}
