//! The language model.

mod attention;
mod block;
mod cache;
mod context;
mod model;
mod rope;

pub use attention::Attention;
pub use block::{FeedForward, LlamaBlock};
pub use cache::KvCache;
pub use context::{AttentionContext, AttentionMask};
pub use model::Llama;
pub use rope::Rope;
