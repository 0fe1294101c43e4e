//! From studies on disk to a prepared folder: images, index, split, reference files, audit.
//!
//! Work is split by volume: each volume becomes a *part* (its records and images), written whole
//! before the next step; [`finish`](run) then does what needs all parts: the split, balanced draws,
//! the index. So a run can stop and resume at any volume, and shards merge to the same bytes.

mod config;
mod error;
mod finish;
mod images_csv;
mod merge;
mod options;
mod part;
mod planes;
mod reference;
mod run;
mod shard;
mod single;
mod source_hash;
mod tumor;
mod volume;

pub use config::{ImageOrientation, PrepareConfig};
pub use error::PrepareError;
pub use finish::{AuditCounts, Counts, RunSummary, TaskCounts, VolumeWarning};
pub use merge::{MergeReport, merge};
pub use options::{ParseShardError, Progress, RunOptions, Shard};
pub use run::{RunOutcome, run};
pub use single::{SliceOptions, render_slice};
pub use tumor::{TumorCrop, TumorMixConfig, TumorMixSummary, mix_tumor_set};
