//! Distributions of grounded decoding against enumeration of all answers.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use vlm_model::{
    AttentionMask, DecodingGrammar, GrammarSegment, GroundedAnswer, GroundedOptions, Llama, ValueRule,
    decode_grounded,
};

use crate::free::{alone, prompts};
use crate::grounded::{CLOSE, END, NEXT, OPEN, box_grammar, numbers, yes_no};
use crate::models::{random, tiny};

/// Log-probabilities of every token after a prompt and `tokens`, computed without a cache.
fn after(model: &Llama, prompt: &Tensor<3>, tokens: &[u32]) -> Vec<f64> {
    let mut x = prompt.clone();
    if !tokens.is_empty() {
        x = Tensor::cat(vec![x, model.embed(tokens).unwrap().unsqueeze_dim(0)], 1);
    }
    let [_, n, _] = x.dims();
    let context = model.context(&AttentionMask::full(1, n)).unwrap();
    let logits = model.logits(x, &context, None).narrow(1, n - 1, 1);
    log_softmax(logits, 2).try_into_vec_as::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// Probability of an option after `tokens`, the allowed tokens of each place sharing 1.
fn option_probability(
    model: &Llama,
    prompt: &Tensor<3>,
    tokens: &[u32],
    options: &[(Vec<u32>, u32)],
    option: &[u32],
    end: u32,
) -> f64 {
    let mut probability = 1.0;
    for n in 0..=option.len() {
        let beginning = &option[..n];
        let mut allowed: Vec<u32> = options
            .iter()
            .filter(|(other, _)| other.starts_with(beginning))
            .map(|(other, _)| other.get(n).copied().unwrap_or(end))
            .collect();
        allowed.sort_unstable();
        allowed.dedup();
        let next = option.get(n).copied().unwrap_or(end);
        if allowed.len() > 1 {
            let so_far: Vec<u32> = tokens.iter().chain(beginning).copied().collect();
            let logs = after(model, prompt, &so_far);
            let sum: f64 = allowed.iter().map(|token| logs[*token as usize].exp()).sum();
            probability *= logs[next as usize].exp() / sum;
        }
    }
    probability
}

fn decode(
    model: &Llama,
    prompt: &Tensor<3>,
    grammar: &DecodingGrammar,
    options: &GroundedOptions,
) -> GroundedAnswer {
    let [_, n, _] = prompt.dims();
    decode_grounded(model, prompt.clone(), &AttentionMask::full(1, n), grammar, options).unwrap().remove(0)
}

/// Checks one answer against enumeration.
fn check(model: &Llama, prompt: &Tensor<3>, grammar: &DecodingGrammar, rule: ValueRule) {
    let options = GroundedOptions { prune: 0.0, rule, score_tail: true };
    let got = decode(model, prompt, grammar, &options);
    let mut tokens = Vec::new();
    let mut probability = 1.0;
    let mut values = got.values.iter();
    let mut choices = got.choices.iter();
    for (place, segment) in grammar.segments.iter().enumerate() {
        match segment {
            GrammarSegment::Forced(forced) => tokens.extend(forced),
            GrammarSegment::Choice(all) => {
                let Some(GrammarSegment::Forced(after)) = grammar.segments.get(place + 1) else { panic!() };
                let distribution = choices.next().unwrap();
                let chosen = *values.next().unwrap();
                let (mut sum, mut mean) = (0.0, 0.0);
                assert_eq!(distribution.probabilities.len(), all.len());
                for ((option, value), (got_value, got)) in all.iter().zip(&distribution.probabilities) {
                    let expected = option_probability(model, prompt, &tokens, all, option, after[0]);
                    assert_eq!(value, got_value);
                    assert!((expected - got).abs() < 1e-5, "{value}: {got}, expected {expected}");
                    sum += got;
                    mean += expected * f64::from(*value);
                    if *value == chosen {
                        probability *= expected;
                    }
                }
                assert!((sum - 1.0).abs() < 1e-9 && distribution.pruned == 0.0, "{sum}");
                assert!((distribution.mean - mean).abs() < 1e-2, "{} {mean}", distribution.mean);
                if rule == ValueRule::MostProbable {
                    let best = distribution.probabilities.iter().map(|(_, p)| *p).fold(0.0, f64::max);
                    let (_, p) =
                        distribution.probabilities.iter().find(|(value, _)| *value == chosen).unwrap();
                    assert!(*p >= best, "{p} {best}");
                }
                tokens.extend(&all.iter().find(|(_, value)| *value == chosen).unwrap().0);
            }
        }
    }
    assert_eq!(got.tokens, tokens);
    assert!((got.probability / probability - 1.0).abs() < 1e-3, "{} {probability}", got.probability);
    let free: f64 =
        (0..tokens.len()).map(|n| after(model, prompt, &tokens[..n])[tokens[n] as usize]).sum::<f64>().exp();
    assert!((got.free_probability / free - 1.0).abs() < 1e-3, "{} {free}", got.free_probability);
    assert_eq!(got.n_scored, tokens.len());
}

#[test]
fn distributions_are_those_of_enumeration() {
    let words = vec![(vec![20, 21, 22], 7), (vec![20, 23], 8), (vec![24, 25], 9), (vec![24, 25, 26], 4)];
    let mut words: Vec<(Vec<u32>, u32)> = words;
    words.sort_by_key(|(_, value)| *value);
    let words = DecodingGrammar {
        segments: vec![
            GrammarSegment::Choice(words),
            GrammarSegment::Forced(vec![27]),
            GrammarSegment::Choice(vec![(vec![28], 1)]),
            GrammarSegment::Forced(vec![29, END]),
        ],
    };
    let pair = DecodingGrammar {
        segments: vec![
            GrammarSegment::Forced(vec![OPEN]),
            GrammarSegment::Choice(numbers(100)),
            GrammarSegment::Forced(vec![NEXT]),
            GrammarSegment::Choice(numbers(100)),
            GrammarSegment::Forced(vec![CLOSE, END]),
        ],
    };
    for seed in 0..3 {
        let model = random(&tiny(2, 1, 32), seed, 4.0);
        let lengths = [5, 3];
        let (x, _) = prompts(&lengths, 16, seed);
        let (prompt, _) = alone(&x, &lengths, 1);
        for rule in [ValueRule::GreedyByToken, ValueRule::MostProbable] {
            for grammar in [&pair, &words, &yes_no()] {
                check(&model, &prompt, grammar, rule);
            }
        }
    }
    let model = random(&tiny(1, 1, 32), 7, 3.0);
    let (prompt, _) = prompts(&[4], 16, 7);
    let thousand = DecodingGrammar {
        segments: vec![
            GrammarSegment::Forced(vec![OPEN]),
            GrammarSegment::Choice(numbers(1000)),
            GrammarSegment::Forced(vec![CLOSE, END]),
        ],
    };
    check(&model, &prompt, &thousand, ValueRule::GreedyByToken);
}

#[test]
fn what_is_pruned_is_reported() {
    for seed in 0..10 {
        let model = random(&tiny(1, 2, 32), seed, 6.0);
        let (prompt, _) = prompts(&[4], 16, seed);
        let exact = decode(
            &model,
            &prompt,
            &box_grammar(1000),
            &GroundedOptions { prune: 0.0, ..Default::default() },
        );
        for prune in [1e-4, 0.02, 0.6] {
            let options = GroundedOptions { prune, ..Default::default() };
            let got = decode(&model, &prompt, &box_grammar(1000), &options);
            assert_eq!(got.values, exact.values, "the chosen path is never pruned");
            assert!((got.probability / exact.probability - 1.0).abs() < 1e-3);
            assert!(got.n_positions <= exact.n_positions);
            for (got, exact) in got.choices.iter().zip(&exact.choices) {
                let sum: f64 = got.probabilities.iter().map(|(_, p)| p).sum::<f64>() + got.pruned;
                assert!((sum - 1.0).abs() < 1e-9, "{sum}");
                for (value, p) in &got.probabilities {
                    let (_, same) = exact.probabilities.iter().find(|(other, _)| other == value).unwrap();
                    assert!((p - same).abs() < 1e-5);
                }
            }
        }
    }
}
