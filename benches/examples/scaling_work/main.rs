//! Work of one size in a fresh process, for `benches/scaling/run.sh`.
//!
//! - `scaling_work step CONFIG BATCH POSITIONS STEPS`: training steps of a model with first weights that
//!   learns everywhere; times and memory, as JSON
//! - `scaling_work parameters PRESET`: parameters of each part of a preset, as JSON

mod parameters;
mod step;

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let found = match args[..] {
        ["step", config, batch, positions, steps] => {
            step::step(Path::new(config), batch.parse()?, positions.parse()?, steps.parse()?)?
        }
        ["parameters", preset] => parameters::parameters(preset)?,
        _ => bail!("expected a command and its arguments; see the head of this program"),
    };
    writeln!(std::io::stdout(), "{found}")?;
    Ok(())
}
