//! Why a model did not answer.

/// Why a model did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Prompt and answer do not fit the model.
    #[error("the conversation has {got} tokens, the model takes {limit}")]
    TooLong {
        /// Tokens of the prompt, those of images included, and of the answer.
        got: usize,
        /// What the model takes.
        limit: usize,
    },
    /// The request is none that the model can answer; the text is for whoever asked.
    #[error("the model cannot answer this: {reason}")]
    Refused {
        /// Why, in words that name no identifier.
        reason: String,
    },
    /// The request was given up.
    #[error("stopped")]
    Stopped,
    /// The model failed; the text is for the log and must name no content.
    #[error("the model failed: {reason}")]
    Failed {
        /// Why.
        reason: String,
    },
}
