//! A CT study in, findings out: boxes in 3-D, a tumor score, and files that other tools open.

#![forbid(unsafe_code)]

mod args;
mod run;

use std::process::ExitCode;

use bin_support::run_main;
use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    run_main(|| run::run(&args))
}
