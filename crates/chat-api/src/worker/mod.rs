//! The one thread that owns the model, and the queue before it.

mod handle;
mod job;
mod queue;
mod stop_text;
mod thread;

pub(crate) use handle::{Submitted, WorkerHandle, start};
pub(crate) use job::{ChatJob, ChatNews, RunJob, RunNews};
pub(crate) use queue::QueueFull;
