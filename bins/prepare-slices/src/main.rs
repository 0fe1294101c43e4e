//! CT studies in, training slices with boxes out.

mod args;
mod audit;
mod inspect;
mod phantom;
mod progress;
mod run;
mod slice;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// Ended well.
pub(crate) const EXIT_OK: u8 = 0;
/// Data or system error; 2, bad usage, is clap's.
pub(crate) const EXIT_ERROR: u8 = 1;
/// An audit found something.
pub(crate) const EXIT_FINDINGS: u8 = 3;
/// Stopped by Ctrl-C.
pub(crate) const EXIT_STOPPED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Slice(args) => slice::run(args),
        Command::Convert(args) => slice::convert(args),
        Command::Run(args) => run::run(args),
        Command::Merge(args) => run::merge(args),
        Command::TumorMix(args) => run::tumor_mix(args),
        Command::Audit(args) => audit::run(args),
        Command::Phantom(args) => phantom::run(args),
        Command::Datasets(args) => inspect::datasets(args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            progress::report_error(&error);
            ExitCode::from(if progress::was_stopped() { EXIT_STOPPED } else { EXIT_ERROR })
        }
    }
}
