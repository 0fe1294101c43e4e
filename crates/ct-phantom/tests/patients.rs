//! What is true of every patient in memory.

use ct_phantom::{
    Layout, Phantom, PhantomError, PhantomLabel as Label, PhantomSpec, Tumors, generate_mass_pair,
    generate_patient,
};
use ct_volume::Orientation;
use ndarray::{Axis, Slice};

fn quick(seed: u64, patients: u32) -> PhantomSpec {
    PhantomSpec::quick(Layout::Msd, seed, patients)
}

fn make(spec: &PhantomSpec, index: u32) -> Phantom {
    generate_patient(spec, index).expect("a spec in bounds")
}

/// Median HU of the voxels whose six neighbors have the same label (partial volume left out).
fn inner_median(phantom: &Phantom, label: Label) -> f32 {
    let (hu, labels) = (phantom.volume.hu(), phantom.organs.labels());
    let is = |at: [usize; 3]| labels.get(at) == Some(&label.value());
    let mut values: Vec<f32> = hu
        .indexed_iter()
        .filter(|&((i, j, k), _)| {
            let near = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
            is([i, j, k])
                && near.iter().all(|d: &[usize; 3]| {
                    let below = [i.wrapping_sub(d[0]), j.wrapping_sub(d[1]), k.wrapping_sub(d[2])];
                    is([i + d[0], j + d[1], k + d[2]]) && is(below)
                })
        })
        .map(|(_, &value)| value)
        .collect();
    assert!(!values.is_empty(), "{label:?} has no inner voxel");
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

#[test]
fn every_organ_is_there_with_its_hu() {
    let spec = PhantomSpec::new(Layout::Msd, 3, 4).with_matrix(128);
    // HU over all phases; the arterial aorta and the delayed kidney pelvis set the wide ends.
    let ranges = [
        (Label::Liver, 35.0..125.0),
        (Label::Spleen, 75.0..145.0),
        (Label::RightKidney, 70.0..225.0),
        (Label::LeftKidney, 70.0..225.0),
        (Label::Pancreas, 25.0..125.0),
        (Label::Aorta, 95.0..340.0),
        (Label::VenaCava, 60.0..170.0),
        (Label::Spine, 60.0..400.0),
        (Label::Lung, -920.0..-780.0),
        (Label::Muscle, 35.0..75.0),
        (Label::Fat, -120.0..-85.0),
    ];
    for index in 0..spec.patients {
        let phantom = make(&spec, index);
        for (label, range) in &ranges {
            let median = inner_median(&phantom, *label);
            assert!(range.contains(&median), "patient {index}: {label:?} is {median} HU");
        }
        for label in Label::ALL {
            let expected = label != Label::Tumor || phantom.facts.tumor.is_some();
            assert_eq!(phantom.count(label) > 0, expected, "patient {index}: {label:?}");
        }
        let hu = phantom.volume.hu();
        assert!(hu.iter().all(|v| (-1024.0..=3071.0).contains(v) && v.fract() == 0.0));
        assert!(hu.iter().any(|&v| v > 400.0), "patient {index} has no bone");
        assert_eq!(hu[[0, 0, 0]], -1024.0, "outside the circle");
    }
}

#[test]
fn organs_of_the_masks_are_in_every_quick_patient() {
    for layout in Layout::ALL {
        let spec = PhantomSpec::quick(layout, 11, 12).with_tumors(Tumors::Half);
        let mut tumors = 0;
        for index in 0..spec.patients {
            let phantom = make(&spec, index);
            for label in [Label::Liver, Label::Spleen, Label::RightKidney, Label::LeftKidney, Label::Pancreas]
            {
                assert!(phantom.count(label) >= 8, "{layout} {index} {label:?}");
            }
            tumors += u32::from(phantom.facts.tumor.is_some());
        }
        assert_eq!(tumors, 6, "{layout}");
    }
}

#[test]
fn sides_are_the_patients_own() {
    // LPS: columns run to the left, rows to the back, slices up.
    let phantom = make(&quick(4, 1), 0);
    assert_eq!(phantom.volume.geometry().orientation(), Orientation::LPS);
    let middle = |label: Label| {
        let at: Vec<_> =
            phantom.organs.labels().indexed_iter().filter(|(_, v)| **v == label.value()).collect();
        let n = at.len() as f64;
        let mean = |part: fn((usize, usize, usize)) -> usize| {
            at.iter().map(|(p, _)| part(*p) as f64).sum::<f64>() / n
        };
        [mean(|p| p.0), mean(|p| p.1), mean(|p| p.2)]
    };
    assert!(middle(Label::RightKidney)[0] < middle(Label::LeftKidney)[0]);
    assert!(middle(Label::Liver)[0] < middle(Label::Spleen)[0]);
    assert!(middle(Label::Stomach)[1] < middle(Label::Spine)[1]);
    assert!(middle(Label::RightKidney)[2] < middle(Label::Liver)[2]);
}

#[test]
fn tumors_are_in_or_on_the_pancreas_and_of_the_stated_size() {
    let spec = PhantomSpec::new(Layout::Msd, 21, 6).with_matrix(128).with_tumors(Tumors::All);
    for index in 0..spec.patients {
        let phantom = make(&spec, index);
        let facts = phantom.facts.tumor.clone().unwrap();
        assert!((5.0..=40.0).contains(&facts.diameter_mm), "{}", facts.diameter_mm);
        assert!((10.0..=45.0).contains(&facts.contrast_hu), "{}", facts.contrast_hu);
        let labels = phantom.organs.labels();
        assert_eq!(labels[facts.center_voxel], Label::Tumor.value(), "patient {index}");
        let [x, y, z] = phantom.facts.spacing_mm;
        // Vessels may cross a large one, so the ball of equal volume can be smaller.
        let volume = phantom.count(Label::Tumor) as f64 * x * y * z;
        let diameter = (6.0 * volume / std::f64::consts::PI).cbrt();
        let stated = f64::from(facts.diameter_mm);
        let voxel = (x * y * z).cbrt();
        assert!(diameter < stated * 1.2 + voxel && diameter > stated * 0.6 - voxel, "{diameter} {stated}");
        let touches = labels.indexed_iter().any(|((i, j, k), &value)| {
            value == Label::Tumor.value()
                && [[i + 1, j, k], [i, j + 1, k], [i, j, k + 1], [i.wrapping_sub(1), j, k]]
                    .iter()
                    .any(|&at| labels.get(at) == Some(&Label::Pancreas.value()))
        });
        assert!(touches, "patient {index}: the tumour touches no pancreas");
    }
}

#[test]
fn organs_are_inside_the_body() {
    let phantom = make(&quick(8, 2), 0);
    let labels = phantom.organs.labels();
    let (columns, rows, _) = labels.dim();
    for ((i, j, k), &value) in labels.indexed_iter() {
        let label = Label::from_value(value).unwrap();
        if matches!(label, Label::Background | Label::Skin | Label::Fat | Label::Muscle | Label::Rib) {
            continue;
        }
        // From an organ, each way out leads through something of the body.
        let solid = |i: usize, j: usize| labels[[i, j, k]] != Label::Background.value();
        assert!((0..i).any(|i| solid(i, j)) && (i + 1..columns).any(|i| solid(i, j)), "{label:?}");
        assert!((0..j).any(|j| solid(i, j)) && (j + 1..rows).any(|j| solid(i, j)), "{label:?}");
    }
}

#[test]
fn only_the_mass_and_its_neighbor_tell_of_a_tumor() {
    for index in 0..6 {
        let with = make(&quick(31, 6).with_tumors(Tumors::All), index);
        let without = make(&quick(31, 6).with_tumors(Tumors::None), index);
        let tumor = with.facts.tumor.clone().unwrap();
        let mut twin = with.facts.clone();
        twin.tumor = None;
        assert_eq!(twin, without.facts);
        // The pancreas with its tumour has the same outline as the healthy one.
        let union = |p: &Phantom| {
            p.organs.labels().mapv(|v| v == Label::Pancreas.value() || v == Label::Tumor.value())
        };
        assert_eq!(union(&with), union(&without));
        let (a, b) = (with.volume.hu(), without.volume.hu());
        let mut changed = 0;
        for ((i, j, k), value) in a.indexed_iter() {
            if *value == b[[i, j, k]] {
                continue;
            }
            changed += 1;
            let away: f64 = [i, j, k]
                .iter()
                .zip(tumor.center_voxel)
                .zip(with.facts.spacing_mm)
                .map(|((&a, b), mm)| ((a as f64 - b as f64) * mm).powi(2))
                .sum();
            // Mass, then the look-alike at up to 2.5 radii with its own size; bending and pixels.
            let reach = 2.2 * f64::from(tumor.diameter_mm) + 30.0;
            assert!(away.sqrt() < reach, "patient {index}: changed {:.0} mm away", away.sqrt());
        }
        assert!(changed > 0);
    }
}

#[test]
fn a_tumor_is_darker_than_the_bulge_it_replaces() {
    let mut differences = Vec::new();
    for index in 0..8 {
        let with = make(&quick(41, 8).with_tumors(Tumors::All), index);
        let without = make(&quick(41, 8).with_tumors(Tumors::None), index);
        let center = with.facts.tumor.unwrap().center_voxel;
        differences.push(without.volume.hu()[center] - with.volume.hu()[center]);
    }
    assert!(differences.iter().all(|&d| d > 3.0), "{differences:?}");
}

#[test]
fn patients_and_layouts_differ_and_patients_repeat() {
    let spec = quick(5, 3);
    let first = make(&spec, 1);
    let again = make(&spec.clone().with_tumors(Tumors::Half), 1);
    assert_eq!(first.volume.hu(), again.volume.hu());
    assert_eq!(first.organs.labels(), again.organs.labels());
    // More patients in the spec change nothing about one of them.
    assert_eq!(first.volume.hu(), make(&quick(5, 9), 1).volume.hu());
    assert_ne!(first.volume.hu(), make(&spec, 2).volume.hu());
    assert_ne!(first.volume.hu(), make(&quick(6, 3), 1).volume.hu());
    assert_ne!(first.volume.hu(), make(&PhantomSpec::quick(Layout::Abd, 5, 3), 1).volume.hu());
}

#[test]
fn patients_are_bounded() {
    let error = generate_patient(&quick(1, 2), 2).unwrap_err();
    assert!(matches!(error, PhantomError::NoSuchPatient { index: 2, patients: 2 }), "{error}");
    let error = generate_patient(&quick(1, 2).with_matrix(8), 0).unwrap_err();
    assert!(matches!(error, PhantomError::Spec(_)), "{error}");
}

#[test]
fn a_pair_differs_in_the_tumor_alone() {
    let spec = quick(19, 4);
    for index in 0..spec.patients {
        let whole = make(&spec, index);
        for mass in 0..3 {
            let pair = generate_mass_pair(&spec, index, mass).expect("a spec in bounds");
            let (with, without) = (&pair.with_tumor, &pair.without);
            assert!(with.count(Label::Tumor) > 0 && without.count(Label::Tumor) == 0);
            let mut changed = 0;
            for (at, &label) in with.organs.labels().indexed_iter() {
                let other = without.organs.labels()[at];
                let expected = if label == Label::Tumor.value() { Label::Pancreas.value() } else { label };
                // The look-alike beside the gland has one outline in both.
                assert_eq!(other, expected, "patient {index}, mass {mass}, voxel {at:?}");
                changed += usize::from(with.volume.hu()[at] != without.volume.hu()[at]);
            }
            assert!(changed > 0 && changed * 10 < with.organs.labels().len());

            let n_planes = with.facts.shape[2];
            assert!(n_planes > 0 && pair.first_plane + n_planes <= whole.facts.shape[2]);
            let own = if whole.facts.tumor.is_some() { with } else { without };
            let planes = whole
                .volume
                .hu()
                .slice_axis(Axis(2), Slice::from(pair.first_plane..pair.first_plane + n_planes));
            assert_eq!(planes == own.volume.hu(), mass == 0, "patient {index}, mass {mass}");
            let [x, y, z] = with.volume.geometry().affine().apply([1.0, 2.0, 0.0]);
            #[expect(clippy::cast_precision_loss, reason = "a plane's number")]
            let [a, b, c] = whole.volume.geometry().affine().apply([1.0, 2.0, pair.first_plane as f64]);
            assert!((x - a).abs() < 1e-9 && (y - b).abs() < 1e-9 && (z - c).abs() < 1e-3);
        }
    }
    let beyond = generate_mass_pair(&spec, 4, 0).map(|_| ());
    assert!(matches!(beyond, Err(PhantomError::NoSuchPatient { index: 4, patients: 4 })));
}
