//! Decoding with a cache, one position at a time.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use vlm_model::{AttentionMask, GenerationOptions, Llama, ModelError, Sampling, generate};

/// Feeds a prompt and then the given tokens, so that a wrong token does not spoil what follows.
///
/// # Shapes
/// - `embeddings`: `[batch, n, hidden]`, padded on the left
/// - `tokens`: one row for each row of the batch, s in the shortest
/// - returns the prompt's logits `[batch, n, vocab]`, and those after each token, s of
///   `[batch, vocab]`
pub(crate) fn feed_tokens(
    model: &Llama,
    embeddings: Tensor<3>,
    mask: &AttentionMask,
    tokens: &[Vec<u32>],
) -> Result<(Tensor<3>, Vec<Tensor<2>>), ModelError> {
    if tokens.len() != mask.batch() {
        return Err(ModelError::Input {
            what: "rows of tokens",
            got: tokens.len().to_string(),
            expected: mask.batch().to_string(),
        });
    }
    let n_steps = tokens.iter().map(Vec::len).min().unwrap_or(0);
    let mut cache = model.cache(mask.batch(), mask.n_positions() + n_steps)?;
    let context = model.context_at(mask, &mask.counted_positions())?;
    let prompt = model.logits(embeddings, &context, Some(&mut cache));
    let mut mask = mask.clone();
    let mut steps = Vec::with_capacity(n_steps);
    for step in 0..n_steps {
        let ids: Vec<u32> = tokens.iter().map(|row| row[step]).collect();
        let embedded = model.embed(&ids)?.unsqueeze_dim(1); // [batch, 1, hidden]
        mask = mask.extended(1);
        let context = model.context_at(&mask, &last_positions(&mask))?;
        steps.push(model.logits(embedded, &context, Some(&mut cache)).squeeze_dim(1));
    }
    Ok((prompt, steps))
}

/// What generation feeds: every token but the last.
pub(crate) fn without_last(rows: &[Vec<u32>]) -> Vec<Vec<u32>> {
    rows.iter().map(|row| row[..row.len().saturating_sub(1)].to_vec()).collect()
}

/// Where the last position of each row stands.
pub(crate) fn last_positions(mask: &AttentionMask) -> Vec<Vec<usize>> {
    mask.counted_positions().iter().map(|row| row.last().copied().into_iter().collect()).collect()
}

/// Feeds a batch without padding one position at a time from an empty cache.
///
/// # Shapes
/// - `embeddings`: `[batch, n, hidden]`
/// - returns `[batch, n, vocab]`
pub(crate) fn feed_positions(model: &Llama, embeddings: &Tensor<3>) -> Result<Tensor<3>, ModelError> {
    let [batch, n, _] = embeddings.dims();
    let mut cache = model.cache(batch, n)?;
    let mut steps = Vec::with_capacity(n);
    for position in 0..n {
        let context =
            model.context_at(&AttentionMask::full(batch, position + 1), &vec![vec![position]; batch])?;
        let x = embeddings.clone().narrow(1, position, 1);
        steps.push(model.logits(x, &context, Some(&mut cache)));
    }
    Ok(Tensor::cat(steps, 1))
}

/// Keys and values of the first block after a prompt without padding.
///
/// # Shapes
/// - `embeddings`: `[batch, n, hidden]`
/// - returns two of `[batch, n_kv_heads, n, head_dim]`
pub(crate) fn first_block_cache(
    model: &Llama,
    embeddings: Tensor<3>,
) -> Result<(Tensor<4>, Tensor<4>), ModelError> {
    let [batch, n, _] = embeddings.dims();
    let mut cache = model.cache(batch, n)?;
    let context = model.context(&AttentionMask::full(batch, n))?;
    model.blocks(embeddings, &context, Some(&mut cache));
    Ok(cache.layer(0))
}

/// The most likely tokens of every row; rows that meet a stop token are filled as the reference
/// fills them.
pub(crate) fn greedy(
    model: &Llama,
    embeddings: Tensor<3>,
    mask: &AttentionMask,
    n_steps: usize,
    stop_and_fill: Option<(u32, u32)>,
) -> Result<Vec<Vec<u32>>, ModelError> {
    let options = GenerationOptions {
        max_new_tokens: n_steps,
        sampling: Sampling::Greedy,
        repetition_penalty: 1.0,
        stop_tokens: stop_and_fill.iter().map(|(stop, _)| *stop).collect(),
    };
    let rows = generate(model, embeddings, mask, &options, &mut |_| ControlFlow::Continue(()))?;
    let longest = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
    let fill = stop_and_fill.map_or(0, |(_, fill)| fill);
    Ok(rows
        .into_iter()
        .map(|row| row.tokens.into_iter().chain(std::iter::repeat(fill)).take(longest).collect())
        .collect())
}

/// Logits after the prompt's last position and after each fed token, `[1 + steps, batch, vocab]`.
pub(crate) fn stack_last(prompt: Tensor<3>, steps: Vec<Tensor<2>>) -> Tensor<3> {
    let [_, n, _] = prompt.dims();
    let last: Tensor<2> = prompt.narrow(1, n - 1, 1).squeeze_dim(1);
    Tensor::stack(std::iter::once(last).chain(steps).collect(), 0)
}

/// Why tokens are not compared in reduced precision.
pub(crate) const ROUNDED_TOKENS: &str = "in reduced precision the two most likely tokens may change places; the logits of the golden tokens are compared";
