//! Prompt and new tokens, as an answer makes them.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::Tensor;
use serde_json::json;
use vlm_model::{AttentionMask, GenerationOptions, MiniGpt, Padding, Sampling, generate};

use crate::options::{Options, Repetitions};
use crate::{inputs, print, weights};

struct Asked {
    model: MiniGpt,
    embeddings: Tensor<3>,
    mask: AttentionMask,
}

/// One row as the language model reads it; adapters are merged, as the peer's are.
fn asked(options: &Options) -> Result<Asked> {
    let device = options.open_device()?;
    let model = weights::open(options, &device)?.valid().merge_adapters();
    let pixels = inputs::pixels(1, model.config().vision.image_size, &device);
    let images = model.project(model.vision_features(pixels)?);
    let rows = [inputs::sequence(&model, 0)];
    let (embeddings, mask) = model.assemble(&rows, Some(&images), Padding::Left)?;
    device.sync()?;
    Ok(Asked { model, embeddings, mask })
}

/// Whatever comes is taken, so many tokens.
fn greedy(max_new_tokens: usize) -> GenerationOptions {
    let stop_tokens = Vec::new();
    GenerationOptions { max_new_tokens, sampling: Sampling::Greedy, repetition_penalty: 1.0, stop_tokens }
}

/// A prompt to the token after it; first of all its logits, for comparison.
pub(crate) fn prefill(options: &Options) -> Result<()> {
    let Asked { model, embeddings, mask } = asked(options)?;
    let llama = &model.language_model;
    let n = mask.n_positions();
    let hidden = llama.blocks(embeddings.clone(), &llama.context(&mask)?, None);
    let logits = llama.head(llama.final_norm(hidden.narrow(1, n - 1, 1)));
    print(&json!({"positions": n, "logits": inputs::first_values(logits)?}))?;
    let mut repetitions = Repetitions::new(options, 2);
    while let Some((step, warm)) = repetitions.next() {
        let start = Instant::now();
        generate(llama, embeddings.clone(), &mask, &greedy(1), &mut |_| ControlFlow::Continue(()))?;
        print(&json!({"step": step, "warm": warm, "ms": start.elapsed().as_secs_f64() * 1e3}))?;
    }
    Ok(())
}

/// The most probable tokens after a prompt; the clock runs from the first to the last.
pub(crate) fn decode(options: &Options) -> Result<()> {
    ensure!(options.tokens > 1, "the clock needs two tokens");
    let Asked { model, embeddings, mask } = asked(options)?;
    let mut repetitions = Repetitions::new(options, 1);
    while let Some((step, warm)) = repetitions.next() {
        let mut tokens = Vec::with_capacity(options.tokens);
        let mut first = Instant::now();
        let prompt = embeddings.clone();
        generate(&model.language_model, prompt, &mask, &greedy(options.tokens), &mut |new| {
            if tokens.is_empty() {
                first = Instant::now();
            }
            tokens.push(new.token);
            ControlFlow::Continue(())
        })?;
        let ms = first.elapsed().as_secs_f64() * 1e3;
        let n_timed = tokens.len() - 1;
        print(&json!({"step": step, "warm": warm, "ms": ms, "n": n_timed, "tokens": tokens}))?;
    }
    Ok(())
}
