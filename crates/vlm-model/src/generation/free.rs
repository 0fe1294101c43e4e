//! Free generation: the model continues its input until it stops.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Int, Tensor, TensorData};

use super::sampler::Sampler;
use super::{Generated, GenerationOptions, NewToken, StopReason};
use crate::{AttentionMask, KvCache, Llama, ModelError};

/// Continues every row of a batch until a stop token, the asked length or the model's end.
///
/// Rows are independent: one gives the same tokens alone as in any batch, up to rounding. Tokens
/// are handed to `on_token` as they come, the rows of a step in order; `Break` ends all rows.
/// Nothing is recorded for gradients.
///
/// The head runs at the last position only. Rows that ended are computed along until half of the
/// batch has ended; then the cache is copied without them. So all copies together cost less than
/// one copy of the whole cache, and at most half of the work is in vain.
///
/// # Shapes
/// - `embeddings`: `[batch, n, hidden]`, padded on the left
///
/// # Errors
/// - [`ModelError::Input`] if mask and embeddings do not fit, a row does not end in a real
///   position, a setting is impossible or the logits are not numbers
/// - [`ModelError::TooLong`] if a row alone is longer than the model's positions
/// - [`ModelError::ReadBack`] if the device fails
///
/// # Source
/// SPEC 5.1, 5.7. Unlike there nothing is filled in after a row's end.
pub fn generate(
    model: &Llama,
    embeddings: Tensor<3>,
    mask: &AttentionMask,
    options: &GenerationOptions,
    on_token: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
) -> Result<Vec<Generated>, ModelError> {
    options.validate()?;
    check_inputs(model, &embeddings, mask)?;
    let model = model.valid();
    let embeddings = embeddings.without_autodiff();
    let [batch, n, _] = embeddings.dims();
    let mut rows = Vec::with_capacity(batch);
    for (row, real) in mask.rows().iter().enumerate() {
        rows.push(Row::new(&model, options, row, real));
    }
    let n_steps = rows.iter().map(|row| row.limit).max().unwrap_or(1);
    // The last token is never fed.
    let config = model.config();
    let cache = KvCache::new(config, batch, n + n_steps - 1, model.dtype(), &model.device());
    let plain = Sampler::is_plain_argmax(options);
    let mut run = Run { model, mask: mask.clone(), cache, live: (0..batch).collect(), rows, plain };

    let positions = mask.counted_positions();
    let mut logits = run.step(embeddings, &positions)?;
    for step in 1.. {
        let flow = run.choose(logits, step, &options.stop_tokens, on_token)?;
        if flow.is_break() {
            run.rows.iter_mut().for_each(|row| row.end(StopReason::Cancelled, step));
        }
        run.drop_ended();
        if run.live.is_empty() {
            break;
        }
        let tokens: Vec<u32> = run.live.iter().map(|row| run.rows[*row].last_token()).collect();
        let positions: Vec<Vec<usize>> =
            run.live.iter().map(|row| vec![run.rows[*row].next_position()]).collect();
        run.mask = run.mask.extended(1);
        let embeddings = run.model.embed(&tokens)?.unsqueeze_dim(1); // [live, 1, hidden]
        logits = run.step(embeddings, &positions)?;
    }
    Ok(run.rows.into_iter().map(|row| row.generated).collect())
}

/// Checks what both ways of decoding are given.
pub(crate) fn check_inputs(
    model: &Llama,
    embeddings: &Tensor<3>,
    mask: &AttentionMask,
) -> Result<(), ModelError> {
    let dims = embeddings.dims();
    let [batch, n, width] = dims;
    let hidden = model.config().hidden_size;
    if batch != mask.batch() || n != mask.n_positions() || width != hidden || n == 0 {
        return Err(ModelError::Input {
            what: "embeddings",
            got: format!("{dims:?}"),
            expected: format!("[{}, {}, {hidden}]", mask.batch(), mask.n_positions()),
        });
    }
    let limit = model.config().max_positions;
    for row in mask.rows() {
        if row.last() != Some(&true) {
            return Err(ModelError::Input {
                what: "last position of a row",
                got: "padding".to_owned(),
                expected: "real: generation pads on the left".to_owned(),
            });
        }
        let n_real = row.iter().filter(|real| **real).count();
        if n_real > limit {
            return Err(ModelError::TooLong { got: n_real, limit });
        }
    }
    Ok(())
}

/// Logits that hold no number to choose from.
pub(crate) fn not_numbers() -> ModelError {
    ModelError::Input {
        what: "logits of a position",
        got: "not numbers".to_owned(),
        expected: "finite numbers".to_owned(),
    }
}

/// One row while it runs.
struct Row {
    sampler: Sampler,
    n_prompt: usize,
    /// Tokens that it may get.
    limit: usize,
    ended: bool,
    generated: Generated,
}

impl Row {
    fn new(model: &Llama, options: &GenerationOptions, row: usize, real: &[bool]) -> Self {
        let n_prompt = real.iter().filter(|real| **real).count();
        let config = model.config();
        // A full prompt still has one token after it.
        let room = config.max_positions - n_prompt + 1;
        Self {
            sampler: Sampler::new(options, row, config.bos_token),
            n_prompt,
            limit: options.max_new_tokens.min(room),
            ended: false,
            generated: Generated {
                tokens: Vec::new(),
                log_probabilities: Vec::new(),
                stop_reason: StopReason::Length,
                n_model_steps: 0,
            },
        }
    }

    fn last_token(&self) -> u32 {
        self.generated.tokens.last().copied().unwrap_or_default()
    }

    /// Where the last token stands; anywhere for a row that ended.
    fn next_position(&self) -> usize {
        if self.ended { 0 } else { self.n_prompt + self.generated.tokens.len() - 1 }
    }

    fn end(&mut self, reason: StopReason, n_model_steps: usize) {
        if !self.ended {
            self.ended = true;
            self.generated.stop_reason = reason;
            self.generated.n_model_steps = n_model_steps;
        }
    }
}

/// A batch while it runs; `live[i]` is the row that stands at place i of mask and cache.
struct Run {
    model: Llama,
    mask: AttentionMask,
    cache: KvCache,
    live: Vec<usize>,
    rows: Vec<Row>,
    plain: bool,
}

impl Run {
    /// # Shapes
    /// - `embeddings`: `[live, n, hidden]`
    /// - returns `[live, vocab]`, the logits after the last position
    fn step(&mut self, embeddings: Tensor<3>, positions: &[Vec<usize>]) -> Result<Tensor<2>, ModelError> {
        let [_, n, _] = embeddings.dims();
        let context = self.model.context_at(&self.mask, positions)?;
        let hidden = self.model.blocks(embeddings, &context, Some(&mut self.cache));
        let last = hidden.narrow(1, n - 1, 1).squeeze_dim::<2>(1); // [live, hidden]
        Ok(self.model.head(self.model.final_norm(last)))
    }

    /// Gives every live row its next token.
    ///
    /// # Shapes
    /// - `logits`: `[live, vocab]`
    fn choose(
        &mut self,
        logits: Tensor<2>,
        n_model_steps: usize,
        stop_tokens: &[u32],
        on_token: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ModelError> {
        let mut chooser = if self.plain { Chooser::argmax(logits)? } else { Chooser::sampled(logits)? };
        for (place, row_idx) in self.live.iter().enumerate() {
            let row = &mut self.rows[*row_idx];
            if row.ended {
                continue;
            }
            let (token, log_probability) = chooser.choose(place, &mut row.sampler).ok_or_else(not_numbers)?;
            let generated = &mut row.generated;
            let index = generated.tokens.len();
            generated.tokens.push(token);
            generated.log_probabilities.push(log_probability);
            if stop_tokens.contains(&token) {
                row.end(StopReason::Stop, n_model_steps);
            } else if index + 1 == row.limit {
                row.end(StopReason::Length, n_model_steps);
            }
            if on_token(NewToken { row: *row_idx, index, token, log_probability }).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes ended rows out of the batch once they are half of it.
    fn drop_ended(&mut self) {
        let keep: Vec<usize> = (0..self.live.len()).filter(|i| !self.rows[self.live[*i]].ended).collect();
        if keep.is_empty() {
            self.live.clear();
        } else if keep.len() * 2 <= self.live.len() {
            self.cache = self.cache.rows(&keep, &self.model.device());
            self.mask = self.mask.select(&keep);
            self.live = keep.iter().map(|place| self.live[*place]).collect();
        }
    }
}

/// The logits of one step where tokens are chosen from them.
enum Chooser {
    /// Tokens and log-probabilities that the device chose.
    Chosen(Vec<(u32, f32)>),
    /// Logits read back, `vocab` for each row.
    Logits { values: Vec<f32>, vocab: usize },
}

impl Chooser {
    fn argmax(logits: Tensor<2>) -> Result<Self, ModelError> {
        let [rows, _] = logits.dims();
        let best = logits.clone().argmax(1); // [rows, 1]
        let log_probabilities = log_softmax(logits, 1).gather(1, best.clone());
        // One transfer for both: ids below 2^24 are exact in f32.
        let both = Tensor::cat(vec![best.float().cast(DType::F32), log_probabilities], 1);
        let values = read(both)?;
        debug_assert_eq!(values.len(), rows * 2);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "ids that were just cast"
        )]
        let chosen = values.chunks_exact(2).map(|pair| (pair[0] as u32, pair[1])).collect();
        Ok(Self::Chosen(chosen))
    }

    fn sampled(logits: Tensor<2>) -> Result<Self, ModelError> {
        let [_, vocab] = logits.dims();
        Ok(Self::Logits { values: read(logits)?, vocab })
    }

    fn choose(&mut self, place: usize, sampler: &mut Sampler) -> Option<(u32, f32)> {
        match self {
            Self::Chosen(chosen) => chosen.get(place).copied().filter(|(_, p)| p.is_finite()),
            Self::Logits { values, vocab } => {
                sampler.choose(values.get(place * *vocab..(place + 1) * *vocab)?)
            }
        }
    }
}

/// Values of a tensor, row by row.
pub(crate) fn read(tensor: Tensor<2>) -> Result<Vec<f32>, ModelError> {
    tensor.try_into_vec_as::<f32>().map_err(|error| ModelError::ReadBack(error.to_string()))
}

/// Ids as an index tensor.
pub(crate) fn index(ids: &[u32], device: &burn::tensor::Device) -> Tensor<1, Int> {
    let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    let n = ids.len();
    Tensor::from_data(TensorData::new(ids, [n]), device)
}
