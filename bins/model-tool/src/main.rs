//! Model files and answers from the shell.

#![forbid(unsafe_code)]

mod answer;
mod args;
mod files;
mod verify;

use std::process::ExitCode;

use bin_support::run_main;
use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    run_main(|| match &cli.command {
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => files::inspect(args),
        Command::Init(args) => files::init(args),
        Command::Convert(args) => files::convert(args),
        Command::MergeAdapter(args) => files::merge_adapter(args),
        Command::Diff(args) => files::diff(args),
        Command::Generate(args) => answer::run(args),
    })
}
