//! What holds for any boxes, rankings and patients.

use proptest::prelude::*;
use vlm_metrics::coco::{evaluate, from_cases};
use vlm_metrics::{
    Bootstrap, DetectionCase, HeatMap, auroc, average_precision, calibration, case_iou, detection_scores,
    dsc, dsc_inclusive, iou, iou_inclusive,
};
use vlm_prompt::PixelBox;

/// Also inverted, empty and far outside.
fn any_box() -> impl Strategy<Value = PixelBox> {
    prop_oneof![
        4 => prop::array::uniform4(-20.0..600.0_f64).prop_map(PixelBox::from),
        4 => prop::array::uniform4(0..40_u32).prop_map(PixelBox::from),
        1 => prop::array::uniform4(prop::num::f64::ANY).prop_map(PixelBox::from),
    ]
}

fn true_box() -> impl Strategy<Value = PixelBox> {
    (0..400_u32, 0..400_u32, 0..100_u32, 0..100_u32).prop_map(|(x, y, w, h)| [x, y, x + w, y + h].into())
}

fn any_case() -> impl Strategy<Value = DetectionCase> {
    (
        (0..6_u32, 0..4_u32),
        prop::option::weighted(0.8, true_box()),
        prop::option::weighted(0.8, prop::array::uniform4(0.0..512.0_f64).prop_map(PixelBox::from)),
        any::<bool>(),
        prop::option::of(0.0..1.0_f64),
    )
        .prop_map(|((image, patient), truth, predicted, is_parsed, confidence)| DetectionCase {
            image: image.to_string(),
            patient: patient.to_string(),
            target: "pancreas".into(),
            image_size: [512, 512],
            truth,
            predicted,
            is_parsed,
            confidence,
            spacing_mm: Some([0.8, 0.8]),
            ..DetectionCase::default()
        })
}

fn ranking() -> impl Strategy<Value = Vec<(bool, f64)>> {
    prop::collection::vec((any::<bool>(), prop_oneof![0.0..=1.0_f64, Just(0.5), Just(0.1)]), 1..60)
}

proptest! {
    #[test]
    fn overlaps_are_symmetric_shares(a in any_box(), b in any_box()) {
        for score in [iou, dsc, iou_inclusive, dsc_inclusive] {
            let got = score(a, b);
            prop_assert!((0.0..=1.0).contains(&got), "{got}");
            prop_assert_eq!(got, score(b, a));
        }
        prop_assert!(iou(a, b) <= dsc(a, b));
    }

    #[test]
    fn a_box_with_an_area_equals_itself(a in true_box()) {
        let has_area = a.x_max > a.x_min && a.y_max > a.y_min;
        prop_assert_eq!(iou(a, a), if has_area { 1.0 } else { 0.0 });
        prop_assert_eq!(iou_inclusive(a, a), 1.0);
    }

    #[test]
    fn scores_of_any_cases_are_shares(cases in prop::collection::vec(any_case(), 1..30)) {
        let (ground_truth, results) = from_cases(&cases).unwrap();
        let has_truth = !ground_truth.annotations.is_empty();
        for (place, stat) in evaluate(&ground_truth, &results).unwrap().to_stats().into_iter().enumerate() {
            prop_assert!((0.0..=1.0).contains(&stat) || stat == -1.0, "{place}: {stat}");
        }
        let scores = detection_scores(&cases, &Bootstrap { n_draws: 20, seed: 1 });
        prop_assert_eq!(scores.is_ok(), has_truth);
        if let Ok(scores) = scores {
            let [low, high] = scores.iou_ci95.unwrap();
            for share in [scores.iou_mean, scores.ap, scores.ap_50, scores.accuracy_50, low, high] {
                prop_assert!((0.0..=1.0).contains(&share), "{share}");
            }
            prop_assert!(scores.ap <= scores.ap_50 + 1e-12 && scores.accuracy_75 <= scores.accuracy_50);
            prop_assert!(low <= high);
            let n_scored = cases.iter().filter_map(case_iou).count();
            prop_assert_eq!(n_scored, scores.n_with_truth);
        }
    }

    #[test]
    fn the_bootstrap_of_a_constant_is_the_constant(n in 1..20_usize, seed: u64, constant in -5.0..5.0_f64) {
        let patients: Vec<String> = (0..n).map(|patient| (patient / 2).to_string()).collect();
        let bootstrap = Bootstrap { n_draws: 30, seed };
        let interval = bootstrap.interval_of_mean(patients.iter().map(|patient| (patient.as_str(), constant)));
        let [low, high] = interval.unwrap();
        prop_assert!((low - constant).abs() < 1e-12 && (high - constant).abs() < 1e-12);
    }

    #[test]
    fn rankings_turn_around(scored in ranking()) {
        let turned: Vec<(bool, f64)> = scored.iter().map(|(truth, score)| (!truth, *score)).collect();
        match (auroc(&scored), auroc(&turned)) {
            (Some(area), Some(other)) => prop_assert!((area + other - 1.0).abs() < 1e-12),
            (area, other) => prop_assert_eq!(area, other),
        }
        if let Some(precision) = average_precision(&scored) {
            prop_assert!(precision > 0.0 && precision <= 1.0 + 1e-12);
        }
        let reliability = calibration(&scored, 10).unwrap();
        prop_assert!((0.0..=1.0).contains(&reliability.ece));
        prop_assert_eq!(reliability.bins.iter().map(|bin| bin.n).sum::<usize>(), scored.len());
    }

    #[test]
    fn heat_maps_are_shares(boxes in prop::collection::vec(any_box(), 0..20), side in 1..40_usize) {
        let map = HeatMap::of(boxes.into_iter().map(|pixels| (pixels, [512, 300])), side).unwrap();
        prop_assert_eq!(map.values.len(), side * side);
        prop_assert!(map.values.iter().all(|value| (0.0..=1.0).contains(value)));
        prop_assert_eq!(map.max_count > 0, map.n > 0);
    }
}
