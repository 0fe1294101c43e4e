//! Many continuations of one prompt in one cache.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Tensor, TensorData};

use super::free::{index, read};
use crate::{AttentionMask, KvCache, Llama, ModelError};

/// Tokens after a prompt that share their beginnings, evaluated many at a time.
///
/// A token sees the prompt, the tokens that lead to it and itself, whatever else lies in the
/// cache; it stands where it would stand in its own continuation. So one call evaluates one level
/// of a trie or a chain or both, and nothing is copied: a fork of the cache per branch would copy
/// the whole prompt's keys for each.
pub(crate) struct TokenTree<'a> {
    model: &'a Llama,
    cache: KvCache,
    n_prompt: usize,
    /// The tokens whose probabilities are kept, sorted.
    tokens: &'a [u32],
    /// Node 0 is the end of the prompt.
    nodes: Vec<TreeNode>,
    n_calls: usize,
}

struct TreeNode {
    parent: usize,
    /// Tokens from the prompt's end to here.
    depth: usize,
    /// Place in the cache.
    slot: usize,
    /// Log-probabilities of `tokens` after this node.
    log_probabilities: Vec<f32>,
}

/// A token to evaluate, after a node of the tree or one planned before it in the same call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) token: u32,
    pub(crate) parent: usize,
}

impl<'a> TokenTree<'a> {
    /// Evaluates a prompt and a chain of tokens after it: nodes `1..=beginning.len()`.
    ///
    /// # Shapes
    /// - `prompt`: `[1, n, hidden]` without padding
    pub(crate) fn new(
        model: &'a Llama,
        prompt: Tensor<3>,
        beginning: &[u32],
        tokens: &'a [u32],
        capacity: usize,
    ) -> Result<Self, ModelError> {
        let [_, n_prompt, _] = prompt.dims();
        let n = n_prompt + beginning.len();
        let cache = KvCache::new(model.config(), 1, n_prompt + capacity, model.dtype(), &model.device());
        let mut tree = Self { model, cache, n_prompt, tokens, nodes: Vec::new(), n_calls: 1 };
        let mut embeddings = prompt;
        if !beginning.is_empty() {
            let forced = model.embed(beginning)?.unsqueeze_dim(0).cast(embeddings.dtype());
            embeddings = Tensor::cat(vec![embeddings, forced], 1); // [1, n, hidden]
        }
        let context = model.context(&AttentionMask::full(1, n))?;
        let hidden = model.blocks(embeddings, &context, Some(&mut tree.cache));
        let rows = tree.read_rows(hidden.narrow(1, n_prompt - 1, beginning.len() + 1))?;
        for (depth, log_probabilities) in rows.into_iter().enumerate() {
            let (parent, slot) = (depth.saturating_sub(1), n_prompt + depth - 1);
            tree.nodes.push(TreeNode { parent, depth, slot, log_probabilities });
        }
        Ok(tree)
    }

    /// Calls of the model so far.
    pub(crate) fn n_calls(&self) -> usize {
        self.n_calls
    }

    /// Positions that the model computed so far.
    pub(crate) fn n_positions(&self) -> usize {
        self.cache.len()
    }

    /// The node that the next planned token will be.
    pub(crate) fn next_node(&self) -> usize {
        self.nodes.len()
    }

    /// Log-probability of a kept token after a node, among the whole vocabulary.
    pub(crate) fn log_probability(&self, node: usize, token: u32) -> f64 {
        let column = self.tokens.binary_search(&token).expect("all tokens of the grammar are kept");
        f64::from(self.nodes[node].log_probabilities[column])
    }

    /// Evaluates tokens in one call; they become the nodes from [`TokenTree::next_node`] on.
    pub(crate) fn call(&mut self, planned: &[Planned]) -> Result<(), ModelError> {
        let (first_node, first_slot, n) = (self.nodes.len(), self.cache.len(), planned.len());
        for (offset, planned) in planned.iter().enumerate() {
            let depth = self.nodes[planned.parent].depth + 1;
            let (parent, slot) = (planned.parent, first_slot + offset);
            self.nodes.push(TreeNode { parent, depth, slot, log_probabilities: Vec::new() });
        }
        let new_nodes = &self.nodes[first_node..];
        let positions: Vec<usize> = new_nodes.iter().map(|node| self.n_prompt + node.depth - 1).collect();
        let mut context = self.model.context_at(&AttentionMask::full(1, first_slot + n), &[positions])?;
        context.hidden = Some(self.hidden(first_node, first_slot + n));
        let tokens: Vec<u32> = planned.iter().map(|planned| planned.token).collect();
        let embeddings = self.model.embed(&tokens)?.unsqueeze_dim(0); // [1, n, hidden]
        let hidden = self.model.blocks(embeddings, &context, Some(&mut self.cache));
        for (offset, row) in self.read_rows(hidden)?.into_iter().enumerate() {
            self.nodes[first_node + offset].log_probabilities = row;
        }
        self.n_calls += 1;
        Ok(())
    }

    /// True where a new node must not look.
    ///
    /// # Shapes
    /// - returns `[1, 1, n, n_keys]`
    fn hidden(&self, first_node: usize, n_keys: usize) -> Tensor<4, Bool> {
        let n = self.nodes.len() - first_node;
        let mut hidden = Vec::with_capacity(n * n_keys);
        for node in first_node..self.nodes.len() {
            let row = hidden.len();
            hidden.extend((0..n_keys).map(|slot| slot >= self.n_prompt));
            let mut seen = node;
            while seen != 0 {
                hidden[row + self.nodes[seen].slot] = false;
                seen = self.nodes[seen].parent;
            }
        }
        Tensor::from_data(TensorData::new(hidden, [1, 1, n, n_keys]), &self.model.device())
    }

    /// Log-probabilities of the kept tokens after each position.
    ///
    /// # Shapes
    /// - `hidden`: `[1, n, hidden]`
    /// - returns n rows of as many as there are kept tokens
    fn read_rows(&self, hidden: Tensor<3>) -> Result<Vec<Vec<f32>>, ModelError> {
        let logits = self.model.head(self.model.final_norm(hidden.squeeze_dim::<2>(0))); // [n, vocab]
        let kept = log_softmax(logits, 1).select(1, index(self.tokens, &self.model.device()));
        Ok(read(kept)?.chunks_exact(self.tokens.len()).map(<[f32]>::to_vec).collect())
    }
}
