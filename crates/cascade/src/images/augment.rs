//! Seeded changes of an image, and the box that belongs to the changed image.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use vlm_prompt::PixelBox;

use super::id::View;
use crate::CascadeError;

/// How far training images are changed. All zeros: not at all, as published (SPEC 1.8).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Largest shift along each axis, as a share of the image.
    pub shift: f64,
    /// Largest change of size: 0.1 draws factors from 1/1.1 to 1.1, evenly in their logarithm.
    pub scale: f64,
    /// Whether images are mirrored left to right. For yes/no alone: sides mean something to boxes.
    pub flip: bool,
    /// Whether shifts are of whole pixels, so that with no `scale` nothing is blurred. For yes/no
    /// alone: boxes would be off by half a pixel.
    pub whole_pixels: bool,
    /// Largest change of brightness, as a share of the gray range.
    pub brightness: f64,
    /// Largest change of contrast about mid-gray, drawn like `scale`.
    pub contrast: f64,
    /// Largest standard deviation of white noise, as a share of the gray range.
    pub noise: f64,
    /// Views of each image when features are computed once: pass `p` shows view `p % views`. 0 for
    /// no augmentation there. Towers that learn see a new view each pass.
    pub views: u32,
}

impl Augmentation {
    pub(crate) fn check(&self, field: &str) -> Result<(), CascadeError> {
        let shares = [
            ("shift", self.shift),
            ("scale", self.scale),
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("noise", self.noise),
        ];
        for (name, value) in shares {
            if !(0.0..=0.5).contains(&value) {
                return Err(CascadeError::setting(format!("{field}.{name}"), value, "expected 0 to 0.5"));
            }
        }
        Ok(())
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self { views: self.views, ..Self::default() }
    }

    /// The change of one view. View 0 is unchanged.
    pub(crate) fn draw(&self, seed: u64, view: View) -> Change {
        if view.view == 0 || self.is_none() {
            return Change::default();
        }
        let mut key = [0; 32];
        for (bytes, value) in key.chunks_exact_mut(8).zip([seed, view.image.into(), view.view.into(), 0xA0]) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        let mut both = |most: f64| (2.0 * unit(&mut rng) - 1.0) * most;
        let shift = [both(self.shift), both(self.shift)];
        let zoom = (both(1.0) * self.scale.ln_1p()).exp();
        let brightness = both(self.brightness);
        let contrast = (both(1.0) * self.contrast.ln_1p()).exp();
        let is_flipped = both(1.0) < 0.0 && self.flip;
        let noise = both(self.noise).abs();
        let is_whole = self.whole_pixels;
        Change { shift, is_whole, zoom, is_flipped, brightness, contrast, noise, noise_seed: rng.next_u64() }
    }
}

/// Shift (as a share of the image) and enlargement of a fixed view.
type Look = ([f64; 2], f64);

/// The fixed views that a yes or no may be averaged over: the image as it is, shifted away from its four
/// corners, then each corner's three quarters of the image's side enlarged to the whole.
pub(crate) const LOOKS: [Look; 9] = {
    const STEP: f64 = 0.06;
    const CORNER: f64 = 1.0 / 6.0;
    const ENLARGED: f64 = 4.0 / 3.0;
    [
        ([0.0, 0.0], 1.0),
        ([STEP, STEP], 1.0),
        ([-STEP, STEP], 1.0),
        ([STEP, -STEP], 1.0),
        ([-STEP, -STEP], 1.0),
        ([CORNER, CORNER], ENLARGED),
        ([-CORNER, CORNER], ENLARGED),
        ([CORNER, -CORNER], ENLARGED),
        ([-CORNER, -CORNER], ENLARGED),
    ]
};

/// One drawn change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    shift: [f64; 2],
    is_whole: bool,
    zoom: f64,
    is_flipped: bool,
    brightness: f64,
    contrast: f64,
    noise: f64,
    noise_seed: u64,
}

impl Default for Change {
    fn default() -> Self {
        Self {
            shift: [0.0; 2],
            is_whole: false,
            zoom: 1.0,
            is_flipped: false,
            brightness: 0.0,
            contrast: 1.0,
            noise: 0.0,
            noise_seed: 0,
        }
    }
}

impl Change {
    /// That of a fixed view ([`LOOKS`]).
    pub(crate) fn look(number: u32) -> Self {
        let (shift, zoom) = LOOKS.get(number as usize).copied().unwrap_or(([0.0; 2], 1.0));
        Self { shift, zoom, ..Self::default() }
    }

    pub(crate) fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Where a place (share of the image) goes along one axis, 0 for x and 1 for y.
    fn place(&self, share: f64, axis: usize) -> f64 {
        let share = if self.is_flipped && axis == 0 { 1.0 - share } else { share };
        (share - 0.5) * self.zoom + 0.5 + self.shift[axis]
    }

    /// A box of the image in the changed image, cut off at its edges; edges in px on the continuous
    /// axis.
    pub(crate) fn box_px(&self, pixels: PixelBox, [width, height]: [u32; 2]) -> PixelBox {
        if self.is_identity() {
            return pixels;
        }
        let along = |low: f64, high: f64, side: u32, axis| {
            let side = f64::from(side);
            let (a, b) = (self.place(low / side, axis) * side, self.place(high / side, axis) * side);
            (a.min(b).clamp(0.0, side), a.max(b).clamp(0.0, side))
        };
        let (x_min, x_max) = along(pixels.x_min, pixels.x_max, width, 0);
        let (y_min, y_max) = along(pixels.y_min, pixels.y_max, height, 1);
        PixelBox { x_min, y_min, x_max, y_max }
    }

    /// Changes a square of bytes; outside of the image the nearest edge goes on.
    ///
    /// # Shapes
    /// - `image`: `[size, size, channels]`, row by row
    /// - returns the same
    pub(crate) fn apply(&self, image: &[u8], size: usize, channels: usize) -> Vec<u8> {
        if self.is_identity() {
            return image.to_vec();
        }
        let side = size as f64;
        let mut noise = Noise::new(self.noise_seed);
        // Where each column and row of the result comes from.
        let source = |axis: usize| -> Vec<(usize, usize, f64)> {
            let shift = self.shift[axis];
            let shift = if self.is_whole { (shift * side).round() / side } else { shift };
            let from = |place: usize| {
                let share = (place as f64 + 0.5) / side;
                let share = (share - 0.5 - shift) / self.zoom + 0.5;
                let share = if self.is_flipped && axis == 0 { 1.0 - share } else { share };
                let at = (share * side - 0.5).clamp(0.0, side - 1.0);
                let low = floor_index(at).min(size - 1);
                (low, (low + 1).min(size - 1), at - low as f64)
            };
            (0..size).map(from).collect()
        };
        let (columns, rows) = (source(0), source(1));
        let mut changed = Vec::with_capacity(image.len());
        for &(top, bottom, down) in &rows {
            for &(left, right, along) in &columns {
                let grain = if self.noise > 0.0 { noise.next() * self.noise * 255.0 } else { 0.0 };
                for channel in 0..channels {
                    let at = |row: usize, column: usize| {
                        f64::from(image[(row * size + column) * channels + channel])
                    };
                    let upper = at(top, left) * (1.0 - along) + at(top, right) * along;
                    let lower = at(bottom, left) * (1.0 - along) + at(bottom, right) * along;
                    let gray = upper * (1.0 - down) + lower * down;
                    let gray = (gray - 127.5) * self.contrast + 127.5 + self.brightness * 255.0 + grain;
                    changed.push(to_byte(gray));
                }
            }
        }
        changed
    }
}

/// Noise that is nearly normal: the sum of four even draws, exact on every platform.
struct Noise(ChaCha8Rng);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Mean 0, standard deviation 1.
    fn next(&mut self) -> f64 {
        let bits = self.0.next_u64();
        let sum: u64 = (0..4).map(|place| bits >> (16 * place) & 0xFFFF).sum();
        // Four even draws of width 65535 have a variance of 4 / 12 of its square.
        (sum as f64 - 2.0 * 65_535.0) / (65_535.0 / 3.0_f64.sqrt())
    }
}

fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the image")]
fn floor_index(at: f64) -> usize {
    at.floor() as usize
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255")]
fn to_byte(gray: f64) -> u8 {
    gray.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strong() -> Augmentation {
        Augmentation {
            shift: 0.1,
            scale: 0.2,
            whole_pixels: false,
            flip: true,
            brightness: 0.1,
            contrast: 0.2,
            noise: 0.0,
            views: 4,
        }
    }

    #[test]
    fn draws_are_keyed_by_seed_image_and_view() {
        let draw = |seed, image, view| strong().draw(seed, View { image, view });
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        assert_ne!(draw(1, 2, 3), draw(1, 2, 4));
        assert_ne!(draw(1, 2, 3), draw(1, 3, 3));
        assert_ne!(draw(1, 2, 3), draw(2, 2, 3));
        assert!(draw(1, 2, 0).is_identity());
        assert!(Augmentation { views: 9, ..Augmentation::default() }.is_none());
    }

    #[test]
    fn looks_show_the_image_its_neighborhood_and_its_corners() {
        assert!(Change::look(0).is_identity());
        let spot = |x: f64, y: f64| PixelBox { x_min: x, y_min: y, x_max: x + 1.0, y_max: y + 1.0 };
        let shifted = Change::look(1).box_px(spot(50.0, 50.0), [100; 2]);
        assert!((shifted.x_min - 56.0).abs() < 1e-9 && (shifted.x_max - 57.0).abs() < 1e-9);
        // 0 to 75 of 100 px become the whole, or 25 to 100.
        for (number, [x, y]) in [(5, [0.0, 0.0]), (6, [25.0, 0.0]), (7, [0.0, 25.0]), (8, [25.0, 25.0])] {
            let corner = PixelBox { x_min: x, y_min: y, x_max: x + 75.0, y_max: y + 75.0 };
            let whole = Change::look(number).box_px(corner, [100; 2]);
            let edges = [whole.x_min, whole.y_min, whole.x_max - 100.0, whole.y_max - 100.0];
            assert!(edges.iter().all(|edge| edge.abs() < 1e-9), "{number}: {whole:?}");
        }
        let size = 64;
        let mut image = vec![0_u8; size * size];
        image[..size * 8].fill(255);
        let bright =
            |number| Change::look(number).apply(&image, size, 1).iter().filter(|v| **v > 127).count();
        assert!(bright(5) > size * 9 && bright(7) == 0);
    }

    #[test]
    fn boxes_follow_their_pixels() {
        // A bright rectangle on black stays inside of its changed box, and fills it.
        let size = 64;
        let mut image = vec![0_u8; size * size];
        for row in 20..40 {
            for column in 10..34 {
                image[row * size + column] = 255;
            }
        }
        let augmentation = Augmentation { brightness: 0.0, contrast: 0.0, ..strong() };
        for view in 1..20 {
            let change = augmentation.draw(9, View { image: 1, view });
            let changed = change.apply(&image, size, 1);
            let got = change.box_px([10, 20, 34, 40].into(), [64, 64]);
            let bright = |row: usize, column: usize| changed[row * size + column] > 127;
            let columns: Vec<usize> = (0..size).filter(|c| (0..size).any(|r| bright(r, *c))).collect();
            let rows: Vec<usize> = (0..size).filter(|r| (0..size).any(|c| bright(*r, c))).collect();
            let extent = [columns[0], rows[0], columns[columns.len() - 1] + 1, rows[rows.len() - 1] + 1];
            for (edge, found) in got.to_array().into_iter().zip(extent) {
                assert!((edge - found as f64).abs() <= 1.0, "view {view}: {got:?} {extent:?}");
            }
        }
    }

    #[test]
    fn noise_is_centered() {
        let mut noise = Noise::new(3);
        let draws: Vec<f64> = (0..20_000).map(|_| noise.next()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn shifts_of_whole_pixels_blur_nothing() {
        let size = 32;
        let image: Vec<u8> = (0..size * size).map(|at| u8::try_from(at * 37 % 256).unwrap()).collect();
        let whole = Augmentation { shift: 0.2, whole_pixels: true, ..Augmentation::default() };
        for view in 1..20 {
            let changed = whole.draw(3, View { image: 0, view }).apply(&image, size, 1);
            // far from the edge every pixel is a pixel of the image, moved by one and the same step
            let inner = |row: usize, col: usize| changed[row * size + col];
            let found = (0..size * size).any(|place| {
                let (down, right) = (place / size, place % size);
                (8..24).all(|row| {
                    (8..24).all(|col| {
                        let (from_row, from_col) = ((row + down) % size, (col + right) % size);
                        inner(row, col) == image[from_row * size + from_col]
                    })
                })
            });
            assert!(found, "view {view}");
        }
    }

    #[test]
    fn impossible_shares_are_named() {
        let wrong = Augmentation { noise: 0.7, ..Augmentation::default() };
        assert!(wrong.check("training.augmentation").unwrap_err().to_string().contains("augmentation.noise"));
        strong().check("x").unwrap();
    }
}
