//! Era P: ten pairs of split files, one for each threshold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::slices::select_above;
use super::split::VolumeSplit;
use crate::organ::Organ;
use crate::records::SliceRecord;

/// The thresholds of the preprint, in percent.
pub const THRESHOLDS_PERCENT: [u32; 10] = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90];

/// Indices of the records of both parts at one threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdSplit {
    /// The threshold in percent.
    pub threshold_percent: u32,
    /// Training part.
    pub train: Vec<usize>,
    /// Test part.
    pub test: Vec<usize>,
}

/// Slices of one split at all ten thresholds on the pancreas box: `MSD_0_train.json` to
/// `MSD_90_test.json` (SPEC 1.6, era P).
#[must_use]
pub fn sweep_thresholds<R: SliceRecord>(records: &[R], split: &VolumeSplit) -> Vec<ThresholdSplit> {
    let at_threshold = |threshold_percent: u32| {
        let threshold = f64::from(threshold_percent) / 100.0;
        let select = |volumes: &[String]| select_above(records, volumes, Organ::Pancreas, threshold);
        ThresholdSplit { threshold_percent, train: select(&split.train), test: select(&split.test) }
    };
    THRESHOLDS_PERCENT.into_iter().map(at_threshold).collect()
}

/// What `threshold_split_summary.json` holds: dataset, then threshold, then counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SweepSummary(BTreeMap<String, BTreeMap<String, SweepCounts>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SweepCounts {
    train_count: usize,
    test_count: usize,
}

impl SweepSummary {
    /// The file's name.
    pub const FILE_NAME: &str = "threshold_split_summary.json";

    /// Counts the slices of a dataset's sweep.
    #[must_use]
    pub fn new(dataset: &str, splits: &[ThresholdSplit]) -> Self {
        let counts = |split: &ThresholdSplit| {
            let counts = SweepCounts { train_count: split.train.len(), test_count: split.test.len() };
            (format!("threshold_{}", split.threshold_percent), counts)
        };
        // Text order is number order for 0, 10, ..., 90.
        Self(BTreeMap::from([(dataset.to_owned(), splits.iter().map(counts).collect())]))
    }
}
