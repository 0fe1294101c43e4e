//! CT studies in, training slices with boxes out.

#![forbid(unsafe_code)]

mod args;
mod audit;
mod inspect;
mod phantom;
mod run;
mod slice;
#[cfg(feature = "object-store")]
mod store;

use std::process::ExitCode;

use bin_support::run_main;
use clap::Parser;

use args::{Cli, Command};

/// Printed at the first Ctrl-C.
pub(crate) const STOP_MESSAGE: &str = "stopping after the slices at hand …";

fn main() -> ExitCode {
    let cli = Cli::parse();
    run_main(|| match &cli.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Slice(args) => slice::run(args),
        Command::Convert(args) => slice::convert(args),
        Command::Run(args) => run::run(args),
        Command::Merge(args) => run::merge(args),
        Command::TumorMix(args) => run::tumor_mix(args),
        Command::Audit(args) => audit::run(args),
        Command::Phantom(args) => phantom::run(args),
        Command::Datasets(args) => inspect::datasets(args),
        #[cfg(feature = "object-store")]
        Command::Fetch(args) => store::fetch(args),
        #[cfg(feature = "object-store")]
        Command::Push(args) => store::push(args),
    })
}
