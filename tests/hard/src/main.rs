//! `hard`: runs the long suite and prints its table.

use std::process::ExitCode;

use bin_support::{EXIT_FINDINGS, EXIT_OK, data, run_main};
use clap::{Args, Parser, Subcommand};
use hard::{faults, inputs, table};

#[derive(Debug, Parser)]
#[command(
    about = "Hostile inputs and faults, counted in one table",
    after_help = "Example: hard inputs --mutations 1000 --format nifti\n\n\
                  Exit codes: 0 nothing went wrong, 1 the suite could not run, 2 arguments, 3 something went wrong. \
                  Research use only."
)]
struct Cli {
    /// The table as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mutations of every format, bombs, hostile numbers and regressions
    Inputs(inputs::InputOptions),
    /// Faults under running programs
    Faults(faults::FaultOptions),
    /// Everything
    All(AllOptions),
    /// One part of a format, as `inputs` runs it in a process of its own
    #[command(hide = true)]
    InputPart(inputs::ChildOptions),
}

#[derive(Clone, Debug, Args)]
struct AllOptions {
    #[command(flatten)]
    inputs: inputs::InputOptions,
    #[command(flatten)]
    faults: faults::FaultOptions,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run_main(|| {
        let rows = match &cli.command {
            Command::InputPart(options) => {
                bin_support::json(&inputs::run_child(options)?)?;
                return Ok(EXIT_OK);
            }
            Command::Inputs(options) => inputs::run(options)?,
            Command::Faults(options) => faults::run(options)?,
            Command::All(options) => {
                let mut rows = inputs::run(&options.inputs)?;
                rows.extend(faults::run(&options.faults)?);
                rows
            }
        };
        data(&if cli.json { table::to_json(&rows) } else { table::to_text(&rows) })?;
        Ok(if table::n_bad(&rows) == 0 { EXIT_OK } else { EXIT_FINDINGS })
    })
}
