//! The audit on the published crops, of which the label is the source.
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::path::PathBuf;
use std::time::Instant;

use ct_slices::SplitPart;
use ct_slices::audit::{AuditInput, AuditOptions, FindingCode, ProbeFeatures, ProbeLabel, audit};
use ct_slices::index::{IndexLimits, SliceIndex, read_image_csv};

fn shared_crops() -> Option<SliceIndex> {
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let folder = shared.join("data/pancreas-crops");
    let csv = folder.join("labels.csv");
    if !csv.is_file() {
        println!("skipped: no pancreas-crops in the shared data");
        return None;
    }
    Some(read_image_csv(&csv, &folder.join("images"), &IndexLimits::default()).expect("the table is sound"))
}

#[test]
fn crops_are_flagged_for_their_source_and_probed_near_090() {
    let Some(index) = shared_crops() else { return };
    assert_eq!(index.records.len(), 2588);
    let start = Instant::now();
    let report = audit(&[AuditInput::new(index).with_name("crops")], &AuditOptions::default());
    println!("{report}in {:.1} s", start.elapsed().as_secs_f64());
    assert!(!report.passed(false));
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [FindingCode::LabelEqualsSource, FindingCode::ShortcutProbe]);
    let probe = report.probe.expect("it ran");
    assert_eq!((probe.label, probe.n_slices, probe.n_patients), (ProbeLabel::Answer, 2588, 289));
    assert_eq!(probe.auroc_of_source, Some(1.0));
    let auroc = probe.max_auroc.expect("it ran");
    assert!((0.8..0.95).contains(&auroc), "{auroc}");
    let both = probe.results.iter().find(|result| result.features == ProbeFeatures::SizeAndGray);
    assert!((0.75..0.9).contains(&both.expect("it ran").accuracy));
}

/// Cut in two by patient, the crops of different patients must not look like copies of each other:
/// real images, small ones among them, are what the thresholds are for.
#[test]
fn crops_of_different_patients_are_no_copies() {
    let Some(mut index) = shared_crops() else { return };
    for record in &mut index.records {
        let digits: u32 = record.patient.bytes().filter(u8::is_ascii_digit).map(u32::from).sum();
        record.split = Some(if digits.is_multiple_of(3) { SplitPart::Test } else { SplitPart::Train });
    }
    let start = Instant::now();
    let report =
        audit(&[AuditInput::new(index).with_name("crops")], &AuditOptions::default().with_probe(false));
    println!("{report}in {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(report.findings, []);
}
