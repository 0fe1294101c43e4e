//! Random numbers by position: element i of a tensor is a function of seed, name and i alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// Elements that one thread fills before it takes the next piece.
const PIECE: usize = 1 << 18;

/// How the elements of a tensor are distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Distribution {
    /// All the same.
    Constant(f32),
    /// Normal around 0 with this standard deviation.
    Normal(f32),
    /// Uniform between minus this and this.
    Uniform(f32),
}

/// `n` values of the stream that `seed` and `name` choose.
///
/// Only exact float operations are used, so the bytes are the same on every platform, and every
/// element has its own place in the stream, so they are the same for any number of threads.
pub(crate) fn draw(distribution: Distribution, n: usize, seed: u64, name: &str) -> Vec<f32> {
    let map: fn(u32) -> f32 = match distribution {
        Distribution::Constant(value) => return vec![value; n],
        Distribution::Normal(_) => standard_normal,
        Distribution::Uniform(_) => symmetric_unit,
    };
    let scale = match distribution {
        Distribution::Normal(scale) | Distribution::Uniform(scale) => scale,
        Distribution::Constant(_) => 1.0,
    };
    let mut key = Sha256::new();
    key.update(seed.to_le_bytes());
    key.update(name.as_bytes());
    let key: [u8; 32] = key.finalize().into();
    let fill = |piece_idx: usize, values: &mut [f32]| {
        let mut stream = ChaCha8Rng::from_seed(key);
        stream.set_word_pos((piece_idx * PIECE) as u128);
        values.fill_with(|| scale * map(stream.next_u32()));
    };
    let mut values = vec![0.0; n];
    let pieces = std::sync::Mutex::new(values.chunks_mut(PIECE).enumerate());
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(n.div_ceil(PIECE));
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                // The lock ends with the taking of a piece. It is poisoned only if that panicked,
                // which it cannot.
                while let Some((piece_idx, piece)) = pieces.lock().ok().and_then(|mut left| left.next()) {
                    fill(piece_idx, piece);
                }
            });
        }
    });
    values
}

/// The middle of one of 2^24 equal parts of `(-1, 1)`.
fn symmetric_unit(word: u32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
    let part = ((word >> 8) as f32 + 0.5) * (1.0 / 8_388_608.0);
    part - 1.0
}

/// The quantile of the standard normal distribution at the middle of one of 2^32 equal parts.
///
/// # Source
/// Wichura, algorithm AS 241 (Applied Statistics 37, 1988), routine `PPND7`.
fn standard_normal(word: u32) -> f32 {
    let p = (f64::from(word) + 0.5) * (1.0 / 4_294_967_296.0);
    #[expect(clippy::cast_possible_truncation, reason = "the weights are f32")]
    let value = normal_quantile(p) as f32;
    value
}

fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        let above = ((59.109_374_720 * r + 159.291_132_02) * r + 50.434_271_938) * r + 3.387_132_717_9;
        let below = ((67.187_563_600 * r + 78.757_757_664) * r + 17.895_169_469) * r + 1.0;
        return q * above / below;
    }
    let tail = (-natural_log(if q < 0.0 { p } else { 1.0 - p })).sqrt();
    let value = if tail <= 5.0 {
        let r = tail - 1.6;
        let above = ((0.170_238_211_03 * r + 1.306_728_481_6) * r + 2.756_815_390_0) * r + 1.423_437_277_7;
        above / ((0.120_211_329_75 * r + 0.737_001_642_50) * r + 1.0)
    } else {
        let r = tail - 5.0;
        let above = ((0.017_337_203_997 * r + 0.428_682_943_37) * r + 3.081_226_386_0) * r + 6.657_905_115_0;
        above / ((0.012_258_202_635 * r + 0.241_978_942_25) * r + 1.0)
    };
    if q < 0.0 { -value } else { value }
}

/// The natural logarithm of a normal number, from exact operations: the platform's own may differ
/// in the last digit.
fn natural_log(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    #[expect(clippy::cast_possible_wrap, reason = "an exponent has 11 bits")]
    let exponent = ((bits >> 52) as i64 - 1023) as f64;
    let mantissa = f64::from_bits((bits & MANTISSA) | (1023 << 52)); // [1, 2)
    let s = (mantissa - 1.0) / (mantissa + 1.0); // at most 1/3
    let square = s * s;
    let series = (0..16).rev().fold(0.0, |sum, k| sum * square + 1.0 / f64::from(2 * k + 1));
    exponent * std::f64::consts::LN_2 + 2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINNED: [u32; 3] = [3171545696, 3208092386, 3215023216];

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, expected) in [
            (0.5, 0.0),
            (0.975, 1.959_963_985),
            (0.025, -1.959_963_985),
            (0.9, 1.281_551_566),
            (0.99, 2.326_347_874),
            (0.999, 3.090_232_306),
            (1e-6, -4.753_424_309),
            (1e-10, -6.361_340_902),
            (1e-12, -7.034_483_825),
        ] {
            let got = normal_quantile(p);
            assert!((got - expected).abs() < 2e-6, "{p}: {got}, expected {expected}");
        }
        for x in [1e-12, 0.1, 0.5, 0.999, 1.0, 1.5] {
            assert!((natural_log(x) - f64::ln(x)).abs() < 1e-13 * f64::ln(x).abs().max(1.0), "{x}");
        }
    }

    #[test]
    fn values_are_pinned_and_depend_on_position_alone() {
        let long = draw(Distribution::Normal(1.0), PIECE + 10, 7, "a");
        assert_eq!(draw(Distribution::Normal(1.0), 10, 7, "a"), long[..10], "a shorter tensor");
        assert_ne!(long[PIECE..], long[..10], "the second piece goes on");
        assert_ne!(draw(Distribution::Normal(1.0), 10, 8, "a"), long[..10], "another seed");
        assert_ne!(draw(Distribution::Normal(1.0), 10, 7, "b"), long[..10], "another name");
        let bits: Vec<u32> =
            long[..2].iter().chain(&long[PIECE..][..1]).map(|value| value.to_bits()).collect();
        assert_eq!(bits, PINNED, "{long:?}", long = &long[..2]);
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let moments = |values: &[f32]| {
            let n = values.len() as f64;
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
            (mean, values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / n)
        };
        let n = 1 << 20;
        let (mean, variance) = moments(&draw(Distribution::Normal(0.02), n, 1, "n"));
        assert!(mean.abs() < 1e-4 && (variance.sqrt() / 0.02 - 1.0).abs() < 3e-3, "{mean} {variance}");
        let uniform = draw(Distribution::Uniform(0.5), n, 1, "u");
        let (mean, variance) = moments(&uniform);
        assert!(mean.abs() < 2e-3 && (variance * 12.0 - 1.0).abs() < 5e-3, "{mean} {variance}");
        assert!(uniform.iter().all(|value| value.abs() < 0.5));
        assert_eq!(draw(Distribution::Constant(1.0), 3, 1, "c"), [1.0; 3]);
    }
}
