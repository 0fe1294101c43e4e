//! One sample before it is written as tokens.

use serde::{Deserialize, Serialize};

/// What an image is known by to an [`ImageProvider`](crate::ImageProvider); the caller numbers
/// images as it likes, once for all sources of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImageId(pub u64);

/// A question and the answer to learn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingTurn {
    /// The question, its task tag included and without an image marker.
    pub question: String,
    /// The answer, without an end symbol.
    pub answer: String,
}

/// A conversation about some images, which stand in front of the first question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingItem {
    /// The images; none for text alone.
    pub images: Vec<ImageId>,
    /// The turns, at least one.
    pub turns: Vec<TrainingTurn>,
}

impl TrainingItem {
    /// One question about one image.
    #[must_use]
    pub fn single(image: ImageId, question: impl Into<String>, answer: impl Into<String>) -> Self {
        let turn = TrainingTurn { question: question.into(), answer: answer.into() };
        Self { images: vec![image], turns: vec![turn] }
    }
}
