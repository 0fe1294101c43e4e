//! A whole run: data, stages, evaluations, report, in one folder that can be resumed.

mod cascade_run;
mod environment;
mod prepare_data;
mod timings;

pub use cascade_run::{CascadeOutcome, EvaluatedStage, RunOptions, run_cascade, run_cascade_on_ranks};
pub use environment::Environment;

pub(crate) use prepare_data::{prepare_data, prepared_folders};
pub(crate) use timings::Timings;
