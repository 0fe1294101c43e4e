//! The command line that the stage binaries share: they differ in the stage alone.
//!
//! `detect-pancreas`, `classify-tumor`, `detect-tumor` and `detect-organs` are each one call of [`run`].
//! [`Progress`] and [`ScoreTable`] are how a cascade is shown to people; `run-cascade` shows its own
//! with them.
//!
//! What it refuses to do: anything but parse arguments, call one function of `cascade`, and say what
//! came back. Data and JSON go to stdout, all else to stderr.
//!
//! # Features
//! - `flex` (default): the CPU backend
//! - `cuda`: NVIDIA GPUs; kernels are compiled when first used
//! - `cuda-fusion`: `cuda` with kernel fusion
//! - `mpi`: `train` by several processes that `mpirun` or `srun` starts

#![forbid(unsafe_code)]

mod args;
mod binary;
mod checkpoint;
mod cross_validate;
mod evaluate;
mod predict;
mod progress;
#[cfg(feature = "mpi")]
mod ranks;
mod score_table;
mod scores;
mod train;

pub use args::AFTER_HELP;
pub use binary::{StageBinary, run};
pub use progress::{Progress, STOP_MESSAGE};
pub use score_table::ScoreTable;
