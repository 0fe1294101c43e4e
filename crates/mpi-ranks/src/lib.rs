//! Data-parallel ranks of a training run over MPI.
//!
//! `MpiRanks` (feature `mpi`) is a [`GradientSync`](vlm_train::GradientSync): every process that
//! `mpirun` or `srun` started is a rank of one run. [`is_launched`] says whether there is a launcher
//! at all; without one a program stays one process and MPI is never touched.
//!
//! - Sums are made in the order of ranks, in f64, each value by one rank, and handed to all: the same
//!   bits on every rank, for every MPI and every network, with the bytes of a ring.
//! - Beside the work a thread beats for its rank ([`RankSettings`]): a rank whose neighbor falls
//!   silent tells its caller, then ends the job through `MPI_Abort`.
//!
//! What it refuses to do: print, go on without a rank that is lost (a job begins again from its
//! checkpoint), and return errors of MPI calls: MPI's own handler ends the job with a message, which
//! is the default of the standard and is left in place.
//!
//! # Features
//! - `mpi`: the ranks. Without it only the parts that need no MPI are built, so that the workspace
//!   builds and tests without one.

#![forbid(unsafe_code)]

#[cfg(any(test, feature = "mpi"))]
mod exchange;
mod launcher;
#[cfg(feature = "mpi")]
mod mpi_ranks;
mod settings;
#[cfg(any(test, feature = "mpi"))]
mod silence;

pub use launcher::is_launched;
#[cfg(feature = "mpi")]
pub use mpi_ranks::MpiRanks;
pub use settings::{LostRank, RankSettings, RanksError};
