//! What can go wrong between a question and its answer.

use std::path::PathBuf;

use ct_slices::pixels::PixelError;
use vlm_model::{ModelError, WeightsError};
use vlm_prompt::{BoxError, PromptError, TokenizerError};

/// An error of answering. An answer that cannot be parsed is none of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// An image file could not be read.
    #[error("cannot read image `{}`", path.display())]
    ReadImage {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An image file is larger than any slice.
    #[error("image `{name}` has more than {limit} bytes")]
    LargeImage {
        /// The file, or the name that came with the bytes.
        name: String,
        /// The limit.
        limit: u64,
    },
    /// An image is not a usable PNG.
    #[error("cannot use image `{name}`, expected a PNG")]
    Image {
        /// The file, or the name that came with the bytes.
        name: String,
        /// Why.
        source: PixelError,
    },
    /// A model without a tokenizer.
    #[error(
        "no tokenizer for a vocabulary of {vocab} tokens: there is none of {}",
        tried.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
    )]
    NoTokenizer {
        /// The model's vocabulary.
        vocab: usize,
        /// Where a `tokenizer.json` was looked for.
        tried: Vec<PathBuf>,
    },
    /// A tokenizer of another model.
    #[error("the tokenizer has {tokenizer} tokens, the model {model}")]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokenizer: usize,
        /// Tokens of the model.
        model: usize,
    },
    /// The prompt settings of a checkpoint are not of the expected form.
    #[error("cannot use the prompt settings of `{}`", path.display())]
    Settings {
        /// The checkpoint.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The prompt could not be made.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A box could not be put into its image.
    #[error(transparent)]
    Box(#[from] BoxError),
    /// The model refused its input.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The weights could not be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}
