//! Seeded draws: one independent stream per patient and purpose.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::spec::Layout;

/// What a stream is for. Streams of different purposes share nothing, so that, for example, the
/// draws of the anatomy cannot depend on whether there is a tumour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Which patient of a pair has the tumour.
    TumorAssignment,
    /// Spacing, field of view, phase, dose, kernel.
    Acquisition,
    /// Shapes, positions and tissue values.
    Anatomy,
    /// The mass in the pancreas: a tumour, or an ordinary bulge of the same shape.
    Mass,
    /// The lattice of smooth noise that bends shapes and gives tissue its texture.
    Lattice,
    /// Quantum noise; one ChaCha stream per slice.
    Quantum,
}

/// A stream of random numbers made of integer steps and exact float operations only.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream of (seed, layout, index, purpose). The layout takes part so that studies of two
    /// layouts made with one seed are different patients, not copies that leak between data sets.
    pub(crate) fn new(seed: u64, layout: Layout, index: u64, purpose: Purpose) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&index.to_le_bytes());
        key[16] = layout.stream_tag();
        key[17] = purpose as u8;
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Moves to the start of a numbered sub-stream.
    pub(crate) fn set_stream(&mut self, stream: u64) {
        self.0.set_stream(stream);
        self.0.set_word_pos(0);
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `[0, 1)`, in steps of 2^-24.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `[-half, half)`.
    pub(crate) fn spread(&mut self, half: f32) -> f32 {
        self.range(-half, half)
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Near-normal with mean 0 and deviation 1: four uniform numbers, so bounded by ±3.5.
    pub(crate) fn bell(&mut self) -> f32 {
        near_normal(self.0.next_u64())
    }

    pub(crate) fn below(&mut self, n: u32) -> u32 {
        // Multiply-shift: at most 2^-32 of bias, and no rejection loop.
        u32::try_from((u64::from(self.0.next_u32()) * u64::from(n)) >> 32).unwrap_or(0)
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let n = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items[self.below(n) as usize]
    }
}

/// Sum of the four 16-bit parts of a random word, centred and scaled to deviation 1. Integer until
/// the last multiplication, so it is the same on every machine.
#[inline]
pub(crate) fn near_normal(word: u64) -> f32 {
    let sum = (word & 0xffff) + ((word >> 16) & 0xffff) + ((word >> 32) & 0xffff) + (word >> 48);
    // Mean 2 * 65535; variance 4 * (65536^2 - 1) / 12.
    (sum as f32 - 131_070.0) * (1.0 / 37_837.23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_normal_has_mean_0_and_deviation_1() {
        let mut draws = Draws::new(7, Layout::Msd, 0, Purpose::Anatomy);
        let values: Vec<f32> = (0..200_000).map(|_| draws.bell()).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn streams_differ_by_every_part_of_the_key() {
        let first = |seed, layout, index, purpose| Draws::new(seed, layout, index, purpose).next_u64();
        let base = first(1, Layout::Msd, 2, Purpose::Anatomy);
        assert_eq!(base, first(1, Layout::Msd, 2, Purpose::Anatomy));
        assert_ne!(base, first(2, Layout::Msd, 2, Purpose::Anatomy));
        assert_ne!(base, first(1, Layout::Nih, 2, Purpose::Anatomy));
        assert_ne!(base, first(1, Layout::Msd, 1, Purpose::Anatomy));
        assert_ne!(base, first(1, Layout::Msd, 2, Purpose::Mass));
    }
}
