//! The repaired tumour-classification mix: equal classes, one source, box sizes alike.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

use std::collections::BTreeMap;

use ct_slices::python::PyRandom;
use ct_slices::select::{MatchedMix, MatchedMixOptions, mix_tumor_classification_fixed};
use ct_slices::{BoxPx, IndexRecord, Neighbors, Organ, OrganRecord, SplitPart, YesNo};

fn organ(pixels: u64, bbox: Option<[u32; 4]>, bbox_ratio: f64) -> OrganRecord {
    let bbox = bbox.map(BoxPx::from);
    OrganRecord { pixels, bbox, pixels_ratio: bbox_ratio, bbox_ratio, max_pixels: 100, max_bbox_area: 100 }
}

/// A slice with a pancreas box of this size; `tumor` is its ratio, none for a set without labels.
fn slice(dataset: &str, patient: u32, slice_index: u32, size: [u32; 2], tumor: Option<f64>) -> IndexRecord {
    let [width, height] = size;
    let bbox = [100, 90, 99 + width, 89 + height];
    let mut organs = BTreeMap::from([(Organ::Pancreas, organ(50, Some(bbox), 0.8))]);
    if let Some(ratio) = tumor {
        let bbox = (ratio > 0.0).then_some([110, 95, 120, 105]);
        organs.insert(Organ::Tumor, organ(u64::from(ratio > 0.0) * 20, bbox, ratio));
    }
    let patient = format!("{dataset}_{patient:03}");
    IndexRecord {
        schema_version: 1,
        dataset: dataset.into(),
        volume: patient.clone(),
        patient,
        slice_index,
        slice_count: 40,
        width: 512,
        height: 512,
        spacing_mm: None,
        image: None,
        pixels_sha256: None,
        source_sha256: None,
        mask_sha256: None,
        neighbors: Neighbors::default(),
        organs,
        split: Some(SplitPart::Train),
        tasks: Vec::new(),
        answer: None,
        crop: None,
    }
}

/// Sixty MSD patients whose tumour slices have larger boxes than their others, and NIH.
fn two_sources() -> Vec<IndexRecord> {
    let mut random = PyRandom::new(5);
    let mut side = |mean: f64| {
        // Log-normal in effect: a product of uniform draws.
        let spread: f64 = (0..4).map(|_| random.random() - 0.5).sum();
        (10..400).find(|&px| f64::from(px) >= mean * spread.exp()).unwrap_or(400)
    };
    let mut records = Vec::new();
    for patient in 0..60 {
        for k in 0..8 {
            records.push(slice("MSD", patient, k, [side(90.0), side(65.0)], Some(0.9)));
        }
        for k in 8..10 {
            records.push(slice("MSD", patient, k, [side(80.0), side(60.0)], Some(0.3)));
        }
        for k in 10..40 {
            records.push(slice("MSD", patient, k, [side(65.0), side(50.0)], Some(0.0)));
        }
        for k in 0..10 {
            records.push(slice("NIH", patient, k, [side(115.0), side(72.0)], None));
        }
    }
    for record in &mut records {
        if record.patient.ends_with('7') {
            record.split = Some(SplitPart::Test);
        } else if record.patient.ends_with('9') {
            record.split = None;
        }
    }
    records
}

fn of_answer(mix: &MatchedMix, answer: YesNo) -> impl Iterator<Item = usize> {
    mix.slices.iter().filter(move |slice| slice.answer == answer).map(|slice| slice.record)
}

fn log_sizes(records: &[IndexRecord], indices: impl Iterator<Item = usize>) -> Vec<[f64; 2]> {
    let boxes = indices.map(|at| records[at].organs[&Organ::Pancreas].bbox.unwrap());
    boxes.map(|b| [b.width_px(), b.height_px()].map(|side| f64::from(side).ln())).collect()
}

/// Share of pairs in which the positive is the larger one: 0.5 means that size tells nothing.
fn area_auc(positives: &[[f64; 2]], negatives: &[[f64; 2]]) -> f64 {
    let area = |size: &[f64; 2]| size[0] + size[1];
    let win = |p: f64, n: f64| {
        if p > n {
            1.0
        } else if p == n {
            0.5
        } else {
            0.0
        }
    };
    let wins: f64 = positives.iter().flat_map(|p| negatives.iter().map(move |n| win(area(p), area(n)))).sum();
    wins / (positives.len() * negatives.len()) as f64
}

#[test]
fn neither_source_nor_size_nor_class_count_tells_the_answer() {
    let records = two_sources();
    let is_candidate = |r: &IndexRecord, positive: bool| {
        let ratio = r.organs.get(&Organ::Tumor).map(|t| t.bbox_ratio);
        r.split.is_some() && ratio.is_some_and(|ratio| if positive { ratio > 0.6 } else { ratio == 0.0 })
    };
    let candidates =
        |positive| log_sizes(&records, (0..records.len()).filter(|&at| is_candidate(&records[at], positive)));
    assert!(area_auc(&candidates(true), &candidates(false)) > 0.7, "size tells the answer before");

    let mix = mix_tumor_classification_fixed(&records, &MatchedMixOptions::default());
    assert!(mix.slices.iter().all(|slice| records[slice.record].dataset == "MSD"));
    for part in [SplitPart::Train, SplitPart::Test] {
        let n = |answer| of_answer(&mix, answer).filter(|&at| records[at].split == Some(part)).count();
        assert_eq!(n(YesNo::Yes), n(YesNo::No), "{part:?}");
        let counts = mix.counts[&(part, "MSD".to_owned())];
        assert_eq!([counts.positives, counts.negatives], [n(YesNo::Yes); 2]);
        assert!(counts.positives * 5 > counts.positive_candidates * 4, "most have a partner: {counts:?}");
        assert!(counts.log_distance_sum < 0.1 * counts.positives as f64, "{counts:?}");
    }
    let [yes, no] = [YesNo::Yes, YesNo::No].map(|answer| log_sizes(&records, of_answer(&mix, answer)));
    let auc = area_auc(&yes, &no);
    assert!((auc - 0.5).abs() < 0.02, "size still tells the answer: {auc}");

    let mut once: Vec<usize> = mix.slices.iter().map(|slice| slice.record).collect();
    once.dedup();
    assert_eq!(once.len(), mix.slices.len(), "each slice once, in the order of the records");
    assert!(once.is_sorted());
    assert!(of_answer(&mix, YesNo::Yes).all(|at| is_candidate(&records[at], true)));
    assert!(of_answer(&mix, YesNo::No).all(|at| is_candidate(&records[at], false)));
}

#[test]
fn mix_depends_on_the_seed_but_not_on_the_order_of_records() {
    let records = two_sources();
    let names = |records: &[IndexRecord], mix: &MatchedMix| {
        let name = |at: usize| (records[at].volume.clone(), records[at].slice_index);
        let mut names: Vec<_> = mix.slices.iter().map(|s| (name(s.record), s.answer)).collect();
        names.sort();
        names
    };
    let mut options = MatchedMixOptions::default();
    let mix = mix_tumor_classification_fixed(&records, &options);
    let mut shuffled = records.clone();
    PyRandom::new(1).shuffle(&mut shuffled);
    let again = mix_tumor_classification_fixed(&shuffled, &options);
    assert_eq!(names(&records, &mix), names(&shuffled, &again));
    options.seed = 43;
    let other = mix_tumor_classification_fixed(&records, &options);
    assert_ne!(names(&records, &mix), names(&records, &other));
}

#[test]
fn positives_without_a_partner_stay_out() {
    let records = [
        slice("MSD", 1, 0, [100, 60], Some(0.9)),
        slice("MSD", 1, 1, [50, 30], Some(0.9)),
        slice("MSD", 1, 2, [104, 58], Some(0.0)),
        slice("MSD", 2, 0, [100, 60], Some(0.5)), // tumour below the threshold: neither
        slice("MSD", 2, 1, [300, 200], Some(0.0)),
        slice("NIH", 1, 0, [50, 31], None),
        slice("ABD", 1, 0, [50, 30], None), // may hide tumours
    ];
    let records_of = |options: &MatchedMixOptions| {
        let mix = mix_tumor_classification_fixed(&records, options);
        mix.slices.iter().map(|s| (s.record, s.answer)).collect::<Vec<_>>()
    };
    let mut options = MatchedMixOptions::default();
    assert_eq!(records_of(&options), [(0, YesNo::Yes), (2, YesNo::No)]);
    // A set declared free of tumours stands in, and only for what is left over.
    options.tumor_free_datasets.insert("NIH".to_owned());
    let expected = [(0, YesNo::Yes), (1, YesNo::Yes), (2, YesNo::No), (5, YesNo::No)];
    assert_eq!(records_of(&options), expected);
    options.tumor_free_datasets.clear();
    options.max_log_distance = f64::INFINITY;
    assert_eq!(records_of(&options).len(), 4, "any negative will do");
    assert!(mix_tumor_classification_fixed(&[], &options).slices.is_empty());
}
