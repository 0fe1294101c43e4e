//! What transfers share: how they are watched and stopped, and what they tell in the end.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::error::StoreError;

/// How often a waiting transfer looks at the flag.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long files under way get to clean up after themselves.
const GRACE: Duration = Duration::from_secs(2);

/// What happens during a transfer, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferEvent {
    /// So much there is, what is in place already included.
    Started {
        /// Files.
        n_files: usize,
        /// Their size.
        n_bytes: u64,
    },
    /// Bytes arrived, were sent, or were found in place. What is tried again counts again.
    Bytes(u64),
    /// A file is done.
    FileDone,
}

/// How a transfer is watched and stopped.
#[derive(Clone, Copy)]
pub struct Transfer<'a> {
    /// Set to stop.
    pub cancel: &'a AtomicBool,
    /// Called as things happen.
    pub progress: &'a (dyn Fn(TransferEvent) + Sync),
}

impl fmt::Debug for Transfer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer").finish_non_exhaustive()
    }
}

impl Transfer<'_> {
    /// [`StoreError::Cancelled`] once the flag is set.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.cancel.load(Ordering::Relaxed) { Err(StoreError::Cancelled) } else { Ok(()) }
    }

    /// Runs the work until it ends, or until a while after the flag is set, however long a server keeps silent.
    pub(crate) async fn until_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let stopped = async {
            while self.check().is_ok() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            done = work => done,
            () = stopped => Err(StoreError::Cancelled),
        }
    }
}

/// Runs the files of a transfer, a few at once, and hands over what each gave. After the first error no file is begun;
/// those under way come to their end, so that none is left half behind the caller's back. Gives the first error.
pub(crate) async fn run_all<F, T>(
    files: impl Iterator<Item = F>,
    n_parallel: usize,
    mut done: impl FnMut(T),
) -> Result<(), StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let failed = &AtomicBool::new(false);
    let guarded = files.map(|file| async move {
        if failed.load(Ordering::Relaxed) { Err(StoreError::Cancelled) } else { file.await }
    });
    let mut running = stream::iter(guarded).buffer_unordered(n_parallel);
    let mut first = Ok(());
    while let Some(result) = running.next().await {
        match result {
            Ok(value) => done(value),
            Err(error) => {
                failed.store(true, Ordering::Relaxed);
                first = first.and(Err(error));
            }
        }
    }
    first
}

/// What a transfer did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferReport {
    /// Files of the transfer.
    pub n_files: usize,
    /// Their size.
    pub n_bytes: u64,
    /// Files that were in place already.
    pub n_files_kept: usize,
    /// Their size.
    pub n_bytes_kept: u64,
    /// Files that were held against a SHA-256; the others against their size only.
    pub n_files_hashed: usize,
    /// Files that were removed from the store, where a push replaces.
    pub n_files_removed: usize,
}
