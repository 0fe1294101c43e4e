//! `x · Wᵀ + b` and its gradients.
//!
//! Loops inside of [`vectorized`] are plain ones: a closure that is not inlined would be compiled
//! for the oldest machine.

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::math::{LANES, fma, vectorized};
use super::raw::{Mat, To, fresh_product, product, sum_of_rows};
use super::view::{Contiguous, rows_and_width, tensor, with_width};

/// Rows up to which each output is a scalar product over the weight's row as it lies in memory.
///
/// Below, packing the weight for a matrix product costs more than the product.
const FEW_ROWS: usize = 24;

/// Width of the input from which a weight is turned before the product.
///
/// gemm packs a weight that lies the other way number by number, once for each thread and part of
/// the rows. At 257 rows of 3072 into 768 two threads take 12.8 ms so, 7.7 ms with the turning, and
/// 5.5 ms where the weight lies by columns already.
const LONG_ROWS: usize = 768;

/// # Shapes
/// - `x`: `[..., d_input]`
/// - `weight`: `[d_output, d_input]`
/// - `bias`: `[d_output]`
/// - returns `[..., d_output]`
pub(crate) fn forward(x: &FlexTensor, weight: &FlexTensor, bias: Option<&FlexTensor>) -> FlexTensor {
    let [n_rows, d_input] = rows_and_width(x);
    let [d_output, of_weight] = rows_and_width(weight);
    assert_eq!(d_input, of_weight, "width of the input and of the weight");
    let shape = with_width(x.layout().shape(), d_output);
    let (x, bias) = (Contiguous::new(x), bias.map(Contiguous::new));
    let (x, bias) = (x.numbers(), bias.as_ref().map(Contiguous::numbers));
    if let Some(bias) = bias {
        assert_eq!(bias.len(), d_output, "width of the bias");
    }
    let contiguous;
    let by_columns = columns_first(weight);
    let out = if n_rows <= FEW_ROWS && by_columns.is_none() {
        contiguous = Contiguous::new(weight);
        few_rows(x, contiguous.numbers(), bias, [n_rows, d_input, d_output])
    } else {
        let x = Mat::rows(x, [n_rows, d_input]);
        let turned;
        let weight = if let Some(by_columns) = by_columns {
            by_columns
        } else {
            contiguous = Contiguous::new(weight);
            if d_input >= LONG_ROWS && d_input >= d_output {
                turned = transpose(contiguous.numbers(), [d_output, d_input]);
                Mat::rows(&turned, [d_input, d_output])
            } else {
                Mat::rows(contiguous.numbers(), [d_output, d_input]).transposed()
            }
        };
        match bias {
            None => fresh_product(x, weight, true),
            Some(bias) => {
                let mut out = bias.repeat(n_rows);
                product(To::Added(&mut out), d_output, 1.0, x, weight, true);
                out
            }
        }
    };
    tensor(out, shape)
}

/// Edge of the squares that [`transpose`] turns.
const TILE: usize = 16;

/// The transpose of a matrix in memory.
///
/// # Shapes
/// - `matrix`: `[n_rows, n_cols]`
/// - returns `[n_cols, n_rows]`
fn transpose(matrix: &[f32], [n_rows, n_cols]: [usize; 2]) -> Vec<f32> {
    let mut out = vec![0.0; n_rows * n_cols];
    let turn = |(part, out): (usize, &mut [f32])| {
        let first = part * 4 * TILE;
        vectorized(
            #[inline(always)]
            || {
                let n_cols_of_part = out.len() / n_rows;
                for col in (0..n_cols_of_part).step_by(TILE) {
                    for row in (0..n_rows).step_by(TILE) {
                        let from = &matrix[row * n_cols + first + col..];
                        let to = &mut out[col * n_rows + row..];
                        let size = [(n_rows - row).min(TILE), (n_cols_of_part - col).min(TILE)];
                        turn_tile(from, n_cols, to, n_rows, size);
                    }
                }
            },
        );
    };
    out.par_chunks_mut(4 * TILE * n_rows).enumerate().for_each(turn);
    out
}

#[inline(always)]
fn turn_tile(from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize, [rows, cols]: [usize; 2]) {
    if [rows, cols] == [TILE; 2] {
        let mut tile = [[0.0_f32; TILE]; TILE];
        for row in 0..TILE {
            let numbers = lanes(from, row * from_stride);
            for (turned, number) in tile.iter_mut().zip(numbers) {
                turned[row] = number;
            }
        }
        for (col, numbers) in tile.iter().enumerate() {
            to[col * to_stride..][..TILE].copy_from_slice(numbers);
        }
    } else {
        for col in 0..cols {
            for row in 0..rows {
                to[col * to_stride + row] = from[row * from_stride + col];
            }
        }
    }
}

/// The transpose of a weight whose columns are side by side in memory, or part of one.
///
/// # Shapes
/// - `weight`: `[d_output, d_input]`
/// - returns `[d_input, d_output]`
fn columns_first(weight: &FlexTensor) -> Option<Mat<'_>> {
    let layout = weight.layout();
    let [d_output, d_input] = [layout.shape()[0], layout.shape()[1]];
    let [1, stride] = *layout.strides() else { return None };
    let stride = usize::try_from(stride).ok()?;
    let numbers = &weight.storage::<f32>()[layout.start_offset()..];
    (d_output > 1 && d_input > 1).then(|| Mat::new(numbers, [d_input, d_output], [stride, 1]))
}

/// The same matrix with its columns side by side in memory.
pub(crate) fn lay_columns_first(weight: &FlexTensor) -> FlexTensor {
    let [d_output, d_input] = rows_and_width(weight);
    let numbers = transpose(Contiguous::new(weight).numbers(), [d_output, d_input]);
    let stride = isize::try_from(d_output).expect("a stride in memory");
    let layout = Layout::new(weight.layout().shape().clone(), vec![1, stride], 0);
    FlexTensor::new(Bytes::from_elems(numbers), layout, DType::F32)
}

/// Outputs of one part of the work.
const OUTPUTS: usize = 32;

/// Multiplications from which few rows are worth the other threads.
const PARALLEL: usize = 1 << 16;

fn few_rows(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    [n_rows, d_input, d_output]: [usize; 3],
) -> Vec<f32> {
    if n_rows * d_output == 0 {
        return Vec::new();
    }
    // [d_output, n_rows], so that parts of the outputs are slices
    let mut columns = vec![0.0; n_rows * d_output];
    let part = |(part, columns): (usize, &mut [f32])| {
        let first = part * OUTPUTS;
        let weight = &weight[first * d_input..];
        pulp::Arch::new().dispatch(ScalarProducts { x, weight, columns: &mut *columns, n_rows, d_input });
        if let Some(bias) = bias {
            let outputs = columns.chunks_exact_mut(n_rows).zip(&bias[first..]);
            outputs.for_each(|(column, bias)| column.iter_mut().for_each(|y| *y += bias));
        }
    };
    if n_rows * d_output * d_input >= PARALLEL {
        columns.par_chunks_mut(OUTPUTS * n_rows).enumerate().for_each(part);
    } else {
        columns.chunks_mut(OUTPUTS * n_rows).enumerate().for_each(part);
    }
    if n_rows == 1 {
        return columns;
    }
    let mut out = vec![0.0; n_rows * d_output];
    for (output, column) in columns.chunks_exact(n_rows).enumerate() {
        for (row, y) in column.iter().enumerate() {
            out[row * d_output + output] = *y;
        }
    }
    out
}

/// The products of each row of a weight with each row of `x`.
struct ScalarProducts<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    /// `[n_outputs, n_rows]`
    columns: &'a mut [f32],
    n_rows: usize,
    d_input: usize,
}

impl WithSimd for ScalarProducts<'_> {
    type Output = ();

    /// Whole blocks where there are such, so that their sums stay in registers; a product has the
    /// same order of additions in each of them.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight, columns, n_rows, d_input } = self;
        let n_outputs = columns.len() / n_rows;
        let mut output = 0;
        while output < n_outputs {
            let n = (n_outputs - output).min(4);
            let mut row = 0;
            while row < n_rows {
                let m = (n_rows - row).min(4);
                let (weights, xs) = (&weight[output * d_input..], &x[row * d_input..]);
                let columns = &mut columns[output * n_rows + row..];
                match (n, m) {
                    (4, 4) => block::<S, 4, 4>(simd, xs, weights, columns, n_rows, d_input),
                    (4, m) => {
                        for i in 0..m {
                            let x = &xs[i * d_input..];
                            block::<S, 4, 1>(simd, x, weights, &mut columns[i..], n_rows, d_input);
                        }
                    }
                    (n, m) => {
                        for at in 0..n * m {
                            let (j, i) = (at / m, at % m);
                            let (x, weight) = (&xs[i * d_input..], &weights[j * d_input..]);
                            let columns = &mut columns[j * n_rows + i..];
                            block::<S, 1, 1>(simd, x, weight, columns, n_rows, d_input);
                        }
                    }
                }
                row += m;
            }
            output += n;
        }
    }
}

#[inline(always)]
fn block<S: Simd, const N: usize, const M: usize>(
    simd: S,
    x: &[f32],
    weight: &[f32],
    columns: &mut [f32],
    n_rows: usize,
    d_input: usize,
) {
    let weights: [&[f32]; N] = std::array::from_fn(|j| &weight[j * d_input..][..d_input]);
    let xs: [&[f32]; M] = std::array::from_fn(|i| &x[i * d_input..][..d_input]);
    let n_chunks = S::as_simd_f32s(weights[0]).0.len();
    let w_chunks: [&[S::f32s]; N] = weights.map(|row| &S::as_simd_f32s(row).0[..n_chunks]);
    let x_chunks: [&[S::f32s]; M] = xs.map(|row| &S::as_simd_f32s(row).0[..n_chunks]);
    let mut sums = [[simd.splat_f32s(0.0); M]; N];
    for at in 0..n_chunks {
        for j in 0..N {
            for i in 0..M {
                sums[j][i] = simd.mul_add_f32s(w_chunks[j][at], x_chunks[i][at], sums[j][i]);
            }
        }
    }
    for j in 0..N {
        let w_rest = S::as_simd_f32s(weights[j]).1;
        for i in 0..M {
            let mut rest = 0.0;
            for (w, x) in w_rest.iter().zip(S::as_simd_f32s(xs[i]).1) {
                rest = fma(*w, *x, rest);
            }
            columns[j * n_rows + i] = simd.reduce_sum_f32s(sums[j][i]) + rest;
        }
    }
}

#[inline(always)]
fn lanes(numbers: &[f32], start: usize) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&numbers[start..start + LANES]);
    lanes
}

/// The gradient of `x`: `dy · W`.
pub(crate) fn x_gradient(dy: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let [n_rows, d_output] = rows_and_width(dy);
    let [_, d_input] = rows_and_width(weight);
    let shape = with_width(dy.layout().shape(), d_input);
    let (dy, weight) = (Contiguous::new(dy), Contiguous::new(weight));
    let dy = Mat::rows(dy.numbers(), [n_rows, d_output]);
    let weight = Mat::rows(weight.numbers(), [d_output, d_input]);
    tensor(fresh_product(dy, weight, true), shape)
}

/// The gradient of the weight: `dyᵀ · x`.
pub(crate) fn weight_gradient(dy: &FlexTensor, x: &FlexTensor) -> FlexTensor {
    let [n_rows, d_output] = rows_and_width(dy);
    let [_, d_input] = rows_and_width(x);
    let (dy, x) = (Contiguous::new(dy), Contiguous::new(x));
    let dy = Mat::rows(dy.numbers(), [n_rows, d_output]).transposed();
    let x = Mat::rows(x.numbers(), [n_rows, d_input]);
    tensor(fresh_product(dy, x, true), Shape::from([d_output, d_input]))
}

/// The gradient of the bias: the sum of the rows of `dy`.
pub(crate) fn bias_gradient(dy: &FlexTensor) -> FlexTensor {
    let [n_rows, d_output] = rows_and_width(dy);
    let dy = Contiguous::new(dy);
    let dy = dy.numbers();
    let sums = sum_of_rows(
        n_rows,
        d_output,
        #[inline(always)]
        |row, sums| {
            let row = &dy[row * d_output..][..d_output];
            sums.iter_mut().zip(row).for_each(|(sum, dy)| *sum += dy);
        },
    );
    tensor(sums, Shape::from([d_output]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_turned() {
        for [n_rows, n_cols] in [[1, 1], [16, 64], [17, 15], [40, 200]] {
            let matrix: Vec<f32> = (0..n_rows * n_cols).map(|i| i as f32).collect();
            let turned = transpose(&matrix, [n_rows, n_cols]);
            for row in 0..n_rows {
                for col in 0..n_cols {
                    assert_eq!(turned[col * n_rows + row], matrix[row * n_cols + col]);
                }
            }
        }
    }
}
