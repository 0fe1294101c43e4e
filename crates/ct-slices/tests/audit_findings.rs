//! Shortcuts, impossible records, damaged images and altered split files are found.

mod audit_set;

use std::collections::BTreeMap;

use audit_set::{N_SLICES, PANCREAS, SIDE, Set, slice_image};
use ct_slices::SplitPart::{Test, Train};
use ct_slices::audit::{AuditOptions, AuditReport, FindingCode, ProbeLabel, ProbeView, Severity, audit};
use ct_slices::index::{IndexLimits, SPLIT_FILE_NAME, SplitFile, read_index, read_index_as_is};
use ct_slices::pixels::{encode_gray, encode_rgb};
use ct_slices::{BoxPx, IndexRecord, Organ, YesNo};
use ndarray::{Array2, s};

fn codes(report: &AuditReport) -> Vec<FindingCode> {
    report.findings.iter().map(|finding| finding.code).collect()
}

fn run(set: &Set, options: &AuditOptions) -> AuditReport {
    audit(&[set.input()], options)
}

/// Twenty-four patients, every second with a tumour, whose slices `make` draws.
fn labelled(make: impl Fn(u64, u32, bool) -> Array2<u8>) -> Set {
    let mut set = Set::new("set", "MSD");
    for n in 0..24 {
        let has_tumor = n % 2 == 0;
        for slice_index in 0..N_SLICES {
            let part = if n % 5 == 0 { Test } else { Train };
            set.add_slice(
                &format!("pancreas_{n:03}"),
                slice_index,
                part,
                has_tumor,
                &make(n, slice_index, has_tumor),
            );
        }
    }
    set
}

#[test]
fn labels_without_a_shortcut_pass() {
    let report = run(&labelled(|n, k, _| slice_image(n, k)), &AuditOptions::default());
    assert_eq!(report.findings, [], "{report}");
    let probe = report.probe.expect("it ran");
    assert_eq!(probe.label, ProbeLabel::TumorAgainstTumorFreeVolumes);
    assert_eq!((probe.n_slices, probe.n_patients, probe.n_yes, probe.n_folds), (96, 24, 48, 5));
    assert!(probe.max_auroc.expect("it ran") < 0.65);
    assert_eq!(probe.auroc_of_source, None);
}

#[test]
fn size_and_intensity_shortcuts_are_found() {
    let darker = labelled(|n, k, has_tumor| {
        slice_image(n, k).mapv(|gray| gray.saturating_sub(if has_tumor { 25 } else { 0 }))
    });
    let smaller = labelled(|n, k, has_tumor| {
        let side = if has_tumor { SIDE - 8 } else { SIDE } - usize::try_from(n % 3).expect("small");
        slice_image(n, k).slice(s![..side, ..side]).as_standard_layout().into_owned()
    });
    // Only the pancreas differs: seen in its box, hidden in the histogram of the whole slice.
    let in_the_box = labelled(|n, k, has_tumor| {
        let mut image = slice_image(n, k);
        let [left, top, right, bottom] = <[u32; 4]>::from(PANCREAS).map(|edge| edge as usize);
        let mut pancreas = image.slice_mut(s![top..=bottom, left..=right]);
        pancreas.mapv_inplace(|gray| gray / 2 + if has_tumor { 40 } else { 60 });
        image
    });
    for (set, view) in
        [(darker, None), (smaller, Some(ProbeView::Image)), (in_the_box, Some(ProbeView::PancreasBox))]
    {
        let report = run(&set, &AuditOptions::default());
        assert_eq!(codes(&report), [FindingCode::ShortcutProbe], "{report}");
        let probe = report.probe.expect("it ran");
        let best = probe.results.iter().max_by(|a, b| a.auroc.total_cmp(&b.auroc)).expect("results");
        assert!(view.is_none_or(|view| view == best.view), "{best:?}");
        assert!(best.auroc > 0.9 && best.p_value.expect("two kinds") < 0.01, "{best:?}");
    }
}

#[test]
fn a_shortcut_in_few_patients_is_not_called_one() {
    let mut set =
        labelled(|n, k, has_tumor| slice_image(n, k).mapv(|gray| if has_tumor { gray / 2 } else { gray }));
    set.records.iter_mut().for_each(|record| record.answer = Some(answer(record)));
    set.records.retain(|record| record.patient.as_str() < "pancreas_006");
    let report = run(&set, &AuditOptions::default());
    assert_eq!(codes(&report), [FindingCode::ShortcutProbeUnsure], "{report}");
    assert!(report.passed(true), "a remark does not fail");
}

fn answer(record: &IndexRecord) -> YesNo {
    if record.organs[&Organ::Tumor].pixels > 0 { YesNo::Yes } else { YesNo::No }
}

#[test]
fn labels_that_follow_the_dataset_are_found() {
    let mut set = labelled(|n, k, _| slice_image(n, k));
    for record in &mut set.records {
        record.answer = Some(answer(record));
        if record.answer == Some(YesNo::No) {
            record.dataset = "NIH".to_owned();
        }
    }
    let report = run(&set, &AuditOptions::default());
    assert_eq!(codes(&report), [FindingCode::LabelEqualsSource], "{report}");
    assert_eq!(report.probe.as_ref().and_then(|probe| probe.auroc_of_source), Some(1.0));

    // Two patients with the other answer: no longer equal, still telling.
    for record in &mut set.records {
        if ["pancreas_002", "pancreas_004"].contains(&record.patient.as_str()) {
            record.dataset = "NIH".to_owned();
        }
    }
    let report = run(&set, &AuditOptions::default());
    assert_eq!(codes(&report), [FindingCode::LabelFollowsSource], "{report}");
    let sources = report.probe.expect("it ran").sources;
    let nih = sources.iter().find(|source| source.dataset == "NIH").expect("two datasets");
    assert_eq!((nih.n_yes, nih.n_no), (8, 48));
    assert!(nih.auroc_within.is_some());
    // All other cases are MSD's, which have one answer: nothing to learn from.
    assert_eq!(nih.auroc_left_out, None);
}

#[test]
fn what_cannot_be_probed_is_said() {
    let mut set = Set::new("set", "ABD");
    for n in 0..6 {
        set.add_patient(&format!("Case_{n:05}"), n, if n < 2 { Test } else { Train }, false);
    }
    let report = run(&set, &AuditOptions::default());
    assert_eq!(codes(&report), [FindingCode::ProbeSkipped], "{report}");
    assert!(report.findings[0].message.contains("one answer"), "{report}");
    set.records.iter_mut().for_each(|record| record.organs.retain(|organ, _| *organ != Organ::Tumor));
    let report = run(&set, &AuditOptions::default());
    assert_eq!(codes(&report), [FindingCode::ProbeSkipped], "{report}");
    assert_eq!(report.findings[0].severity, Severity::Info);
    assert!(report.probe.is_none() && report.passed(true));

    // Volumes that all have a tumour are compared slice by slice.
    let mut set = labelled(|n, k, _| slice_image(n, k));
    for (n, record) in set.records.iter_mut().enumerate() {
        let tumor = record.organs.get_mut(&Organ::Tumor).expect("labelled");
        (tumor.pixels, tumor.bbox, tumor.max_pixels) =
            if n % 2 == 0 { (1, Some(PANCREAS), 1) } else { (0, None, 1) };
    }
    let probe = run(&set, &AuditOptions::default()).probe.expect("it ran");
    assert_eq!(probe.label, ProbeLabel::TumorAgainstOtherSlices);
}

#[test]
fn impossible_records_are_findings() {
    let check = |break_it: fn(&mut IndexRecord), expected: FindingCode| {
        let mut set = Set::new("set", "MSD");
        set.add_patient("pancreas_001", 1, Train, false);
        break_it(&mut set.records[1]);
        let report = run(&set, &AuditOptions::default().with_probe(false));
        assert_eq!(codes(&report), [expected], "{report}");
        assert_eq!(report.findings[0].count, 1);
        assert!(report.findings[0].examples[0].starts_with("set: MSD/pancreas_001"), "{report}");
    };
    fn pancreas(record: &mut IndexRecord) -> &mut ct_slices::OrganRecord {
        record.organs.get_mut(&Organ::Pancreas).expect("it has one")
    }
    check(|r| pancreas(r).bbox = Some(BoxPx::from([90, 40, 96, 63])), FindingCode::BoxOutside);
    check(|r| pancreas(r).bbox = Some(BoxPx::from([50, 40, 30, 63])), FindingCode::BoxOutside);
    check(|r| pancreas(r).bbox = None, FindingCode::BoxWithoutPixels);
    check(|r| pancreas(r).pixels = 0, FindingCode::BoxWithoutPixels);
    check(|r| pancreas(r).pixels_ratio = 1.5, FindingCode::InvalidRecord);
    check(|r| r.slice_index = N_SLICES, FindingCode::InvalidRecord);
    check(|r| r.spacing_mm = Some([0.8, -0.8, 2.5]), FindingCode::InvalidRecord);
    check(|r| r.spacing_mm = Some([0.8, 80.0, 2.5]), FindingCode::SpacingImplausible);
}

#[test]
fn damaged_images_are_findings() {
    let check = |break_it: fn(&mut Set), expected: &[FindingCode]| {
        let mut set = Set::new("set", "MSD");
        set.add_patient("pancreas_001", 1, Train, false);
        break_it(&mut set);
        let report = run(&set, &AuditOptions::default().with_probe(false));
        assert_eq!(codes(&report), expected, "{report}");
    };
    fn path(set: &Set) -> std::path::PathBuf {
        set.path_of(set.records[1].image.as_ref().expect("it has one"))
    }
    check(|set| fs_err::remove_file(path(set)).expect("it is there"), &[FindingCode::ImageMissing]);
    check(
        |set| fs_err::write(path(set), b"\x89PNG\r\n").expect("room on disk"),
        &[FindingCode::ImageUnreadable],
    );
    check(|set| set.records[1].width -= 1, &[FindingCode::ImageSize]);
    check(
        |set| set.records[1].pixels_sha256 = set.records[2].pixels_sha256.clone(),
        &[FindingCode::ImageHash],
    );
    check(
        |set| {
            set.records.pop();
            set.add_slice("pancreas_001", 3, Train, false, &Array2::from_elem((SIDE, SIDE), 40));
        },
        &[FindingCode::ConstantImage],
    );
    check(|set| set.records.push(set.records[2].clone()), &[FindingCode::DuplicateRecord]);
}

/// Blank slices have the same pixels whoever they are of.
#[test]
fn constant_images_are_no_leak() {
    let mut set = Set::new("set", "MSD");
    let blank = Array2::zeros((SIDE, SIDE));
    set.add_slice("pancreas_001", 0, Train, false, &blank);
    set.add_slice("pancreas_002", 0, Test, false, &blank);
    let report = run(&set, &AuditOptions::default().with_probe(false));
    assert_eq!(codes(&report), [FindingCode::ConstantImage], "{report}");
}

#[test]
fn patients_without_selected_slices_are_a_remark() {
    let mut set = Set::new("set", "MSD");
    set.add_patient("pancreas_001", 1, Train, false);
    set.add_patient("pancreas_002", 2, Train, false);
    set.records.iter_mut().filter(|r| r.patient == "pancreas_002").for_each(|r| r.tasks.clear());
    let report = run(&set, &AuditOptions::default().with_probe(false));
    assert_eq!(codes(&report), [FindingCode::PatientWithoutSlices], "{report}");
    assert_eq!(report.findings[0].examples, ["MSD/pancreas_002"]);
}

#[test]
fn split_files_are_held_against_the_records() {
    let mut set = Set::new("set", "MSD");
    set.add_patient("pancreas_001", 1, Train, false);
    set.add_patient("pancreas_002", 2, Test, false);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let path = set.root().join(SPLIT_FILE_NAME);
    let options = AuditOptions::default().with_probe(false);

    let good = SplitFile::new(
        "MSD",
        Some(42),
        "80/20 by patient",
        names(&["pancreas_001"]),
        names(&["pancreas_002"]),
    );
    good.write(&path).unwrap();
    assert_eq!(SplitFile::read(&path).unwrap(), good);
    assert_eq!(good.parts(), BTreeMap::from([("pancreas_001", Train), ("pancreas_002", Test)]));
    assert_eq!(codes(&run(&set, &options)), []);

    let swapped = SplitFile::new("MSD", Some(42), "", names(&["pancreas_002"]), names(&["pancreas_001"]));
    swapped.write(&path).unwrap();
    let report = run(&set, &options);
    assert_eq!(codes(&report), [FindingCode::SplitMismatch], "{report}");
    assert_eq!(report.findings[0].count, u64::from(2 * N_SLICES));

    let unlisted = SplitFile::new("MSD", Some(42), "", names(&["pancreas_001"]), vec![]);
    unlisted.write(&path).unwrap();
    assert_eq!(codes(&run(&set, &options)), [FindingCode::SplitMismatch]);

    SplitFile::new("NIH", None, "", names(&["pancreas_001"]), vec![]).write(&path).unwrap();
    assert_eq!(codes(&run(&set, &options)), [FindingCode::SplitFile]);

    // Edited by hand: a patient moved, the hash left as it was.
    good.write(&path).unwrap();
    let text = fs_err::read_to_string(&path).unwrap().replace("pancreas_002", "pancreas_009");
    fs_err::write(&path, text).unwrap();
    let report = run(&set, &options);
    assert_eq!(codes(&report), [FindingCode::SplitFile], "{report}");
    assert!(report.findings[0].examples[0].contains("sha256"), "{report}");
}

#[test]
fn an_index_on_disk_is_audited_as_it_is() {
    let mut set = Set::new("set", "MSD");
    set.add_patient("pancreas_001", 1, Train, false);
    let path = set.write();
    let text = fs_err::read_to_string(&path).unwrap().replacen("[30,40,69,63]", "[30,40,69,163]", 1);
    fs_err::write(&path, text).unwrap();
    let limits = IndexLimits::default();
    assert!(read_index(&path, &limits).is_err());
    let index = read_index_as_is(set.root(), &limits).unwrap();
    let input = ct_slices::audit::AuditInput::new(index);
    assert_eq!(Some(input.name.as_ref()), set.root().file_name().and_then(|name| name.to_str()));
    let report = audit(&[input], &AuditOptions::default().with_probe(false));
    assert_eq!(codes(&report), [FindingCode::BoxOutside], "{report}");
}

#[test]
fn nothing_to_audit_passes() {
    let report = audit(&[], &AuditOptions::default());
    assert_eq!(codes(&report), [FindingCode::ProbeSkipped]);
    assert!(report.passed(true));
}

#[test]
fn neighbors_and_colour_images_are_looked_at() {
    let mut set = Set::new("set", "MSD");
    set.add_patient("pancreas_001", 1, Train, false);
    let image = set.records[1].image.clone().expect("it has one");
    let record = &mut set.records[1];
    (record.neighbors.previous, record.neighbors.previous_image) = (Some(0), Some("gone.png".to_owned()));
    let report = run(&set, &AuditOptions::default().with_probe(false));
    assert_eq!(codes(&report), [FindingCode::ImageMissing], "{report}");
    assert_eq!(report.findings[0].examples, ["set: MSD/pancreas_001 slice 1: previous neighbor"]);

    // Three slices as one image: its own, the middle one, has the hash of the record.
    let planes = [0, 1, 2].map(|k| slice_image(1, k));
    let png = encode_rgb([planes[0].view(), planes[1].view(), planes[2].view()]).unwrap();
    fs_err::write(set.path_of(&image), png).unwrap();
    fs_err::write(set.path_of("gone.png"), encode_gray(planes[0].view()).unwrap()).unwrap();
    let report = run(&set, &AuditOptions::default().with_probe(false));
    assert_eq!(codes(&report), [], "{report}");
}

/// More slices than the probe takes: it takes them evenly from all patients.
#[test]
fn large_cohorts_are_thinned_out_by_patient() {
    let set = labelled(|n, k, _| slice_image(n, k));
    let report = run(&set, &AuditOptions::default().with_probe_max_slices(48).with_probe_trees(20));
    let probe = report.probe.expect("it ran");
    assert_eq!((probe.n_slices, probe.n_left_out, probe.n_patients, probe.n_yes), (48, 48, 24, 24));
}
