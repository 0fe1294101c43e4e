//! What is asked.

use vlm_model::GenerationOptions;

use crate::ImageSource;

/// A question, the images it is about, and what was said before.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The earlier turns, the oldest first.
    pub history: Vec<EarlierTurn>,
    /// Images that come with this question; none where it is about earlier ones.
    pub images: Vec<ImageSource>,
    /// The question, task tag and all.
    pub text: String,
    /// How it is answered.
    pub mode: AnswerMode,
}

/// A turn that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierTurn {
    /// Images that came with the question.
    pub images: Vec<ImageSource>,
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// How a question is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerMode {
    /// By any text.
    Free(GenerationOptions),
    /// By one box and nothing else.
    GroundedBox,
    /// By yes or no and nothing else.
    GroundedYesNo,
}

impl Question {
    /// A question about one image that any text may answer.
    #[must_use]
    pub fn free(image: ImageSource, text: impl Into<String>, options: GenerationOptions) -> Self {
        Self::about(image, text, AnswerMode::Free(options))
    }

    /// A question about one image that a box answers.
    #[must_use]
    pub fn grounded_box(image: ImageSource, text: impl Into<String>) -> Self {
        Self::about(image, text, AnswerMode::GroundedBox)
    }

    /// A question about one image that yes or no answers.
    #[must_use]
    pub fn grounded_yes_no(image: ImageSource, text: impl Into<String>) -> Self {
        Self::about(image, text, AnswerMode::GroundedYesNo)
    }

    fn about(image: ImageSource, text: impl Into<String>, mode: AnswerMode) -> Self {
        Self { history: Vec::new(), images: vec![image], text: text.into(), mode }
    }

    /// All images in the order of the conversation.
    pub(crate) fn all_images(&self) -> impl Iterator<Item = &ImageSource> {
        self.history.iter().flat_map(|turn| &turn.images).chain(&self.images)
    }

    /// The place among [`Question::all_images`] of the image that a box belongs to: the first that
    /// comes with the question, else the first of the latest turn that has any.
    pub(crate) fn boxed_image(&self) -> Option<usize> {
        let counts: Vec<usize> =
            self.history.iter().map(|turn| turn.images.len()).chain([self.images.len()]).collect();
        let turn = counts.iter().rposition(|n| *n > 0)?;
        Some(counts[..turn].iter().sum())
    }
}
