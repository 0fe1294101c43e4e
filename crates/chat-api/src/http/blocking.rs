//! Work that takes a processor for long: off the threads that serve, and little of it at once.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use super::ApiError;

/// A gate before the threads for long work.
#[derive(Debug, Clone)]
pub(crate) struct Blocking(Arc<Semaphore>);

impl Blocking {
    pub(crate) fn new() -> Self {
        let n = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(n.saturating_sub(1).max(1))))
    }

    /// Does something there.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let failed = || ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed");
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|_| failed())?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| failed())
    }
}
