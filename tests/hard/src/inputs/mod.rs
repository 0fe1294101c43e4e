//! Hostile inputs: mutations of good files, bombs, hostile numbers, and what once crashed a reader.

mod bombs;
mod campaign;
mod cases;
mod format;
mod formats;
mod measure;
mod mutate;
mod mutate_text;
mod numbers;
mod processes;
mod regressions;

use std::path::PathBuf;

use crate::table::Row;

pub use bombs::bombs;
pub use campaign::{Tally, mutation, read_seeds, run_range};
pub use cases::{Case, run_cases};
pub use format::{Format, N_VARIANTS, named, names};
pub use measure::{Attempt, attempt};
pub use numbers::numbers;
pub use processes::{ChildOptions, run_child};
pub use regressions::{regressions_folder, run_regressions};

/// What `hard inputs` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct InputOptions {
    /// How many mutations of each format
    #[arg(long, default_value_t = 10_000)]
    pub mutations: u64,
    /// The seed that all mutations follow from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// This format alone (`nifti`, `dicom 1.2.840.10008.1.2.5`, …, or `bombs`, `numbers`, `regressions`)
    #[arg(long)]
    pub format: Option<String>,
    /// Processes at a time [default: one a processor]
    #[arg(long)]
    pub processes: Option<usize>,
    /// Where inputs that went wrong are kept
    #[arg(long, default_value = "target/hard")]
    pub keep: PathBuf,
}

/// Tries every input, formats in processes of their own so that even an end of the process is counted.
///
/// # Errors
/// If a good file, from which mutations start, cannot be made, or a process cannot be started.
pub fn run(options: &InputOptions) -> anyhow::Result<Vec<Row>> {
    processes::run_all(options)
}
