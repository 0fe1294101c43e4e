//! What can go wrong.

/// An error of pre-training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PretrainError {
    /// Phantoms cannot be made.
    #[error("cannot make phantoms")]
    Phantom(#[from] ct_phantom::PhantomError),
    /// An image cannot be resized.
    #[error("cannot render a phantom's slice")]
    Pixels(#[from] ct_slices::pixels::PixelError),
    /// The model cannot compute a batch.
    #[error("the model cannot be trained")]
    Model(#[from] vlm_model::ModelError),
    /// Weights to start from cannot be used.
    #[error("the weights to start from cannot be read")]
    Weights(#[from] vlm_model::WeightsError),
    /// A training step failed.
    #[error("a training step failed")]
    Step(#[from] vlm_train::TrainError),
    /// A prompt cannot be written.
    #[error("a prompt cannot be written")]
    Prompt(#[from] vlm_prompt::PromptError),
    /// The vocabulary lacks an answer.
    #[error("an answer cannot be written in the vocabulary")]
    Tokenizer(#[from] vlm_prompt::TokenizerError),
    /// The checkpoint cannot be written.
    #[error("the checkpoint cannot be written")]
    Export(#[from] vlm_model::ExportError),
    /// A number of the recipe is impossible.
    #[error("`{field}` is `{value}`: {reason}")]
    Recipe {
        /// Which number.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        reason: &'static str,
    },
    /// Stopped by the caller.
    #[error("stopped")]
    Stopped,
}
