//! Slices by their share of the volume's largest box, and as many without the organ.

use std::collections::HashMap;

use crate::annotate::is_selected;
use crate::organ::Organ;
use crate::python::PyRandom;
use crate::records::SliceRecord;

/// Indices of the records of each volume, in the records' order.
#[derive(Debug)]
pub(super) struct ByVolume<'a>(HashMap<&'a str, Vec<usize>>);

impl<'a> ByVolume<'a> {
    pub(super) fn new<R: SliceRecord>(records: &'a [R]) -> Self {
        let mut by_volume: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, record) in records.iter().enumerate() {
            by_volume.entry(record.volume_name()).or_default().push(at);
        }
        Self(by_volume)
    }

    pub(super) fn records_of(&self, volume: &str) -> &[usize] {
        self.0.get(volume).map_or(&[], Vec::as_slice)
    }
}

pub(super) fn is_above<R: SliceRecord>(record: &R, organ: Organ, threshold: f64) -> bool {
    record.bbox_ratio(organ).is_some_and(|ratio| is_selected(ratio, threshold))
}

/// Records of the given volumes, volume by volume, whose `bbox_ratio` of `organ` is strictly above
/// the threshold (SPEC 1.6).
///
/// With [`Organ::Pancreas`] these are the slices of `MSD_train.json` and its like, with
/// [`Organ::Tumor`] those of `MSD_tumor_train.json`.
#[must_use]
pub fn select_above<R: SliceRecord>(
    records: &[R],
    volumes: &[String],
    organ: Organ,
    threshold: f64,
) -> Vec<usize> {
    let by_volume = ByVolume::new(records);
    let of_volumes = volumes.iter().flat_map(|volume| by_volume.records_of(volume));
    of_volumes.copied().filter(|&at| is_above(&records[at], organ, threshold)).collect()
}

/// The same with as many slices without the organ: for each volume its slices above the threshold,
/// then as many (or all, if fewer) of those without a pixel of the organ, drawn without
/// replacement. A volume without slices above the threshold gives none (SPEC 1.6).
///
/// Call it with the generator as [`split_volumes`](super::split_volumes) left it, for the training
/// part first, then for the test part.
#[must_use]
pub fn select_balanced<R: SliceRecord>(
    records: &[R],
    volumes: &[String],
    organ: Organ,
    threshold: f64,
    random: &mut PyRandom,
) -> Vec<usize> {
    let by_volume = ByVolume::new(records);
    let mut selected = Vec::new();
    for volume in volumes {
        let slices = by_volume.records_of(volume);
        let n_before = selected.len();
        selected.extend(slices.iter().copied().filter(|&at| is_above(&records[at], organ, threshold)));
        let n_positive = selected.len() - n_before;
        let negatives: Vec<usize> =
            slices.iter().copied().filter(|&at| records[at].pixels(organ) == Some(0)).collect();
        selected.extend(random.sample_at_most(&negatives, n_positive));
    }
    selected
}
