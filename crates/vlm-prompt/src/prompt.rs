//! A rendered prompt and its tokens.

use crate::template::PromptPhase;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Stands for one image in a rendered text.
pub const IMAGE_HOLE: &str = "<ImageHere>";

/// Errors of rendering and encoding prompts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// There is nothing to ask.
    #[error("a prompt needs at least one turn")]
    NoTurn,
    /// Training puts images only in front of the first question.
    #[error("training turn `{turn}` has `{n_images}` images, only turn `0` may have any")]
    ImageAfterFirstTurn {
        /// Place of the turn, from 0.
        turn: usize,
        /// Its number of images.
        n_images: usize,
    },
    /// A question contains the image hole itself, or a hole is missing.
    #[error("the prompt has `{got}` pieces around image holes, expected `{expected}`")]
    PieceCount {
        /// Images plus one.
        expected: usize,
        /// Pieces found.
        got: usize,
    },
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// One part of an encoded prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptPart {
    /// Token ids.
    Tokens(Vec<u32>),
    /// The image with this number, from 0 in the order of the conversation.
    Image(usize),
}

/// Pieces of text around image holes: always one piece more than images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// For every piece, the stretches that are encoded one by one.
    pieces: Vec<Vec<String>>,
    bos: BosPlacement,
}

/// Where the beginning token comes from, besides literal `<s>` in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BosPlacement {
    /// The assembled training sequence gets one (SPEC 4.1).
    BySequence,
    /// It is the first token of the first piece.
    InFirstPiece,
}

impl Prompt {
    /// Cuts stretches at image holes and checks their number.
    pub(crate) fn from_stretches(
        stretches: Vec<String>,
        n_images: usize,
        phase: PromptPhase,
    ) -> Result<Self, PromptError> {
        let mut pieces: Vec<Vec<String>> = vec![Vec::new()];
        for stretch in stretches {
            for (place, text) in stretch.split(IMAGE_HOLE).enumerate() {
                if place > 0 {
                    pieces.push(Vec::new());
                }
                if let Some(piece) = pieces.last_mut() {
                    piece.push(text.to_owned());
                }
            }
        }
        if pieces.len() != n_images + 1 {
            return Err(PromptError::PieceCount { expected: n_images + 1, got: pieces.len() });
        }
        let bos = match phase {
            PromptPhase::Training => BosPlacement::BySequence,
            PromptPhase::Inference => BosPlacement::InFirstPiece,
        };
        Ok(Self { pieces, bos })
    }

    /// Number of images to be put between the pieces.
    pub fn n_images(&self) -> usize {
        self.pieces.len() - 1
    }

    /// Texts of the pieces, one more than images.
    pub fn pieces(&self) -> impl Iterator<Item = String> + '_ {
        self.pieces.iter().map(|stretches| stretches.concat())
    }

    /// The whole text with [`IMAGE_HOLE`] for every image. An automatic beginning token does not show.
    pub fn text(&self) -> String {
        self.pieces().collect::<Vec<_>>().join(IMAGE_HOLE)
    }

    /// Token ids and images in order: `Tokens, Image(0), Tokens, Image(1), …, Tokens`.
    ///
    /// An inference prompt begins with the automatic beginning token (so a reference prompt, whose text begins
    /// with a literal `<s>`, has two). A training prompt has none: [`assembly_adds_bos`](Self::assembly_adds_bos).
    ///
    /// # Errors
    /// [`Tokenizer`](PromptError::Tokenizer) when a piece cannot be encoded.
    ///
    /// # Source
    /// SPEC 2.6.
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<Vec<PromptPart>, PromptError> {
        let mut parts = Vec::with_capacity(2 * self.pieces.len());
        for (place, stretches) in self.pieces.iter().enumerate() {
            let mut ids = Vec::new();
            if place > 0 {
                parts.push(PromptPart::Image(place - 1));
            } else if self.bos == BosPlacement::InFirstPiece {
                ids.push(tokenizer.bos_id());
            }
            for stretch in stretches {
                ids.extend(tokenizer.encode_piece(stretch)?);
            }
            parts.push(PromptPart::Tokens(ids));
        }
        Ok(parts)
    }

    /// Whether the assembled sequence still needs one beginning token in front of these parts: so in training
    /// (SPEC 4.1), not in inference.
    pub fn assembly_adds_bos(&self) -> bool {
        self.bos == BosPlacement::BySequence
    }

    /// The parts as the language model sees them in the end, with the beginning token that the assembly adds.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with_bos(&self, tokenizer: &Tokenizer) -> Result<Vec<PromptPart>, PromptError> {
        let mut parts = self.encode(tokenizer)?;
        if self.assembly_adds_bos()
            && let Some(PromptPart::Tokens(ids)) = parts.first_mut()
        {
            ids.insert(0, tokenizer.bos_id());
        }
        Ok(parts)
    }
}
