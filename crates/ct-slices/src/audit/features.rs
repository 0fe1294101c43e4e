//! What the probe knows of an image: its size and its gray levels, not where they are.

use ndarray::{ArrayView2, s};

/// Columns, rows, area, aspect.
pub(super) const N_SIZE: usize = 4;
/// Bins of the histogram.
const N_BINS: usize = 32;
const PERCENTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// Histogram, mean and deviation, percentiles, mean and deviation of the border.
pub(super) const N_GRAY: usize = N_BINS + 2 + PERCENTILES.len() + 2;

/// Size, then gray levels.
pub(super) type Features = [f32; N_SIZE + N_GRAY];

/// How often each gray level occurs.
pub(super) fn gray_counts(image: ArrayView2<'_, u8>) -> [u32; 256] {
    let mut counts = [0; 256];
    for &gray in image {
        counts[usize::from(gray)] += 1;
    }
    counts
}

/// Features of an image that has pixels.
pub(super) fn features(image: ArrayView2<'_, u8>, counts: &[u32; 256]) -> Features {
    let (height, width) = image.dim();
    let (rows, columns) = (height as f64, width as f64);
    let n = rows * columns;
    let mut values = Vec::with_capacity(N_SIZE + N_GRAY);
    values.extend([columns, rows, n, columns / rows]);

    let levels_per_bin = counts.len() / N_BINS;
    values.extend(counts.chunks(levels_per_bin).map(|bin| f64::from(bin.iter().sum::<u32>()) / n));
    values.extend(mean_deviation(counts));
    values.extend(PERCENTILES.map(|share| percentile(counts, share * n)));
    values.extend(mean_deviation(&border_counts(image)));

    let mut features = [0.0; N_SIZE + N_GRAY];
    for (feature, value) in features.iter_mut().zip(values) {
        *feature = to_f32(value);
    }
    features
}

#[expect(clippy::cast_possible_truncation, reason = "features need no more than the precision of f32")]
fn to_f32(value: f64) -> f32 {
    value as f32
}

fn mean_deviation(counts: &[u32; 256]) -> [f64; 2] {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for (level, &count) in counts.iter().enumerate() {
        let (level, count) = (level as f64, f64::from(count));
        n += count;
        sum += count * level;
        squares += count * level * level;
    }
    if n == 0.0 {
        return [0.0; 2];
    }
    let mean = sum / n;
    [mean, (squares / n - mean * mean).max(0.0).sqrt()]
}

/// The lowest level that `rank` pixels are at or below.
fn percentile(counts: &[u32; 256], rank: f64) -> f64 {
    let mut n_below = 0.0;
    for (level, &count) in counts.iter().enumerate() {
        n_below += f64::from(count);
        if n_below >= rank && count > 0 {
            return level as f64;
        }
    }
    255.0
}

/// Gray levels of the outermost pixels, where there is little of the organ in question.
fn border_counts(image: ArrayView2<'_, u8>) -> [u32; 256] {
    const BORDER_PX: usize = 2;
    let (height, width) = image.dim();
    let (rows, columns) = (BORDER_PX.min(height / 2), BORDER_PX.min(width / 2));
    let mut counts = gray_counts(image);
    if rows > 0 && columns > 0 {
        let inner = gray_counts(image.slice(s![rows..height - rows, columns..width - columns]));
        counts.iter_mut().zip(inner).for_each(|(count, inner)| *count -= inner);
    }
    counts
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn features_of_a_ramp() {
        let image = Array2::from_shape_fn((16, 16), |(row, col)| u8::try_from(16 * row + col).unwrap());
        let features = features(image.view(), &gray_counts(image.view()));
        assert_eq!(features[..N_SIZE], [16.0, 16.0, 256.0, 1.0]);
        assert!(features[N_SIZE..N_SIZE + N_BINS].iter().all(|&share| share == 8.0 / 256.0));
        assert_eq!(features[N_SIZE + N_BINS], 127.5);
        assert_eq!(features[N_SIZE + N_BINS + 2..][..5], [12.0, 63.0, 127.0, 191.0, 243.0]);
        // Two rows and columns on each side, by symmetry around the middle of the range.
        assert_eq!(features[N_SIZE + N_BINS + 7], 127.5);
    }

    #[test]
    fn smallest_images_are_all_border() {
        let image = Array2::from_elem((1, 1), 7);
        let features = features(image.view(), &gray_counts(image.view()));
        assert_eq!(features[N_SIZE + N_BINS..], [7.0, 0.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 0.0]);
    }
}
