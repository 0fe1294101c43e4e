//! Faults under running programs: what they lose and what they leave behind.

use crate::table::Row;

/// What `hard faults` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct FaultOptions {}

/// Tries every fault.
///
/// # Errors
/// If a program to be tried cannot be run at all.
pub fn run(_options: &FaultOptions) -> anyhow::Result<Vec<Row>> {
    Ok(Vec::new())
}
