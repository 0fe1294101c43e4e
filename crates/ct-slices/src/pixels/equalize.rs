//! Percentile clipping and histogram equalization of the preprint (era P), bit for bit as numpy and
//! scikit-image do them in `f64` (SPEC 1.7).
//!
//! Statistics are taken over `(value, count)` pairs, so that a plane of whole numbers costs as much as
//! it has different values.

/// Clipping to the 2nd and 98th percentile, and rescaling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PercentileClip {
    /// The 2nd percentile, in HU.
    pub low_hu: f64,
    /// The 98th percentile, in HU.
    pub high_hu: f64,
}

impl PercentileClip {
    /// Percentiles of `n` numbers, given the number at each rank, from 0, in ascending order.
    ///
    /// # Panics
    /// If `n` is 0.
    ///
    /// # Source
    /// numpy's `percentile`, method "linear": position `(n - 1) q / 100`, and the interpolation done
    /// from the nearer end.
    pub fn from_ranked(n: usize, mut at_rank: impl FnMut(usize) -> f64) -> Self {
        assert!(n > 0, "percentiles of no numbers");
        let mut percentile = |quantile: f64| {
            let position = (n - 1) as f64 * quantile;
            let below = position.floor();
            let fraction = position - below;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rank below n, and not negative"
            )]
            let rank = below as usize;
            let (a, b) = (at_rank(rank), at_rank((rank + 1).min(n - 1)));
            if fraction >= 0.5 { b - (b - a) * (1.0 - fraction) } else { a + (b - a) * fraction }
        };
        Self { low_hu: percentile(0.02), high_hu: percentile(0.98) }
    }

    /// Clips a value to the percentiles.
    #[must_use]
    pub fn clip(&self, hu: f64) -> f64 {
        hu.max(self.low_hu).min(self.high_hu)
    }

    /// Clips and rescales: to `[0, 1]`, or to `[-1, 1]` if the lower percentile is negative. Where the
    /// percentiles are equal the clipped value is clipped to that range, so all values become one.
    ///
    /// # Source
    /// skimage's `exposure.rescale_intensity` with `in_range` and a float image.
    #[must_use]
    pub fn rescale(&self, hu: f64) -> f64 {
        let floor = if self.low_hu >= 0.0 { 0.0 } else { -1.0 };
        if self.low_hu == self.high_hu {
            return self.clip(hu).max(floor).min(1.0);
        }
        let unit = (self.clip(hu) - self.low_hu) / (self.high_hu - self.low_hu);
        unit * (1.0 - floor) + floor
    }
}

/// Bins of the histogram.
const BINS: usize = 256;

/// Histogram equalization with 256 bins, linear between bin centers.
#[derive(Clone, Debug, PartialEq)]
pub struct Equalizer {
    centers: [f64; BINS],
    cdf: [f64; BINS],
}

impl Equalizer {
    /// Counts `(value, count)` pairs into bins between the least and the greatest value.
    ///
    /// Values must be finite. No pairs at all give the cdf 0 everywhere.
    ///
    /// # Source
    /// numpy's `histogram` (bins closed below, the last one on both sides; equal ends are moved apart
    /// by half a unit each) and skimage's `exposure.cumulative_distribution`.
    pub fn fit(pairs: impl Iterator<Item = (f64, u32)> + Clone) -> Self {
        let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
        for (value, _) in pairs.clone().filter(|&(_, count)| count > 0) {
            first = first.min(value);
            last = last.max(value);
        }
        if first > last {
            (first, last) = (0.0, 0.0);
        }
        if first == last {
            (first, last) = (first - 0.5, last + 0.5);
        }
        let width = last - first;
        let step = width / BINS as f64;
        let mut edges = [0.0; BINS + 1];
        for (index, edge) in edges.iter_mut().enumerate() {
            *edge = index as f64 * step + first;
        }
        edges[BINS] = last;

        let mut counts = [0_u64; BINS];
        for (value, count) in pairs {
            let guess = whole((value - first) / width * BINS as f64).min(BINS - 1);
            let bin = if value < edges[guess] {
                guess.saturating_sub(1)
            } else if value >= edges[guess + 1] {
                (guess + 1).min(BINS - 1)
            } else {
                guess
            };
            counts[bin] += u64::from(count);
        }

        let n: u64 = counts.iter().sum();
        let (mut centers, mut cdf) = ([0.0; BINS], [0.0; BINS]);
        let mut below = 0;
        for bin in 0..BINS {
            below += counts[bin];
            cdf[bin] = below as f64 / n.max(1) as f64;
            centers[bin] = (edges[bin] + edges[bin + 1]) / 2.0;
        }
        Self { centers, cdf }
    }

    /// The share of values up to this one: linear between bin centers, constant beyond the outer two.
    ///
    /// # Source
    /// numpy's `interp`.
    #[must_use]
    pub fn apply(&self, value: f64) -> f64 {
        let centers = &self.centers;
        let step = centers[1] - centers[0];
        let mut bin = whole((value - centers[0]) / step).min(BINS - 1);
        // the guess is off by one at most, where the quotient was rounded over a center
        while bin > 0 && centers[bin] > value {
            bin -= 1;
        }
        while bin + 1 < BINS && centers[bin + 1] <= value {
            bin += 1;
        }
        if value <= centers[0] || bin == BINS - 1 {
            return self.cdf[bin];
        }
        let slope = (self.cdf[bin + 1] - self.cdf[bin]) / (centers[bin + 1] - centers[bin]);
        slope * (value - centers[bin]) + self.cdf[bin]
    }

    /// Centers of the bins.
    #[must_use]
    pub fn centers(&self) -> &[f64; BINS] {
        &self.centers
    }

    /// Share of the values in each bin and those before it.
    #[must_use]
    pub fn cdf(&self) -> &[f64; BINS] {
        &self.cdf
    }
}

/// The whole part of a number, 0 if negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, and the caller bounds the result"
)]
fn whole(value: f64) -> usize {
    value as usize
}
