//! Activations and their gradients.

use burn_flex::FlexTensor;

use super::math::{erf, exp, fma, sigmoid};
use super::raw::{by_rows, by_rows_2};
use super::view::{Contiguous, tensor};

/// `x · Φ(x)`
pub(crate) fn gelu(x: &FlexTensor) -> FlexTensor {
    let shape = x.layout().shape().clone();
    let x = Contiguous::new(x);
    let x = x.numbers();
    let out = by_rows(
        x.len(),
        1,
        #[inline(always)]
        |first, out| {
            let x = &x[first..][..out.len()];
            for (y, x) in out.iter_mut().zip(x) {
                *y = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
            }
        },
    );
    tensor(out, shape)
}

/// The gradient of `x` in [`gelu`].
pub(crate) fn gelu_gradient(dy: &FlexTensor, x: &FlexTensor) -> FlexTensor {
    /// `1 / √(2π)`
    const DENSITY: f32 = 0.398_942_3;
    let shape = x.layout().shape().clone();
    let (dy, x) = (Contiguous::new(dy), Contiguous::new(x));
    let (dy, x) = (dy.numbers(), x.numbers());
    let out = by_rows(
        x.len(),
        1,
        #[inline(always)]
        |first, out| {
            let (x, dy) = (&x[first..][..out.len()], &dy[first..][..out.len()]);
            for ((dx, x), dy) in out.iter_mut().zip(x).zip(dy) {
                let below = fma(0.5, erf(x * std::f32::consts::FRAC_1_SQRT_2), 0.5);
                *dx = dy * fma(x * DENSITY, exp(-0.5 * x * x), below);
            }
        },
    );
    tensor(out, shape)
}

/// `gate · σ(gate) · up`
pub(crate) fn swiglu(gate: &FlexTensor, up: &FlexTensor) -> FlexTensor {
    let shape = gate.layout().shape().clone();
    let (gate, up) = (Contiguous::new(gate), Contiguous::new(up));
    let (gate, up) = (gate.numbers(), up.numbers());
    assert_eq!(gate.len(), up.len(), "numbers of both inputs");
    let out = by_rows(
        gate.len(),
        1,
        #[inline(always)]
        |first, out| {
            let (gate, up) = (&gate[first..][..out.len()], &up[first..][..out.len()]);
            for ((y, gate), up) in out.iter_mut().zip(gate).zip(up) {
                *y = gate * sigmoid(*gate) * up;
            }
        },
    );
    tensor(out, shape)
}

/// The gradients of both inputs of [`swiglu`].
pub(crate) fn swiglu_gradients(
    dy: &FlexTensor,
    gate: &FlexTensor,
    up: &FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let shape = gate.layout().shape().clone();
    let [dy, gate, up] = [dy, gate, up].map(Contiguous::new);
    let (dy, gate, up) = (dy.numbers(), gate.numbers(), up.numbers());
    let (d_gate, d_up) = by_rows_2(
        gate.len(),
        [1, 1],
        #[inline(always)]
        |first, d_gate, d_up| {
            let n = d_gate.len();
            let (dy, gate, up) = (&dy[first..][..n], &gate[first..][..n], &up[first..][..n]);
            let d_up = &mut d_up[..n];
            for at in 0..n {
                let s = sigmoid(gate[at]);
                let silu = gate[at] * s;
                d_up[at] = dy[at] * silu;
                d_gate[at] = dy[at] * up[at] * fma(silu, 1.0 - s, s);
            }
        },
    );
    (tensor(d_gate, shape.clone()), tensor(d_up, shape))
}
