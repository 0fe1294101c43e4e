//! Against transformers' own generation.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use vlm_model::{AttentionMask, GenerationOptions, Llama, LoraConfig, LoraTarget, StopReason, generate};

use crate::models::{Tensors, goldens, loaded, worst};

/// The goldens' allowance for logits (their README).
const LOGITS: f32 = 5e-5;

fn mask(values: &[i64], n: usize) -> AttentionMask {
    AttentionMask::new(values.chunks(n).map(|row| row.iter().map(|real| *real == 1).collect()).collect())
}

fn tokens(model: &Llama, x: Tensor<3>, mask: &AttentionMask, max: usize, stop: Vec<u32>) -> Vec<Vec<u32>> {
    let options = GenerationOptions { max_new_tokens: max, stop_tokens: stop.clone(), ..Default::default() };
    let mut streamed = vec![Vec::new(); mask.batch()];
    let answers = generate(model, x, mask, &options, &mut |new| {
        assert_eq!(new.index, streamed[new.row].len());
        streamed[new.row].push(new.token);
        ControlFlow::Continue(())
    })
    .unwrap();
    for (answer, streamed) in answers.iter().zip(&streamed) {
        assert_eq!(&answer.tokens, streamed);
        assert_eq!(answer.n_model_steps, answer.tokens.len());
        let stopped = answer.tokens.last().is_some_and(|token| stop.contains(token));
        assert_eq!(answer.stop_reason == StopReason::Stop, stopped);
    }
    answers.into_iter().map(|answer| answer.tokens).collect()
}

#[test]
fn llama_generates_what_transformers_does() {
    let Some(goldens) = goldens() else {
        println!("skipped: no golden files");
        return;
    };
    for name in ["llama", "llama_gqa"] {
        let folder = goldens.join(name);
        let cases = Tensors::open(&folder.join("cases.safetensors"));
        let json: serde_json::Value =
            serde_json::from_str(&fs_err::read_to_string(folder.join("cases.json")).unwrap()).unwrap();
        let rows = |key: &str| -> Vec<Vec<u32>> { serde_json::from_value(json[key].clone()).unwrap() };
        let weights = Tensors::open(&folder.join("model.safetensors"));
        let model = loaded(&folder.join("config.json"), None, weights);
        let x: Tensor<3> = cases.floats("gen.inputs_embeds");
        let prompt_mask = mask(&cases.integers("gen.attention_mask"), 7);

        assert_eq!(tokens(&model, x.clone(), &prompt_mask, 24, vec![]), rows("generate_batch"), "{name}");
        let single: Vec<u32> = serde_json::from_value(json["generate_single"].clone()).unwrap();
        let alone = x.clone().narrow(0, 0, 1);
        let got = tokens(&model, alone.clone(), &AttentionMask::full(1, 7), 24, vec![]);
        assert_eq!(got, [single], "{name}");

        let eos = u32::try_from(json["generate_eos_token"].as_u64().unwrap()).unwrap();
        let expected: Vec<Vec<u32>> = rows("generate_eos")
            .into_iter()
            .map(|row| {
                let end = row.iter().position(|token| *token == eos).map_or(row.len(), |at| at + 1);
                row[..end].to_vec()
            })
            .collect();
        assert_eq!(tokens(&model, x.clone(), &prompt_mask, 24, vec![eos]), expected, "{name}");

        // logits of prefill and steps, and cached keys
        let mut cache = model.cache(2, 30).unwrap();
        let positions = prompt_mask.counted_positions();
        let context = model.context_at(&prompt_mask, &positions).unwrap();
        let logits = model.logits(x, &context, Some(&mut cache));
        let expected: Tensor<3> = cases.floats("kv.logits_prefill");
        // row 1 begins with three positions of padding
        assert!(worst(logits.clone().narrow(0, 0, 1), expected.clone().narrow(0, 0, 1)) < LOGITS, "{name}");
        assert!(worst(logits.narrow(1, 3, 4), expected.narrow(1, 3, 4)) < LOGITS, "{name}");
        let mut one = model.cache(1, 7).unwrap();
        let context = model.context(&AttentionMask::full(1, 7)).unwrap();
        model.blocks(alone, &context, Some(&mut one));
        let (keys, values) = one.layer(0);
        assert!(worst(keys, cases.floats("kv.layer0_keys")) < 1e-5, "{name}");
        assert!(worst(values, cases.floats("kv.layer0_values")) < 1e-5, "{name}");
        let fed = cases.integers("kv.tokens");
        let steps: Tensor<3> = cases.floats("kv.logits_steps");
        let of_generate: Tensor<3> = cases.floats("gen.logits");
        let real = [7, 4];
        let mut mask = prompt_mask;
        for step in 0..23 {
            mask = mask.extended(1);
            let positions: Vec<Vec<usize>> = real.iter().map(|n| vec![n + step]).collect();
            let context = model.context_at(&mask, &positions).unwrap();
            let ids: Vec<u32> = [fed[step], fed[24 + step]].map(|id| u32::try_from(id).unwrap()).to_vec();
            let x = model.embed(&ids).unwrap().unsqueeze_dim(1);
            let logits: Tensor<3> = model.logits(x, &context, Some(&mut cache)).swap_dims(0, 1);
            assert!(worst(logits.clone(), steps.clone().narrow(0, step, 1)) < LOGITS, "{name} {step}");
            assert!(worst(logits, of_generate.clone().narrow(0, step + 1, 1)) < LOGITS, "{name} {step}");
        }
    }
}

#[test]
fn adapted_llama_generates_what_transformers_does() {
    let Some(goldens) = goldens() else {
        println!("skipped: no golden files");
        return;
    };
    let folder = goldens.join("minigpt_v2");
    let cases = Tensors::open(&folder.join("generate_qv.safetensors"));
    let weights = Tensors::open(&folder.join("llama/model.safetensors"))
        .merged(Tensors::open(&folder.join("trainable_qv.safetensors")));
    let targets = vec![LoraTarget::QProj, LoraTarget::VProj];
    let lora = LoraConfig { rank: 4, alpha: 2.0, dropout: 0.0, targets };
    let model = loaded(&folder.join("llama/config.json"), Some(&lora), weights);
    let x: Tensor<3> = cases.floats("inputs_embeds");
    let mask = mask(&cases.integers("attention_mask"), 21);
    let expected = cases.integers("tokens");
    let got = tokens(&model, x.clone(), &mask, 16, vec![2]);
    let all = tokens(&model, x, &mask, 16, vec![]);
    for ((got, all), expected) in got.iter().zip(&all).zip(expected.chunks(16)) {
        let expected: Vec<u32> = expected.iter().map(|id| u32::try_from(*id).unwrap()).collect();
        assert_eq!(got[..], expected[..got.len()]);
        if got.last() != Some(&2) {
            assert_eq!(all, &expected);
        }
    }
}
