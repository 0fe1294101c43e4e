//! The same slice, shifted, scaled and brightened.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One sample's generator, from the run's seed, the step and the place in the batch.
pub(crate) fn sample_rng(seed: u64, step: u64, place: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, value) in key.chunks_exact_mut(8).zip([seed, step, place, 0x6e61_6e6f]) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A number in `[low, high)`.
pub(crate) fn uniform(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
    let unit = (rng.next_u32() >> 8) as f32 / 16_777_216.0;
    low + (high - low) * unit
}

/// A whole number below `n`.
pub(crate) fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    let high = (u128::from(rng.next_u64()) * n as u128) >> 64;
    usize::try_from(high).unwrap_or(0)
}

/// Gray levels of an image as floats in `[0, 255]`, and its labels, both `size` by `size`.
///
/// Three of four samples are moved by up to a tenth of the image, scaled by 0.88 to 1.14 in each
/// direction and changed in brightness and contrast; one of four stays as it is, since resampling
/// softens the noise. What comes in from outside is background.
pub(crate) fn augmented(
    image: &[u8],
    labels: &[u8],
    size: usize,
    rng: &mut ChaCha8Rng,
) -> (Vec<f32>, Vec<u8>) {
    if rng.next_u32().is_multiple_of(4) {
        return (image.iter().map(|gray| f32::from(*gray)).collect(), labels.to_vec());
    }
    #[expect(clippy::cast_precision_loss, reason = "images are small")]
    let side = size as f32;
    let scale = [uniform(rng, 0.88, 1.14), uniform(rng, 0.88, 1.14)];
    let shift = [uniform(rng, -0.1, 0.1) * side, uniform(rng, -0.1, 0.1) * side];
    let (gain, offset) = (uniform(rng, 0.92, 1.08), uniform(rng, -10.0, 10.0));
    let middle = (side - 1.0) / 2.0;
    let mut gray = Vec::with_capacity(image.len());
    let mut value = Vec::with_capacity(labels.len());
    for row in 0..size {
        #[expect(clippy::cast_precision_loss, reason = "images are small")]
        let y = (row as f32 - middle) * scale[1] + middle + shift[1];
        for col in 0..size {
            #[expect(clippy::cast_precision_loss, reason = "images are small")]
            let x = (col as f32 - middle) * scale[0] + middle + shift[0];
            let bent = bilinear(image, size, x, y);
            gray.push((bent * gain + offset).clamp(0.0, 255.0));
            value.push(at(labels, size, (x + 0.5).floor(), (y + 0.5).floor()));
        }
    }
    (gray, value)
}

fn bilinear(image: &[u8], size: usize, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, bottom_share) = (x - left, y - top);
    let gray = |x: f32, y: f32| f32::from(at(image, size, x, y));
    let upper = gray(left, top) * (1.0 - right_share) + gray(left + 1.0, top) * right_share;
    let lower = gray(left, top + 1.0) * (1.0 - right_share) + gray(left + 1.0, top + 1.0) * right_share;
    upper * (1.0 - bottom_share) + lower * bottom_share
}

/// The pixel at whole coordinates; 0 outside.
fn at(image: &[u8], size: usize, x: f32, y: f32) -> u8 {
    if x < 0.0 || y < 0.0 {
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; casts saturate"
    )]
    let (col, row) = (x as usize, y as usize);
    if col >= size || row >= size { 0 } else { image[row * size + col] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sample_and_labels_move_with_the_image() {
        let size = 32;
        let mut image = vec![0_u8; size * size];
        let mut labels = vec![0_u8; size * size];
        for row in 12..20 {
            for col in 12..20 {
                image[row * size + col] = 200;
                labels[row * size + col] = 1;
            }
        }
        let mut n_moved = 0;
        for step in 0..40 {
            let make = || augmented(&image, &labels, size, &mut sample_rng(3, step, 0));
            let (gray, moved) = make();
            assert_eq!((gray.clone(), moved.clone()), make());
            n_moved += usize::from(moved != labels);
            // inside the moved mask it is bright, far outside it is dark
            let mean = |inside: bool| {
                let of: Vec<f32> = gray
                    .iter()
                    .zip(&moved)
                    .filter(|(_, label)| (**label == 1) == inside)
                    .map(|(gray, _)| *gray)
                    .collect();
                of.iter().sum::<f32>() / of.len() as f32
            };
            assert!(mean(true) > 120.0 && mean(false) < 40.0, "step {step}");
        }
        assert!(n_moved > 20);
    }
}
