//! Small pictures of pictures, to find copies among many images without opening each pair.
//!
//! The search narrows in three steps, none of which depends on gray levels as such, because a copy
//! may have been windowed anew:
//!
//! 1. The ranks of 16x16 block means. Their part that mirroring and turning leaves alone has 36
//!    numbers; its distance is never above that of the whole, so most pairs are left out exactly.
//! 2. The correlation ratio of 32x32 block means: how much of one image's variance is explained by
//!    the other's gray level, whatever the curve between the two.
//! 3. The same on the pixels themselves ([`explained`]), for the few pairs that are left.

use ndarray::{Array2, ArrayView2};

/// Side of the stored picture.
pub(super) const THUMB_SIDE: usize = 32;
/// Side of the picture whose ranks are compared.
const RANK_SIDE: usize = 16;
const N_RANKS: usize = RANK_SIDE * RANK_SIDE;
/// Blocks of a 16x16 picture that mirroring and turning cannot bring together: a triangle of a quarter.
const N_ORBITS: usize = (RANK_SIDE / 2) * (RANK_SIDE / 2 + 1) / 2;
/// Least rank correlation of the 16x16 pictures of two copies.
const MIN_RANK_CORRELATION: f32 = 0.95;
/// Least share of explained variance of the 32x32 pictures of two copies.
const MIN_THUMB_EXPLAINED: f64 = 0.97;

/// One of the eight ways to mirror and turn an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    transpose: bool,
    flip_rows: bool,
    flip_columns: bool,
}

impl Turn {
    /// All eight, the one that changes nothing first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|n| Self { transpose: n & 4 != 0, flip_rows: n & 2 != 0, flip_columns: n & 1 != 0 })
    }

    /// The turned image.
    pub(super) fn apply<T>(self, mut image: ArrayView2<'_, T>) -> ArrayView2<'_, T> {
        if self.transpose {
            image.swap_axes(0, 1);
        }
        if self.flip_rows {
            image.invert_axis(ndarray::Axis(0));
        }
        if self.flip_columns {
            image.invert_axis(ndarray::Axis(1));
        }
        image
    }
}

/// Means of the blocks of a grid over an image; blocks of a small image repeat pixels.
pub(super) fn block_means(image: ArrayView2<'_, u8>, rows: usize, columns: usize) -> Array2<u8> {
    let (height, width) = image.dim();
    let bounds = |block: usize, n_blocks: usize, length: usize| {
        let start = block * length / n_blocks;
        (start, ((block + 1) * length / n_blocks).max(start + 1))
    };
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        let (top, bottom) = bounds(row, rows, height);
        let (left, right) = bounds(column, columns, width);
        let block = image.slice(ndarray::s![top..bottom, left..right]);
        let sum: u64 = block.iter().map(|&gray| u64::from(gray)).sum();
        let n = block.len() as u64;
        u8::try_from((sum + n / 2) / n).unwrap_or(u8::MAX)
    })
}

/// What is kept of an image to compare it with others.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    thumb: Array2<u8>,
    /// Ranks of the 16x16 picture, mean 0, length 1.
    ranks: Vec<f32>,
    /// What of `ranks` mirroring and turning leaves alone.
    orbits: [f32; N_ORBITS],
}

impl Signature {
    /// None for an image too flat to tell from others.
    pub(super) fn new(thumb: Array2<u8>) -> Option<Self> {
        let ranks = unit_ranks(block_means(thumb.view(), RANK_SIDE, RANK_SIDE).iter().copied())?;
        let mut orbits = [0.0; N_ORBITS];
        let mut sizes = [0.0_f32; N_ORBITS];
        for (n, rank) in ranks.iter().enumerate() {
            let orbit = orbit_of(n / RANK_SIDE, n % RANK_SIDE);
            orbits[orbit] += rank;
            sizes[orbit] += 1.0;
        }
        // Divided by the root of the size, sums are coordinates of the projection: lengths are kept.
        orbits.iter_mut().zip(sizes).for_each(|(sum, size)| *sum /= size.sqrt());
        Some(Self { thumb, ranks, orbits })
    }
}

/// An image that others are compared with, in all eight turns.
pub(super) struct Query {
    turns: Vec<(Turn, Array2<f32>, Array2<u8>)>,
    orbits: [f32; N_ORBITS],
}

impl Query {
    pub(super) fn new(signature: &Signature) -> Self {
        let ranks = ArrayView2::from_shape((RANK_SIDE, RANK_SIDE), &signature.ranks).expect("16x16 ranks");
        let turned = |turn: Turn| {
            let ranks = turn.apply(ranks).as_standard_layout().into_owned();
            (turn, ranks, turn.apply(signature.thumb.view()).as_standard_layout().into_owned())
        };
        Self { turns: Turn::all().map(turned).collect(), orbits: signature.orbits }
    }

    /// The turns in which this image looks like `other`.
    pub(super) fn similar_turns(&self, other: &Signature) -> Vec<Turn> {
        // For unit vectors, |a - b|^2 = 2 - 2 corr(a, b).
        const MAX_DISTANCE: f32 = 2.0 - 2.0 * MIN_RANK_CORRELATION;
        let distance: f32 = self.orbits.iter().zip(&other.orbits).map(|(a, b)| (a - b) * (a - b)).sum();
        if distance > MAX_DISTANCE {
            return Vec::new();
        }
        let is_similar = |ranks: &Array2<f32>, thumb: &Array2<u8>| {
            dot(ranks.as_slice().unwrap_or_default(), &other.ranks) >= MIN_RANK_CORRELATION
                && explained(thumb.view(), other.thumb.view()) >= MIN_THUMB_EXPLAINED
        };
        let similar = self.turns.iter().filter(|(_, ranks, thumb)| is_similar(ranks, thumb));
        similar.map(|(turn, ..)| *turn).collect()
    }
}

/// Dot product in eight sums, which the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const N_SUMS: usize = 8;
    let mut sums = [0.0_f32; N_SUMS];
    for (a, b) in a.chunks_exact(N_SUMS).zip(b.chunks_exact(N_SUMS)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// Which set of blocks, brought together by mirroring and turning, a block belongs to.
fn orbit_of(row: usize, column: usize) -> usize {
    let fold = |k: usize| k.min(RANK_SIDE - 1 - k);
    let (low, high) = (fold(row).min(fold(column)), fold(row).max(fold(column)));
    high * (high + 1) / 2 + low
}

/// Ranks, ties sharing their mean, shifted and scaled to mean 0 and length 1.
fn unit_ranks(values: impl Iterator<Item = u8>) -> Option<Vec<f32>> {
    let values: Vec<u8> = values.collect();
    let mut counts = [0_u16; 256];
    values.iter().for_each(|&value| counts[usize::from(value)] += 1);
    let mut rank_of = [0.0_f32; 256];
    let mut n_below = 0.0;
    for (rank, &count) in rank_of.iter_mut().zip(&counts) {
        let count = f32::from(count);
        *rank = n_below + count / 2.0 - N_RANKS as f32 / 2.0;
        n_below += count;
    }
    let mut ranks: Vec<f32> = values.iter().map(|&value| rank_of[usize::from(value)]).collect();
    let length = ranks.iter().map(|rank| rank * rank).sum::<f32>().sqrt();
    if length < 1.0 {
        return None;
    }
    ranks.iter_mut().for_each(|rank| *rank /= length);
    Some(ranks)
}

/// How much of the variance of one image the gray level of the other explains, the better of the two
/// directions (windowing loses information one way), from 0 to 1.
///
/// This is the correlation ratio, corrected for the number of gray levels as the adjusted R-squared
/// is, so that images of few pixels do not explain each other by chance. Images that rise and fall
/// against each other give 0: a copy keeps the order of gray levels.
///
/// # Shapes
/// - both `[rows, columns]`, the same
pub(super) fn explained(a: ArrayView2<'_, u8>, b: ArrayView2<'_, u8>) -> f64 {
    assert_eq!(a.dim(), b.dim(), "images to compare have one size");
    if correlation(a, b) < 0.8 {
        return 0.0;
    }
    explained_by(a, b).max(explained_by(b, a))
}

fn correlation(a: ArrayView2<'_, u8>, b: ArrayView2<'_, u8>) -> f64 {
    let n = a.len() as f64;
    let [mut sa, mut sb, mut saa, mut sbb, mut sab] = [0_u64; 5];
    for (&x, &y) in a.iter().zip(b) {
        let (x, y) = (u64::from(x), u64::from(y));
        sa += x;
        sb += y;
        saa += x * x;
        sbb += y * y;
        sab += x * y;
    }
    let [sa, sb, saa, sbb, sab] = [sa, sb, saa, sbb, sab].map(|sum| sum as f64);
    let variances = (saa - sa * sa / n) * (sbb - sb * sb / n);
    if variances <= 0.0 { 0.0 } else { (sab - sa * sb / n) / variances.sqrt() }
}

/// Share of the variance of `b` between the gray levels of `a`.
fn explained_by(a: ArrayView2<'_, u8>, b: ArrayView2<'_, u8>) -> f64 {
    let mut groups = [(0_u64, 0_u64, 0_u64); 256];
    for (&level, &value) in a.iter().zip(b) {
        let (n, sum, squares) = &mut groups[usize::from(level)];
        let value = u64::from(value);
        *n += 1;
        *sum += value;
        *squares += value * value;
    }
    let (mut n, mut sum, mut squares, mut within, mut n_groups) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (count, group_sum, group_squares) in groups {
        if count == 0 {
            continue;
        }
        let [count, group_sum, group_squares] = [count, group_sum, group_squares].map(|x| x as f64);
        n += count;
        sum += group_sum;
        squares += group_squares;
        within += group_squares - group_sum * group_sum / count;
        n_groups += 1.0;
    }
    let total = squares - sum * sum / n;
    if n <= n_groups || total <= 0.0 {
        return 0.0;
    }
    (1.0 - (within / (n - n_groups)) / (total / (n - 1.0))).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs(seed: usize) -> Array2<u8> {
        Array2::from_shape_fn((48, 64), |(row, column)| {
            let wave = |k: usize| ((row * (seed + k) + column * (2 * seed + 3 * k)) as f64 / 40.0).sin();
            let noise = ((row * 31 + column * 17 + seed * 7) * 2_654_435_761 % 1013) as f64 / 1013.0;
            let gray = 120.0 + 40.0 * wave(1) + 30.0 * wave(2) + 20.0 * noise;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "30 to 210")]
            let gray = gray as u8;
            gray
        })
    }

    fn signature(image: &Array2<u8>) -> Signature {
        Signature::new(block_means(image.view(), THUMB_SIDE, THUMB_SIDE)).unwrap()
    }

    #[test]
    fn every_turn_of_a_rewindowed_copy_is_found() {
        let image = blobs(3);
        let brighter = image.mapv(|gray| gray.saturating_mul(2).saturating_sub(90));
        for turn in Turn::all() {
            let turned = turn.apply(brighter.view()).to_owned();
            // What was turned looks like the image in one turn, which undoes the other.
            let found = Query::new(&signature(&turned)).similar_turns(&signature(&image));
            assert_eq!(found.len(), 1);
            let back = found[0].apply(turned.view()).to_owned();
            assert_eq!(back, brighter);
        }
        assert!(explained(image.view(), brighter.view()) > 0.999);
    }

    #[test]
    fn other_images_are_not_alike() {
        for (a, b) in [(3, 4), (4, 5), (2, 7)] {
            assert!(
                Query::new(&signature(&blobs(a))).similar_turns(&signature(&blobs(b))).is_empty(),
                "{a} {b}"
            );
            assert!(explained(blobs(a).view(), blobs(b).view()) < 0.9, "{a} {b}");
        }
        let negative = blobs(3).mapv(|gray| 255 - gray);
        assert_eq!(explained(blobs(3).view(), negative.view()), 0.0);
    }

    #[test]
    fn orbits_have_the_right_number() {
        let mut orbits: Vec<_> = (0..N_RANKS).map(|n| orbit_of(n / RANK_SIDE, n % RANK_SIDE)).collect();
        orbits.sort_unstable();
        orbits.dedup();
        assert_eq!(orbits.len(), N_ORBITS);
        assert_eq!(orbits.last(), Some(&(N_ORBITS - 1)));
    }

    #[test]
    fn flat_images_have_no_signature() {
        assert!(Signature::new(Array2::from_elem((THUMB_SIDE, THUMB_SIDE), 9)).is_none());
    }
}
