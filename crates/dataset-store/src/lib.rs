//! Folders from and to object storage: S3 and what speaks like it, Google Cloud Storage, Azure, and `file://`.
//!
//! Without the feature `client` this crate is empty, and nothing in the workspace reaches a network client. With
//! it, there are three steps, each of which blocks until it is done: `Store::open` a URL, `Store::list` what is
//! there, then `Store::fetch` files into a folder or `Store::push` a folder. A network is used only then, and only the
//! host of that URL (or `AWS_ENDPOINT` and its like) and the services that hand out its credentials are asked.
//!
//! - Files appear locally under a temporary name and are renamed when their size and hash are right. What is there
//!   already is not fetched again, so a transfer that was stopped goes on.
//! - `push` writes `SUMS_FILE` last: the SHA-256 of every file, in the form of `sha256sum`.
//!   `fetch` holds files against it. Without it (data that others uploaded) only sizes are checked.
//! - Keys that would lead out of the folder are refused.
//! - Credentials come from the environment, by the names that each provider's own tools use; none is printed.
//!
//! It knows no study and no slice: which files a shard needs is the caller's matter, and `outline` helps with it.
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
mod error;
#[cfg(feature = "client")]
mod fetch;
#[cfg(feature = "client")]
mod keys;
#[cfg(feature = "client")]
mod local;
#[cfg(feature = "client")]
mod push;
#[cfg(feature = "client")]
mod store;
#[cfg(feature = "client")]
mod sums;
#[cfg(feature = "client")]
mod transfer;

#[cfg(feature = "client")]
pub use error::StoreError;
#[cfg(feature = "client")]
pub use fetch::outline;
#[cfg(feature = "client")]
pub use store::{Listing, RemoteFile, Store, StoreOptions};
#[cfg(feature = "client")]
pub use sums::SUMS_FILE;
#[cfg(feature = "client")]
pub use transfer::{Transfer, TransferEvent, TransferReport};
