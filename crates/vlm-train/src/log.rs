//! What a run writes down about its steps.
//!
//! `metrics.jsonl` holds what is the same for the same run, so that a resumed run's is that of an
//! uninterrupted one, byte for byte; clocks go to `timings.jsonl` and `TensorBoard`'s events.

mod events;
mod metrics;

pub(crate) use events::EventFile;
pub(crate) use metrics::{LogSizes, RunLog, StepLine, ValidationLine};

pub use events::{EVENTS_FILE, ScalarEvent, read_events};
pub use metrics::{METRICS_FILE, TIMINGS_FILE};
