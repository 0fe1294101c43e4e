//! Attention that never holds the scores of all queries, and its gradients.
//!
//! Queries are taken [`QUERIES`] at a time: their scores, the softmax and the weighted values stay
//! in the cache. For the gradient each query's log of the sum of exponentials is kept, and the
//! probabilities are computed again (Dao and others, "FlashAttention", 2022, section 3).

use burn::tensor::Shape;
use burn_flex::FlexTensor;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::math::{LANES, exp, fma, sum, vectorized};
use super::raw::{Mat, To, product};
use super::rotary::by_heads;
use super::view::{Strided, side_by_side, tensor};

/// Queries of one part.
const QUERIES: usize = 64;

/// Multiplications from which attention is worth the other threads.
const PARALLEL: usize = 1 << 17;

struct Sizes {
    batch: usize,
    n_heads: usize,
    /// Query heads that share one key head.
    group: usize,
    n_queries: usize,
    n_keys: usize,
    head_dim: usize,
    scale: f32,
    is_causal: bool,
}

impl Sizes {
    fn new(q: &Strided<'_>, k: &Strided<'_>, v: &Strided<'_>, is_causal: bool) -> Self {
        let [batch, n_heads, n_queries, head_dim] = q.dims;
        let [_, n_kv_heads, n_keys, _] = k.dims;
        assert_eq!(k.dims, [batch, n_kv_heads, n_keys, head_dim], "keys");
        assert_eq!(v.dims, k.dims, "values");
        assert!(n_kv_heads > 0 && n_heads.is_multiple_of(n_kv_heads), "{n_heads} heads of {n_kv_heads}");
        assert!(!is_causal || n_queries <= n_keys, "{n_queries} queries, {n_keys} keys");
        #[expect(clippy::cast_precision_loss, reason = "a head is narrow")]
        let scale = 1.0 / (head_dim as f32).sqrt();
        let group = n_heads / n_kv_heads;
        Self { batch, n_heads, group, n_queries, n_keys, head_dim, scale, is_causal }
    }

    /// Keys that the query sees, counted from the first; the last query sees all.
    fn seen(&self, query: usize) -> usize {
        if self.is_causal { self.n_keys - self.n_queries + query + 1 } else { self.n_keys }
    }

    fn is_large(&self) -> bool {
        self.batch * self.n_heads * self.n_queries * self.n_keys * self.head_dim >= PARALLEL
    }
}

/// Which keys are hidden: `[batch, 1, n_queries, n_keys]`, none where all are seen.
#[derive(Clone, Copy)]
struct Hidden<'a>(Option<&'a [u8]>);

impl<'a> Hidden<'a> {
    fn new(hidden: Option<&'a FlexTensor>, sizes: &Sizes) -> Self {
        Self(hidden.map(|hidden| {
            let (start, end) = hidden.layout().contiguous_offsets().expect("a mask in order");
            let bytes = &hidden.storage::<u8>()[start..end];
            assert_eq!(bytes.len(), sizes.batch * sizes.n_queries * sizes.n_keys, "entries of the mask");
            bytes
        }))
    }

    fn row(&self, sizes: &Sizes, b: usize, query: usize) -> Option<&'a [u8]> {
        self.0.map(|bytes| &bytes[(b * sizes.n_queries + query) * sizes.n_keys..][..sizes.n_keys])
    }
}

/// The weighted values, and for each query and head the log of its sum of exponentials.
///
/// # Shapes
/// - `q`: `[batch, n_heads, n_queries, head_dim]`; `k`, `v`: `[batch, n_kv_heads, n_keys, head_dim]`
/// - `hidden`: `[batch, 1, n_queries, n_keys]`
/// - returns as `q`, in memory `[batch, n_queries, n_heads, head_dim]`, and
///   `[batch, n_queries, n_heads]`
pub(crate) fn forward(
    [q, k, v]: [&FlexTensor; 3],
    hidden: Option<&FlexTensor>,
    is_causal: bool,
) -> (FlexTensor, FlexTensor) {
    let [q, k, v] = [q, k, v].map(side_by_side);
    let [q, k, v] = [&q, &k, &v].map(|x| Strided::new(x).expect("made so"));
    let sizes = Sizes::new(&q, &k, &v, is_causal);
    let Sizes { batch, n_heads, group, n_queries, head_dim, .. } = sizes;
    let hidden = hidden.map(FlexTensor::to_contiguous);
    let hidden = Hidden::new(hidden.as_ref(), &sizes);
    let width = n_heads * head_dim;
    let mut out = vec![0.0; batch * n_queries * width];
    let mut log_sums = vec![0.0; batch * n_queries * n_heads];
    if out.is_empty() {
        let log_sums = tensor(log_sums, Shape::from([batch, n_queries, n_heads]));
        return (by_heads(out, [batch, n_queries, n_heads, head_dim]), log_sums);
    }
    let mut parts = Vec::new();
    let of_images = out.chunks_mut(n_queries * width).zip(log_sums.chunks_mut(n_queries * n_heads));
    for (b, (out, log_sums)) in of_images.enumerate() {
        let chunks = out.chunks_mut(QUERIES * width).zip(log_sums.chunks_mut(QUERIES * n_heads));
        parts.extend(chunks.enumerate().map(|(part, (out, log_sums))| (b, part * QUERIES, out, log_sums)));
    }
    let work = |scores: &mut Vec<f32>, (b, first, out, log_sums): (usize, usize, &mut [f32], &mut [f32])| {
        let n = out.len() / width;
        let n_keys = sizes.seen(first + n - 1);
        scores.resize(n * n_keys, 0.0);
        for head in 0..n_heads {
            if n_queries == 1 {
                log_sums[head] = pulp::Arch::new().dispatch(OneQuery {
                    q: q.from([b, head, 0]),
                    k: (k.from([b, head / group, 0]), k.strides[2]),
                    v: (v.from([b, head / group, 0]), v.strides[2]),
                    hidden: hidden.row(&sizes, b, 0),
                    scores: scores.as_mut_slice(),
                    out: &mut out[head * head_dim..][..head_dim],
                    scale: sizes.scale,
                });
                continue;
            }
            let queries = Mat::new(q.from([b, head, first]), [n, head_dim], [q.strides[2], 1]);
            let keys = Mat::new(k.from([b, head / group, 0]), [n_keys, head_dim], [k.strides[2], 1]);
            product(To::Over(scores), n_keys, sizes.scale, queries, keys.transposed(), false);
            vectorized(
                #[inline(always)]
                || {
                    for (row, scores) in scores.chunks_exact_mut(n_keys).enumerate() {
                        let query = first + row;
                        let log_sum = softmax(scores, sizes.seen(query), hidden.row(&sizes, b, query));
                        log_sums[row * n_heads + head] = log_sum;
                    }
                },
            );
            let values = Mat::new(v.from([b, head / group, 0]), [n_keys, head_dim], [v.strides[2], 1]);
            let out = &mut out[head * head_dim..];
            let probabilities = Mat::rows(scores, [n, n_keys]);
            product(To::Over(out), width, 1.0, probabilities, values, false);
        }
    };
    if sizes.is_large() && parts.len() > 1 {
        parts.into_par_iter().for_each_init(Vec::new, work);
    } else {
        let mut scores = Vec::new();
        parts.into_iter().for_each(|part| work(&mut scores, part));
    }
    let log_sums = tensor(log_sums, Shape::from([batch, n_queries, n_heads]));
    (by_heads(out, [batch, n_queries, n_heads, head_dim]), log_sums)
}

/// The weighted values of a single query, which reads each key and value once.
struct OneQuery<'a> {
    q: &'a [f32],
    /// Keys of the head, and how far they are apart.
    k: (&'a [f32], usize),
    /// Its values.
    v: (&'a [f32], usize),
    hidden: Option<&'a [u8]>,
    /// One for each key.
    scores: &'a mut [f32],
    out: &'a mut [f32],
    scale: f32,
}

impl WithSimd for OneQuery<'_> {
    /// The log of the sum of exponentials.
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let Self { q, k, v, hidden, scores, out, scale } = self;
        let head_dim = out.len();
        let (q, q_rest) = S::as_simd_f32s(&q[..head_dim]);
        for (at, score) in scores.iter_mut().enumerate() {
            let (key, key_rest) = S::as_simd_f32s(&k.0[at * k.1..][..head_dim]);
            let mut total = simd.splat_f32s(0.0);
            for (q, key) in q.iter().zip(key) {
                total = simd.mul_add_f32s(*q, *key, total);
            }
            let mut rest = 0.0;
            for (q, key) in q_rest.iter().zip(key_rest) {
                rest = fma(*q, *key, rest);
            }
            *score = (simd.reduce_sum_f32s(total) + rest) * scale;
        }
        let n_keys = scores.len();
        let log_sum = softmax(scores, n_keys, hidden);
        out.fill(0.0);
        let (out, out_rest) = S::as_mut_simd_f32s(out);
        for (at, p) in scores.iter().enumerate() {
            let (value, value_rest) = S::as_simd_f32s(&v.0[at * v.1..][..head_dim]);
            let weight = simd.splat_f32s(*p);
            for (out, value) in out.iter_mut().zip(value) {
                *out = simd.mul_add_f32s(weight, *value, *out);
            }
            for (out, value) in out_rest.iter_mut().zip(value_rest) {
                *out = fma(*p, *value, *out);
            }
        }
        log_sum
    }
}

/// Turns the first `seen` scores into probabilities and the others into zeros; the log of the sum
/// of exponentials. A row that sees nothing becomes zeros, with the log infinite.
#[inline(always)]
fn softmax(scores: &mut [f32], seen: usize, hidden: Option<&[u8]>) -> f32 {
    let (scores, rest) = scores.split_at_mut(seen);
    rest.fill(0.0);
    if let Some(hidden) = hidden {
        for (score, hidden) in scores.iter_mut().zip(hidden) {
            *score = if *hidden != 0 { f32::NEG_INFINITY } else { *score };
        }
    }
    let largest = largest(scores);
    if largest == f32::NEG_INFINITY {
        scores.fill(0.0);
        return f32::INFINITY;
    }
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
    }
    let total = sum(seen, |at| scores[at]);
    let inverse = 1.0 / total;
    for score in scores.iter_mut() {
        *score *= inverse;
    }
    largest + total.ln()
}

#[inline(always)]
fn largest(numbers: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = numbers.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| a.max(*b))
}

/// What a gradient needs from the pass forward.
pub(crate) struct Kept<'a> {
    pub(crate) q: &'a FlexTensor,
    pub(crate) k: &'a FlexTensor,
    pub(crate) v: &'a FlexTensor,
    pub(crate) out: &'a FlexTensor,
    pub(crate) log_sums: &'a FlexTensor,
    pub(crate) hidden: Option<&'a FlexTensor>,
    pub(crate) is_causal: bool,
}

/// Memory of one part.
#[derive(Default)]
struct Scratch {
    probabilities: Vec<f32>,
    gradients: Vec<f32>,
}

/// A key head, and the gradients of its queries, keys and values.
type Part<'a> = (usize, ((&'a mut [f32], &'a mut [f32]), &'a mut [f32]));

/// The gradients of queries, keys and values.
///
/// # Shapes
/// - `d_out`: as the output
/// - returns as `q`, `k`, `v`, in row-major order
pub(crate) fn gradients(d_out: &FlexTensor, kept: &Kept<'_>) -> [FlexTensor; 3] {
    let [q, k, v, out, d_out] = [kept.q, kept.k, kept.v, kept.out, d_out].map(side_by_side);
    let [q, k, v, out, d_out] = [&q, &k, &v, &out, &d_out].map(|x| Strided::new(x).expect("made so"));
    let sizes = Sizes::new(&q, &k, &v, kept.is_causal);
    let Sizes { batch, n_heads, group, n_queries, n_keys, head_dim, scale, .. } = sizes;
    let hidden = kept.hidden.map(FlexTensor::to_contiguous);
    let hidden = Hidden::new(hidden.as_ref(), &sizes);
    let log_sums = kept.log_sums.as_slice::<f32>().expect("made in order");
    let n_kv_heads = n_heads / group;
    let mut dq = vec![0.0; batch * n_heads * n_queries * head_dim];
    let mut dk = vec![0.0; batch * n_kv_heads * n_keys * head_dim];
    let mut dv = vec![0.0; dk.len()];
    let work = |scratch: &mut Scratch, (at, ((dq, dk), dv)): Part<'_>| {
        let (b, kv_head) = (at / n_kv_heads, at % n_kv_heads);
        for (head, dq) in (kv_head * group..).zip(dq.chunks_mut(n_queries * head_dim)) {
            for (part, dq) in dq.chunks_mut(QUERIES * head_dim).enumerate() {
                let (first, n) = (part * QUERIES, dq.len() / head_dim);
                let n_keys = sizes.seen(first + n - 1);
                let queries = Mat::new(q.from([b, head, first]), [n, head_dim], [q.strides[2], 1]);
                let d_rows = Mat::new(d_out.from([b, head, first]), [n, head_dim], [d_out.strides[2], 1]);
                let keys = Mat::new(k.from([b, kv_head, 0]), [n_keys, head_dim], [k.strides[2], 1]);
                let values = Mat::new(v.from([b, kv_head, 0]), [n_keys, head_dim], [v.strides[2], 1]);
                scratch.probabilities.resize(n * n_keys, 0.0);
                scratch.gradients.resize(n * n_keys, 0.0);
                let Scratch { probabilities, gradients } = scratch;
                product(To::Over(probabilities), n_keys, scale, queries, keys.transposed(), false);
                product(To::Over(gradients), n_keys, 1.0, d_rows, values.transposed(), false);
                vectorized(
                    #[inline(always)]
                    || {
                        let rows =
                            probabilities.chunks_exact_mut(n_keys).zip(gradients.chunks_exact_mut(n_keys));
                        for (row, (p, ds)) in rows.enumerate() {
                            let query = first + row;
                            let log_sum = log_sums[(b * n_queries + query) * n_heads + head];
                            let out = &out.from([b, head, query])[..head_dim];
                            let d_out = &d_out.from([b, head, query])[..head_dim];
                            let mean = sum(head_dim, |at| out[at] * d_out[at]);
                            let seen = sizes.seen(query);
                            if let Some(hidden) = hidden.row(&sizes, b, query) {
                                for (p, hidden) in p.iter_mut().zip(hidden) {
                                    *p = if *hidden != 0 { f32::NEG_INFINITY } else { *p };
                                }
                            }
                            for (p, ds) in p[..seen].iter_mut().zip(&mut ds[..seen]) {
                                *p = exp(*p - log_sum);
                                *ds = *p * fma(*ds, scale, -mean * scale);
                            }
                            p[seen..].fill(0.0);
                            ds[seen..].fill(0.0);
                        }
                    },
                );
                let p = Mat::rows(probabilities, [n, n_keys]);
                let ds = Mat::rows(gradients, [n, n_keys]);
                product(To::Over(dq), head_dim, 1.0, ds, keys, false);
                product(To::Added(dv), head_dim, 1.0, p.transposed(), d_rows, false);
                product(To::Added(dk), head_dim, 1.0, ds.transposed(), queries, false);
            }
        }
    };
    let (of_queries, of_keys) = (group * n_queries * head_dim, n_keys * head_dim);
    if of_queries > 0 && of_keys > 0 {
        if sizes.is_large() {
            let parts = dq.par_chunks_mut(of_queries).zip(dk.par_chunks_mut(of_keys));
            let parts = parts.zip(dv.par_chunks_mut(of_keys));
            parts.enumerate().for_each_init(Scratch::default, work);
        } else {
            let parts = dq.chunks_mut(of_queries).zip(dk.chunks_mut(of_keys)).zip(dv.chunks_mut(of_keys));
            let mut scratch = Scratch::default();
            parts.enumerate().for_each(|part| work(&mut scratch, part));
        }
    }
    let of_keys = Shape::from([batch, n_kv_heads, n_keys, head_dim]);
    let of_queries = Shape::from([batch, n_heads, n_queries, head_dim]);
    [tensor(dq, of_queries), tensor(dk, of_keys.clone()), tensor(dv, of_keys)]
}
