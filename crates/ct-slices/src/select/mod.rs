//! Which slices become questions: splits, thresholds, balancing, the tumour-classification mix.
//!
//! All functions take records and give indices into them (or records made from them), so that they
//! work on the published forms and on [`IndexRecord`](crate::IndexRecord)s alike.

mod abdomen;
mod matched;
mod slices;
mod split;
mod sweep;
mod tumor_mix;

pub use abdomen::{abdomen_questions, one_organ_per_slice, select_organs};
pub use matched::{MatchedMix, MatchedMixOptions, MixCounts, MixedSlice, mix_tumor_classification_fixed};
pub use slices::{select_above, select_balanced};
pub use split::{VolumeSplit, split_volumes, volume_order};
pub use sweep::{SweepSummary, THRESHOLDS_PERCENT, ThresholdSplit, sweep_thresholds};
pub use tumor_mix::mix_tumor_classification;
