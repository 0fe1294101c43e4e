//! Properties that hold for any mask, seed and record.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

use std::collections::{BTreeMap, HashSet};

use ct_slices::python::{PyRandom, to_python_json};
use ct_slices::{
    AnnotateRules, BoxPx, KidneyRule, LabelMap, Organ, OrganSlice, PlaneMap, VolumeAnnotation, VoxelBox,
    annotate_volume, right_kidney, round_ratio,
};
use ndarray::{Array2, Array3, ArrayView3, Axis, ShapeBuilder};
use proptest::prelude::*;

fn plane_map() -> impl Strategy<Value = PlaneMap> {
    prop::sample::select(PlaneMap::ALL.to_vec())
}

/// The index formulas of SPEC 1.2, one pixel at a time.
fn mapped_by_formula(a: &Array2<u32>, map: PlaneMap) -> Array2<u32> {
    let (n0, n1) = a.dim();
    let (width, height) = map.plane_size(n0, n1);
    Array2::from_shape_fn((height, width), |(r, c)| match map {
        PlaneMap::Stored => a[[r, c]],
        PlaneMap::FlipBoth => a[[n0 - 1 - c, n1 - 1 - r]],
        PlaneMap::FlipRows => a[[c, n1 - 1 - r]],
        PlaneMap::Display => a[[c, r]],
    })
}

/// Box and count of the true pixels, by looking at each.
fn naive_box(plane: &Array2<bool>) -> Option<(BoxPx, u64)> {
    let mut found: Option<(BoxPx, u64)> = None;
    for ((row, col), _) in plane.indexed_iter().filter(|(_, is_set)| **is_set) {
        let (x, y) = (u32::try_from(col).unwrap(), u32::try_from(row).unwrap());
        let (b, n) = found.get_or_insert((BoxPx { x_min: x, y_min: y, x_max: x, y_max: y }, 0));
        *b = BoxPx {
            x_min: b.x_min.min(x),
            y_min: b.y_min.min(y),
            x_max: b.x_max.max(x),
            y_max: b.y_max.max(y),
        };
        *n += 1;
    }
    found
}

/// Slices of one organ as [`annotate_volume`] should give them.
fn naive_organ(
    labels: ArrayView3<'_, u16>,
    organ: Organ,
    map: &LabelMap,
    plane: PlaneMap,
) -> Vec<OrganSlice> {
    let meant = &map.0[&organ];
    let found: Vec<Option<(BoxPx, u64)>> = labels
        .axis_iter(Axis(2))
        .map(|slice| {
            let mask = plane.view(slice).mapv(|label| meant.contains(&label));
            if organ == Organ::Kidney {
                right_kidney(mask.view(), KidneyRule::Published).map(|k| (k.bbox, k.pixels))
            } else {
                naive_box(&mask)
            }
        })
        .collect();
    let most_pixels = found.iter().flatten().map(|(_, n)| *n).max().unwrap_or(0);
    let most_area = found.iter().flatten().map(|(b, _)| b.selection_area()).max().unwrap_or(0);
    let ratio = |value, max| if max == 0 { 0.0 } else { round_ratio(value, max) };
    let organ_slice = |found: Option<(BoxPx, u64)>| match found {
        None => OrganSlice::default(),
        Some((bbox, pixels)) => OrganSlice {
            pixels,
            bbox: Some(bbox),
            pixels_ratio: ratio(pixels, most_pixels),
            bbox_ratio: ratio(bbox.selection_area(), most_area),
        },
    };
    found.into_iter().map(organ_slice).collect()
}

/// Masks with runs as real ones have, sparse and dense ones, and some wider than the scan's chunk.
fn mask() -> impl Strategy<Value = Array3<u16>> {
    (1..80_usize, 1..20_usize, 1..4_usize, prop::collection::vec((0..8_u16, 1..90_usize), 1..60)).prop_map(
        |(n0, n1, n2, runs)| {
            let labels = runs.iter().flat_map(|&(label, n)| std::iter::repeat_n(label.saturating_sub(3), n));
            let labels: Vec<u16> = labels.collect();
            Array3::from_shape_vec(
                (n0, n1, n2).f(),
                labels.iter().copied().cycle().take(n0 * n1 * n2).collect(),
            )
            .unwrap()
        },
    )
}

fn check_annotation(labels: ArrayView3<'_, u16>, map: &LabelMap, plane: PlaneMap) {
    let rules = AnnotateRules::PUBLISHED_ABDOMEN;
    let annotation: VolumeAnnotation = annotate_volume(labels, map, plane, &rules).unwrap();
    let (n0, n1, _) = labels.dim();
    assert_eq!((annotation.width_px, annotation.height_px), plane.plane_size(n0, n1));
    for organ in map.organs() {
        let expected = naive_organ(labels, organ, map, plane);
        let got: Vec<OrganSlice> = annotation.slices.iter().map(|slice| slice.organs[&organ]).collect();
        assert_eq!(got, expected, "{organ} on {plane:?}, {:?}", labels.dim());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn views_are_the_index_formulas((n0, n1, map) in (1..9_usize, 1..9_usize, plane_map())) {
        let a = Array2::from_shape_fn((n0, n1), |(i, j)| u32::try_from(i * n1 + j).unwrap());
        prop_assert_eq!(map.view(a.view()), mapped_by_formula(&a, map));
    }

    #[test]
    fn points_and_boxes_are_where_the_view_shows_them(
        (n0, n1, map, at) in (1..12_usize, 1..12_usize, plane_map(), any::<[prop::sample::Index; 4]>())
    ) {
        let index = |at: usize| u32::try_from(at).unwrap();
        let shape = [index(n0), index(n1)];
        let (i, j) = ([at[0].index(n0), at[1].index(n0)], [at[2].index(n1), at[3].index(n1)]);
        let (i_min, i_max) = (i[0].min(i[1]), i[0].max(i[1]));
        let (j_min, j_max) = (j[0].min(j[1]), j[0].max(j[1]));

        let mut slice = Array2::from_elem((n0, n1), false);
        slice[[i_min, j_max]] = true;
        let [x, y] = map.map_point(shape, [index(i_min), index(j_max)]);
        prop_assert!(map.view(slice.view())[[y as usize, x as usize]]);

        slice.slice_mut(ndarray::s![i_min..=i_max, j_min..=j_max]).fill(true);
        let voxels =
            VoxelBox { i_min: index(i_min), i_max: index(i_max), j_min: index(j_min), j_max: index(j_max) };
        let n_voxels = ((i_max - i_min + 1) * (j_max - j_min + 1)) as u64;
        let expected = Some((map.map_box(shape, voxels), n_voxels));
        prop_assert_eq!(naive_box(&map.view(slice.view()).to_owned()), expected);
    }

    #[test]
    fn annotation_equals_looking_at_every_pixel((labels, plane) in (mask(), plane_map())) {
        check_annotation(labels.view(), &LabelMap::msd(), plane);
        check_annotation(labels.view(), &LabelMap::abdomen(), plane);
        // Zero can mean an organ, and one number several.
        let all = BTreeMap::from([(Organ::Liver, vec![0, 1]), (Organ::Spleen, vec![1, 1, 60_000]), (Organ::Tumor, vec![])]);
        check_annotation(labels.view(), &LabelMap(all), plane);
    }

    #[test]
    fn annotation_does_not_depend_on_memory_order(
        (labels, plane, axes, flips) in
            (mask(), plane_map(), Just([0, 1, 2]).prop_shuffle(), any::<[bool; 3]>())
    ) {
        let mut turned = labels.view().permuted_axes(axes);
        for axis in (0..3).filter(|&axis| flips[axis]) {
            turned.invert_axis(Axis(axis));
        }
        check_annotation(turned, &LabelMap::abdomen(), plane);
    }

    #[test]
    fn samples_hold_each_index_once((seed, n, share) in (any::<u64>(), 0..2000_usize, 0.0..=1.0_f64)) {
        let k = (0..=n).rev().find(|&k| k as f64 <= n as f64 * share).unwrap_or(0);
        let sample = PyRandom::new(seed).sample_indices(n, k).unwrap();
        prop_assert_eq!(sample.len(), k);
        prop_assert!(sample.iter().all(|&at| at < n));
        prop_assert_eq!(sample.iter().collect::<HashSet<_>>().len(), k);
        prop_assert!(PyRandom::new(seed).sample_indices(n, n + 1).is_err());
    }

    #[test]
    fn shuffles_keep_every_item((seed, n) in (any::<u64>(), 0..300_usize)) {
        let mut items: Vec<usize> = (0..n).collect();
        PyRandom::new(seed).shuffle(&mut items);
        items.sort_unstable();
        prop_assert_eq!(items, (0..n).collect::<Vec<_>>());
    }

    #[test]
    fn written_json_reads_back(
        value in prop::collection::btree_map(any::<String>(), (any::<f64>(), any::<i64>(), any::<Option<String>>(),
            prop::collection::vec(any::<bool>(), 0..3)), 0..6)
    ) {
        let bytes = to_python_json(&value).unwrap();
        prop_assert!(bytes.is_ascii());
        let back: BTreeMap<String, (f64, i64, Option<String>, Vec<bool>)> = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(back, value);
    }
}
