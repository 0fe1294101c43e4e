//! Damage to bytes: flips, cuts, pieces moved, integers at the edge of what a field can hold.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The generator of all mutations: the same numbers on every platform.
pub(super) type Random = ChaCha8Rng;

/// Picks one of a list.
pub(super) fn one_of<'a, T: ?Sized>(random: &mut Random, all: &'a [&'a T]) -> &'a T {
    all[random.random_range(0..all.len())]
}

/// Integers and floats at the edge of what a field of this width can hold.
pub(super) fn extreme(random: &mut Random, width: usize, is_big_endian: bool) -> Vec<u8> {
    const INTEGERS: [i64; 22] = [
        i64::MIN,
        i64::MAX,
        i32::MIN as i64,
        i32::MAX as i64,
        u32::MAX as i64,
        -32_768,
        -1,
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        16,
        127,
        128,
        255,
        32_767,
        65_535,
        1 << 53,
        1 << 60,
    ];
    const FLOATS: [f64; 14] = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        1.0,
        -1.0,
        1e-45,
        1e-320,
        3.4e38,
        -3.4e38,
        1e9,
        1e15,
        1.000_001,
    ];
    let float = FLOATS[random.random_range(0..FLOATS.len())];
    let is_float = random.random_bool(0.4);
    #[expect(clippy::cast_possible_truncation, reason = "any value will do")]
    let mut bytes = match width {
        4 if is_float => (float as f32).to_le_bytes().to_vec(),
        8 if is_float => float.to_le_bytes().to_vec(),
        _ => INTEGERS[random.random_range(0..INTEGERS.len())].to_le_bytes()[..width.min(8)].to_vec(),
    };
    if is_big_endian {
        bytes.reverse();
    }
    bytes
}

/// One to five changes anywhere, every second one within the first `header` bytes.
pub(super) fn damage_bytes(random: &mut Random, bytes: &mut Vec<u8>, header: usize) {
    for _ in 0..random.random_range(1..=5) {
        if bytes.is_empty() {
            bytes.push(random.random());
        }
        let within = if random.random() { header.clamp(1, bytes.len()) } else { bytes.len() };
        let at = random.random_range(0..within);
        let end = (at + random.random_range(1..=64)).min(bytes.len());
        match random.random_range(0..12) {
            0..=2 => bytes[at] ^= 1 << random.random_range(0..8),
            3 => bytes[at] = random.random(),
            4..=6 => {
                let width = [1, 2, 4, 8][random.random_range(0..4)];
                let big = random.random();
                let number = extreme(random, width, big);
                let n = number.len().min(bytes.len() - at);
                bytes[at..at + n].copy_from_slice(&number[..n]);
            }
            7 => bytes[at..end].fill([0, 0xff][random.random_range(0..2)]),
            8 => drop(bytes.drain(at..end)),
            9 => {
                let copy = bytes[at..end].repeat(random.random_range(1..=3));
                drop(bytes.splice(at..at, copy));
            }
            10 => {
                let to = random.random_range(0..bytes.len());
                let n = (end - at).min(bytes.len() - to);
                bytes.copy_within(at..at + n, to);
            }
            _ => {
                if random.random_bool(0.4) {
                    bytes.truncate(at);
                }
            }
        }
    }
}

/// The beginning of one file and the end of another.
pub(super) fn splice(random: &mut Random, first: &[u8], second: &[u8]) -> Vec<u8> {
    let from = random.random_range(0..=first.len());
    // At the same place most of the time, so that headers keep their offsets.
    let to =
        if random.random_bool(0.7) { from.min(second.len()) } else { random.random_range(0..=second.len()) };
    [&first[..from], &second[to..]].concat()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn damage_follows_from_the_seed_and_changes_something() {
        let good: Vec<u8> = (0..=255).collect();
        let mut n_changed = 0;
        for seed in 0..200 {
            let once = |seed| {
                let (mut random, mut bytes) = (Random::seed_from_u64(seed), good.clone());
                damage_bytes(&mut random, &mut bytes, 32);
                bytes
            };
            assert_eq!(once(seed), once(seed));
            n_changed += usize::from(once(seed) != good);
        }
        assert!(n_changed > 180, "{n_changed}");
        damage_bytes(&mut Random::seed_from_u64(1), &mut Vec::new(), 10);
    }
}
