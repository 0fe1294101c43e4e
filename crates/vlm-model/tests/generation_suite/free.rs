//! Free generation on random models.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use vlm_model::{
    AttentionMask, Generated, GenerationOptions, Llama, ModelError, Sampling, StopReason, generate,
};

use crate::models::{Draws, random, tiny};

/// Random prompts of the given lengths, padded on the left to the longest.
pub(crate) fn prompts(lengths: &[usize], hidden: usize, seed: u64) -> (Tensor<3>, AttentionMask) {
    let mut draws = Draws::new(seed);
    let longest = lengths.iter().copied().max().unwrap();
    let mut values = Vec::new();
    for length in lengths {
        values.extend(vec![0.0; (longest - length) * hidden]);
        values.extend((0..length * hidden).map(|_| draws.signed()));
    }
    let rows = lengths.iter().map(|length| (0..longest).map(|i| i >= longest - length).collect()).collect();
    let data = TensorData::new(values, [lengths.len(), longest, hidden]);
    (Tensor::from_data(data, &Device::flex()), AttentionMask::new(rows))
}

/// One row without its padding.
pub(crate) fn alone(x: &Tensor<3>, lengths: &[usize], row: usize) -> (Tensor<3>, AttentionMask) {
    let [_, longest, _] = x.dims();
    let length = lengths[row];
    (x.clone().narrow(0, row, 1).narrow(1, longest - length, length), AttentionMask::full(1, length))
}

fn run(model: &Llama, x: Tensor<3>, mask: &AttentionMask, options: &GenerationOptions) -> Vec<Generated> {
    generate(model, x, mask, options, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Greedy tokens of one unpadded row, everything computed anew for each.
fn recomputed(model: &Llama, x: Tensor<3>, n: usize) -> Vec<u32> {
    let mut x = x;
    let mut tokens = Vec::new();
    for _ in 0..n {
        let [_, length, _] = x.dims();
        let context = model.context(&AttentionMask::full(1, length)).unwrap();
        let logits = model.logits(x.clone(), &context, None).narrow(1, length - 1, 1);
        let token = logits.argmax(2).into_scalar::<i64>();
        tokens.push(u32::try_from(token).unwrap());
        x = Tensor::cat(vec![x, model.embed(&tokens[tokens.len() - 1..]).unwrap().unsqueeze_dim(0)], 1);
    }
    tokens
}

const LENGTHS: [usize; 5] = [7, 3, 5, 7, 1];

fn check_batch(options: &GenerationOptions, seeded: impl Fn(usize) -> GenerationOptions) {
    for seed in 0..6 {
        let model = random(&tiny(2, 1 + usize::from(seed % 2 == 0), 40), seed, 6.0);
        let (x, mask) = prompts(&LENGTHS, 16, seed);
        let batch = run(&model, x.clone(), &mask, options);
        for (row, got) in batch.iter().enumerate() {
            let (x, mask) = alone(&x, &LENGTHS, row);
            let single = &run(&model, x, &mask, &seeded(row))[0];
            assert_eq!((&got.tokens, got.stop_reason), (&single.tokens, single.stop_reason), "{seed} {row}");
            assert_eq!(got.n_model_steps, single.n_model_steps);
            for (a, b) in got.log_probabilities.iter().zip(&single.log_probabilities) {
                assert!((a - b).abs() < 1e-4, "{seed} {row}: {a} {b}");
            }
        }
    }
}

#[test]
fn cached_equals_recomputed() {
    for seed in 0..4 {
        let model = random(&tiny(2, 1, 40), seed, 6.0);
        let (x, mask) = prompts(&[6], 16, seed);
        let options = GenerationOptions { max_new_tokens: 24, stop_tokens: vec![], ..Default::default() };
        assert_eq!(run(&model, x.clone(), &mask, &options)[0].tokens, recomputed(&model, x, 24), "{seed}");
    }
}

#[test]
fn a_batch_gives_what_its_rows_give_alone() {
    // many stop tokens, so that rows end at different steps and leave the batch
    let greedy =
        GenerationOptions { max_new_tokens: 20, stop_tokens: vec![2, 5, 11, 30], ..Default::default() };
    check_batch(&greedy, |_| greedy.clone());
    let penalized = GenerationOptions { repetition_penalty: 1.3, ..greedy.clone() };
    check_batch(&penalized, |_| penalized.clone());
    let drawn = |seed| GenerationOptions {
        sampling: Sampling::Random { temperature: 0.8, top_k: 12, top_p: 0.9, seed },
        repetition_penalty: 1.05,
        ..greedy.clone()
    };
    check_batch(&drawn(3), |row| drawn(3 + row as u64));
}

#[test]
fn greedy_on_the_device_and_on_the_host_agree() {
    let model = random(&tiny(1, 2, 40), 9, 6.0);
    let (x, mask) = prompts(&LENGTHS, 16, 9);
    let options = GenerationOptions { stop_tokens: vec![], ..Default::default() };
    let on_device = run(&model, x.clone(), &mask, &options);
    let sampling = Sampling::Random { temperature: 1.0, top_k: 1, top_p: 1.0, seed: 0 };
    let on_host = run(&model, x, &mask, &GenerationOptions { sampling, ..options });
    for (device, host) in on_device.iter().zip(&on_host) {
        assert_eq!(device.tokens, host.tokens);
        for (a, b) in device.log_probabilities.iter().zip(&host.log_probabilities) {
            assert!((a - b).abs() < 1e-5);
        }
    }
}

#[test]
fn tokens_stream_in_order_and_stop_when_asked() {
    let model = random(&tiny(1, 2, 40), 1, 6.0);
    let (x, mask) = prompts(&[4, 2], 16, 1);
    let options = GenerationOptions { max_new_tokens: 6, stop_tokens: vec![], ..Default::default() };
    let mut order = Vec::new();
    let all = generate(&model, x.clone(), &mask, &options, &mut |new| {
        order.push((new.index, new.row));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(order, (0..6).flat_map(|index| [(index, 0), (index, 1)]).collect::<Vec<_>>());
    assert!(all.iter().all(|row| row.stop_reason == StopReason::Length && row.tokens.len() == 6));

    let mut n = 0;
    let cut = generate(&model, x, &mask, &options, &mut |_| {
        n += 1;
        if n == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert!(cut.iter().all(|row| row.stop_reason == StopReason::Cancelled));
    assert_eq!([cut[0].tokens.len(), cut[1].tokens.len()], [3, 2], "row 0 had its third, row 1 not yet");
    assert_eq!(cut[0].tokens, all[0].tokens[..3]);
}

#[test]
fn length_is_cut_at_the_last_position() {
    let mut config = tiny(1, 2, 40);
    config.max_positions = 10;
    let model = random(&config, 2, 3.0);
    let options = GenerationOptions { stop_tokens: vec![], ..Default::default() };
    let lengths = [10, 4];
    let (x, mask) = prompts(&lengths, 16, 2);
    let answers = run(&model, x, &mask, &options);
    // a full prompt has one token after it, which is never fed; padding takes no position
    assert_eq!([answers[0].tokens.len(), answers[1].tokens.len()], [1, 7]);
    let (x, mask) = prompts(&[11], 16, 2);
    let error = generate(&model, x, &mask, &options, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, ModelError::TooLong { got: 11, limit: 10 }), "{error}");
}

#[test]
fn impossible_requests_are_refused() {
    let model = random(&tiny(1, 2, 40), 2, 3.0);
    let (x, mask) = prompts(&[3, 2], 16, 2);
    let check = |mask: &AttentionMask, options: GenerationOptions, expected: &str| {
        let result = generate(&model, x.clone(), mask, &options, &mut |_| ControlFlow::Continue(()));
        let message = result.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    let options = GenerationOptions::default();
    let right = AttentionMask::new(vec![vec![true; 3], vec![true, true, false]]);
    check(&right, options.clone(), "pads on the left");
    check(&AttentionMask::full(1, 3), options.clone(), "embeddings is");
    check(&mask, GenerationOptions { max_new_tokens: 0, ..options.clone() }, "at least 1");
    check(&mask, GenerationOptions { repetition_penalty: 0.0, ..options.clone() }, "repetition penalty");
    let sampling = Sampling::Random { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0 };
    check(&mask, GenerationOptions { sampling, ..options.clone() }, "temperature");
    let broken = model.clone().map(&mut Broken);
    let result = generate(&broken, x.clone(), &mask, &options, &mut |_| ControlFlow::Continue(()));
    assert!(result.unwrap_err().to_string().contains("not numbers"));
}

/// Makes every weight not a number.
struct Broken;

impl burn::module::ModuleMapper for Broken {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.map(|weight| weight * f32::NAN)
    }
}

#[test]
fn a_training_model_generates_without_a_graph() {
    let model = random(&tiny(1, 2, 40), 4, 6.0);
    let (x, mask) = prompts(&[4], 16, 4);
    let options = GenerationOptions::default();
    let expected = run(&model, x.clone(), &mask, &options);
    let training = model.train();
    assert_eq!(run(&training, x.autodiff(), &mask, &options), expected);
}
