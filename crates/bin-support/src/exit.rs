//! Exit codes, and the end of every `main`.

use std::process::ExitCode;

use crate::{report_error, was_stopped};

/// Ended well.
pub const EXIT_OK: u8 = 0;
/// Data, device or system error, or a check that failed.
pub const EXIT_ERROR: u8 = 1;
/// Bad usage. clap ends the process with it; nothing here returns it.
pub const EXIT_USAGE: u8 = 2;
/// The work ended well and found what it looks for: an audit's findings, a difference of two files.
pub const EXIT_FINDINGS: u8 = 3;
/// Stopped by Ctrl-C (or SIGTERM): 128 and the number of SIGINT, as shells count.
pub const EXIT_STOPPED: u8 = 130;

/// A rank of a job of several processes was lost (sysexits' `EX_TEMPFAIL`): started again with `--resume`, the
/// job goes on.
pub const EXIT_LOST_RANK: u8 = 75;

/// Runs a binary's work and turns its end into the process's exit code.
///
/// The code that `work` returns is kept, also after Ctrl-C: work that was done all the same ended
/// well. An error is printed with its causes and ends in [`EXIT_STOPPED`] after Ctrl-C, in
/// [`EXIT_ERROR`] otherwise. Arguments are parsed before, since clap ends the process itself.
pub fn run_main(work: impl FnOnce() -> anyhow::Result<u8>) -> ExitCode {
    match work() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report_error(&error);
            ExitCode::from(if was_stopped() { EXIT_STOPPED } else { EXIT_ERROR })
        }
    }
}
