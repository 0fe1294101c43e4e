//! Quantum noise with the texture of filtered back-projection.
//!
//! Back-projection with a ramp filter leaves noise whose power rises with frequency and falls again
//! under the kernel: grains without slow drifts. Here: white noise, smoothed by a narrow Gaussian
//! (the kernel), minus most of a wide one (the ramp's suppression of low frequencies). Slices that
//! overlap share part of their noise.

use crate::acquisition::Acquisition;
use crate::draws::{Draws, near_normal};

/// Share of the wide Gaussian that is taken away: 1 would leave no slow noise at all.
const RAMP_SHARE: f32 = 0.85;

/// Makes the noise of one slice at a time.
pub(crate) struct Quantum {
    matrix: usize,
    narrow: Vec<f32>,
    wide: Vec<f32>,
    streak: Vec<f32>,
    /// Weights of the white noise of the slices below and above.
    neighbor: f32,
    gain: f32,
    white: Vec<f32>,
    pass: Vec<f32>,
    low: Vec<f32>,
    /// Unit-variance noise of the current slice.
    pub(crate) noise: Vec<f32>,
    /// Unit-variance horizontal streaks, one value per pixel.
    pub(crate) streaks: Vec<f32>,
}

/// Right half of a normalised Gaussian, middle first.
fn half_gaussian(sigma_px: f32) -> Vec<f32> {
    let reach = crate::vector::index_below((sigma_px * 2.8).ceil(), 48);
    // exp(-t) by squaring (1 - t/256)^256: the same on every machine.
    let exp_minus = |t: f32| {
        let mut base = (1.0 - t / 256.0).max(0.0);
        for _ in 0..8 {
            base *= base;
        }
        base
    };
    let mut half: Vec<f32> =
        (0..=reach).map(|n| exp_minus((n * n) as f32 / (2.0 * sigma_px * sigma_px))).collect();
    let total = half[0] + 2.0 * half[1..].iter().sum::<f32>();
    half.iter_mut().for_each(|w| *w /= total);
    half
}

impl Quantum {
    pub(crate) fn new(scan: &Acquisition) -> Self {
        let matrix = scan.matrix;
        #[expect(clippy::cast_possible_truncation, reason = "pixel sizes are small numbers")]
        let pixel = scan.pixel_mm as f32;
        let (narrow_mm, wide_mm) = scan.kernel.noise_sigmas_mm();
        // Coarse pixels average the noise; the detector's own blur keeps it from being white.
        let narrow = half_gaussian((narrow_mm / pixel).max(0.5));
        let wide = half_gaussian((wide_mm / pixel).max(1.3));
        let streak = half_gaussian((9.0 / pixel).clamp(1.5, 16.0));
        #[expect(clippy::cast_possible_truncation, reason = "a ratio of lengths")]
        let overlap = (scan.thickness_mm / scan.slice_mm) as f32;
        let neighbor = (0.10 + 0.42 * (overlap - 1.0)).clamp(0.05, 0.34);
        // Deviation of the filtered noise for unit white noise, from the filter's coefficients.
        let mut power = 0.0;
        let tap = |half: &[f32], n: usize| half.get(n).copied().unwrap_or(0.0);
        for a in 0..wide.len().max(narrow.len()) {
            for b in 0..wide.len().max(narrow.len()) {
                let value = tap(&narrow, a) * tap(&narrow, b) - RAMP_SHARE * tap(&wide, a) * tap(&wide, b);
                let copies = (if a > 0 { 2.0 } else { 1.0 }) * (if b > 0 { 2.0 } else { 1.0 });
                power += copies * value * value;
            }
        }
        let across = 1.0 + 2.0 * neighbor * neighbor;
        let buffer = || vec![0.0; matrix * matrix];
        Self {
            matrix,
            narrow,
            wide,
            streak,
            neighbor,
            gain: 1.0 / (power * across).sqrt(),
            white: buffer(),
            pass: buffer(),
            low: buffer(),
            noise: buffer(),
            streaks: buffer(),
        }
    }

    /// Fills `noise` and `streaks` for slice `k`; depends on nothing but the stream and `k`.
    pub(crate) fn slice(&mut self, draws: &mut Draws, k: usize) {
        for (value, step) in [(1.0, 1_u64), (self.neighbor, 0), (self.neighbor, 2)] {
            draws.set_stream(2 * (k as u64 + step));
            if step == 1 {
                self.white.iter_mut().for_each(|w| *w = near_normal(draws.next_u64()));
            } else {
                self.white.iter_mut().for_each(|w| *w += value * near_normal(draws.next_u64()));
            }
        }
        let n = self.matrix;
        blur(&self.white, &mut self.pass, &mut self.low, n, &self.wide);
        blur(&self.white, &mut self.pass, &mut self.noise, n, &self.narrow);
        for (noise, low) in self.noise.iter_mut().zip(&self.low) {
            *noise = (*noise - RAMP_SHARE * low) * self.gain;
        }
        draws.set_stream(2 * (k as u64 + 1) + 1);
        self.white.iter_mut().for_each(|w| *w = near_normal(draws.next_u64()));
        let power =
            self.streak[0] * self.streak[0] + 2.0 * self.streak[1..].iter().map(|w| w * w).sum::<f32>();
        let gain = 1.0 / power.sqrt();
        blur_rows(&self.white, &mut self.streaks, n, &self.streak);
        self.streaks.iter_mut().for_each(|s| *s *= gain);
    }
}

/// Rows, then columns.
fn blur(source: &[f32], pass: &mut [f32], target: &mut [f32], n: usize, half: &[f32]) {
    blur_rows(source, pass, n, half);
    for (r, out) in target.chunks_exact_mut(n).enumerate() {
        let line = |r: usize| &pass[r * n..][..n];
        for (value, middle) in out.iter_mut().zip(line(r)) {
            *value = half[0] * middle;
        }
        for (d, &w) in half.iter().enumerate().skip(1) {
            // Beyond the edge the picture repeats: no edge, the same variance everywhere.
            let (above, below) = (line((r + n - d % n) % n), line((r + d) % n));
            for ((value, a), b) in out.iter_mut().zip(above).zip(below) {
                *value += w * (a + b);
            }
        }
    }
}

fn blur_rows(source: &[f32], target: &mut [f32], n: usize, half: &[f32]) {
    let reach = half.len() - 1;
    let mut padded = vec![0.0; n + 2 * reach];
    for (line, out) in source.chunks_exact(n).zip(target.chunks_exact_mut(n)) {
        for (m, value) in padded.iter_mut().enumerate() {
            *value = line[(m + n * (reach / n + 1) - reach) % n];
        }
        for (value, middle) in out.iter_mut().zip(&padded[reach..]) {
            *value = half[0] * middle;
        }
        for (d, &w) in half.iter().enumerate().skip(1) {
            let (left, right) = (&padded[reach - d..], &padded[reach + d..]);
            for ((value, a), b) in out.iter_mut().zip(left).zip(right) {
                *value += w * (a + b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Purpose;
    use crate::spec::{Layout, PhantomSpec};

    fn correlation(noise: &[f32], n: usize, step: usize) -> f32 {
        let (mut product, mut power) = (0.0, 0.0);
        for line in noise.chunks_exact(n) {
            for i in 0..n - step {
                product += line[i] * line[i + step];
                power += line[i] * line[i];
            }
        }
        product / power
    }

    #[test]
    fn noise_has_unit_variance_and_the_grain_of_ct() {
        let spec = PhantomSpec::new(Layout::Msd, 1, 1).with_matrix(256);
        let mut scan = Acquisition::draw(&mut Draws::new(1, Layout::Msd, 0, Purpose::Acquisition), &spec);
        scan.pixel_mm = 0.977;
        scan.kernel = crate::acquisition::Kernel::Standard;
        (scan.slice_mm, scan.thickness_mm) = (2.0, 3.0);
        let mut quantum = Quantum::new(&scan);
        let mut draws = Draws::new(1, Layout::Msd, 0, Purpose::Quantum);
        quantum.slice(&mut draws, 4);
        let first = quantum.noise.clone();
        let variance = first.iter().map(|v| v * v).sum::<f32>() / first.len() as f32;
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
        // Liver of a real scan at this pixel size: 0.38 and about 0 for steps of 1 and 2 pixels.
        let (one, two) = (correlation(&first, 256, 1), correlation(&first, 256, 2));
        assert!((0.2..0.5).contains(&one) && two.abs() < 0.15, "{one} {two}");
        quantum.slice(&mut draws, 5);
        let across = first.iter().zip(&quantum.noise).map(|(a, b)| a * b).sum::<f32>() / first.len() as f32;
        // The same scan: 0.55 from slice to slice (3 mm thick, 2 mm apart).
        assert!((0.4..0.65).contains(&across), "{across}");
        quantum.slice(&mut draws, 4);
        assert_eq!(first, quantum.noise);
    }
}
