//! Why a transfer failed.

use std::io;
use std::path::{Path, PathBuf};

use crate::sums::SUMS_FILE;

/// Why a transfer failed; names the URL, the key or the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A text that is no URL of a store.
    #[error("`{url}` is not a place in a store: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The store's configuration, mostly from the environment, does not do.
    #[error("cannot use `{url}`")]
    Open {
        /// The place.
        url: String,
        /// What the client said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store did not do what was asked.
    #[error("cannot {action} `{key}` in the store")]
    Remote {
        /// What was asked: `list`, `read`, `write`, `remove`.
        action: &'static str,
        /// The key or prefix.
        key: String,
        /// What the client said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key that cannot be a file of the folder, or a file that cannot be a key.
    #[error("`{key}` {reason}")]
    Key {
        /// Key or file, relative.
        key: String,
        /// Why not.
        reason: &'static str,
    },
    /// There is nothing to transfer.
    #[error("`{place}` holds no files")]
    Empty {
        /// URL or folder.
        place: String,
    },
    /// The system would not do it.
    #[error("cannot use `{}`", path.display())]
    Local {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What arrived has another size than the store or the folder told.
    #[error("`{key}` has {got} bytes, expected {expected}")]
    Size {
        /// The key.
        key: String,
        /// Bytes that arrived.
        got: u64,
        /// Bytes that there should be.
        expected: u64,
    },
    /// What arrived is not what was pushed.
    #[error("`{key}` has SHA-256 {got}, `{SUMS_FILE}` says {expected}")]
    Hash {
        /// The key.
        key: String,
        /// Of what arrived.
        got: String,
        /// Of what was pushed.
        expected: String,
    },
    /// A list of hashes that cannot be used.
    #[error("`{SUMS_FILE}` of the store {0}")]
    Sums(String),
    /// The prefix holds something else than the folder that is pushed.
    #[error("the store holds something else there, first `{key}`: choose another prefix, or replace it")]
    Occupied {
        /// The first key that differs.
        key: String,
    },
    /// A file changed between being hashed and being sent.
    #[error("`{}` changed while it was pushed", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Stopped on request.
    #[error("stopped; finished files are kept, give the same command to go on")]
    Cancelled,
}

impl StoreError {
    pub(crate) fn local(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Local { path: path.to_owned(), source }
    }

    pub(crate) fn remote(action: &'static str, key: &str) -> impl FnOnce(object_store::Error) -> Self {
        let key = key.to_owned();
        move |source| Self::Remote { action, key, source: Box::new(source) }
    }
}
