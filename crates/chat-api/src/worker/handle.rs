//! What the HTTP side holds of the worker.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::job::{CancelFlag, ChatJob, Job, RunJob};
use super::queue::{ClientKey, FairQueue, QueueFull};
use super::thread::work;
use crate::http::Metrics;
use crate::model::{ChatModel, ModelCard};

/// What the worker and the HTTP side share; `R` is a run that has begun. A run never leaves the worker's
/// thread while it is being advanced, but it waits in the queue between its steps.
pub(super) struct Shared<R> {
    state: Mutex<State<R>>,
    news: Condvar,
    active: AtomicUsize,
    metrics: Arc<Metrics>,
}

struct State<R> {
    queue: FairQueue<Job<R>>,
    closed: bool,
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // The queue is whole whatever happened to another holder of the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; none once the queue is closed.
    pub(super) fn next(&self) -> Option<(ClientKey, u64, Job<R>)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(next) = state.queue.pop() {
                self.metrics.queue_depth(state.queue.len());
                return Some(next);
            }
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn joining(&self, most: usize, wanted: impl FnMut(&Job<R>) -> bool) -> Vec<Job<R>> {
        self.lock().queue.pop_joining(most, wanted).into_iter().map(|(_, _, job)| job).collect()
    }

    pub(super) fn put_back(&self, client: ClientKey, id: u64, job: Job<R>) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            job.give_up();
        } else {
            state.queue.put_back(client, id, job);
        }
    }

    pub(super) fn set_active(&self, n: usize) {
        self.active.store(n, Ordering::Relaxed);
        self.metrics.active(n);
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// The part of [`Shared`] that does not know the model's type.
trait Line: Send + Sync {
    fn push_chat(&self, client: ClientKey, job: Box<ChatJob>) -> Result<u64, QueueFull>;
    fn push_run(&self, client: ClientKey, job: Box<RunJob>) -> Result<u64, QueueFull>;
    fn remove(&self, client: ClientKey, id: u64);
    fn waiting(&self) -> usize;
    fn active(&self) -> usize;
    fn close(&self);
}

impl<R: Send + 'static> Line for Shared<R> {
    fn push_chat(&self, client: ClientKey, job: Box<ChatJob>) -> Result<u64, QueueFull> {
        self.push(client, Job::Chat(job))
    }

    fn push_run(&self, client: ClientKey, job: Box<RunJob>) -> Result<u64, QueueFull> {
        self.push(client, Job::Run(job, None))
    }

    fn remove(&self, client: ClientKey, id: u64) {
        let mut state = self.lock();
        let removed = state.queue.remove(client, id);
        self.metrics.queue_depth(state.queue.len());
        drop(state);
        if removed.is_some() {
            self.metrics.cancelled();
        }
    }

    fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = state.queue.drain();
        drop(state);
        self.news.notify_all();
        waiting.into_iter().for_each(Job::give_up);
    }
}

impl<R> Shared<R> {
    fn push(&self, client: ClientKey, job: Job<R>) -> Result<u64, QueueFull> {
        let mut state = self.lock();
        if state.closed {
            return Err(QueueFull { waiting: 0, limit: 0 });
        }
        let id = state.queue.push(client, job)?;
        self.metrics.queue_depth(state.queue.len());
        drop(state);
        self.news.notify_one();
        Ok(id)
    }
}

/// The HTTP side's hold on the worker.
pub(crate) struct WorkerHandle {
    line: Arc<dyn Line>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A job that was handed in. Dropping this gives it up: it leaves the queue, or ends at the next token.
pub(crate) struct Submitted {
    line: Arc<dyn Line>,
    client: ClientKey,
    id: u64,
    cancel: CancelFlag,
}

impl Drop for Submitted {
    fn drop(&mut self) {
        self.cancel.set();
        self.line.remove(self.client, self.id);
    }
}

/// Starts the thread; returns the hold on it and the model's card.
pub(crate) fn start<M: ChatModel>(
    model: M,
    capacity: usize,
    client_capacity: usize,
    metrics: Arc<Metrics>,
) -> std::io::Result<(WorkerHandle, ModelCard)> {
    let card = model.card();
    let max_batch = card.max_batch.max(1);
    let shared = Arc::new(Shared {
        state: Mutex::new(State { queue: FairQueue::new(capacity, client_capacity), closed: false }),
        news: Condvar::new(),
        active: AtomicUsize::new(0),
        metrics,
    });
    let for_thread = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("chat-model".to_owned())
        .spawn(move || work(model, &for_thread, max_batch))?;
    Ok((WorkerHandle { line: shared, thread: Mutex::new(Some(thread)) }, card))
}

impl WorkerHandle {
    pub(crate) fn chat(&self, client: ClientKey, job: ChatJob) -> Result<Submitted, QueueFull> {
        let cancel = job.cancel.clone();
        let id = self.line.push_chat(client, Box::new(job))?;
        Ok(Submitted { line: Arc::clone(&self.line), client, id, cancel })
    }

    pub(crate) fn run(&self, client: ClientKey, job: RunJob) -> Result<Submitted, QueueFull> {
        let cancel = job.cancel.clone();
        let id = self.line.push_run(client, Box::new(job))?;
        Ok(Submitted { line: Arc::clone(&self.line), client, id, cancel })
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.line.waiting()
    }

    /// Requests that are being answered.
    pub(crate) fn active(&self) -> usize {
        self.line.active()
    }

    /// Whether the thread is still there.
    pub(crate) fn is_alive(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Takes no more jobs and gives up those that wait.
    pub(crate) fn close(&self) {
        self.line.close();
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.close();
        // The thread ends after what it is at; nobody waits for it here.
    }
}
