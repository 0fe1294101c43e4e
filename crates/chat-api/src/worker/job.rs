//! What waits for the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use crate::model::{ChatAnswer, ChatRequest, ModelError, RunEvent, RunOptions, StudyInput, StudyReport};

/// Whether somebody still waits for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A question that waits.
#[derive(Debug)]
pub(crate) struct ChatJob {
    pub(crate) request: ChatRequest,
    /// Texts at which the answer ends, not in it themselves.
    pub(crate) stops: Vec<String>,
    /// The server's own end of patience.
    pub(crate) deadline: Instant,
    // An answer has a bounded number of tokens, so that this line is bounded too.
    pub(crate) news: UnboundedSender<ChatNews>,
    pub(crate) cancel: CancelFlag,
}

/// What becomes of a question.
#[derive(Debug)]
pub(crate) enum ChatNews {
    /// More text.
    Text(String),
    /// The end.
    Done(Result<ChatAnswer, ModelError>),
}

/// A study that waits to be looked at.
#[derive(Debug)]
pub(crate) struct RunJob {
    pub(crate) study: Arc<StudyInput>,
    pub(crate) options: RunOptions,
    pub(crate) deadline: Instant,
    // A run has a bounded number of slices.
    pub(crate) news: UnboundedSender<RunNews>,
    pub(crate) cancel: CancelFlag,
}

/// What becomes of a run.
#[derive(Debug)]
pub(crate) enum RunNews {
    Event(RunEvent),
    Done(Result<Box<StudyReport>, ModelError>),
}

/// Something that waits; `R` is a run that has begun.
pub(crate) enum Job<R> {
    Chat(Box<ChatJob>),
    Run(Box<RunJob>, Option<R>),
}

impl<R> Job<R> {
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Chat(job) => job.cancel.is_set(),
            Self::Run(job, _) => job.cancel.is_set(),
        }
    }

    /// Tells whoever waits that it will not be done.
    pub(crate) fn give_up(self) {
        // Whoever waited may be gone.
        match self {
            Self::Chat(job) => drop(job.news.send(ChatNews::Done(Err(ModelError::Stopped)))),
            Self::Run(job, _) => drop(job.news.send(RunNews::Done(Err(ModelError::Stopped)))),
        }
    }
}
