//! One update of `AdamW`.

use rayon::prelude::*;

use super::math::{fma, vectorized};

/// Numbers of an update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coefficients {
    pub(crate) beta_1: f32,
    pub(crate) beta_2: f32,
    pub(crate) epsilon: f32,
    /// `1 - lr · decay`
    pub(crate) keep: f32,
    /// `lr / (1 - beta_1^t)`
    pub(crate) rate: f32,
    /// `1 / (1 - beta_2^t)`
    pub(crate) second_scale: f32,
}

/// Numbers of one part.
const PART: usize = 1 << 14;

/// Updates parameter and moments in place.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn update(
    parameter: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    gradient: &[f32],
    coefficients: Coefficients,
) {
    let lengths = [first.len(), second.len(), gradient.len()];
    assert_eq!(lengths, [parameter.len(); 3], "numbers of parameter, moments and gradient");
    let moments = first.par_chunks_mut(PART).zip(second.par_chunks_mut(PART));
    let inputs = parameter.par_chunks_mut(PART).zip(gradient.par_chunks(PART));
    inputs.zip(moments).for_each(|((p, g), (m, v))| {
        vectorized(
            #[inline(always)]
            || update_part(p, m, v, g, coefficients),
        );
    });
}

#[inline(always)]
fn update_part(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], c: Coefficients) {
    let n = p.len();
    let (m, v, g) = (&mut m[..n], &mut v[..n], &g[..n]);
    for at in 0..n {
        m[at] = fma(m[at], c.beta_1, g[at] * (1.0 - c.beta_1));
        v[at] = fma(v[at], c.beta_2, g[at] * g[at] * (1.0 - c.beta_2));
        let deviation = (v[at] * c.second_scale).sqrt() + c.epsilon;
        p[at] = fma(p[at], c.keep, -(c.rate * m[at] / deviation));
    }
}
