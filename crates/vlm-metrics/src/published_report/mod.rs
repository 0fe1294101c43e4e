//! The published text report, its summary over checkpoints, and the published yes/no scorer.
//!
//! What the reference writes, so that logs of both can be read side by side (SPEC 5.6). Our own reports are the
//! serializable scores of this crate.

mod classification;
mod log;
mod summary;

pub use classification::{BestFiles, RoundedScores, TumorPrediction, best_files, score_predictions};
pub use log::{DatasetBlock, TaskReport};
pub use summary::{BestCheckpoint, SummaryRule, TaskSummary, summarize, summary_text};
