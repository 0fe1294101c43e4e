//! AbdomenCT-1K: one question per organ, as many of each (SPEC 1.10).

use std::collections::HashMap;

use super::slices::{ByVolume, is_above};
use crate::organ::Organ;
use crate::python::PyRandom;
use crate::records::{AbdRecord, AbdSplitRecord, SliceRecord};

/// Every record and organ of [`Organ::ABDOMEN`] whose box is strictly above the threshold, then
/// every organ sampled down to the one with the fewest; grouped by organ.
///
/// An organ with none leaves none of any. Call it for the training part first, then for the test
/// part, with the generator as the split left it.
#[must_use]
pub fn select_organs<R: SliceRecord>(
    records: &[R],
    volumes: &[String],
    threshold: f64,
    random: &mut PyRandom,
) -> Vec<(usize, Organ)> {
    let by_volume = ByVolume::new(records);
    let slices: Vec<usize> = volumes.iter().flat_map(|v| by_volume.records_of(v)).copied().collect();
    let groups = Organ::ABDOMEN.map(|organ| {
        let above = slices.iter().copied().filter(|&at| is_above(&records[at], organ, threshold));
        above.map(|at| (at, organ)).collect::<Vec<_>>()
    });
    let n_fewest = groups.iter().map(Vec::len).min().unwrap_or(0);
    let mut selected = Vec::with_capacity(n_fewest * groups.len());
    for group in groups {
        if group.len() > n_fewest {
            selected.extend(random.sample_at_most(&group, n_fewest));
        } else {
            selected.extend(group);
        }
    }
    selected
}

/// The records of `ABD_train.json` or `ABD_test.json` for selected slices and organs, numbered
/// from 1.
///
/// # Panics
/// If an index is not one of `records`, or an organ not one of theirs: a caller's bug.
#[must_use]
pub fn abdomen_questions(records: &[AbdRecord], selected: &[(usize, Organ)]) -> Vec<AbdSplitRecord> {
    let question = |(q_id, &(at, organ)): (u64, &(usize, Organ))| {
        AbdSplitRecord::new(&records[at], organ, q_id).expect("an organ of AbdomenCT-1K")
    };
    (1..).zip(selected).map(question).collect()
}

/// What the published training reader keeps of a split file: one record per slice, at the place of
/// the slice's first record, with the content of its last (D14).
///
/// In the published order of organs the pancreas displaces the spleen, the spleen the kidney, the
/// kidney the liver. For comparison with the published training only: all records are to be kept.
#[must_use]
pub fn one_organ_per_slice(records: &[AbdSplitRecord]) -> Vec<AbdSplitRecord> {
    let mut places = HashMap::new();
    let mut kept: Vec<AbdSplitRecord> = Vec::new();
    for record in records {
        let slice = (record.volume_name.as_str(), record.slice_index);
        let place = *places.entry(slice).or_insert(kept.len());
        if place < kept.len() {
            kept[place] = record.clone();
        } else {
            kept.push(record.clone());
        }
    }
    kept
}
