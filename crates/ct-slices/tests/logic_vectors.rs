//! The worked vectors of SPEC 1.4 to 1.6 and 1.10 that need more than one function.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

use ct_slices::python::PyRandom;
use ct_slices::records::{
    AbdRecord, AbdSplitRecord, AbsentRatio, MsdRecord, NihRecord, SliceFilter, abd_records, msd_records,
    nih_records,
};
use ct_slices::select::{one_organ_per_slice, split_volumes};
use ct_slices::{
    AnnotateError, AnnotateRules, BoxPx, KidneyRule, LabelMap, Organ, PlaneMap, annotate_volume,
    body_midline_col, round_ratio,
};
use ndarray::{Array3, ShapeBuilder, s};

/// Volume 6 x 5 x 4 of SPEC 1.5.
fn worked_mask() -> Array3<u16> {
    let mut mask = Array3::zeros((6, 5, 4).f());
    let voxels = [
        ([1, 1, 1], 1),
        ([1, 2, 1], 1),
        ([2, 2, 1], 1),
        ([3, 3, 1], 2),
        ([0, 0, 2], 1),
        ([5, 4, 2], 1),
        ([2, 2, 2], 2),
        ([4, 3, 2], 2),
        ([3, 3, 3], 1),
    ];
    for (voxel, label) in voxels {
        mask[voxel] = label;
    }
    mask
}

fn worked_msd(filter: SliceFilter) -> Vec<MsdRecord> {
    let rules = AnnotateRules::PUBLISHED;
    let annotation =
        annotate_volume(worked_mask().view(), &LabelMap::msd(), PlaneMap::FlipBoth, &rules).unwrap();
    msd_records("pancreas_228.nii.gz", &annotation, 1, filter)
}

#[test]
fn worked_mask_as_msd_volume() {
    let records = worked_msd(SliceFilter::All);
    // pixels, ratio, tumour pixels, ratio, box, ratio, tumour box, ratio
    type Row = (u64, f64, u64, f64, [u32; 4], f64, [u32; 4], f64);
    let rows: [Row; 4] = [
        (0, 0.0, 0, 0.0, [0, 0, 0, 0], 0.0, [0, 0, 0, 0], 0.0),
        (4, 1.0, 1, 0.5, [2, 1, 4, 3], 0.2, [2, 1, 2, 1], 0.0),
        (4, 1.0, 2, 1.0, [0, 0, 5, 4], 1.0, [1, 1, 3, 2], 1.0),
        (1, 0.25, 0, 0.0, [2, 1, 2, 1], 0.0, [0, 0, 0, 0], 0.0),
    ];
    assert_eq!(records.len(), rows.len());
    for ((k, record), row) in (0_u64..).zip(&records).zip(rows) {
        let (pixels_p, px_ratio_p, pixels_t, px_ratio_t, bbox_p, box_ratio_p, bbox_t, box_ratio_t) = row;
        let expected = MsdRecord {
            dataset: "MSD".into(),
            volume_name: "pancreas_228.nii.gz".into(),
            slice_id: k + 1,
            slice_index: k,
            slice_count: 4,
            pixels_pancreas: pixels_p,
            pancreas_pixels_ratio: px_ratio_p,
            max_pixels_pancreas: 4,
            pixels_tumor: pixels_t,
            tumor_pixels_ratio: px_ratio_t,
            max_pixels_tumor: 2,
            bbox_pancreas: bbox_p.into(),
            pancreas_bbox_ratio: box_ratio_p,
            max_bbox_pancreas: 20,
            bbox_tumor: bbox_t.into(),
            tumor_bbox_ratio: box_ratio_t,
            max_bbox_tumor: 2,
            width: 6,
            height: 5,
        };
        assert_eq!(record, &expected, "slice {k}");
    }
}

#[test]
fn era_p_counts_pancreas_slices_only() {
    let records = worked_msd(SliceFilter::WithPancreas);
    let numbers: Vec<(u64, u64)> = records.iter().map(|r| (r.slice_id, r.slice_index)).collect();
    assert_eq!(numbers, [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn worked_mask_as_nih_volume() {
    let mask = worked_mask().mapv(|label| u16::from(label > 0));
    let rules = AnnotateRules::PUBLISHED;
    let annotation = annotate_volume(mask.view(), &LabelMap::nih(), PlaneMap::FlipRows, &rules).unwrap();
    let records = nih_records("label0001.nii.gz", &annotation, 1, SliceFilter::All);
    let seen = |r: &NihRecord| (r.pixels_pancreas, <[u32; 4]>::from(r.bbox_pancreas), r.pancreas_bbox_ratio);
    let expected =
        [(0, [0, 0, 0, 0], 0.0), (4, [1, 1, 3, 3], 0.2), (4, [0, 0, 5, 4], 1.0), (1, [3, 1, 3, 1], 0.0)];
    assert_eq!(records.iter().map(seen).collect::<Vec<_>>(), expected);
}

/// Mask 8 x 7 x 2 of SPEC 1.5.
fn worked_abdomen() -> Array3<u16> {
    let mut mask = Array3::zeros((8, 7, 2).f());
    mask.slice_mut(s![0..=2, 0..=2, 0]).fill(1);
    mask.slice_mut(s![5..=6, 2..=3, 0]).fill(2);
    mask.slice_mut(s![1, 4..=5, 0]).fill(2);
    mask.slice_mut(s![3..=4, 5..=6, 0]).fill(3);
    for (i, j) in [(4, 1), (4, 2), (3, 2)] {
        mask[[i, j, 0]] = 4;
    }
    mask.slice_mut(s![0..=2, 0..=1, 1]).fill(1);
    mask.slice_mut(s![1..=2, 4..=5, 1]).fill(2);
    mask
}

fn abdomen(mask: &Array3<u16>, rules: &AnnotateRules) -> Vec<AbdRecord> {
    let annotation = annotate_volume(mask.view(), &LabelMap::abdomen(), PlaneMap::FlipBoth, rules).unwrap();
    abd_records("Case_00001_0000.nii.gz", &annotation, 1, AbsentRatio::Integer)
}

#[test]
fn worked_abdomen_mask() {
    let records = abdomen(&worked_abdomen(), &AnnotateRules::PUBLISHED_ABDOMEN);
    let [first, second] = &records[..] else { panic!("two slices") };
    assert_eq!((first.bbox_liver, first.pixels_liver), ([5, 4, 7, 6].into(), 9));
    assert_eq!((first.bbox_kidney, first.pixels_kidney), ([1, 3, 2, 4].into(), 6));
    assert_eq!((first.bbox_spleen, first.pixels_spleen), ([3, 0, 4, 1].into(), 4));
    assert_eq!((first.bbox_pancreas, first.pixels_pancreas), ([3, 4, 4, 5].into(), 3));
    assert_eq!(second.bbox_liver, BoxPx::from([5, 5, 7, 6]));
    assert_eq!([second.liver_pixels_ratio, second.liver_bbox_ratio].map(|r| r.as_f64()), [0.67, 0.5]);
    assert_eq!((second.bbox_kidney, second.pixels_kidney), (BoxPx::ZEROS, 0));
    assert_eq!([second.kidney_pixels_ratio, second.kidney_bbox_ratio].map(|r| r.as_f64()), [0.0, 0.0]);
    // The repaired rule counts the chosen kidney alone.
    let mut rules = AnnotateRules::FIXED;
    let first = &abdomen(&worked_abdomen(), &rules)[0];
    assert_eq!((first.bbox_kidney, first.pixels_kidney), ([1, 3, 2, 4].into(), 4));
    // Left of column 1 there is none.
    rules.kidney = KidneyRule::Fixed { midline_col: Some(1.0) };
    assert_eq!(abdomen(&worked_abdomen(), &rules)[0].pixels_kidney, 0);
}

#[test]
fn body_midline_moves_the_kidney_rule() {
    // A body in columns 20 to 49 with kidneys in 22-27 and 40-45, one on each side of its own
    // middle, 34.5, and of the image's, 35.5. Moved by 12 both lie right of the image's middle.
    for (shift, at_center) in [(0, 36), (12, 0)] {
        let mut hu = Array3::from_elem((72, 8, 1).f(), -1000.0_f32);
        hu.slice_mut(s![20 + shift..50 + shift, .., ..]).fill(40.0);
        let mut mask = Array3::zeros((72, 8, 1).f());
        mask.slice_mut(s![22 + shift..28 + shift, 1..7, 0]).fill(2_u16);
        mask.slice_mut(s![40 + shift..46 + shift, 1..7, 0]).fill(2_u16);
        let kidney_pixels = |rules: &AnnotateRules| {
            let map = LabelMap::abdomen();
            let annotation = annotate_volume(mask.view(), &map, PlaneMap::Display, rules).unwrap();
            annotation.organ_record(0, Organ::Kidney).pixels
        };
        let mut rules = AnnotateRules::FIXED;
        let by_image = kidney_pixels(&rules);
        rules.kidney = KidneyRule::Fixed { midline_col: body_midline_col(hu.view(), PlaneMap::Display) };
        assert_eq!((by_image, kidney_pixels(&rules)), (at_center, 36), "shifted by {shift}");
    }
}

#[test]
fn organ_absent_from_the_volume() {
    let mask = Array3::<u16>::from_elem((4, 4, 2), 1);
    let map = LabelMap::msd();
    let annotate = |rules| annotate_volume(mask.view(), &map, PlaneMap::FlipBoth, &rules);
    let error = AnnotateError::NoBoxArea { organ: Organ::Tumor, max_pixels: 0 };
    assert_eq!(annotate(AnnotateRules::PUBLISHED), Err(error));
    let zeros = annotate(AnnotateRules::FIXED).unwrap();
    assert_eq!(zeros.organs_without_area().collect::<Vec<_>>(), [Organ::Tumor]);
    assert_eq!(zeros.organ_record(1, Organ::Tumor).bbox_ratio, 0.0);
    // In AbdomenCT-1K records the published zero is an integer.
    let text = |absent| {
        let rules = AnnotateRules::PUBLISHED_ABDOMEN;
        let liver = annotate_volume(mask.view(), &LabelMap::abdomen(), PlaneMap::FlipBoth, &rules).unwrap();
        serde_json::to_string(&abd_records("c", &liver, 1, absent)[0]).unwrap()
    };
    let integer = text(AbsentRatio::Integer);
    assert!(integer.contains(r#""liver_bbox_ratio":1.0"#), "{integer}");
    assert!(integer.contains(r#""spleen_pixels_ratio":0,"spleen_bbox_ratio":0,"#), "{integer}");
    assert!(text(AbsentRatio::Float).contains(r#""spleen_pixels_ratio":0.0,"spleen_bbox_ratio":0.0,"#));
}

#[test]
fn the_papers_example_record() {
    let rows = [([196, 235, 237, 260], 1025, 2652, 0.39), ([220, 238, 237, 255], 289, 306, 0.94)];
    for (bbox, area, max, ratio) in rows {
        assert_eq!(BoxPx::from(bbox).selection_area(), area);
        assert_eq!(round_ratio(area, max), ratio);
    }
    assert_eq!([round_ratio(804, 1304), round_ratio(258, 279)], [0.62, 0.92]);
}

fn test_part(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: Vec<String> = names.collect();
    assert!(names.is_sorted());
    let split = split_volumes(&names, &mut PyRandom::new(42));
    assert_eq!(split.train.len() + split.test.len(), names.len());
    split.test
}

#[test]
fn nih_test_part_of_seed_42() {
    let numbers = (1..=82).filter(|n| ![25, 70].contains(n));
    let test = test_part(numbers.map(|n| format!("label{n:04}.nii.gz")));
    let expected = "0051,0065,0024,0052,0032,0057,0009,0048,0059,0041,0016,0075,0061,0040,0044,0064";
    let expected: Vec<String> = expected.split(',').map(|n| format!("label{n}.nii.gz")).collect();
    assert_eq!(test, expected);
}

#[test]
fn msd_test_part_of_seed_42() {
    let cases = include_str!("fixtures/logic/msd_cases.txt").split_whitespace();
    assert_eq!(cases.clone().count(), 281);
    let test = test_part(cases.map(|n| format!("pancreas_{n}.nii.gz")));
    let expected = "290 012 087 175 308 385 379 019 415 089 160 126 333 218 268 418 382 196 375 315 \
        207 235 102 004 255 413 127 302 348 412 344 321 015 242 378 399 293 366 372 309 \
        106 066 201 298 078 342 370 061 119 131 304 326 343 392 246 083";
    let expected: Vec<String> = expected.split_whitespace().map(|n| format!("pancreas_{n}.nii.gz")).collect();
    assert_eq!(test, expected);
}

#[test]
fn published_reader_keeps_the_last_organ_at_the_first_place() {
    let slices = abdomen(&worked_abdomen(), &AnnotateRules::PUBLISHED_ABDOMEN);
    let question = |slice: usize, organ, q_id| AbdSplitRecord::new(&slices[slice], organ, q_id).unwrap();
    let file = [
        question(0, Organ::Liver, 1),
        question(1, Organ::Liver, 2),
        question(0, Organ::Kidney, 3),
        question(0, Organ::Pancreas, 4),
    ];
    assert_eq!(one_organ_per_slice(&file), [question(0, Organ::Pancreas, 4), question(1, Organ::Liver, 2)]);
    assert_eq!(AbdSplitRecord::new(&slices[0], Organ::Tumor, 1), None);
}
