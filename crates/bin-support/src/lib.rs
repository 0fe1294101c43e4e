//! What the command lines share: exit codes, Ctrl-C, progress bars, data on stdout, messages on stderr.
//!
//! Start at [`run_main`]: a binary's `main` parses its arguments and hands the rest over. Work that
//! takes long looks at [`stop_flag`] and shows a bar ([`item_bar`], [`byte_bar`], [`TrainingBar`]).
//! This is the one place that prints; libraries return values and report progress to their caller.
//! It knows nothing of the crates whose work it shows, and it never ends the process but on a second
//! Ctrl-C.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::atomic::Ordering;
//!
//! use bin_support::{EXIT_OK, run_main};
//!
//! fn main() -> ExitCode {
//!     run_main(|| {
//!         let stop = bin_support::stop_flag(Some("stopping after the study at hand …"));
//!         let bar = bin_support::item_bar("studies");
//!         bar.set_length(3);
//!         for _ in 0..3 {
//!             anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped; start again with `--resume`");
//!             bar.inc(1);
//!         }
//!         bar.finish_and_clear();
//!         bin_support::note("research use only, not for diagnosis");
//!         Ok(EXIT_OK)
//!     })
//! }
//! ```

#![forbid(unsafe_code)]

mod exit;
mod output;
mod progress;
mod stop;

pub use exit::{EXIT_ERROR, EXIT_FINDINGS, EXIT_LOST_RANK, EXIT_OK, EXIT_STOPPED, EXIT_USAGE, run_main};
pub use output::{data, json, note, piece, report_error};
pub use progress::{TrainingBar, TrainingProgress, byte_bar, item_bar};
pub use stop::{stop_flag, was_stopped};
