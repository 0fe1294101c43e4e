//! Encoder, prompt and new tokens, one at a time.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Tensor;
use vlm_model::{AttentionMask, MiniGpt, Padding, Sequence};

use crate::{Work, inputs};

/// New tokens of one decoding.
const N_NEW: usize = 32;

/// Images to tokens of the language model.
pub(crate) fn encode(folder: &Path, batch: usize) -> Result<Work> {
    let model = inputs::open(folder)?.valid();
    let pixels = inputs::pixels(batch, model.config().vision.image_size, &model.device());
    Ok(Box::new(move |_| {
        let start = Instant::now();
        let tokens = model.project(model.vision_features(pixels.clone())?);
        let values = inputs::first_values(tokens)?;
        Ok((start.elapsed(), values))
    }))
}

struct Asked {
    model: MiniGpt,
    embeddings: Tensor<3>,
    mask: AttentionMask,
}

/// Rows as the language model reads them; adapters are merged, as the peer's are.
fn asked(folder: &Path, batch: usize) -> Result<Asked> {
    let model = inputs::open(folder)?.valid().merge_adapters();
    let pixels = inputs::pixels(batch, model.config().vision.image_size, &model.device());
    let images = model.project(model.vision_features(pixels)?);
    let rows: Vec<Sequence> = (0..batch).map(|row| inputs::sequence(&model, row)).collect();
    let (embeddings, mask) = model.assemble(&rows, Some(&images), Padding::Left)?;
    Ok(Asked { model, embeddings, mask })
}

/// A prompt to the logits after it, with its keys and values kept.
pub(crate) fn prefill(folder: &Path) -> Result<Work> {
    let Asked { model, embeddings, mask } = asked(folder, 1)?;
    Ok(Box::new(move |_| {
        let start = Instant::now();
        let llama = &model.language_model;
        let n = mask.n_positions();
        let mut cache = llama.cache(1, n + N_NEW)?;
        let context = llama.context_at(&mask, &mask.counted_positions())?;
        let hidden = llama.blocks(embeddings.clone(), &context, Some(&mut cache));
        let values = inputs::first_values(llama.head(llama.final_norm(hidden.narrow(1, n - 1, 1))))?;
        Ok((start.elapsed(), values))
    }))
}

/// The most probable tokens after a prompt that was read before.
pub(crate) fn decode(folder: &Path, batch: usize) -> Result<Work> {
    let Asked { model, embeddings, mask } = asked(folder, batch)?;
    let n = mask.n_positions();
    let mut cache = model.language_model.cache(batch, n + N_NEW)?;
    let context = model.language_model.context_at(&mask, &mask.counted_positions())?;
    let hidden = model.language_model.blocks(embeddings, &context, Some(&mut cache));
    let last = hidden.narrow(1, n - 1, 1);
    Ok(Box::new(move |_| {
        cache.truncate(n);
        let llama = &model.language_model;
        let mut tokens = Vec::with_capacity(N_NEW);
        let mut mask = mask.clone();
        let start = Instant::now();
        let mut logits = llama.head(llama.final_norm(last.clone())).squeeze_dim::<2>(1); // [batch, vocab]
        for step in 0..N_NEW {
            let best = logits.argmax(1).try_into_vec_as::<i64>();
            let best = best.map_err(|error| anyhow::anyhow!("{error}"))?;
            let ids: Vec<u32> = best.into_iter().map(u32::try_from).collect::<Result<_, _>>()?;
            let embeddings = llama.embed(&ids)?.unsqueeze_dim(1); // [batch, 1, hidden]
            tokens.push(f64::from(ids[0]));
            mask = mask.extended(1);
            let context = llama.context_at(&mask, &vec![vec![n + step]; batch])?;
            let hidden = llama.blocks(embeddings, &context, Some(&mut cache));
            logits = llama.head(llama.final_norm(hidden)).squeeze_dim(1);
        }
        Ok((start.elapsed(), tokens))
    }))
}
