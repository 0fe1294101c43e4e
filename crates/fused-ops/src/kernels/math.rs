//! Functions of one number without branches, so that loops over them become vector code.

/// Runs a loop with the widest vectors that this machine has.
#[inline]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// `a · b + c`, rounded once: one instruction where [`vectorized`] finds it.
#[inline(always)]
pub(crate) fn fma(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

/// `eˣ` to 2 units in the last place; 0 below -87.3, the largest power of two above 88.
///
/// # Source
/// Cody and Waite's reduction to ±ln 2 / 2 and a polynomial of degree 6, as in the Cephes library.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// Added and taken away again, it rounds to whole numbers.
    const ROUND: f32 = 12_582_912.0;
    let is_zero = x < -87.336;
    let x = x.clamp(-87.336, 88.376);
    let rounded = fma(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = fma(n, -LN_2_LOW, fma(n, -LN_2_HIGH, x));
    let p = 1.987_569_1e-4;
    let p = fma(p, r, 1.398_199_9e-3);
    let p = fma(p, r, 8.333_452e-3);
    let p = fma(p, r, 4.166_579_6e-2);
    let p = fma(p, r, 1.666_666_5e-1);
    let p = fma(p, r, 0.5);
    let p = fma(p * r, r, r) + 1.0;
    // n stands in the low bits of `rounded`; the high ones are shifted out.
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    let scaled = p * power;
    if is_zero { 0.0 } else { scaled }
}

/// The error function to 3e-7.
///
/// # Source
/// The odd rational function of degrees 13 and 8 that fits `erf` on [-4, 4] (Eigen's, and XLA's).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = -2.726_142_3e-10;
    let p = fma(p, s, 2.770_681_4e-8);
    let p = fma(p, s, -2.101_024e-6);
    let p = fma(p, s, -5.692_506_5e-5);
    let p = fma(p, s, -7.349_906_3e-4);
    let p = fma(p, s, -2.954_6e-3);
    let p = fma(p, s, -1.609_603_3e-2);
    let q = -1.456_607_2e-5;
    let q = fma(q, s, -2.133_740_6e-4);
    let q = fma(q, s, -1.682_827e-3);
    let q = fma(q, s, -7.373_329_2e-3);
    let q = fma(q, s, -1.426_473_9e-2);
    x * p / q
}

/// `1 / (1 + e⁻ˣ)`
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Lanes that a sum is kept in, whatever the machine's vectors.
pub(crate) const LANES: usize = 16;

/// The sum of `f(i)` over a range, in a fixed order that vector code can take.
#[inline(always)]
pub(crate) fn sum(n: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let whole = n - n % LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += f(start + lane);
        }
    }
    let rest: f32 = (whole..n).map(f).sum();
    fold(lanes) + rest
}

/// The sum of all lanes, in a fixed order.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "references are rounded to f32")]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        for step in -8_800..8_800 {
            let x = step as f32 * 0.01;
            let expected = f64::from(x).exp();
            let got = f64::from(exp(x));
            if x > -87.3 {
                assert!((got / expected - 1.0).abs() < 2.5e-7, "{x}: {got} against {expected}");
            } else {
                assert!(got < 1.3e-38, "{x}: {got}");
            }
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(1000.0) > 1e38);
    }

    #[test]
    fn erf_is_close_everywhere() {
        // by its series, in f64
        let series = |x: f64| {
            let (mut term, mut total) = (x, x);
            for n in 1..200 {
                let n = f64::from(n);
                term *= -x * x / n;
                total += term / (2.0 * n + 1.0);
            }
            2.0 / std::f64::consts::PI.sqrt() * total
        };
        for step in -450..450 {
            let x = step as f32 * 0.01;
            let expected = series(f64::from(x));
            assert!((f64::from(erf(x)) - expected).abs() < 3e-7, "{x}: {} against {expected}", erf(x));
        }
        assert!((f64::from(erf(1.0)) - 0.842_700_792_949_715).abs() < 2e-7);
    }

    #[test]
    fn sums_and_sigmoid() {
        let numbers: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
        let expected: f64 = numbers.iter().map(|x| f64::from(*x)).sum();
        for n in [0, 1, 15, 16, 17, 1000] {
            let expected: f64 = numbers[..n].iter().map(|x| f64::from(*x)).sum();
            assert!((f64::from(sum(n, |i| numbers[i])) - expected).abs() < 1e-5);
        }
        assert!((f64::from(vectorized(|| sum(1000, |i| numbers[i]))) - expected).abs() < 1e-5);
        for x in [-30.0_f32, -1.0, 0.0, 2.0, 30.0] {
            let expected = (1.0 / (1.0 + (-f64::from(x)).exp())) as f32;
            assert!((sigmoid(x) - expected).abs() < 1e-7);
        }
    }
}
