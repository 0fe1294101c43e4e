//! From turns of a conversation to the text around the images.

use serde::{Deserialize, Serialize};

use crate::prompt::{IMAGE_HOLE, Prompt, PromptError};

/// Whether to repeat the published program's differences between training and inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptMode {
    /// As published (SPEC 2.5, 2.6): training has one beginning token and two spaces before `[/INST]`, inference
    /// two beginning tokens and one space. Needed to compare with published weights and numbers.
    Reference,
    /// The same tokens in training and inference: one beginning token, one space before `[/INST]`, and earlier
    /// answers encoded alone and closed with `</s>`, exactly as they were trained. A model trained so sees no
    /// token at inference that it was not trained on.
    #[default]
    Consistent,
}

/// What the prompt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptPhase {
    /// An answer follows; the beginning token is put in front of the whole sequence by whoever assembles it.
    Training,
    /// The answer is to be generated; the beginning token is among the prompt's tokens.
    Inference,
}

/// What a later question of a chat sees of the answers before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerHistory {
    /// The answers' texts.
    #[default]
    Keep,
    /// Only `</s>`: after a streamed answer the published demo stores nothing else, so its model never sees what
    /// it said (SPEC 5.7).
    EndSymbolOnly,
}

/// One question, the images that come with it, and its answer when it has been given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Number of images in front of the question.
    pub n_images: usize,
    /// Instruction or question, tag included.
    pub question: String,
    /// The answer, without an end symbol.
    pub answer: Option<String>,
}

impl Turn {
    /// A question that is not answered yet.
    pub fn question(n_images: usize, question: impl Into<String>) -> Self {
        Self { n_images, question: question.into(), answer: None }
    }

    /// A question with its answer.
    pub fn answered(n_images: usize, question: impl Into<String>, answer: impl Into<String>) -> Self {
        Self { n_images, question: question.into(), answer: Some(answer.into()) }
    }
}

/// Text that ends every answer in training.
pub const END_SYMBOL: &str = "</s>";
const BEGIN_SYMBOL: &str = "<s>";

/// How turns become a [`Prompt`].
///
/// ```
/// use vlm_prompt::{PromptMode, PromptPhase, Template};
///
/// let template = Template::new(PromptMode::Reference, PromptPhase::Inference);
/// let prompt = template.single(1, "[refer] give me the location of the pancreas")?;
/// assert_eq!(
///     prompt.text(),
///     "<s>[INST] <Img><ImageHere></Img> [refer] give me the location of the pancreas [/INST]"
/// );
/// assert_eq!(prompt.n_images(), 1);
/// # Ok::<(), vlm_prompt::PromptError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Template {
    /// Published differences or one text for both phases.
    pub mode: PromptMode,
    /// Training or inference.
    pub phase: PromptPhase,
    /// What later turns see of earlier answers.
    pub history: AnswerHistory,
    /// Whether `[INST] … [/INST]` is written around a training question (SPEC 2.5); inference always writes it.
    pub chat_template: bool,
}

impl Template {
    /// A template that keeps earlier answers and writes `[INST]`.
    pub fn new(mode: PromptMode, phase: PromptPhase) -> Self {
        Self { mode, phase, history: AnswerHistory::Keep, chat_template: true }
    }

    /// The same with another treatment of earlier answers.
    #[must_use]
    pub fn with_history(mut self, history: AnswerHistory) -> Self {
        self.history = history;
        self
    }

    /// The prompt of one question, with `n_images` images in front of it.
    ///
    /// # Errors
    /// See [`render`](Self::render).
    pub fn single(&self, n_images: usize, question: &str) -> Result<Prompt, PromptError> {
        self.render(&[Turn::question(n_images, question)])
    }

    /// The prompt of a conversation.
    ///
    /// In inference all turns but the last are history and the last one is the question to answer (an answer it
    /// carries is ignored). In training the prompt is the first turn alone: later questions are part of the
    /// target (see [`TrainingTarget`](crate::TrainingTarget)), as published (SPEC 2.6).
    ///
    /// # Errors
    /// - [`NoTurn`](PromptError::NoTurn) without turns.
    /// - [`ImageAfterFirstTurn`](PromptError::ImageAfterFirstTurn) when a later training turn has images.
    /// - [`PieceCount`](PromptError::PieceCount) when a question contains the image hole `<ImageHere>`.
    ///
    /// # Source
    /// SPEC 2.5.
    pub fn render(&self, turns: &[Turn]) -> Result<Prompt, PromptError> {
        let (last, history) = turns.split_last().ok_or(PromptError::NoTurn)?;
        match self.phase {
            PromptPhase::Training => {
                if let Some(turn) = (1usize..).zip(&turns[1..]).find(|(_, turn)| turn.n_images > 0) {
                    return Err(PromptError::ImageAfterFirstTurn { turn: turn.0, n_images: turn.1.n_images });
                }
                let first = history.first().unwrap_or(last);
                Prompt::from_stretches(vec![self.training_text(first)], first.n_images, self.phase)
            }
            PromptPhase::Inference => self.render_inference(history, last),
        }
    }

    fn training_text(&self, turn: &Turn) -> String {
        let body = format!("{}{}", image_prefix(turn.n_images), turn.question);
        // The published loader leaves one space after the instruction and the template adds its own.
        let gap = if self.mode == PromptMode::Reference { " " } else { "" };
        if self.chat_template { wrap(&format!("{body}{gap}")) } else { format!("{body}{gap}") }
    }

    fn render_inference(&self, history: &[Turn], last: &Turn) -> Result<Prompt, PromptError> {
        let mut stretches = vec![String::new()];
        for (place, turn) in history.iter().chain(std::iter::once(last)).enumerate() {
            let is_first = place == 0;
            let answer = (place < history.len()).then(|| turn.answer.as_deref().unwrap_or_default());
            let body = format!("{}{}", image_prefix(turn.n_images), turn.question);
            let current = stretches.last_mut().map_or_else(String::new, std::mem::take);
            let begin = if is_first && self.mode == PromptMode::Consistent { "" } else { BEGIN_SYMBOL };
            let asked = format!("{current}{begin}{}", wrap(&body));
            match (answer, self.mode, self.history) {
                (None, ..) => set_last(&mut stretches, asked),
                (Some(_), _, AnswerHistory::EndSymbolOnly) => {
                    set_last(&mut stretches, format!("{asked}{END_SYMBOL}"));
                }
                (Some(answer), PromptMode::Reference, AnswerHistory::Keep) => {
                    set_last(&mut stretches, format!("{asked}{answer}"));
                }
                (Some(answer), PromptMode::Consistent, AnswerHistory::Keep) => {
                    set_last(&mut stretches, asked);
                    // A stretch of its own: in training the answer is encoded apart from the question.
                    stretches.push(format!("{answer}{END_SYMBOL}"));
                }
            }
        }
        let n_images = history.iter().map(|turn| turn.n_images).sum::<usize>() + last.n_images;
        Prompt::from_stretches(stretches, n_images, self.phase)
    }
}

fn set_last(stretches: &mut [String], text: String) {
    if let Some(last) = stretches.last_mut() {
        *last = text;
    }
}

/// `[INST] text [/INST]`.
pub(crate) fn wrap(text: &str) -> String {
    format!("[INST] {text} [/INST]")
}

fn image_prefix(n_images: usize) -> String {
    format!("<Img>{IMAGE_HOLE}</Img> ").repeat(n_images)
}
