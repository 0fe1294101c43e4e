//! Rotary positions.

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

use super::math::fma;
use super::raw::by_rows;
use super::view::{Contiguous, Strided, side_by_side};

/// Turns each pair (j, j + `head_dim` / 2) by its position's angle, or back.
///
/// # Shapes
/// - `x`: `[batch, n_heads, n, head_dim]`
/// - `cos`, `sin`: `[batch, 1, n, head_dim / 2]`
/// - returns as `x`, in memory `[batch, n, n_heads, head_dim]`
pub(crate) fn rotate(x: &FlexTensor, cos: &FlexTensor, sin: &FlexTensor, is_back: bool) -> FlexTensor {
    let x = side_by_side(x);
    let view = Strided::new(&x).expect("made so");
    let [batch, n_heads, n, head_dim] = view.dims;
    assert!(head_dim.is_multiple_of(2), "pairs of a head of width {head_dim}");
    let half = head_dim / 2;
    let (cos, sin) = (Contiguous::new(cos), Contiguous::new(sin));
    let (cos, sin) = (cos.numbers(), sin.numbers());
    assert_eq!([cos.len(), sin.len()], [batch * n * half; 2], "angles of each position");
    let direction = if is_back { -1.0 } else { 1.0 };
    let width = n_heads * head_dim;
    let out = by_rows(
        batch * n,
        width,
        #[inline(always)]
        |first, rows| {
            for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                let at = first + i;
                let (b, position) = (at / n, at % n);
                let (cos, sin) = (&cos[at * half..][..half], &sin[at * half..][..half]);
                for (head, turned) in row.chunks_exact_mut(head_dim).enumerate() {
                    let x = &view.from([b, head, position])[..head_dim];
                    let (left, right) = turned.split_at_mut(half);
                    let (x_left, x_right) = (&x[..half], &x[half..][..half]);
                    let right = &mut right[..half];
                    for j in 0..half {
                        let s = sin[j] * direction;
                        left[j] = fma(x_left[j], cos[j], -(x_right[j] * s));
                        right[j] = fma(x_right[j], cos[j], x_left[j] * s);
                    }
                }
            }
        },
    );
    by_heads(out, [batch, n, n_heads, head_dim])
}

/// Numbers in the order `[batch, n, n_heads, head_dim]` as a tensor `[batch, n_heads, n, head_dim]`.
pub(crate) fn by_heads(numbers: Vec<f32>, [batch, n, n_heads, head_dim]: [usize; 4]) -> FlexTensor {
    assert_eq!(numbers.len(), batch * n * n_heads * head_dim, "numbers of a shape");
    let stride = |stride: usize| isize::try_from(stride).expect("a stride in memory");
    let width = stride(n_heads * head_dim);
    let strides = vec![stride(n) * width, stride(head_dim), width, 1];
    let layout = Layout::new(Shape::from([batch, n_heads, n, head_dim]), strides, 0);
    FlexTensor::new(Bytes::from_elems(numbers), layout, DType::F32)
}
