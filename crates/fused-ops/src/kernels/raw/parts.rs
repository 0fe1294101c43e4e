//! Work in parts of fixed size, on all threads where there is enough of it.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::memory::{blank, fresh, written};
use crate::kernels::math::vectorized;

/// Numbers from which a pass over memory is worth the other threads.
const PARALLEL: usize = 1 << 15;

/// Numbers of one part of a pass.
const PART: usize = 1 << 13;

/// The rows that `f(first_row, rows)` writes, part by part.
///
/// `f` is to write every number; debug builds hand it NaN, so that tests see what it leaves out.
pub(crate) fn by_rows(n_rows: usize, width: usize, f: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut out = fresh(n_rows * width);
    if !out.is_empty() {
        let part = rows_of_part(width);
        let work = |(at, rows): (usize, &mut [MaybeUninit<f32>])| {
            vectorized(
                #[inline(always)]
                || f(at * part, blank(rows)),
            );
        };
        if out.len() >= PARALLEL {
            out.par_chunks_mut(part * width).enumerate().for_each(work);
        } else {
            out.chunks_mut(part * width).enumerate().for_each(work);
        }
    }
    #[expect(unsafe_code, reason = "see below")]
    // SAFETY: the chunks cover all of `out`, and each was made numbers of by `blank`.
    unsafe {
        written(out)
    }
}

/// As [`by_rows`], for two outputs with as many rows.
pub(crate) fn by_rows_2(
    n_rows: usize,
    [width, other_width]: [usize; 2],
    f: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let (mut out, mut other) = (fresh(n_rows * width), fresh(n_rows * other_width));
    assert_eq!(out.is_empty(), other.is_empty(), "two outputs of as many rows");
    if !out.is_empty() {
        let part = rows_of_part(width);
        let n_parts = |len: usize, width: usize| len.div_ceil(part * width);
        let n_other = n_parts(other.len(), other_width);
        assert_eq!(n_parts(out.len(), width), n_other, "two outputs of as many rows");
        let work = |((at, rows), others): ((usize, &mut [_]), &mut [_])| {
            vectorized(
                #[inline(always)]
                || f(at * part, blank(rows), blank(others)),
            );
        };
        if out.len() >= PARALLEL {
            let others = other.par_chunks_mut(part * other_width);
            out.par_chunks_mut(part * width).enumerate().zip(others).for_each(work);
        } else {
            let others = other.chunks_mut(part * other_width);
            out.chunks_mut(part * width).enumerate().zip(others).for_each(work);
        }
    }
    #[expect(unsafe_code, reason = "see below")]
    // SAFETY: as many chunks cover all of each, as asserted, and each was made numbers of by `blank`.
    unsafe {
        (written(out), written(other))
    }
}

/// Rows of one part.
fn rows_of_part(width: usize) -> usize {
    (PART / width.max(1)).max(1)
}

/// The sum over rows of what `f(row, sums)` adds to `width` sums.
///
/// Each part of the rows has its own sums, which are added in order.
pub(crate) fn sum_of_rows(n_rows: usize, width: usize, f: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let part = rows_of_part(width);
    let starts: Vec<usize> = (0..n_rows).step_by(part).collect();
    let sums_of = |start: usize| {
        let mut sums = vec![0.0_f32; width];
        vectorized(
            #[inline(always)]
            || (start..n_rows.min(start + part)).for_each(|row| f(row, &mut sums)),
        );
        sums
    };
    let parts: Vec<Vec<f32>> = if n_rows * width >= PARALLEL {
        starts.into_par_iter().map(sums_of).collect()
    } else {
        starts.into_iter().map(sums_of).collect()
    };
    let mut total = vec![0.0_f32; width];
    for part in &parts {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for (n_rows, width) in [(1, 1), (3, 5), (10_000, 7), (9, 40_000)] {
            let out = by_rows(n_rows, width, |first, rows| {
                for (row, numbers) in rows.chunks_exact_mut(width).enumerate() {
                    for x in numbers {
                        *x = (first + row) as f32;
                    }
                }
            });
            assert!(out.iter().enumerate().all(|(i, x)| *x == (i / width) as f32));
            let (_, firsts) = by_rows_2(n_rows, [width, 1], |first, rows, firsts| {
                for x in rows {
                    *x = 0.0;
                }
                for (row, x) in firsts.iter_mut().enumerate() {
                    *x = (first + row) as f32;
                }
            });
            assert!(firsts.iter().enumerate().all(|(row, x)| *x == row as f32));
            let sums = sum_of_rows(n_rows, width, |_, sums| sums.iter_mut().for_each(|x| *x += 1.0));
            assert!(sums.iter().all(|x| *x == n_rows as f32));
        }
    }
}
