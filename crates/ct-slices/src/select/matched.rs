//! A tumour-classification mix in which neither the source nor the box size tells the answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::annotate::is_selected;
use crate::index::{IndexRecord, SplitPart, YesNo};
use crate::organ::Organ;
use crate::python::PyRandom;

/// Choices of [`mix_tumor_classification_fixed`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MatchedMixOptions {
    /// A slice is positive if its tumour's `bbox_ratio` is strictly above this.
    pub tumor_threshold: f64,
    /// Largest distance of a matched pair: `hypot` of the differences of the logarithms of pancreas
    /// box width and height. 0.25 lets one side differ by up to 28 %.
    pub max_log_distance: f64,
    /// Seed of the order in which pairs are formed.
    pub seed: u64,
    /// Datasets without tumour labels whose patients are known to have no tumour, such as `NIH`:
    /// they stand in where a dataset runs out of negatives of its own. Every slice so used makes
    /// the source a hint at the answer again (D9), so there are none by default.
    pub tumor_free_datasets: BTreeSet<String>,
}

impl Default for MatchedMixOptions {
    fn default() -> Self {
        Self { tumor_threshold: 0.6, max_log_distance: 0.25, seed: 42, tumor_free_datasets: BTreeSet::new() }
    }
}

/// A slice of the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MixedSlice {
    /// Index of the record.
    pub record: usize,
    /// Its label.
    pub answer: YesNo,
}

/// What one dataset gave to one part of the mix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MixCounts {
    /// Slices that could be positive.
    pub positive_candidates: usize,
    /// Slices that could be negative.
    pub negative_candidates: usize,
    /// Positives in the mix.
    pub positives: usize,
    /// Negatives in the mix.
    pub negatives: usize,
    /// Sum of the log distances of this dataset's positives from their negatives.
    pub log_distance_sum: f64,
}

/// The mix and where it comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatchedMix {
    /// Slices in the order of the records, as many of each answer in each part.
    pub slices: Vec<MixedSlice>,
    /// Per part and dataset.
    pub counts: BTreeMap<(SplitPart, String), MixCounts>,
}

/// A split part and a dataset's name.
type PartOfDataset = (SplitPart, String);

/// One candidate, with the logarithms of its pancreas box sides.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    record: usize,
    log_width: f64,
    log_height: f64,
}

impl Candidate {
    fn distance(&self, other: &Self) -> f64 {
        (self.log_width - other.log_width).hypot(self.log_height - other.log_height)
    }
}

#[derive(Debug, Default)]
struct Pool {
    positives: Vec<Candidate>,
    negatives: Negatives,
}

/// Pairs tumour slices with tumour-free slices of the same dataset and split part whose pancreas
/// boxes are about as large, and labels them yes and no.
///
/// Positive is a slice whose tumour is strictly above the threshold. Negative is a slice with
/// pancreas and without any tumour pixel, of any patient of the dataset, with tumour or not; so
/// patients with tumours give both answers, and scanner, contrast phase and file handling do not
/// tell them apart (D9). Each positive in seeded random order takes the nearest negative left, if
/// one is within the largest distance; positives without one stay out, so that both classes are
/// equally large (D12) and box sizes do not tell the answer.
///
/// Records outside the split are passed over. A dataset whose label map has no tumour gives
/// nothing, unless it is declared free of tumours: AbdomenCT-1K's pancreas label hides some.
/// The result does not depend on the order of the records.
///
/// # Units
/// Boxes are compared in pixels: that is what a crop's size and its blur after resizing show.
#[must_use]
pub fn mix_tumor_classification_fixed(records: &[IndexRecord], options: &MatchedMixOptions) -> MatchedMix {
    let mut random = PyRandom::new(options.seed);
    let mut mix = MatchedMix::default();
    let mut pools = collect_pools(records, options, &mut random, &mut mix);
    for part in [SplitPart::Train, SplitPart::Test] {
        let keys: Vec<_> = pools.keys().filter(|(p, _)| *p == part).cloned().collect();
        let mut left_over = Vec::new();
        for key in keys {
            let Some(pool) = pools.get_mut(&key) else { continue };
            for positive in std::mem::take(&mut pool.positives) {
                match pool.negatives.take_nearest(&positive, options.max_log_distance) {
                    Some(negative) => mix.add_pair(&key, &positive, &key, &negative),
                    None => left_over.push((key.clone(), positive)),
                }
            }
        }
        for (key, positive) in left_over {
            let stand_in = options.tumor_free_datasets.iter().find_map(|dataset| {
                let other = (part, dataset.clone());
                let pool = pools.get_mut(&other)?;
                Some((pool.negatives.take_nearest(&positive, options.max_log_distance)?, other))
            });
            if let Some((negative, other)) = stand_in {
                mix.add_pair(&key, &positive, &other, &negative);
            }
        }
    }
    mix.slices.sort_unstable();
    mix
}

impl MatchedMix {
    fn add_pair(
        &mut self,
        positive_key: &PartOfDataset,
        positive: &Candidate,
        negative_key: &PartOfDataset,
        negative: &Candidate,
    ) {
        self.slices.push(MixedSlice { record: positive.record, answer: YesNo::Yes });
        self.slices.push(MixedSlice { record: negative.record, answer: YesNo::No });
        let counts = self.counts.entry(positive_key.clone()).or_default();
        counts.positives += 1;
        counts.log_distance_sum += positive.distance(negative);
        self.counts.entry(negative_key.clone()).or_default().negatives += 1;
    }
}

fn collect_pools(
    records: &[IndexRecord],
    options: &MatchedMixOptions,
    random: &mut PyRandom,
    mix: &mut MatchedMix,
) -> BTreeMap<PartOfDataset, Pool> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_cached_key(|&at| {
        let r = &records[at];
        (r.dataset.clone(), r.patient.clone(), r.volume.clone(), r.slice_index)
    });
    random.shuffle(&mut order);
    let mut negatives: BTreeMap<PartOfDataset, Vec<Candidate>> = BTreeMap::new();
    let mut pools: BTreeMap<PartOfDataset, Pool> = BTreeMap::new();
    for at in order {
        let record = &records[at];
        let Some(part) = record.split else { continue };
        let Some(bbox) = record.organs.get(&Organ::Pancreas).and_then(|pancreas| pancreas.bbox) else {
            continue;
        };
        let candidate = Candidate {
            record: at,
            log_width: f64::from(bbox.width_px()).ln(),
            log_height: f64::from(bbox.height_px()).ln(),
        };
        let key = (part, record.dataset.clone());
        let tumor = record.organs.get(&Organ::Tumor);
        let is_positive = tumor.is_some_and(|t| is_selected(t.bbox_ratio, options.tumor_threshold));
        let is_negative = match tumor {
            Some(tumor) => tumor.pixels == 0,
            None => options.tumor_free_datasets.contains(&record.dataset),
        };
        if is_positive {
            mix.counts.entry(key.clone()).or_default().positive_candidates += 1;
            pools.entry(key).or_default().positives.push(candidate);
        } else if is_negative {
            mix.counts.entry(key.clone()).or_default().negative_candidates += 1;
            negatives.entry(key).or_default().push(candidate);
        }
    }
    for (key, candidates) in negatives {
        pools.entry(key).or_default().negatives = Negatives::new(candidates);
    }
    pools
}

/// Candidates that can be taken once each, nearest first.
#[derive(Debug, Default)]
struct Negatives {
    /// By log width; equal ones stay in the seeded order.
    sorted: Vec<Candidate>,
    is_taken: Vec<bool>,
}

impl Negatives {
    fn new(mut sorted: Vec<Candidate>) -> Self {
        sorted.sort_by(|a, b| a.log_width.total_cmp(&b.log_width));
        let is_taken = vec![false; sorted.len()];
        Self { sorted, is_taken }
    }

    /// Walks from the equally wide ones to both sides, as far as the width alone leaves a chance.
    fn take_nearest(&mut self, positive: &Candidate, max_distance: f64) -> Option<Candidate> {
        let start = self.sorted.partition_point(|c| c.log_width < positive.log_width);
        let mut nearest: Option<(f64, usize)> = None;
        for side in [Side::Up(start), Side::Down(start)] {
            let mut side = side;
            while let Some(at) = side.next(self.sorted.len()) {
                let candidate = &self.sorted[at];
                let limit = nearest.map_or(max_distance, |(distance, _)| distance);
                if (candidate.log_width - positive.log_width).abs() > limit {
                    break;
                }
                let distance = candidate.distance(positive);
                let is_nearer = nearest.is_none_or(|(least, _)| distance < least);
                if !self.is_taken[at] && distance <= max_distance && is_nearer {
                    nearest = Some((distance, at));
                }
            }
        }
        let (_, at) = nearest?;
        self.is_taken[at] = true;
        Some(self.sorted[at])
    }
}

/// Indices upwards from a start, or downwards from below it.
#[derive(Clone, Copy, Debug)]
enum Side {
    Up(usize),
    Down(usize),
}

impl Side {
    fn next(&mut self, length: usize) -> Option<usize> {
        match self {
            Self::Up(at) if *at < length => {
                *at += 1;
                Some(*at - 1)
            }
            Self::Down(at) if *at > 0 => {
                *at -= 1;
                Some(*at)
            }
            Self::Up(_) | Self::Down(_) => None,
        }
    }
}
