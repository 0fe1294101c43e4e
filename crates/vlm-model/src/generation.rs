//! Token ids out of the language model: freely, or held to a grammar.

mod free;
mod grammar;
mod grounded;
mod options;
mod sampler;
mod token_tree;
mod trie_walk;

pub use free::generate;
pub use grammar::{DecodingGrammar, GrammarSegment};
pub use grounded::{ChoiceDistribution, GroundedAnswer, GroundedOptions, ValueRule, decode_grounded};
pub use options::{Generated, GenerationOptions, NewToken, Sampling, StopReason};
