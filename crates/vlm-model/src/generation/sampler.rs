//! One token from one row of logits, on the host.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{GenerationOptions, Sampling};

/// What a row needs to choose tokens: its own random numbers and the tokens it must not repeat.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    sampling: Sampling,
    penalty: f64,
    seen: Vec<u32>,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// A sampler for row `row` of a batch. `first` counts as given already.
    pub(crate) fn new(options: &GenerationOptions, row: usize, first: u32) -> Self {
        let seed = match options.sampling {
            Sampling::Greedy => 0,
            Sampling::Random { seed, .. } => seed.wrapping_add(row as u64),
        };
        Self {
            sampling: options.sampling,
            penalty: options.repetition_penalty,
            seen: vec![first],
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Whether the most probable token is always the answer, so that no logits need to be read.
    pub(crate) fn is_plain_argmax(options: &GenerationOptions) -> bool {
        #[expect(clippy::float_cmp, reason = "exactly 1 changes nothing")]
        let no_penalty = options.repetition_penalty == 1.0;
        options.sampling == Sampling::Greedy && no_penalty
    }

    /// Chooses a token and remembers it. `None` if no score is a number above minus infinity.
    ///
    /// Returns the token and its log-probability before penalty and filters.
    pub(crate) fn choose(&mut self, logits: &[f32]) -> Option<(u32, f32)> {
        let mut scores: Vec<f64> = logits.iter().map(|logit| f64::from(*logit)).collect();
        penalize(&mut scores, &self.seen, self.penalty);
        let token = match self.sampling {
            Sampling::Greedy => argmax(&scores)?,
            Sampling::Random { temperature, top_k, top_p, .. } => {
                let kept = filtered(&scores, temperature, top_k, top_p);
                draw(&kept, uniform(&mut self.rng))?
            }
        };
        self.seen.push(token);
        Some((token, log_probability(logits, token)))
    }
}

/// Divides positive scores of `seen` tokens by `penalty` and multiplies negative ones.
fn penalize(scores: &mut [f64], seen: &[u32], penalty: f64) {
    let mut seen: Vec<usize> = seen.iter().map(|token| *token as usize).collect();
    seen.sort_unstable();
    seen.dedup();
    for token in seen {
        if let Some(score) = scores.get_mut(token) {
            *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
        }
    }
}

/// Tokens that are left by temperature, top-k and top-p in this order, with their probabilities,
/// the most probable first.
///
/// # Source
/// SPEC 5.7; at least one token is left, ties with the last of top-k are kept.
fn filtered(scores: &[f64], temperature: f64, top_k: usize, top_p: f64) -> Vec<(u32, f64)> {
    let mut kept: Vec<(u32, f64)> = (0..)
        .zip(scores.iter().map(|score| score / temperature))
        .filter(|(_, score)| usable(*score))
        .collect();
    kept.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    if let Some(limit) = top_k.checked_sub(1).and_then(|last| kept.get(last)).map(|(_, score)| *score) {
        kept.retain(|(_, score)| *score >= limit);
    }
    normalize(&mut kept);
    if top_p < 1.0 {
        let mut before = 0.0;
        let mut n = 0;
        while n < kept.len() && (n == 0 || before < top_p) {
            before += kept[n].1;
            n += 1;
        }
        kept.truncate(n);
        let mass: f64 = kept.iter().map(|(_, probability)| probability).sum();
        kept.iter_mut().for_each(|(_, probability)| *probability /= mass);
    }
    kept
}

/// Scores, the largest first, to probabilities.
fn normalize(kept: &mut [(u32, f64)]) {
    let Some(largest) = kept.first().map(|(_, score)| *score) else { return };
    kept.iter_mut().for_each(|(_, score)| *score = (*score - largest).exp());
    let sum: f64 = kept.iter().map(|(_, weight)| weight).sum();
    kept.iter_mut().for_each(|(_, weight)| *weight /= sum);
}

/// The token at which the cumulative probability passes `uniform`.
fn draw(kept: &[(u32, f64)], uniform: f64) -> Option<u32> {
    let mut sum = 0.0;
    let passes = |(_, probability): &&(u32, f64)| {
        sum += probability;
        sum > uniform
    };
    // Rounding may leave the sum below 1.
    kept.iter().find(passes).or(kept.last()).map(|(token, _)| *token)
}

/// A number in `0..1` with 53 random bits.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let bits = (rng.next_u64() >> 11) as f64;
    bits / 9_007_199_254_740_992.0
}

fn usable(score: f64) -> bool {
    score.is_finite()
}

fn argmax(scores: &[f64]) -> Option<u32> {
    let mut best: Option<(u32, f64)> = None;
    for (token, score) in (0..).zip(scores.iter().copied()).filter(|(_, score)| usable(*score)) {
        if best.is_none_or(|(_, largest)| score > largest) {
            best = Some((token, score));
        }
    }
    best.map(|(token, _)| token)
}

fn log_probability(logits: &[f32], token: u32) -> f32 {
    let largest = logits.iter().copied().filter(|logit| logit.is_finite()).fold(f32::MIN, f32::max);
    let largest = f64::from(largest);
    let sum: f64 =
        logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).filter(|x| x.is_finite()).sum();
    #[expect(clippy::cast_possible_truncation, reason = "logits are f32")]
    let log_probability = (f64::from(logits[token as usize]) - largest - sum.ln()) as f32;
    log_probability
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ln(probabilities: &[f64]) -> Vec<f64> {
        probabilities.iter().map(|p| p.ln()).collect()
    }

    #[test]
    fn filters_keep_what_they_should() {
        let scores = ln(&[0.1, 0.4, 0.2, 0.3]);
        // (temperature, top-k, top-p) and the tokens left with their probabilities
        let check = |temperature, top_k, top_p, expected: &[(u32, f64)]| {
            let got = filtered(&scores, temperature, top_k, top_p);
            let close = got.len() == expected.len()
                && got.iter().zip(expected).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-12);
            assert!(close, "{temperature} {top_k} {top_p}: {got:?}, expected {expected:?}");
        };
        check(1.0, 0, 1.0, &[(1, 0.4), (3, 0.3), (2, 0.2), (0, 0.1)]);
        check(1.0, 2, 1.0, &[(1, 4.0 / 7.0), (3, 3.0 / 7.0)]);
        check(1.0, 9, 1.0, &[(1, 0.4), (3, 0.3), (2, 0.2), (0, 0.1)]);
        check(1.0, 1, 1.0, &[(1, 1.0)]);
        check(1.0, 0, 0.39, &[(1, 1.0)]); // one token is kept though it has more than enough
        check(1.0, 0, 0.41, &[(1, 4.0 / 7.0), (3, 3.0 / 7.0)]);
        check(1.0, 0, 0.75, &[(1, 4.0 / 9.0), (3, 3.0 / 9.0), (2, 2.0 / 9.0)]);
        check(1.0, 0, 0.000_1, &[(1, 1.0)]);
        check(1.0, 2, 0.6, &[(1, 4.0 / 7.0), (3, 3.0 / 7.0)]); // top-p counts what top-k left: 4/7 < 0.6
        check(1.0, 2, 0.5, &[(1, 1.0)]);
        check(0.5, 0, 1.0, &[(1, 16.0 / 30.0), (3, 9.0 / 30.0), (2, 4.0 / 30.0), (0, 1.0 / 30.0)]);
        check(0.5, 0, 0.54, &[(1, 16.0 / 25.0), (3, 9.0 / 25.0)]); // top-p comes after the temperature
    }

    #[test]
    fn ties_with_the_last_of_top_k_are_kept() {
        let kept = filtered(&[1.0, 3.0, 2.0, 2.0, f64::NAN, f64::NEG_INFINITY], 1.0, 2, 1.0);
        assert_eq!(kept.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn penalty_pushes_scores_down_once() {
        let mut scores = vec![2.0, -2.0, 0.0, 5.0];
        penalize(&mut scores, &[0, 1, 0, 2, 77], 1.25);
        assert_eq!(scores, [1.6, -2.5, 0.0, 5.0]);
    }

    #[test]
    fn draws_follow_the_cumulative_sum() {
        let kept = [(7, 0.5), (3, 0.25), (9, 0.25)];
        for (uniform, token) in [(0.0, 7), (0.499, 7), (0.5, 3), (0.74, 3), (0.75, 9), (0.999, 9), (1.0, 9)] {
            assert_eq!(draw(&kept, uniform), Some(token), "{uniform}");
        }
        assert_eq!(draw(&[], 0.5), None);
    }

    #[test]
    fn frequencies_match_probabilities() {
        let options = GenerationOptions {
            sampling: Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 5 },
            ..GenerationOptions::default()
        };
        #[expect(clippy::cast_possible_truncation, reason = "test values")]
        let logits: Vec<f32> = ln(&[0.1, 0.4, 0.2, 0.3]).into_iter().map(|x| x as f32).collect();
        let mut sampler = Sampler::new(&options, 0, 1);
        let mut counts = [0; 4];
        for _ in 0..20_000 {
            let (token, log_probability) = sampler.choose(&logits).unwrap();
            counts[token as usize] += 1;
            assert!((log_probability - logits[token as usize]).abs() < 1e-6);
        }
        for (count, expected) in counts.into_iter().zip([2000, 8000, 4000, 6000]) {
            // four standard deviations of a binomial count are at most 277
            assert!(i32::abs(count - expected) < 280, "{counts:?}");
        }
    }

    #[test]
    fn rows_draw_from_their_own_seeds() {
        let options = |seed| GenerationOptions {
            sampling: Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed },
            ..GenerationOptions::default()
        };
        let draws = |seed, row| {
            let mut sampler = Sampler::new(&options(seed), row, 1);
            (0..50).map(|_| sampler.choose(&[0.0; 64]).unwrap().0).collect::<Vec<_>>()
        };
        assert_eq!(draws(3, 2), draws(5, 0));
        assert_ne!(draws(3, 0), draws(3, 1));
    }

    #[test]
    fn greedy_takes_the_first_of_equals_and_heeds_the_penalty() {
        let options = GenerationOptions { repetition_penalty: 1.5, ..GenerationOptions::default() };
        let mut sampler = Sampler::new(&options, 0, 0);
        // token 0 is the first: 3 / 1.5 = 2
        assert_eq!(sampler.choose(&[3.0, 2.5, 2.5, -1.0]).unwrap().0, 1);
        assert_eq!(sampler.choose(&[3.0, 2.5, 2.5, -1.0]).unwrap().0, 2);
        assert_eq!(sampler.choose(&[3.0, 2.5, 2.5, -1.0]).unwrap().0, 0);
        assert!(sampler.choose(&[f32::NAN; 4]).is_none());
    }
}
