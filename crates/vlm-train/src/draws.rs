//! Random choices by position: each is a function of the seed and of where it is made alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of random numbers is for; purposes keep streams apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Which source the next sample or batch is from.
    Mix,
    /// The order of one pass over a source.
    Shuffle,
    /// The entries that dropout takes away.
    Dropout,
}

/// The stream of this purpose at a place.
pub(crate) fn stream(seed: u64, purpose: Purpose, place: [u64; 2]) -> ChaCha8Rng {
    // Other crates key by (seed, epoch, index, purpose) with small purposes.
    let purpose = match purpose {
        Purpose::Mix => 0x100,
        Purpose::Shuffle => 0x101,
        Purpose::Dropout => 0x102,
    };
    let mut key = [0; 32];
    for (bytes, value) in key.chunks_exact_mut(8).zip([seed, place[0], place[1], purpose]) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// The numbers below `n` in a random order.
pub(crate) fn permutation(n: usize, mut rng: ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, below(&mut rng, last + 1));
    }
    order
}

/// A number below `n`, every one as likely up to a bias of `n / 2^64`.
fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    let high = (u128::from(rng.next_u64()) * n as u128) >> 64;
    usize::try_from(high).unwrap_or(0)
}

/// A number in `[0, 1)`.
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let numerator = (rng.next_u64() >> 11) as f64;
    numerator / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_whole_pinned_and_differ_by_place() {
        let order = |place| permutation(6, stream(7, Purpose::Shuffle, place));
        let mut sorted = order([0, 0]);
        assert_eq!(sorted, order([0, 0]), "the same place");
        assert!((1..9).any(|pass| order([0, pass]) != sorted), "another pass");
        assert!((1..9).any(|source| order([source, 0]) != sorted), "another source");
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        assert_eq!(permutation(0, stream(7, Purpose::Shuffle, [0, 0])), [0; 0]);
    }

    #[test]
    fn every_order_of_three_is_as_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for place in 0..6000 {
            *counts.entry(permutation(3, stream(1, Purpose::Shuffle, [0, place]))).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        // five standard deviations of a binomial with 6000 trials
        assert!(counts.values().all(|n| (n - 1000_i32).abs() < 145), "{counts:?}");
    }
}
