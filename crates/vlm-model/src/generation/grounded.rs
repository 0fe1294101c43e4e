//! Decoding in which only a well-formed answer can come out, with its probabilities.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::DecodingGrammar;
use super::free::{check_inputs, index};
use super::grammar::{CompiledChoice, CompiledGrammar};
use super::token_tree::{Planned, TokenTree};
use super::trie_walk::{Greedy, TrieWalk};
use crate::{AttentionMask, Llama, ModelError};

/// Settings of grounded decoding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroundedOptions {
    /// Beginnings of values with less probability than this are not looked into; what they hold is
    /// reported as [`ChoiceDistribution::pruned`]. 0 looks into all.
    pub prune: f64,
    /// Which value is chosen.
    pub rule: ValueRule,
    /// Whether the tokens after the last choice are run through the model too, at one more step,
    /// so that [`GroundedAnswer::free_probability`] covers the whole answer.
    pub score_tail: bool,
}

impl Default for GroundedOptions {
    fn default() -> Self {
        Self { prune: 1e-4, rule: ValueRule::GreedyByToken, score_tail: false }
    }
}

/// Which value of a choice becomes part of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueRule {
    /// The most probable allowed token at each place: where the free greedy answer is well-formed,
    /// this is it.
    GreedyByToken,
    /// The most probable value as a whole.
    MostProbable,
}

/// A well-formed answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GroundedAnswer {
    /// All tokens, the forced ones included.
    pub tokens: Vec<u32>,
    /// The chosen value of each choice.
    pub values: Vec<u32>,
    /// Probability of the values under the grammar: at each place the allowed tokens share all of
    /// the probability.
    pub probability: f64,
    /// Probability that the unconstrained model gives `tokens[..n_scored]`.
    pub free_probability: f64,
    /// All tokens with [`GroundedOptions::score_tail`]; else as many as were computed anyway, up to
    /// the last choice at least.
    pub n_scored: usize,
    /// For each choice all values, given the values chosen before.
    pub choices: Vec<ChoiceDistribution>,
    /// Calls of the model; free decoding makes one for each token.
    pub n_model_steps: usize,
    /// Positions that the model computed, the prompt's included.
    pub n_positions: usize,
}

/// The probabilities of the values of one choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChoiceDistribution {
    /// Values and their probabilities, in the order of the values; with `pruned` they sum to 1.
    /// Values of which nothing is known but that they were pruned are left out.
    pub probabilities: Vec<(u32, f64)>,
    /// Probability of beginnings that were not looked into.
    pub pruned: f64,
    /// The mean of the value, finer than the values' steps.
    pub mean: f64,
}

/// Answers of a grammar for every row, with their probabilities.
///
/// Forced tokens cost no step of their own: they are fed together with what comes before them.
/// Each choice costs one call for each level of its trie that is looked into; small levels ride
/// along with the one before. Rows are decoded one after another: each row is itself a batch of
/// branches.
///
/// # Shapes
/// - `embeddings`: `[batch, n, hidden]`, padded on the left
///
/// # Errors
/// - [`ModelError::Input`] if mask and embeddings do not fit, a row does not end in a real
///   position, the grammar is ambiguous, or the logits are not numbers
/// - [`ModelError::TooLong`] if prompt and longest answer do not fit the model's positions
/// - [`ModelError::ReadBack`] if the device fails
pub fn decode_grounded(
    model: &Llama,
    embeddings: Tensor<3>,
    mask: &AttentionMask,
    grammar: &DecodingGrammar,
    options: &GroundedOptions,
) -> Result<Vec<GroundedAnswer>, ModelError> {
    check_inputs(model, &embeddings, mask)?;
    if !(0.0..1.0).contains(&options.prune) {
        return Err(ModelError::Input {
            what: "probability below which branches are pruned",
            got: options.prune.to_string(),
            expected: "0 or more and below 1".to_owned(),
        });
    }
    let grammar = grammar.compile(model.config().vocab_size)?;
    let model = model.valid();
    let embeddings = embeddings.without_autodiff();
    let limit = model.config().max_positions;
    let mut answers = Vec::with_capacity(mask.batch());
    for (row, real) in mask.rows().iter().enumerate() {
        let real: Vec<u32> =
            (0..).zip(real).filter(|(_, real)| **real).map(|(position, _)| position).collect();
        if real.len() + grammar.max_len > limit {
            return Err(ModelError::TooLong { got: real.len() + grammar.max_len, limit });
        }
        let prompt = embeddings.clone().narrow(0, row, 1);
        let prompt = match mask.is_full() {
            true => prompt,
            false => prompt.select(1, index(&real, &model.device())),
        };
        answers.push(Decoder::new(&model, prompt, &grammar, options)?.decode()?);
    }
    Ok(answers)
}

/// One row while it is decoded.
struct Decoder<'a> {
    grammar: &'a CompiledGrammar,
    options: &'a GroundedOptions,
    tree: TokenTree<'a>,
    /// Tokens that are certain to be in the answer.
    tokens: Vec<u32>,
    /// The tree's nodes of the first of them; the rest is still to be fed.
    nodes: Vec<usize>,
    values: Vec<u32>,
    probability: f64,
    choices: Vec<ChoiceDistribution>,
}

impl<'a> Decoder<'a> {
    fn new(
        model: &'a Llama,
        prompt: Tensor<3>,
        grammar: &'a CompiledGrammar,
        options: &'a GroundedOptions,
    ) -> Result<Self, ModelError> {
        let inner = |choice: &CompiledChoice| {
            (0..choice.nodes.len()).filter(|node| !choice.is_leaf(*node)).count() + 1 + choice.after.len()
        };
        let capacity = grammar.beginning.len() + grammar.choices.iter().map(inner).sum::<usize>();
        let tree = TokenTree::new(model, prompt, &grammar.beginning, &grammar.tokens, capacity)?;
        Ok(Self {
            grammar,
            options,
            tree,
            tokens: grammar.beginning.clone(),
            nodes: (1..=grammar.beginning.len()).collect(),
            values: Vec::new(),
            probability: 1.0,
            choices: Vec::new(),
        })
    }

    fn decode(mut self) -> Result<GroundedAnswer, ModelError> {
        let grammar = self.grammar;
        for choice in &grammar.choices {
            self.decide(choice)?;
        }
        if self.options.score_tail {
            self.feed(Vec::new())?;
        }
        let free: Vec<f64> =
            (0..self.tokens.len()).map_while(|place| self.free_log_probability(place)).collect();
        Ok(GroundedAnswer {
            n_scored: free.len(),
            free_probability: free.iter().sum::<f64>().exp(),
            tokens: self.tokens,
            values: self.values,
            probability: self.probability,
            choices: self.choices,
            n_model_steps: self.tree.n_calls(),
            n_positions: self.tree.n_positions(),
        })
    }

    /// Log-probability of a token of the answer in the unconstrained model, where it was computed.
    fn free_log_probability(&self, place: usize) -> Option<f64> {
        let before = match place {
            0 => 0,
            _ => *self.nodes.get(place - 1)?,
        };
        Some(self.tree.log_probability(before, self.tokens[place]))
    }

    /// The node after all certain tokens that were fed.
    fn last_node(&self) -> usize {
        self.nodes.last().copied().unwrap_or(0)
    }

    /// Certain tokens that a call should take along. The last choice's rest is needed for nothing
    /// but the free probability, its last token for nothing at all.
    fn pending(&self) -> Vec<u32> {
        let is_last = self.values.len() == self.grammar.choices.len();
        let end = match (is_last, self.options.score_tail) {
            (false, _) => self.tokens.len(),
            (true, true) => self.tokens.len() - 1,
            (true, false) => 0,
        };
        self.tokens.get(self.nodes.len()..end).unwrap_or_default().to_vec()
    }

    /// Runs the model over trie nodes, which come first, and over certain tokens that it has not
    /// seen. No call if there are none.
    fn feed(&mut self, mut planned: Vec<Planned>) -> Result<(), ModelError> {
        let mut parent = self.last_node();
        for token in self.pending() {
            planned.push(Planned { token, parent });
            parent = self.tree.next_node() + planned.len() - 1;
            self.nodes.push(parent);
        }
        if planned.is_empty() { Ok(()) } else { self.tree.call(&planned) }
    }

    /// Decides one choice and learns its distribution.
    fn decide(&mut self, choice: &CompiledChoice) -> Result<(), ModelError> {
        if choice.is_open() {
            self.feed(Vec::new())?;
        }
        let mut walk = TrieWalk::new(choice, self.last_node());
        let mut decided = false;
        loop {
            walk.spread(&self.tree)?;
            let greedy = walk.greedy();
            walk.prune(
                self.options.prune,
                match greedy {
                    Greedy::Open(node) => Some(node),
                    Greedy::Ends(_) => None,
                },
            );
            if !decided {
                let end = match (self.options.rule, greedy) {
                    (ValueRule::GreedyByToken, Greedy::Ends(node)) => Some(node),
                    (ValueRule::GreedyByToken, Greedy::Open(_)) => None,
                    (ValueRule::MostProbable, _) if walk.is_complete() => walk.most_probable(),
                    (ValueRule::MostProbable, _) => None,
                };
                if let Some(node) = end {
                    self.commit(choice, &walk, node);
                    decided = true;
                }
            }
            if walk.is_complete() {
                break;
            }
            // Once the value is certain, what follows it goes along with the rest of the trie.
            let planned = walk.plan(self.tree.next_node());
            self.feed(planned)?;
        }
        self.choices.push(walk.distribution());
        Ok(())
    }

    /// Makes the option that ends at a trie node part of the answer, and what must follow it.
    fn commit(&mut self, choice: &CompiledChoice, walk: &TrieWalk<'_>, end: usize) {
        self.probability *= walk.end_mass(end);
        self.values.extend(choice.nodes[end].value);
        // Without branches the tokens before the choice may not be fed yet, nor any of its own.
        if self.nodes.len() == self.tokens.len() {
            let path = choice.path(end);
            self.nodes.extend(path.iter().map_while(|node| walk.place(*node)));
        }
        self.tokens.extend(choice.path(end).iter().map(|node| choice.nodes[*node].token));
        self.tokens.extend(&choice.after);
    }
}
