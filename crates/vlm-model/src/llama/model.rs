//! The whole language model.

use burn::module::{Module, Param};
use burn::nn::RmsNorm;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::{AttentionContext, AttentionMask, KvCache, LlamaBlock, Rope};
use crate::layers::{Linear, cast, empty_param, empty_rms_norm, rms_norm};
use crate::{LlamaConfig, LoraConfig, ModelError};

/// LLaMA: embeddings in, hidden states or logits out.
#[derive(Module, Debug)]
pub struct Llama {
    /// `[vocab, hidden]`
    pub embed_tokens: Param<Tensor<2>>,
    /// The blocks.
    pub layers: Vec<LlamaBlock>,
    /// After the last block.
    pub norm: RmsNorm,
    /// `[vocab, hidden]`; none where the head is the token embedding.
    pub lm_head: Option<Linear>,
    rope: Rope,
    #[module(skip)]
    config: LlamaConfig,
}

impl Llama {
    /// A model of zeros that takes memory only when loaded or used.
    ///
    /// # Panics
    /// If `config` or `lora` does not pass its `validate`.
    #[must_use]
    pub fn empty(config: &LlamaConfig, lora: Option<&LoraConfig>, dtype: DType, device: &Device) -> Self {
        config.validate().expect("a checked configuration");
        lora.map(LoraConfig::validate).transpose().expect("a checked configuration");
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        Self {
            embed_tokens: empty_param([vocab, hidden], dtype, device),
            layers: (0..config.n_layers).map(|_| LlamaBlock::empty(config, lora, dtype, device)).collect(),
            norm: empty_rms_norm(hidden, config.rms_norm_eps, device),
            lm_head: (!config.tied_head).then(|| Linear::empty(hidden, vocab, false, dtype, device)),
            rope: Rope::new(config.max_positions, config.head_dim, config.rope_theta, device),
            config: config.clone(),
        }
    }

    /// The sizes that this model was built with.
    #[must_use]
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// The number type of the frozen weights.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.embed_tokens.val().dtype()
    }

    /// The device without autodiff.
    #[must_use]
    pub fn device(&self) -> Device {
        self.embed_tokens.val().device().without_autodiff()
    }

    /// Token ids to embeddings.
    ///
    /// # Shapes
    /// - returns `[n, hidden]`
    ///
    /// # Errors
    /// [`ModelError::Input`] for an id outside the vocabulary.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor<2>, ModelError> {
        let vocab = self.config.vocab_size;
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocab) {
            return Err(ModelError::Input {
                what: "token id",
                got: id.to_string(),
                expected: format!("below {vocab}"),
            });
        }
        let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        let n = ids.len();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [n]), &self.device());
        Ok(self.embed_tokens.val().select(0, ids))
    }

    /// An empty cache for this model.
    ///
    /// # Errors
    /// [`ModelError::TooLong`] if the model has not so many positions.
    pub fn cache(&self, batch: usize, capacity: usize) -> Result<KvCache, ModelError> {
        self.check_length(capacity)?;
        Ok(KvCache::new(&self.config, batch, capacity, self.dtype(), &self.device()))
    }

    /// What a pass over all positions of `mask` needs, with positions `0..n` in every row, as
    /// training uses them (SPEC 4.1).
    ///
    /// # Errors
    /// [`ModelError::TooLong`] if the model has not so many positions.
    pub fn context(&self, mask: &AttentionMask) -> Result<AttentionContext, ModelError> {
        let row: Vec<usize> = (0..mask.n_positions()).collect();
        self.context_at(mask, &vec![row; mask.batch()])
    }

    /// What a pass over the last positions of `mask` needs, standing at `positions`.
    ///
    /// # Errors
    /// [`ModelError::TooLong`] if a position is past the model's; [`ModelError::Input`] if the
    /// rows do not fit each other.
    pub fn context_at(
        &self,
        mask: &AttentionMask,
        positions: &[Vec<usize>],
    ) -> Result<AttentionContext, ModelError> {
        let n = positions.first().map_or(0, Vec::len);
        let fits = positions.len() == mask.batch() && positions.iter().all(|row| row.len() == n);
        if !fits || n == 0 || n > mask.n_positions() {
            return Err(ModelError::Input {
                what: "rows of positions",
                got: format!("{} of {n}", positions.len()),
                expected: format!("{} of at most {}", mask.batch(), mask.n_positions()),
            });
        }
        let last = positions.iter().flatten().copied().max().unwrap_or(0);
        self.check_length(last + 1)?;
        Ok(AttentionContext::new(mask, positions, &self.rope, &self.device()))
    }

    fn check_length(&self, n_positions: usize) -> Result<(), ModelError> {
        if n_positions > self.config.max_positions {
            return Err(ModelError::TooLong { got: n_positions, limit: self.config.max_positions });
        }
        Ok(())
    }

    /// Embeddings to the hidden states before the final norm.
    ///
    /// # Shapes
    /// - `embeddings`: `[batch, n, hidden]`, the new positions
    /// - returns the same, in the frozen weights' type
    ///
    /// # Panics
    /// If `context` is for another number of positions, or the cache has not room for them.
    pub fn blocks(
        &self,
        embeddings: Tensor<3>,
        context: &AttentionContext,
        mut cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        let [_, n, _] = embeddings.dims();
        assert_eq!(n, context.n_queries, "positions of the context");
        if let Some(cache) = &cache {
            assert!(
                cache.len() + n <= cache.capacity(),
                "{} positions in {}",
                cache.len() + n,
                cache.capacity()
            );
        }
        let x = fused_ops::in_pool(&self.device(), || {
            let mut x = cast(embeddings, self.dtype());
            for (layer_idx, layer) in self.layers.iter().enumerate() {
                x = layer.forward(x, context, cache.as_deref_mut().map(|cache| (cache, layer_idx)));
            }
            x
        });
        if let Some(cache) = cache {
            cache.advance(n);
        }
        x
    }

    /// The final norm.
    ///
    /// # Shapes
    /// - `x`: `[..., hidden]` from [`Llama::blocks`]; give it only the positions that are needed
    /// - returns the same
    pub fn final_norm<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let dtype = x.dtype();
        rms_norm(&self.norm, x, dtype)
    }

    /// Normed hidden states to logits.
    ///
    /// # Shapes
    /// - `x`: `[..., hidden]` from [`Llama::final_norm`]
    /// - returns `[..., vocab]`, f32
    pub fn head<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let logits = match &self.lm_head {
            Some(head) => head.forward(x),
            None => {
                let weight = self.embed_tokens.val();
                fused_ops::linear(cast(x, weight.dtype()), weight, None)
            }
        };
        cast(logits, DType::F32)
    }

    /// Embeddings to the logits of every position: for tests and small models. Training needs
    /// them at answer positions only, generation at the last.
    ///
    /// # Shapes
    /// - `embeddings`: `[batch, n, hidden]`
    /// - returns `[batch, n, vocab]`, f32
    ///
    /// # Panics
    /// As [`Llama::blocks`].
    pub fn logits(
        &self,
        embeddings: Tensor<3>,
        context: &AttentionContext,
        cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        self.head(self.final_norm(self.blocks(embeddings, context, cache)))
    }

    /// This model with every adapter merged into its weight.
    #[must_use]
    pub fn merge(mut self) -> Self {
        self.layers = self.layers.into_iter().map(LlamaBlock::merge).collect();
        self
    }

    /// This model with empty adapters where `lora` has them, in place of those it has.
    #[must_use]
    pub(crate) fn adapted(mut self, lora: &LoraConfig, device: &Device) -> Self {
        self.layers = self.layers.into_iter().map(|block| block.adapted(lora, device)).collect();
        self
    }
}
