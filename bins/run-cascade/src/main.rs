//! All stages in order, from a config or the embedded default, and the report.

#![forbid(unsafe_code)]

mod args;
mod dry_run;
mod pretrain;
mod run;

use std::process::ExitCode;

use bin_support::run_main;
use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    run_main(|| match &cli.command {
        Some(Command::Pretrain(args)) => pretrain::run(args),
        None if cli.run.dry_run => dry_run::run(&cli.run),
        None => run::run(&cli.run),
    })
}
