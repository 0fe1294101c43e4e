//! What holds for any study and any answers.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test stops at what fails"
)]

use std::collections::BTreeSet;

use ct_volume::{Affine, Geometry, Orientation};
use findings::export::{box_mask, entity_mask};
use findings::{
    Entity, FindingOptions, Findings, LinkOptions, PlaneBox, Provenance, SliceAnswers, SliceBox,
    StudyGeometry, link,
};
use ndarray::Axis;
use proptest::prelude::*;

const SHAPE: [usize; 3] = [24, 20, 16];

/// Any of the 48 orientations, turned by up to 25 degrees about two axes and sheared.
fn geometries() -> impl Strategy<Value = Geometry> {
    let numbers = (
        0..48_usize,
        -0.45..0.45_f64,
        -0.45..0.45_f64,
        -0.3..0.3_f64,
        prop::array::uniform3(-300.0..300.0_f64),
    );
    let spacing = (0.4..1.5_f64, 0.4..1.5_f64, 0.6..6.0_f64);
    (numbers, spacing).prop_map(|((orientation, turn, tilt, shear, origin), (x, y, z))| {
        let straight = Orientation::all()[orientation].affine([x, y, z]);
        let about_z = rotation(turn, 0, 1);
        let about_x = rotation(tilt, 1, 2);
        let sheared = Affine::from_rows([
            [1.0, 0.0, 0.0, origin[0]],
            [0.0, 1.0, shear, origin[1]],
            [0.0, 0.0, 1.0, origin[2]],
        ]);
        let affine = sheared.after(&about_z).after(&about_x).after(&straight);
        Geometry::new(SHAPE, affine).unwrap()
    })
}

fn rotation(angle: f64, a: usize, b: usize) -> Affine {
    let mut rows = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    let (sin, cos) = angle.sin_cos();
    (rows[a][a], rows[a][b], rows[b][a], rows[b][b]) = (cos, -sin, sin, cos);
    Affine::from_rows(rows)
}

/// A box inside a slice of a study, as parts of its sides.
fn parts() -> impl Strategy<Value = [f64; 4]> {
    (0.0..0.8_f64, 0.0..0.8_f64, 0.1..0.2_f64, 0.1..0.2_f64).prop_map(|(x, y, w, h)| [x, y, x + w, y + h])
}

fn answers() -> impl Strategy<Value = Vec<SliceAnswers>> {
    let entity = prop::sample::select(vec![Entity::PANCREAS, Entity::PANCREATIC_TUMOR, Entity::SPLEEN]);
    let slice_box =
        (entity, 0.0..14.0_f64, 0.0..14.0_f64, 0.5..8.0_f64, 0.5..8.0_f64, prop::option::of(0.0..=1.0_f64))
            .prop_map(|(entity, x, y, w, h, probability)| SliceBox {
                entity,
                box_px: PlaneBox::from([x, y, x + w, y + h]),
                probability,
            });
    let boxes = prop::collection::vec(slice_box, 0..4);
    prop::collection::vec((any::<bool>(), boxes, prop::option::of(0.0..=1.0_f64)), 16).prop_map(|slices| {
        let asked = slices.into_iter().enumerate().filter(|(_, (asked, ..))| *asked);
        asked
            .map(|(slice_idx, (_, boxes, tumor_probability))| SliceAnswers {
                slice_idx,
                boxes,
                tumor_probability,
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn boxes_to_millimeters_and_back(geometry in geometries(), parts in parts(), slice in 0.0..1.0_f64) {
        let study = StudyGeometry::new(&geometry).unwrap();
        let [width, height] = study.size_px().map(f64::from);
        let slice_idx = ((study.n_slices() - 1) as f64 * slice).floor() as usize;
        let box_px = PlaneBox::from([parts[0] * width, parts[1] * height, parts[2] * width, parts[3] * height]);
        let back = study.corners_lps_mm(&box_px, slice_idx).map(|corner| study.to_px(corner));
        let want = [[box_px.x_min, box_px.y_min], [box_px.x_max, box_px.y_min],
                    [box_px.x_max, box_px.y_max], [box_px.x_min, box_px.y_max]];
        for (got, want) in back.into_iter().zip(want) {
            prop_assert!((got[0] - want[0]).abs() < 1e-8 && (got[1] - want[1]).abs() < 1e-8);
            prop_assert!((got[2] - slice_idx as f64).abs() < 1e-8);
        }
        // By way of the file's own axes: the affine of the file, not of the view.
        let source = study.to_source([box_px.x_min, box_px.y_min, slice_idx as f64]);
        let ras = geometry.affine().apply(source.map(|v| v - 0.5));
        let lps = study.corners_lps_mm(&box_px, slice_idx)[0];
        prop_assert!((ras[0] + lps[0]).abs() < 1e-8 && (ras[1] + lps[1]).abs() < 1e-8 && (ras[2] - lps[2]).abs() < 1e-8);
        let (axis, index) = study.source_plane(slice_idx);
        prop_assert!((source[axis] - (index as f64 + 0.5)).abs() < 1e-9);
    }

    #[test]
    fn mask_voxels_are_those_whose_centers_are_in_the_boxes(geometry in geometries(), answers in answers()) {
        let mut options = FindingOptions::default();
        options.link.min_slices = 1;
        let found = Findings::from_answers(&answers, &geometry, Provenance::default(), &options).unwrap();
        let mask = box_mask(&found).unwrap();
        prop_assert_eq!(mask.geometry(), &geometry);
        let study = found.geometry().unwrap();
        let labels = found.labels();
        for entity in labels.keys() {
            let own = entity_mask(&found, entity).unwrap();
            for (index, &label) in own.labels().indexed_iter() {
                let center = geometry.affine().apply([index.0, index.1, index.2].map(|i| i as f64));
                let [x, y, z] = study.to_px([-center[0], -center[1], center[2]]);
                let slice_idx = z.round() as usize;
                // Boxes below half a pixel have a pixel too; those here are larger.
                let inside = found.findings.iter().filter(|f| f.entity == *entity).any(|finding| {
                    finding.box_at(slice_idx).is_some_and(|b| {
                        let b = b.box_px;
                        b.width_px() < 1.0 || b.height_px() < 1.0
                            || (b.x_min - 1e-6 <= x && x < b.x_max + 1e-6 && b.y_min - 1e-6 <= y && y < b.y_max + 1e-6)
                    })
                });
                let surely = found.findings.iter().filter(|f| f.entity == *entity).any(|finding| {
                    finding.box_at(slice_idx).is_some_and(|b| {
                        let b = b.box_px;
                        b.x_min + 1e-6 < x && x < b.x_max - 1e-6 && b.y_min + 1e-6 < y && y < b.y_max - 1e-6
                    })
                });
                prop_assert!(label == 0 || inside, "{:?} at {:?}", entity, index);
                prop_assert!(label == 1 || !surely, "{:?} at {:?}", entity, index);
                if label == 1 {
                    prop_assert!(mask.labels()[[index.0, index.1, index.2]] > 0);
                }
            }
        }
        let painted: BTreeSet<u16> = mask.labels().iter().copied().filter(|&label| label > 0).collect();
        prop_assert!(painted.iter().all(|label| labels.values().any(|known| known == label)));
        let slices = mask.view_as(Orientation::LPS).axis_iter(Axis(2))
            .enumerate().filter(|(_, plane)| plane.iter().any(|&l| l > 0)).map(|(n, _)| n).collect::<BTreeSet<_>>();
        prop_assert_eq!(slices, found.slices_with_boxes());
    }

    #[test]
    fn tubes_keep_the_rules(answers in answers(), max_gap in 0..4_usize, min_slices in 1..4_usize) {
        let geometry = Geometry::new(SHAPE, Affine::from_spacing_origin([1.0, 1.0, 3.0], [0.0; 3])).unwrap();
        let study = StudyGeometry::new(&geometry).unwrap();
        let mut options = LinkOptions::default();
        (options.max_gap_slices, options.min_slices) = (max_gap, min_slices);
        let linked = link(&answers, &study, &options).unwrap();
        let mut n_observed = 0;
        for tube in &linked.tubes {
            let slices: Vec<usize> = tube.slices.iter().map(|s| s.slice_idx).collect();
            prop_assert!(slices.windows(2).all(|pair| pair[1] == pair[0] + 1), "no hole");
            let observed: Vec<_> = tube.slices.iter().filter(|s| s.observed_px.is_some()).collect();
            n_observed += observed.len();
            prop_assert!(observed.len() >= min_slices.min(answers.len()));
            prop_assert_eq!(observed[0].slice_idx, slices[0]);
            prop_assert_eq!(observed[observed.len() - 1].slice_idx, slices[slices.len() - 1]);
            for pair in observed.windows(2) {
                prop_assert!(pair[1].slice_idx - pair[0].slice_idx - 1 <= max_gap, "gap rule");
                let iou = pair[0].observed_px.unwrap().iou(&pair[1].observed_px.unwrap());
                prop_assert!(iou >= options.min_iou);
            }
            for slice in &tube.slices {
                prop_assert!(slice.box_px.clipped(study.size_px()) == Some(slice.box_px), "inside, edges in order");
                if let Some(box_px) = slice.observed_px {
                    let answer = answers.iter().find(|a| a.slice_idx == slice.slice_idx).unwrap();
                    let given = answer.boxes.iter().any(|b| {
                        b.entity == tube.entity && b.probability == slice.probability
                            && b.box_px.clipped(study.size_px()) == Some(box_px)
                    });
                    prop_assert!(given, "a tube's box is a box of its entity");
                }
            }
        }
        let n_boxes: usize = answers.iter().map(|a| a.boxes.len()).sum();
        prop_assert_eq!(n_boxes, n_observed + linked.n_empty_boxes + linked.n_isolated_boxes);
    }

    #[test]
    fn order_does_not_matter(answers in answers(), seed in any::<u64>()) {
        let geometry = Geometry::new(SHAPE, Affine::from_spacing_origin([1.0, 1.0, 3.0], [0.0; 3])).unwrap();
        let found = |answers: &[SliceAnswers]| {
            Findings::from_answers(answers, &geometry, Provenance::default(), &FindingOptions::default()).unwrap()
        };
        let mut shuffled = answers.clone();
        let mut state = seed;
        let mut next = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % n
        };
        for place in (1..shuffled.len()).rev() {
            shuffled.swap(place, next(place + 1));
        }
        for answer in &mut shuffled {
            for place in (1..answer.boxes.len()).rev() {
                answer.boxes.swap(place, next(place + 1));
            }
        }
        prop_assert_eq!(found(&answers).to_json(), found(&shuffled).to_json());
    }

    #[test]
    fn documents_are_read_back(geometry in geometries(), answers in answers()) {
        let found =
            Findings::from_answers(&answers, &geometry, Provenance::default(), &FindingOptions::default()).unwrap();
        prop_assert_eq!(Findings::from_json(&found.to_json()).unwrap(), found);
    }
}
