//! Model files and answers from the shell.

mod answer;
mod args;
mod files;
mod output;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// Ended well.
pub(crate) const EXIT_OK: u8 = 0;
/// Data, device or system error, or a golden case that failed; 2, bad usage, is clap's.
pub(crate) const EXIT_ERROR: u8 = 1;
/// `diff` found a difference.
pub(crate) const EXIT_DIFFERENT: u8 = 3;
/// Stopped by Ctrl-C.
pub(crate) const EXIT_STOPPED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => files::inspect(args),
        Command::Init(args) => files::init(args),
        Command::Convert(args) => files::convert(args),
        Command::MergeAdapter(args) => files::merge_adapter(args),
        Command::Diff(args) => files::diff(args),
        Command::Generate(args) => answer::run(args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::report_error(&error);
            ExitCode::from(if output::was_stopped() { EXIT_STOPPED } else { EXIT_ERROR })
        }
    }
}
