//! The web chat about CT slices and its OpenAI-compatible API, with a model.

mod args;
mod checkpoints;
mod model;
mod run;

use std::process::ExitCode;

use bin_support::run_main;
use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    run_main(|| run::run(&args))
}
