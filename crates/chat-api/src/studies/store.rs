//! Studies in memory, until nobody looks at them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::sync::Notify;

use super::Study;
use crate::budget::Share;
use crate::http::ApiError;
use crate::model::StudyReport;
use crate::random::unguessable;

/// What the example is asked for by.
pub(crate) const EXAMPLE_ID: &str = "example";

/// A study, and what was found in it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) study: Study,
    pub(crate) is_example: bool,
    last_seen: Mutex<Instant>,
    found: Mutex<Option<Found>>,
    is_running: AtomicBool,
    deleted: Notify,
    _share: Share,
}

#[derive(Debug)]
struct Found {
    report: Arc<StudyReport>,
    _share: Share,
}

/// A run of a study; there is one at a time.
pub(crate) struct Running(Arc<Entry>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.is_running.store(false, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these hold is whole whatever happened to another holder.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Entry {
    pub(crate) fn report(&self) -> Option<Arc<StudyReport>> {
        lock(&self.found).as_ref().map(|found| Arc::clone(&found.report))
    }

    pub(crate) fn set_report(&self, report: Arc<StudyReport>, share: Share) {
        *lock(&self.found) = Some(Found { report, _share: share });
    }

    /// Begins a run; none while there is one.
    pub(crate) fn begin_run(self: &Arc<Self>) -> Option<Running> {
        let begun = self.is_running.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        begun.is_ok().then(|| Running(Arc::clone(self)))
    }

    /// Waits until somebody deletes the study.
    pub(crate) async fn deleted(&self) {
        self.deleted.notified().await;
    }

    fn touch(&self) {
        *lock(&self.last_seen) = Instant::now();
    }

    fn is_stale(&self, expiry: Duration) -> bool {
        !self.is_example
            && !self.is_running.load(Ordering::Relaxed)
            && lock(&self.last_seen).elapsed() > expiry
    }
}

/// All studies.
#[derive(Debug)]
pub(crate) struct StudyStore {
    entries: Mutex<HashMap<String, Arc<Entry>>>,
    max_studies: usize,
    expiry: Duration,
}

impl StudyStore {
    pub(crate) fn new(max_studies: usize, expiry: Duration) -> Self {
        Self { entries: Mutex::default(), max_studies, expiry }
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.entries).len()
    }

    pub(crate) fn expiry_s(&self) -> u64 {
        self.expiry.as_secs()
    }

    /// Refuses early what there would be no room for.
    pub(crate) fn check_room(&self) -> Result<(), ApiError> {
        self.sweep();
        let n = self.len();
        if n < self.max_studies {
            return Ok(());
        }
        let message =
            format!("{n} studies are held, {} at most; close one or try again later", self.max_studies);
        Err(ApiError::busy("too_many_studies", message, 60))
    }

    pub(crate) fn insert(&self, study: Study, share: Share) -> Result<Arc<Entry>, ApiError> {
        let failed = |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed");
        self.put(unguessable().map_err(failed)?, study, share, false)
    }

    /// The example; the first one to come stays.
    pub(crate) fn insert_example(&self, study: Study, share: Share) -> Result<Arc<Entry>, ApiError> {
        self.put(EXAMPLE_ID.to_owned(), study, share, true)
    }

    fn put(&self, id: String, study: Study, share: Share, is_example: bool) -> Result<Arc<Entry>, ApiError> {
        self.check_room()?;
        let entry = Arc::new(Entry {
            id: id.clone(),
            study,
            is_example,
            last_seen: Mutex::new(Instant::now()),
            found: Mutex::default(),
            is_running: AtomicBool::new(false),
            deleted: Notify::new(),
            _share: share,
        });
        Ok(Arc::clone(lock(&self.entries).entry(id).or_insert(entry)))
    }

    /// A study, which is then not forgotten for a while.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Entry>, ApiError> {
        self.sweep();
        let entry = lock(&self.entries).get(id).cloned();
        let message = "there is no such study here: it was closed, forgotten after a while, or lay on a server \
                       that ended; open it again";
        let entry = entry.ok_or_else(|| ApiError::not_found("no_such_study", message))?;
        entry.touch();
        Ok(entry)
    }

    pub(crate) fn remove(&self, id: &str) -> Result<(), ApiError> {
        let entry = lock(&self.entries).remove(id);
        let entry = entry.ok_or_else(|| ApiError::not_found("no_such_study", "there is no such study"))?;
        entry.deleted.notify_one();
        Ok(())
    }

    /// Forgets what nobody looked at for long.
    pub(crate) fn sweep(&self) {
        lock(&self.entries).retain(|_, entry| !entry.is_stale(self.expiry));
    }
}
