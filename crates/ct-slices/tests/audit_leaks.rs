//! Leaks that were planted are found, each by its own code, and a clean set has none.

mod audit_set;

use audit_set::{N_SLICES, Set, sha256, slice_image, to_gray};
use ct_slices::SplitPart::{Test, Train};
use ct_slices::audit::{AuditInput, AuditOptions, AuditReport, FindingCode, audit};
use ct_slices::pixels::{Filter, encode_gray, encode_rgba, resize_gray};
use ct_slices::{IndexRecord, SplitPart};
use ndarray::{Array2, s};

/// Two stages of one dataset and a second dataset, as they should be.
struct World {
    detection: Set,
    tumor: Set,
    organs: Set,
}

impl World {
    fn clean() -> Self {
        let mut world = Self {
            detection: Set::new("detection", "MSD"),
            tumor: Set::new("tumor", "MSD"),
            organs: Set::new("organs", "ABD"),
        };
        for n in 0..20 {
            let part = if n % 4 == 0 { Test } else { Train };
            let patient = format!("pancreas_{n:03}");
            world.detection.add_patient(&patient, n, part, n % 3 == 0);
            world.tumor.add_patient(&patient, n, part, n % 3 == 0);
            if n < 12 {
                world.organs.add_patient(&format!("Case_{n:05}"), 500 + n, part, n % 3 == 0);
            }
        }
        world
    }

    fn inputs(&self) -> Vec<AuditInput> {
        [&self.detection, &self.tumor, &self.organs].map(Set::input).to_vec()
    }

    fn audit(&self) -> AuditReport {
        audit(&self.inputs(), &AuditOptions::default().with_probe(false))
    }
}

fn first_of<'a>(set: &'a mut Set, patient: &str) -> &'a mut IndexRecord {
    set.records.iter_mut().find(|record| record.patient == patient).expect("it is there")
}

/// Puts another picture under a record, with the hash that it then has.
fn replace_image(set: &mut Set, patient: &str, image: &Array2<u8>, png: &[u8]) {
    let record = first_of(set, patient);
    record.pixels_sha256 = Some(sha256(image.as_slice().expect("standard layout")));
    let [height, width] = [image.nrows(), image.ncols()].map(|side| u32::try_from(side).expect("small"));
    (record.height, record.width) = (height, width);
    let name = record.image.clone().expect("it has one");
    fs_err::write(set.path_of(&name), png).expect("room on disk");
}

fn replace_gray(set: &mut Set, patient: &str, image: &Array2<u8>) {
    replace_image(set, patient, image, &encode_gray(image.view()).expect("it has pixels"));
}

fn same_patient(world: &mut World) {
    world.detection.add_slice("pancreas_003", N_SLICES - 1, Test, false, &slice_image(900, 0));
    world.detection.records.retain(|r| {
        !(r.patient == "pancreas_003" && r.slice_index == N_SLICES - 1 && r.split == Some(Train))
    });
}

fn same_study_under_another_patient(world: &mut World) {
    let source = first_of(&mut world.detection, "pancreas_001").source_sha256.clone();
    for record in world.detection.records.iter_mut().filter(|record| record.patient == "pancreas_004") {
        record.source_sha256 = source.clone();
    }
}

fn same_image_file(world: &mut World) {
    let train = first_of(&mut world.detection, "pancreas_001").clone();
    let test = first_of(&mut world.detection, "pancreas_008");
    (test.image, test.pixels_sha256) = (train.image, train.pixels_sha256);
}

fn same_pixels_under_another_name(world: &mut World) {
    replace_gray(&mut world.detection, "pancreas_012", &slice_image(2, 0));
}

fn train_of_one_stage_in_test_of_another(world: &mut World) {
    for record in world.tumor.records.iter_mut().filter(|record| record.patient == "pancreas_005") {
        record.split = Some(Test);
    }
}

fn same_study_in_another_dataset(world: &mut World) {
    let source = first_of(&mut world.detection, "pancreas_006").source_sha256.clone();
    for record in world.organs.records.iter_mut().filter(|record| record.patient == "Case_00000") {
        record.source_sha256 = source.clone();
    }
}

fn mirrored_image(world: &mut World) {
    let mirrored = slice_image(507, 0).slice(s![.., ..;-1]).as_standard_layout().into_owned();
    replace_gray(&mut world.organs, "Case_00004", &mirrored);
}

fn brighter_image_as_rgba(world: &mut World) {
    let brighter = slice_image(509, 0).mapv(|gray| gray.saturating_add(9));
    replace_image(
        &mut world.organs,
        "Case_00008",
        &brighter,
        &encode_rgba(brighter.view()).expect("it has pixels"),
    );
}

/// How it is planted, and the code and the inputs that it is found by.
type Leak = (fn(&mut World), FindingCode, &'static [&'static str]);

const LEAKS: [Leak; 8] = [
    (same_patient, FindingCode::LeakPatient, &["detection"]),
    (same_study_under_another_patient, FindingCode::LeakSource, &["detection"]),
    (same_image_file, FindingCode::LeakImageFile, &["detection"]),
    (same_pixels_under_another_name, FindingCode::LeakPixels, &["detection"]),
    (train_of_one_stage_in_test_of_another, FindingCode::LeakPatient, &["detection", "tumor"]),
    (same_study_in_another_dataset, FindingCode::LeakSource, &["detection", "organs"]),
    (mirrored_image, FindingCode::LeakMirrored, &["organs"]),
    (brighter_image_as_rgba, FindingCode::LeakAltered, &["organs"]),
];

fn has(report: &AuditReport, code: FindingCode, inputs: &[&str]) -> bool {
    report.findings.iter().any(|finding| finding.code == code && finding.inputs == inputs)
}

#[test]
fn a_clean_set_has_no_findings() {
    let report = audit(&World::clean().inputs(), &AuditOptions::default());
    assert_eq!(report.findings, [], "{report}");
    assert!(report.passed(true));
    assert!(report.to_text().ends_with("0 errors, 0 warnings, 0 remarks\n"), "{report}");
}

#[test]
fn each_of_eight_planted_leaks_is_found_and_named() {
    for (n, (plant, code, inputs)) in LEAKS.into_iter().enumerate() {
        let mut world = World::clean();
        plant(&mut world);
        let report = world.audit();
        assert!(has(&report, code, inputs), "leak {n}: {code} in {inputs:?}\n{report}");
        assert!(!report.passed(false), "leak {n}");
    }
}

#[test]
fn eight_planted_leaks_at_once_are_all_found() {
    let mut world = World::clean();
    for (plant, _, _) in LEAKS {
        plant(&mut world);
    }
    let report = world.audit();
    for (n, (_, code, inputs)) in LEAKS.into_iter().enumerate() {
        assert!(has(&report, code, inputs), "leak {n}: {code} in {inputs:?}\n{report}");
    }
}

#[test]
fn copies_in_other_clothes_are_found() {
    let check = |image: &Array2<u8>, png: &[u8], code: FindingCode| {
        let mut world = World::clean();
        replace_image(&mut world.organs, "Case_00008", image, png);
        let report = world.audit();
        assert!(has(&report, code, &["organs"]), "{code}\n{report}");
    };
    let original = slice_image(509, 0);
    let gray = |image: &Array2<u8>| encode_gray(image.view()).unwrap();
    check(&original, &encode_rgba(original.view()).unwrap(), FindingCode::LeakPixels);
    let turned = original.t().slice(s![..;-1, ..]).as_standard_layout().into_owned();
    check(&turned, &gray(&turned), FindingCode::LeakMirrored);
    let upside_down = original.slice(s![..;-1, ..;-1]).as_standard_layout().into_owned();
    check(&upside_down, &gray(&upside_down), FindingCode::LeakMirrored);
    let rewindowed = original.mapv(|gray| to_gray((f64::from(gray) - 40.0) * 1.3));
    check(&rewindowed, &gray(&rewindowed), FindingCode::LeakAltered);
    let curved = original.mapv(|gray| to_gray(255.0 * (f64::from(gray) / 255.0).powf(0.6)));
    check(&curved, &gray(&curved), FindingCode::LeakAltered);
    let mirrored_and_rewindowed = rewindowed.slice(s![.., ..;-1]).as_standard_layout().into_owned();
    check(&mirrored_and_rewindowed, &gray(&mirrored_and_rewindowed), FindingCode::LeakAltered);
    let larger = resize_gray(original.view(), 128, 128, Filter::Bicubic).unwrap();
    check(&larger, &gray(&larger), FindingCode::LeakAltered);
}

#[test]
fn masks_and_volume_names_leak_too() {
    let mut world = World::clean();
    let mask = first_of(&mut world.detection, "pancreas_001").mask_sha256.clone();
    first_of(&mut world.detection, "pancreas_004").mask_sha256 = mask;
    first_of(&mut world.organs, "Case_00004").volume = "Case_00001".to_owned();
    let report = world.audit();
    assert!(has(&report, FindingCode::LeakMask, &["detection"]), "{report}");
    assert!(has(&report, FindingCode::LeakVolume, &["organs"]), "{report}");
}

#[test]
fn sharing_within_a_part_and_names_across_datasets_are_warnings() {
    let mut world = World::clean();
    replace_gray(&mut world.organs, "Case_00001", &slice_image(502, 0));
    let source = first_of(&mut world.organs, "Case_00003").source_sha256.clone();
    first_of(&mut world.organs, "Case_00005").source_sha256 = source;
    world.organs.add_patient("pancreas_001", 700, Test, false);
    let report = world.audit();
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(
        codes,
        [
            FindingCode::PatientNameShared,
            FindingCode::PatientNameShared,
            FindingCode::SourceShared,
            FindingCode::PixelsShared
        ],
        "{report}"
    );
    assert!(report.passed(false) && !report.passed(true));
}

#[test]
fn hashes_are_enough_where_images_are_not_opened() {
    let mut world = World::clean();
    same_pixels_under_another_name(&mut world);
    let report = audit(&world.inputs(), &AuditOptions::default().with_verify_images(false).with_probe(false));
    assert_eq!(report.findings.len(), 2, "{report}");
    assert!(has(&report, FindingCode::LeakPixels, &["detection"]), "{report}");
    assert!(has(&report, FindingCode::LeakPixels, &["tumor", "detection"]), "{report}");
}

#[test]
fn whole_indices_can_be_put_in_a_part() {
    let mut set = Set::new("a", "MSD");
    set.add_patient("pancreas_001", 1, Train, false);
    set.records.iter_mut().for_each(|record| record.split = None);
    let audit_as = |first: Option<SplitPart>, second: Option<SplitPart>| {
        let input = |part: Option<SplitPart>| match part {
            Some(part) => set.input().with_default_part(part),
            None => set.input(),
        };
        audit(&[input(first), input(second)], &AuditOptions::default().with_probe(false))
    };
    assert!(audit_as(None, None).passed(true));
    assert!(audit_as(Some(Train), Some(Train)).passed(true));
    // Two inputs of one name are told apart.
    assert!(has(&audit_as(Some(Train), Some(Test)), FindingCode::LeakPatient, &["a", "a#2"]));
}

#[test]
fn the_report_is_the_same_for_any_number_of_threads() {
    let mut world = World::clean();
    LEAKS.iter().for_each(|(plant, _, _)| plant(&mut world));
    let inputs = world.inputs();
    let with_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads");
        pool.install(|| audit(&inputs, &AuditOptions::default()).to_json())
    };
    let one = with_threads(1);
    assert_eq!(one, with_threads(2));
    assert_eq!(one, with_threads(4));
    let back: AuditReport = serde_json::from_str(&one).expect("its own JSON");
    assert_eq!(back.to_json(), one);
}

#[test]
fn reports_name_no_folder_and_on_request_no_patient() {
    let mut world = World::clean();
    LEAKS.iter().for_each(|(plant, _, _)| plant(&mut world));
    fs_err::remove_file(world.organs.path_of("Case_00002_slice_0.png")).unwrap();
    fs_err::write(world.organs.path_of("Case_00002_slice_1.png"), b"no image").unwrap();
    let folder = world.organs.root().parent().expect("a temporary folder").to_string_lossy().into_owned();
    for redact in [false, true] {
        let report = audit(&world.inputs(), &AuditOptions::default().with_redact(redact));
        let text = format!("{report}{}", report.to_json());
        assert!(!text.contains(&folder), "{text}");
        assert_eq!(text.contains("pancreas_0") || text.contains("Case_0"), !redact, "{text}");
    }
}
