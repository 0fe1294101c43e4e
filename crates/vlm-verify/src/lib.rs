//! Golden fixtures of a PyTorch reference, checked against the Rust model.
//!
//! A golden folder holds weights, inputs and what public libraries computed from them. [`verify`]
//! finds the groups below a folder by what is in them, computes the same with this project's code
//! and compares: sizes, head counts, epsilons and ranks are read from the files.

#![forbid(unsafe_code)]

mod check;
mod discover;
mod error;
mod golden_file;
mod groups;
mod model_files;
mod parameters;
mod report;
mod tolerance;
mod verify;

pub use discover::{Group, GroupKind, find_groups};
pub use error::VerifyError;
pub use report::{Case, Report, Skipped};
pub use tolerance::Tolerance;
pub use verify::verify;
