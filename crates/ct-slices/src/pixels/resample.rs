//! Resizing exactly as Pillow does it on 8-bit images, up to version 11.3 (SPEC 1.8).
//!
//! Weights are whole numbers in units of 2^-22; the horizontal pass comes first and is rounded to
//! bytes before the vertical one. (Later versions of Pillow swap the passes where that is cheaper,
//! which changes pixels.)

use std::f64::consts::PI;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};

use super::error::PixelError;

/// Longest side of an image that is resized, before and after.
pub(super) const MAX_SIDE_PX: usize = 1 << 16;

/// Fraction bits of a weight.
const PRECISION_BITS: u32 = 22;

/// A resampling kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// A triangle over 2 samples (more when shrinking).
    Bilinear,
    /// Keys' cubic with a = -0.5, over 4 samples (more when shrinking).
    Bicubic,
    /// Lanczos with 3 lobes, over 6 samples (more when shrinking).
    Lanczos3,
}

impl Filter {
    /// Half the width of the kernel, in samples.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    fn weight(self, t: f64) -> f64 {
        const A: f64 = -0.5;
        match self {
            Self::Bilinear => (1.0 - t.abs()).max(0.0),
            Self::Bicubic => {
                let t = t.abs();
                if t < 1.0 {
                    ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0
                } else if t < 2.0 {
                    (((t - 5.0) * t + 8.0) * t - 4.0) * A
                } else {
                    0.0
                }
            }
            Self::Lanczos3 => {
                if (-3.0..3.0).contains(&t) {
                    sinc(t) * sinc(t / 3.0)
                } else {
                    0.0
                }
            }
        }
    }
}

fn sinc(t: f64) -> f64 {
    if t == 0.0 { 1.0 } else { (t * PI).sin() / (t * PI) }
}

/// Where the samples of each output pixel start, and their weights.
#[derive(Debug)]
struct Weights {
    /// First sample and number of samples, per output pixel.
    spans: Vec<(usize, usize)>,
    /// `taps` weights per output pixel, zero beyond its number of samples.
    weights: Vec<i32>,
    taps: usize,
}

impl Weights {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positions lie in an axis of at most 2^16; weights are below 2 in units of 2^-22"
    )]
    fn new(from: usize, to: usize, filter: Filter) -> Self {
        let scale = from as f64 / to as f64;
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let per_sample = 1.0 / filter_scale;
        let taps = (support.ceil() as usize * 2 + 1).min(from);
        let mut spans = Vec::with_capacity(to);
        let mut weights = vec![0; to * taps];
        let mut exact = Vec::with_capacity(taps);
        for (output, row) in weights.chunks_exact_mut(taps).enumerate() {
            let center = (output as f64 + 0.5) * scale;
            let first = ((center - support + 0.5).max(0.0)) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            exact.clear();
            exact.extend(
                (first..end).map(|sample| filter.weight((sample as f64 - center + 0.5) * per_sample)),
            );
            let sum: f64 = exact.iter().sum();
            let one = f64::from(1_u32 << PRECISION_BITS);
            for (weight, exact) in row.iter_mut().zip(&exact) {
                let normalized = if sum == 0.0 { *exact } else { exact / sum };
                *weight = (0.5_f64.copysign(normalized) + normalized * one) as i32;
            }
            spans.push((first, end - first));
        }
        Self { spans, weights, taps }
    }

    /// First sample, weights.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let rows = self.weights.chunks_exact(self.taps);
        self.spans.iter().zip(rows).map(|(&(first, n), row)| (first, &row[..n]))
    }
}

/// A weighted sum as a byte. Sums stay in `i32`: weights add up to 2^22 and those below 0 to less than
/// a third of it, so a sum is below 255 * 1.7 * 2^22.
#[expect(clippy::cast_sign_loss, reason = "clamped to a byte")]
fn byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// What a sum starts from, so that it is rounded.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Rows of `from` pixels to rows of `to` pixels of `N` channels.
fn horizontal<const N: usize>(source: &[u8], from: usize, to: usize, filter: Filter) -> Vec<u8> {
    let weights = Weights::new(from, to, filter);
    let (source, _) = source.as_chunks::<N>();
    let mut target = vec![[0; N]; source.len() / from * to];
    for (row, output) in source.chunks_exact(from).zip(target.chunks_exact_mut(to)) {
        for (pixel, (first, weights)) in output.iter_mut().zip(weights.iter()) {
            let mut sums = [HALF; N];
            for (sample, &weight) in row[first..].iter().zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(sample) {
                    *sum += i32::from(value) * weight;
                }
            }
            *pixel = sums.map(byte);
        }
    }
    target.into_flattened()
}

/// Rows of `stride` bytes, `from` of them, to `to` rows.
fn vertical(source: &[u8], from: usize, to: usize, stride: usize, filter: Filter) -> Vec<u8> {
    let weights = Weights::new(from, to, filter);
    let mut target = vec![0; to * stride];
    let mut sums = vec![HALF; stride];
    for (output, (first, weights)) in target.chunks_exact_mut(stride).zip(weights.iter()) {
        sums.fill(HALF);
        for (row, &weight) in source[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, &sample) in sums.iter_mut().zip(row) {
                *sum += i32::from(sample) * weight;
            }
        }
        for (value, &sum) in output.iter_mut().zip(&sums) {
            *value = byte(sum);
        }
    }
    target
}

pub(super) fn check_size(width_px: usize, height_px: usize) -> Result<(), PixelError> {
    let is_usable = |side| (1..=MAX_SIDE_PX).contains(&side);
    if is_usable(width_px) && is_usable(height_px) {
        Ok(())
    } else {
        Err(PixelError::Size { width_px, height_px, max_px: MAX_SIDE_PX })
    }
}

/// Resizes an image; channels are independent (alpha is not multiplied in).
///
/// # Shapes
/// - `image`: `[row, col, channel]`, 1 to 4 channels
/// - returns `[height_px, width_px, channel]`
///
/// # Errors
/// [`PixelError::Size`] if a side before or after is 0 or above 65,536; [`PixelError::Channels`].
///
/// # Source
/// SPEC 1.8; Pillow 11.3, `Image.resize`.
pub fn resize(
    image: ArrayView3<'_, u8>,
    width_px: usize,
    height_px: usize,
    filter: Filter,
) -> Result<Array3<u8>, PixelError> {
    let (height, width, channels) = image.dim();
    check_size(width, height)?;
    check_size(width_px, height_px)?;
    if !(1..=4).contains(&channels) {
        return Err(PixelError::Channels { got: channels, expected: "1 to 4" });
    }
    let mut pixels = match image.to_slice() {
        Some(slice) => slice.to_vec(),
        None => image.iter().copied().collect(),
    };
    if width_px != width {
        pixels = match channels {
            1 => horizontal::<1>(&pixels, width, width_px, filter),
            2 => horizontal::<2>(&pixels, width, width_px, filter),
            3 => horizontal::<3>(&pixels, width, width_px, filter),
            _ => horizontal::<4>(&pixels, width, width_px, filter),
        };
    }
    if height_px != height {
        pixels = vertical(&pixels, height, height_px, width_px * channels, filter);
    }
    Ok(image_of(pixels, [height_px, width_px, channels]))
}

/// # Panics
/// If the number of bytes is not the product of the shape.
fn image_of(pixels: Vec<u8>, shape: [usize; 3]) -> Array3<u8> {
    Array3::from_shape_vec(shape, pixels).expect("the passes make this many bytes")
}

/// [`resize`] for a gray image, `[row, col]`.
///
/// # Errors
/// As [`resize`].
pub fn resize_gray(
    image: ArrayView2<'_, u8>,
    width_px: usize,
    height_px: usize,
    filter: Filter,
) -> Result<Array2<u8>, PixelError> {
    let resized = resize(image.insert_axis(Axis(2)), width_px, height_px, filter)?;
    Ok(resized.remove_axis(Axis(2)))
}

/// [`resize`] with the kernel of the model's image processor.
///
/// # Errors
/// As [`resize`].
pub fn resize_bicubic(
    image: ArrayView3<'_, u8>,
    width_px: usize,
    height_px: usize,
) -> Result<Array3<u8>, PixelError> {
    resize(image, width_px, height_px, Filter::Bicubic)
}
