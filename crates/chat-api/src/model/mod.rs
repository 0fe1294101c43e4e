//! The seam to a model: what the server asks, what it is told, and nothing of how.

mod answer;
mod card;
mod error;
mod request;
mod study;

use std::ops::ControlFlow;
use std::sync::Arc;

pub use answer::{AnswerBox, ChatAnswer, FinishReason, Usage, YesNo};
pub use card::ModelCard;
pub use error::ModelError;
pub use request::{AnswerForm, ChatImage, ChatRequest, ChatTurn, Sampling};
pub use study::{
    Export, Files, Finding, RunEvent, RunOptions, RunStep, SliceScore, StudyInput, StudyReport, StudySource,
};

/// Told the text of an answer as it comes: the request's place in the batch, and the new text. Text that
/// was handed out is final.
///
/// It is to be called for every new token, with empty text where a token completes none, since its reply is
/// how an answer is stopped: after `Break` no further token of that request is computed.
pub type OnText<'a> = dyn FnMut(usize, &str) -> ControlFlow<()> + 'a;

/// Told how a run goes. After `Break` the run ends with [`ModelError::Stopped`].
pub type OnRunEvent<'a> = dyn FnMut(RunEvent) -> ControlFlow<()> + 'a;

/// A model that answers. It lives on one thread of its own, is called there only, and may block.
///
/// A panic inside is caught: the request it concerned fails, and the model is asked again for the next one.
pub trait ChatModel: Send + 'static {
    /// A study's run between two steps.
    type Run: Send + 'static;

    /// What the server tells about the model. Asked once, before the first request.
    fn card(&self) -> ModelCard;

    /// Whether two requests may be answered in one batch.
    fn can_join(&self, first: &ChatRequest, other: &ChatRequest) -> bool {
        let _ = (first, other);
        false
    }

    /// Answers a batch of requests that may be joined, at most [`ModelCard::max_batch`] of them; one result a
    /// request, in order. A request that was stopped has what it had by then, with
    /// [`FinishReason::Stopped`].
    fn answer(
        &mut self,
        batch: &[&ChatRequest],
        on_text: &mut OnText<'_>,
    ) -> Vec<Result<ChatAnswer, ModelError>>;

    /// Begins to look at a whole study. No slice is looked at yet.
    ///
    /// # Errors
    /// A [`ModelError`] where the study is none that the model can look at.
    fn start_run(&mut self, study: &Arc<StudyInput>, options: &RunOptions) -> Result<Self::Run, ModelError>;

    /// Goes on with a run for about a second; chats are answered between the steps.
    ///
    /// # Errors
    /// A [`ModelError`]; the run is over.
    fn advance_run(
        &mut self,
        run: &mut Self::Run,
        on_event: &mut OnRunEvent<'_>,
    ) -> Result<RunStep, ModelError>;
}
