//! A whole run: data, stages, evaluations, report, in one folder that can be resumed.

mod cascade_run;
mod environment;
mod folder;
mod prepare_data;
mod timings;

pub use cascade_run::{CascadeOutcome, EvaluatedStage, RunOptions, run_cascade};
pub use environment::Environment;

pub(crate) use folder::RunLock;
pub(crate) use prepare_data::prepare_data;
pub(crate) use timings::Timings;
