//! What can go wrong between a tokenizer file and token ids.

use std::path::PathBuf;

/// Errors of [`Tokenizer`](crate::Tokenizer) and of the grammar built from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The file could not be opened or read.
    #[error("cannot read tokenizer `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is longer than any sensible `tokenizer.json`.
    #[error("tokenizer `{name}` holds more than `{limit}` bytes")]
    TooLarge {
        /// File name, or `bytes`.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The text is not the JSON that was expected.
    #[error("tokenizer `{name}` is not a readable tokenizer.json")]
    Json {
        /// File name, or `bytes`.
        name: String,
        /// The parser's report, with line and column.
        source: serde_json::Error,
    },
    /// The JSON is readable but describes something else than a LLaMA-like SentencePiece BPE.
    #[error("tokenizer `{name}` is not a usable SentencePiece BPE: {reason}")]
    Unsupported {
        /// File name, or `bytes`.
        name: String,
        /// What is missing or different.
        reason: String,
    },
    /// The BPE model refused a text.
    #[error("text of `{len}` bytes cannot be encoded: {reason}")]
    Encode {
        /// Length of the stretch.
        len: usize,
        /// The model's report.
        reason: String,
    },
    /// A generated id lies outside of the vocabulary.
    #[error("token id `{id}` is not in the vocabulary of `{vocab_size}` ids")]
    UnknownId {
        /// The id.
        id: u32,
        /// Number of ids known.
        vocab_size: usize,
    },
    /// A piece that must be one token is not.
    #[error("`{text}` is `{got}` tokens, expected 1")]
    NotOneToken {
        /// The piece.
        text: String,
        /// Number of tokens found.
        got: usize,
    },
    /// Joined grammar segments differ from the tokens of the whole text.
    #[error("`{text}` is encoded as `{whole:?}`, but its grammar path is `{path:?}`")]
    GrammarMismatch {
        /// The answer.
        text: String,
        /// Ids of the whole text.
        whole: Vec<u32>,
        /// Ids along the grammar.
        path: Vec<u32>,
    },
}

impl TokenizerError {
    /// The stable code of this error, for programs; `docs/DATA.md` lists them.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::TooLarge { .. } => "limit",
            Self::Json { .. } => "tokenizer-json",
            Self::Unsupported { .. } => "tokenizer-unsupported",
            Self::Encode { .. } => "tokenizer-encode",
            Self::UnknownId { .. } => "tokenizer-unknown-id",
            Self::NotOneToken { .. } => "tokenizer-not-one-token",
            Self::GrammarMismatch { .. } => "tokenizer-grammar-mismatch",
        }
    }
}
