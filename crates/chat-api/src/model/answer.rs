//! What a model answers.

/// An answer to one request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChatAnswer {
    /// All of its text, as it was handed out.
    pub text: String,
    /// Its boxes, where the model knows them. Where there are none, the server reads the text.
    pub boxes: Vec<AnswerBox>,
    /// Its yes or no, where the model knows it.
    pub yes_no: Option<YesNo>,
    /// What it cost.
    pub usage: Usage,
    /// Why it ended.
    pub finish: FinishReason,
}

/// A box on an image.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerBox {
    /// What is there, such as `pancreas`.
    pub label: String,
    /// Left, upper, right and lower edge in px of the image, origin at the upper left corner of the first
    /// pixel.
    pub box_px: [f64; 4],
    /// How sure the model is, from 0 to 1.
    pub confidence: Option<f64>,
    /// Place of the image among those of the conversation.
    pub image: usize,
}

/// An answer of one word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct YesNo {
    /// Yes, or no.
    pub yes: bool,
    /// How probable the model holds yes, from 0 to 1.
    pub yes_probability: Option<f64>,
}

/// Tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the prompt, those of images included.
    pub prompt_tokens: usize,
    /// Of the answer.
    pub completion_tokens: usize,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FinishReason {
    /// The model was done.
    #[default]
    Stop,
    /// It had as many tokens as were allowed.
    Length,
    /// It was told to stop.
    Stopped,
}
