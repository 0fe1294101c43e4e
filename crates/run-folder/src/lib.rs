//! What processes that write into one folder share: a lock, and the removal of what a killed one left.
//!
//! Start at [`RunLock::take`]. The lock is the system's own on an open file, so it ends with the process, however
//! that ends; the file `.lock` is only what it hangs on, and is removed by whoever lets go of it. It is advice: it
//! keeps out those who ask, which every command here does before it changes anything. On file systems that cannot
//! lock there is none. This crate writes nothing else and knows no file of a run.
//!
//! ```
//! # let place = tempfile::tempdir().unwrap();
//! let out = place.path().join("run");
//! let held = run_folder::RunLock::take(&out)?;
//! assert!(run_folder::RunLock::take(&out).is_err());
//! drop(held);
//! run_folder::RunLock::take(&out)?;
//! # Ok::<(), run_folder::LockError>(())
//! ```
#![forbid(unsafe_code)]

mod leftovers;
mod lock;

pub use leftovers::{PARTIAL, is_lock, remove_partial, remove_partial_below};
pub use lock::{LockError, RunLock};
