//! Grounded decoding always gives a well-formed answer, in fewer steps than free decoding.

use std::ops::ControlFlow;
use std::time::Instant;

use vlm_model::{
    DecodingGrammar, GenerationOptions, GrammarSegment, GroundedOptions, ModelError, decode_grounded,
    generate,
};

use crate::free::prompts;
use crate::models::{Draws, from_table, random, tiny};

/// The tests' vocabulary: digits are 0 to 9.
pub(crate) const OPEN: u32 = 10;
pub(crate) const NEXT: u32 = 11;
pub(crate) const CLOSE: u32 = 12;
pub(crate) const END: u32 = 13;
const YES: u32 = 14;
const NO: u32 = 15;

pub(crate) fn numbers(max: u32) -> Vec<(Vec<u32>, u32)> {
    let digits = |n: u32| n.to_string().bytes().map(|digit| u32::from(digit - b'0')).collect();
    (0..=max).map(|n| (digits(n), n)).collect()
}

/// Four numbers, in the frame of the published answer as its tokenizer cuts it.
pub(crate) fn box_grammar(max: u32) -> DecodingGrammar {
    let mut segments = vec![GrammarSegment::Forced(vec![OPEN, 16])];
    for place in 0..4 {
        segments.push(GrammarSegment::Choice(numbers(max)));
        segments.push(GrammarSegment::Forced(if place < 3 { vec![NEXT] } else { vec![CLOSE, 17, END] }));
    }
    DecodingGrammar { segments }
}

pub(crate) fn yes_no() -> DecodingGrammar {
    DecodingGrammar {
        segments: vec![
            GrammarSegment::Choice(vec![(vec![NO], 0), (vec![YES], 1)]),
            GrammarSegment::Forced(vec![END]),
        ],
    }
}

/// Reads an answer as a parser would, knowing nothing of the grammar's tries.
fn parse_box(tokens: &[u32], max: u32) -> Option<Vec<u32>> {
    let inner = tokens.strip_prefix(&[OPEN, 16])?.strip_suffix(&[CLOSE, 17, END])?;
    inner
        .split(|token| *token == NEXT)
        .map(|digits| {
            let text: String =
                digits.iter().map(|digit| char::from_digit(*digit, 10)).collect::<Option<_>>()?;
            let number: u32 = text.parse().ok()?;
            (number <= max && number.to_string() == text).then_some(number)
        })
        .collect::<Option<Vec<u32>>>()
        .filter(|numbers| numbers.len() == 4)
}

/// 10,000 random models and prompts: 500 models of 20 prompts each.
#[test]
fn ten_thousand_answers_are_well_formed_and_take_fewer_steps() {
    let start = Instant::now();
    let (mut n, mut steps, mut free_steps, mut worst) = (0, 0, 0, 0.0_f64);
    for seed in 0..500 {
        let mut draws = Draws::new(seed);
        let config = tiny(1 + usize::from(seed % 4 == 0), 1 + draws.below(2), 32);
        let sharpness = [0.5, 2.0, 6.0, 15.0][draws.below(4)];
        let model = random(&config, seed, sharpness);
        let lengths: Vec<usize> = (0..20).map(|_| 1 + draws.below(8)).collect();
        let (x, mask) = prompts(&lengths, 16, seed);
        let max = [100, 1000][usize::from(seed % 5 == 0)];
        let grammar = if seed % 10 == 9 { yes_no() } else { box_grammar(max) };
        let options = GroundedOptions { score_tail: seed % 10 != 9 && seed % 2 == 0, ..Default::default() };
        for answer in decode_grounded(&model, x, &mask, &grammar, &options).unwrap() {
            if seed % 10 == 9 {
                assert!(answer.tokens == [YES, END] || answer.tokens == [NO, END], "{answer:?}");
                assert_eq!(answer.values, [u32::from(answer.tokens[0] == YES)]);
            } else {
                assert_eq!(parse_box(&answer.tokens, max).as_ref(), Some(&answer.values), "{answer:?}");
            }
            // free decoding: one step for the prompt, one for each further token
            assert!(answer.n_model_steps < answer.tokens.len(), "{answer:?}");
            for choice in &answer.choices {
                let sum: f64 = choice.probabilities.iter().map(|(_, p)| p).sum();
                worst = worst.max((sum + choice.pruned - 1.0).abs());
            }
            assert!(answer.free_probability <= answer.probability * (1.0 + 1e-4));
            steps += answer.n_model_steps;
            free_steps += answer.tokens.len();
            n += 1;
        }
    }
    assert_eq!(n, 10_000);
    assert!(worst < 1e-9, "{worst}");
    println!("{n} answers in {:?}: {steps} steps, free decoding {free_steps}", start.elapsed());
}

/// Where the free greedy answer is well-formed, the grounded one is the same.
#[test]
fn a_well_formed_free_answer_is_the_grounded_one() {
    let mut well_formed = 0;
    for seed in 0..150 {
        let mut draws = Draws::new(1000 + seed);
        let max = [100, 1000][draws.below(2)];
        let segments = vec![
            GrammarSegment::Forced(vec![OPEN]),
            GrammarSegment::Choice(numbers(max)),
            GrammarSegment::Forced(vec![CLOSE, END]),
        ];
        let grammar = DecodingGrammar { segments };
        // noise, and a lead for what could follow
        let mut table: Vec<f32> = (0..20 * 20).map(|_| 3.0 * draws.signed()).collect();
        let mut favor = |from: u32, to: u32, by: f32| table[(from * 20 + to) as usize] += by;
        favor(18, OPEN, 7.0);
        favor(CLOSE, END, 7.0);
        for digit in 0..10 {
            favor(OPEN, digit, 6.0);
            favor(digit, CLOSE, 6.0);
            (0..10).for_each(|next| favor(digit, next, 4.0));
        }
        let model = from_table(20, &table, seed);
        let (x, _) = prompts(&[3], 20, seed);
        let x = burn::tensor::Tensor::cat(vec![x, model.embed(&[18]).unwrap().unsqueeze_dim(0)], 1);
        let mask = vlm_model::AttentionMask::full(1, 4);
        let options = GenerationOptions { max_new_tokens: 8, stop_tokens: vec![END], ..Default::default() };
        let free = generate(&model, x.clone(), &mask, &options, &mut |_| ControlFlow::Continue(()))
            .unwrap()
            .remove(0);
        let options = GroundedOptions { score_tail: true, ..Default::default() };
        let grounded = decode_grounded(&model, x, &mask, &grammar, &options).unwrap().remove(0);
        let value = free.tokens.strip_prefix(&[OPEN]).and_then(|tokens| tokens.strip_suffix(&[CLOSE, END]));
        let Some((_, value)) =
            value.and_then(|digits| numbers(max).into_iter().find(|(option, _)| option == digits))
        else {
            continue;
        };
        well_formed += 1;
        assert_eq!((&grounded.tokens, &grounded.values), (&free.tokens, &vec![value]), "{seed}");
        let free_log: f32 = free.log_probabilities.iter().sum();
        assert!((grounded.free_probability.ln() - f64::from(free_log)).abs() < 1e-3);
        assert!(grounded.n_model_steps <= free.n_model_steps);
    }
    assert!(well_formed > 30, "only {well_formed} free answers were well-formed");
}

#[test]
fn a_yes_or_no_takes_one_pass() {
    let model = random(&tiny(1, 2, 32), 3, 2.0);
    let (x, mask) = prompts(&[5, 2], 16, 3);
    for answer in decode_grounded(&model, x, &mask, &yes_no(), &GroundedOptions::default()).unwrap() {
        assert_eq!((answer.n_model_steps, answer.n_scored), (1, 1));
        let [(0, no), (1, yes)] = answer.choices[0].probabilities[..] else { panic!("{answer:?}") };
        assert!((yes + no - 1.0).abs() < 1e-12 && (answer.choices[0].mean - yes).abs() < 1e-12);
    }
}

#[test]
fn rows_do_not_depend_on_their_neighbors() {
    let model = random(&tiny(2, 1, 32), 5, 4.0);
    let lengths = [6, 2, 4];
    let (x, mask) = prompts(&lengths, 16, 5);
    let options = GroundedOptions::default();
    let batch = decode_grounded(&model, x.clone(), &mask, &box_grammar(100), &options).unwrap();
    for (row, answer) in batch.iter().enumerate() {
        let (x, mask) = crate::free::alone(&x, &lengths, row);
        let alone = decode_grounded(&model, x, &mask, &box_grammar(100), &options).unwrap();
        assert_eq!(answer, &alone[0], "padding is cut off, so that even rounding is the same");
    }
}

#[test]
fn what_cannot_be_decoded_is_refused() {
    let mut config = tiny(1, 2, 32);
    config.max_positions = 20;
    let model = random(&config, 3, 2.0);
    let (x, mask) = prompts(&[5], 16, 3);
    let result = decode_grounded(&model, x.clone(), &mask, &box_grammar(100), &GroundedOptions::default());
    assert!(matches!(result, Err(ModelError::TooLong { got: 25, limit: 20 })), "{result:?}");
    let options = GroundedOptions { prune: 1.0, ..Default::default() };
    assert!(decode_grounded(&model, x, &mask, &yes_no(), &options).is_err());
}
