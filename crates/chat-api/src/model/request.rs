//! What a model is asked.

use std::fmt;
use std::sync::Arc;

/// A question, what was said before it, and how it is to be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// Instructions that stand before the conversation.
    pub system: Option<String>,
    /// The earlier turns, the oldest first.
    pub history: Vec<ChatTurn>,
    /// Images that come with the question; none where it is about earlier ones.
    pub images: Vec<ChatImage>,
    /// The question, task tag and all. Not empty.
    pub question: String,
    /// What kind of answer is wanted.
    pub form: AnswerForm,
    /// How tokens are chosen.
    pub sampling: Sampling,
}

/// A turn that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatTurn {
    /// Images that came with the question.
    pub images: Vec<ChatImage>,
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// An image as the model gets it.
#[derive(Clone, PartialEq)]
pub struct ChatImage {
    /// A PNG file with nothing but pixels: gray or RGB, 8 bits.
    pub png: Arc<[u8]>,
    /// Columns and rows.
    pub size_px: [u32; 2],
}

/// What kind of answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnswerForm {
    /// What the question's task tag asks for; the model chooses.
    #[default]
    Auto,
    /// Any text.
    Text,
    /// Boxes, where the model can hold itself to them.
    Boxes,
    /// Yes or no, where the model can hold itself to it.
    YesNo,
}

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Most tokens of the answer; at least 1 and at most the model's own limit.
    pub max_tokens: usize,
    /// From 0, the likeliest token, to 2.
    pub temperature: f32,
    /// Share of the probability that is drawn from, above 0 and up to 1.
    pub top_p: f32,
    /// The same seed draws the same answer.
    pub seed: Option<u64>,
}

impl ChatRequest {
    /// All images in the order of the conversation.
    pub fn all_images(&self) -> impl Iterator<Item = &ChatImage> {
        self.history.iter().flat_map(|turn| &turn.images).chain(&self.images)
    }

    /// The place among [`ChatRequest::all_images`] of the image that a box belongs to where nothing else is
    /// said: the first that comes with the question, else the first of the latest turn that has any.
    #[must_use]
    pub fn boxed_image(&self) -> Option<usize> {
        let counts: Vec<usize> =
            self.history.iter().map(|turn| turn.images.len()).chain([self.images.len()]).collect();
        let turn = counts.iter().rposition(|n| *n > 0)?;
        Some(counts[..turn].iter().sum())
    }
}

/// Sizes, never pixels.
impl fmt::Debug for ChatImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [columns, rows] = self.size_px;
        write!(f, "ChatImage({columns} x {rows} px)")
    }
}
