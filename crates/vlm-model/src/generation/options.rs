//! What free generation is asked for and what it returns.

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// How a token is chosen from the model's distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sampling {
    /// The most probable token; of equals the one with the smallest id.
    Greedy,
    /// A draw, after the filters in the order of the fields.
    Random {
        /// Scores are divided by it; above 0.
        temperature: f64,
        /// So many most probable tokens are kept, and those that equal the last of them; 0 keeps all.
        top_k: usize,
        /// The smallest set of most probable tokens with this much probability is kept; 1 keeps all.
        top_p: f64,
        /// Row i of a batch draws from a generator seeded with `seed + i`: alone with that seed it
        /// gives the same tokens.
        seed: u64,
    },
}

/// Settings of free generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationOptions {
    /// Tokens that a row gets at most; fewer where the model's positions end.
    pub max_new_tokens: usize,
    /// How a token is chosen.
    pub sampling: Sampling,
    /// Scores of tokens that the row was already given, and of the begin-of-sequence token, are
    /// divided by it where positive and multiplied by it where negative; 1 changes nothing.
    pub repetition_penalty: f64,
    /// A row ends with the first of these, which is its last token.
    pub stop_tokens: Vec<u32>,
}

impl Default for GenerationOptions {
    /// The published evaluation's: greedy, 20 tokens, until 2 (SPEC 5.1).
    fn default() -> Self {
        Self { max_new_tokens: 20, sampling: Sampling::Greedy, repetition_penalty: 1.0, stop_tokens: vec![2] }
    }
}

impl GenerationOptions {
    /// The published demo's: draws with top-k 50, top-p 0.9, penalty 1.05, 500 tokens (SPEC 5.7).
    #[must_use]
    pub fn demo(temperature: f64, seed: u64) -> Self {
        Self {
            max_new_tokens: 500,
            sampling: Sampling::Random { temperature, top_k: 50, top_p: 0.9, seed },
            repetition_penalty: 1.05,
            stop_tokens: vec![2],
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ModelError> {
        check_above_zero("repetition penalty", self.repetition_penalty)?;
        if self.max_new_tokens == 0 {
            return Err(ModelError::Input {
                what: "new tokens asked for",
                got: "0".to_owned(),
                expected: "at least 1".to_owned(),
            });
        }
        if let Sampling::Random { temperature, top_p, .. } = self.sampling {
            check_above_zero("temperature", temperature)?;
            check_above_zero("top-p", top_p)?;
        }
        Ok(())
    }
}

fn check_above_zero(what: &'static str, value: f64) -> Result<(), ModelError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(ModelError::Input { what, got: value.to_string(), expected: "a finite number above 0".to_owned() })
}

/// A token as it is handed on while generation runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewToken {
    /// The row of the batch.
    pub row: usize,
    /// How many tokens the row was given before.
    pub index: usize,
    /// The token.
    pub token: u32,
    /// Its log-probability in the unfiltered distribution of the model.
    pub log_probability: f32,
}

/// Why a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Its last token is a stop token.
    Stop,
    /// It has as many tokens as asked for, or the model has no more positions.
    Length,
    /// The caller asked to stop.
    Cancelled,
}

/// One row's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The new tokens, the stop token included, nothing after it.
    pub tokens: Vec<u32>,
    /// Log-probability of each token in the unfiltered distribution of the model.
    pub log_probabilities: Vec<f32>,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Passes through the model until this row ended: one for the prompt, one for each further token.
    pub n_model_steps: usize,
}
