//! CPython's `random.Random`: the splits of the published data need its exact draws.

/// Words of the generator's state.
const N: usize = 624;
/// Distance of the second word that a new word is made from.
const M: usize = 397;

/// CPython's generator: MT19937 seeded from an integer, with the draws of `random.Random`.
///
/// Two of them with one seed give the same numbers as Python gives, on any machine (SPEC 1.6).
///
/// ```
/// use ct_slices::python::PyRandom;
///
/// let mut names: Vec<u32> = (0..10).collect();
/// PyRandom::new(42).shuffle(&mut names);
/// assert_eq!(names, [7, 3, 2, 8, 5, 6, 9, 4, 0, 1]);
/// ```
///
/// # Source
/// Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998, and the 2002 seeding by
/// array; Python's documentation of `random`; SPEC 1.6.
#[derive(Clone)]
pub struct PyRandom {
    state: Box<[u32; N]>,
    next: usize,
}

/// More was asked for than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot draw {wanted} of {available} without replacement")]
pub struct SampleError {
    /// Size of the population.
    pub available: usize,
    /// Size of the sample asked for.
    pub wanted: usize,
}

/// Weights that nothing can be drawn by.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{count} weights with the sum {total}: the sum must be finite and above 0")]
pub struct ChoicesError {
    /// Number of weights.
    pub count: usize,
    /// Their sum.
    pub total: f64,
}

impl PyRandom {
    /// As `random.seed(seed)` for an integer: its 32-bit words, lowest first, seed by array.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = seed.to_le_bytes();
        let words = [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])];
        let key = if words[1] == 0 { &words[..1] } else { &words[..] };
        Self { state: seed_by_array(key), next: N }
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.refill();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn refill(&mut self) {
        let state = &mut *self.state;
        for at in 0..N {
            let joined = (state[at] & 0x8000_0000) | (state[(at + 1) % N] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            state[at] = state[(at + M) % N] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// `getrandbits(n_bits)`: that many random bits; none, and no draw, for 0.
    ///
    /// # Panics
    /// If more than 64 bits are asked for: a caller's bug.
    pub fn getrandbits(&mut self, n_bits: u32) -> u64 {
        assert!(n_bits <= 64, "{n_bits} bits do not fit 64");
        let mut word = |bits: u32| if bits == 0 { 0 } else { u64::from(self.next_u32() >> (32 - bits)) };
        let low = word(n_bits.min(32));
        low | word(n_bits.saturating_sub(32)) << 32
    }

    /// A whole number from 0 up to, not including, `n`.
    ///
    /// # Panics
    /// If `n` is 0: a caller's bug.
    pub fn randbelow(&mut self, n: u64) -> u64 {
        assert!(n > 0, "no whole number is below 0");
        let n_bits = u64::BITS - n.leading_zeros();
        loop {
            let drawn = self.getrandbits(n_bits);
            if drawn < n {
                return drawn;
            }
        }
    }

    /// [`randbelow`](Self::randbelow) for lengths.
    fn index_below(&mut self, n: usize) -> usize {
        let drawn = self.randbelow(n as u64);
        usize::try_from(drawn).expect("below a usize")
    }

    /// `random()`: 53 bits as a number from 0 up to, not including, 1.
    pub fn random(&mut self) -> f64 {
        let high = self.next_u32() >> 5;
        let low = self.next_u32() >> 6;
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// `shuffle(items)`, in place.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index_below(last + 1);
            items.swap(last, other);
        }
    }

    /// `choice(items)`; `None`, and no draw, if there are none.
    pub fn choice<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { Some(&items[self.index_below(items.len())]) }
    }

    /// `choices(range(n), k=k)` without weights: indices drawn with replacement; none of none.
    pub fn choices(&mut self, n: usize, k: usize) -> Vec<usize> {
        if n == 0 {
            return Vec::new();
        }
        (0..k).map(|_| floor(self.random() * n as f64).min(n - 1)).collect()
    }

    /// `choices(range(len(weights)), weights, k=k)`: indices drawn with replacement.
    ///
    /// # Errors
    /// [`ChoicesError`] if the weights do not sum to a finite number above 0.
    pub fn choices_weighted(&mut self, weights: &[f64], k: usize) -> Result<Vec<usize>, ChoicesError> {
        let mut total = 0.0;
        let cumulative: Vec<f64> = weights
            .iter()
            .map(|weight| {
                total += weight;
                total
            })
            .collect();
        if !(total.is_finite() && total > 0.0) {
            return Err(ChoicesError { count: weights.len(), total });
        }
        let last = weights.len() - 1;
        // bisect_right over all but the last, so that rounding cannot step past the end.
        let draw = |random: &mut Self| {
            let at = random.random() * total;
            cumulative[..last].partition_point(|&sum| sum <= at)
        };
        Ok((0..k).map(|_| draw(self)).collect())
    }

    /// `sample(range(n), k)`: `k` different indices in random order.
    ///
    /// # Errors
    /// [`SampleError`] if `k > n`.
    pub fn sample_indices(&mut self, n: usize, k: usize) -> Result<Vec<usize>, SampleError> {
        if k > n {
            return Err(SampleError { available: n, wanted: k });
        }
        Ok(self.draw_indices(n, k))
    }

    /// `k <= n` different indices below `n`.
    fn draw_indices(&mut self, n: usize, k: usize) -> Vec<usize> {
        if n <= set_size(k) {
            let mut pool: Vec<usize> = (0..n).collect();
            let draw = |taken: usize| {
                let at = self.index_below(n - taken);
                let drawn = pool[at];
                pool[at] = pool[n - taken - 1];
                drawn
            };
            return (0..k).map(draw).collect();
        }
        let mut seen = std::collections::HashSet::with_capacity(k);
        let mut drawn = Vec::with_capacity(k);
        while drawn.len() < k {
            let at = self.index_below(n);
            if seen.insert(at) {
                drawn.push(at);
            }
        }
        drawn
    }

    /// `sample(items, k)`: clones of `k` of the items in random order.
    ///
    /// # Errors
    /// [`SampleError`] if there are fewer than `k`.
    pub fn sample<T: Clone>(&mut self, items: &[T], k: usize) -> Result<Vec<T>, SampleError> {
        let indices = self.sample_indices(items.len(), k)?;
        Ok(indices.into_iter().map(|at| items[at].clone()).collect())
    }

    /// `sample(items, min(k, len(items)))`: all of them in random order if there are no more.
    #[must_use]
    pub fn sample_at_most<T: Clone>(&mut self, items: &[T], k: usize) -> Vec<T> {
        let indices = self.draw_indices(items.len(), k.min(items.len()));
        indices.into_iter().map(|at| items[at].clone()).collect()
    }
}

impl std::fmt::Debug for PyRandom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PyRandom").field("next", &self.next).finish_non_exhaustive()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, below a usize")]
fn floor(value: f64) -> usize {
    value as usize
}

/// The population up to which Python copies it to a pool, for a sample of `k`: 21, plus the first
/// power of 4 that is not below 3k if k is over 5.
fn set_size(k: usize) -> usize {
    if k <= 5 {
        return 21;
    }
    let mut power = 1_usize;
    while power < k.saturating_mul(3) {
        power = power.saturating_mul(4);
    }
    power.saturating_add(21)
}

fn seed_by_number(seed: u32) -> Box<[u32; N]> {
    let mut state = Box::new([0_u32; N]);
    let mut last = seed;
    for (number, word) in (0_u32..).zip(state.iter_mut()) {
        if number > 0 {
            last = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(number);
        }
        *word = last;
    }
    state
}

/// The 2002 seeding: `key` has one word for each 32 bits of the seed.
fn seed_by_array(key: &[u32]) -> Box<[u32; N]> {
    let mut state = seed_by_number(19_650_218);
    let mut at = 1;
    let mixed = |state: &[u32; N], at: usize, factor: u32| {
        let last = state[at - 1];
        state[at] ^ (last ^ (last >> 30)).wrapping_mul(factor)
    };
    // The loops run over words 1 to 623; word 0 takes the last one's value on the way round.
    let step = |state: &mut [u32; N], at: usize| {
        if at + 1 < N {
            return at + 1;
        }
        state[0] = state[N - 1];
        1
    };
    let keys = (0_u32..).zip(key).cycle().take(N.max(key.len()));
    for (number, &word) in keys {
        state[at] = mixed(&state, at, 1_664_525).wrapping_add(word).wrapping_add(number);
        at = step(&mut state, at);
    }
    for _ in 1..N {
        let number = u32::try_from(at).unwrap_or(0);
        state[at] = mixed(&state, at, 1_566_083_941).wrapping_sub(number);
        at = step(&mut state, at);
    }
    state[0] = 0x8000_0000;
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words_and_numbers_of_seed_42() {
        let mut random = PyRandom::new(42);
        let words: Vec<u32> = (0..4).map(|_| random.next_u32()).collect();
        assert_eq!(words, [2_746_317_213, 478_163_327, 107_420_369, 3_184_935_163]);
        let mut random = PyRandom::new(42);
        let numbers: Vec<f64> = (0..3).map(|_| random.random()).collect();
        assert_eq!(numbers, [0.639_426_798_457_883_7, 0.025_010_755_222_666_936, 0.275_029_318_369_119_26]);
    }

    #[test]
    fn worked_samples_of_seed_42() {
        let rows: [(usize, usize, &[usize]); 3] = [
            (10, 4, &[1, 0, 4, 9]),
            (100, 5, &[81, 14, 3, 94, 35]),
            (30, 20, &[20, 3, 0, 23, 8, 7, 24, 4, 28, 17, 2, 18, 13, 1, 27, 16, 21, 29, 25, 9]),
        ];
        for (n, k, expected) in rows {
            assert_eq!(PyRandom::new(42).sample_indices(n, k).unwrap(), expected, "sample({n}, {k})");
        }
    }

    #[test]
    fn worked_choices_of_seed_42() {
        let items = [0, 1, 2, 3, 4, 5, 6];
        let mut random = PyRandom::new(42);
        let drawn: Vec<i32> = (0..8).map(|_| *random.choice(&items).unwrap()).collect();
        assert_eq!(drawn, [5, 0, 0, 5, 2, 1, 1, 1]);
        let equal = PyRandom::new(42).choices_weighted(&[1.0, 1.0], 10).unwrap();
        assert_eq!(equal, [1, 0, 0, 0, 1, 1, 1, 0, 0, 0]);
        assert_eq!(PyRandom::new(42).choices(2, 10), equal);
        let middle = PyRandom::new(42).choices_weighted(&[1.0, 2.0, 1.0], 10).unwrap();
        assert_eq!(middle, [1, 0, 1, 0, 1, 1, 2, 0, 1, 0]);
    }

    #[test]
    fn nothing_to_draw_from() {
        let mut random = PyRandom::new(42);
        assert_eq!(random.choice::<u8>(&[]), None);
        assert_eq!(random.sample_indices(3, 4), Err(SampleError { available: 3, wanted: 4 }));
        assert!(random.choices_weighted(&[], 1).is_err());
        assert!(random.choices_weighted(&[0.0, 0.0], 1).is_err());
        assert_eq!(random.choices(0, 3), Vec::<usize>::new());
        assert_eq!(random.getrandbits(0), 0);
        assert_eq!(random.next_u32(), 2_746_317_213, "nothing was drawn");
    }
}
