//! Golden fixtures: the committed ones always, the larger shared ones where they are.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests that show what they compare")]

use std::path::{Path, PathBuf};

use vlm_model::{DeviceChoice, Precision};
use vlm_verify::{GroupKind, Report, find_groups, verify};

fn check(folder: &Path) -> Report {
    let device = DeviceChoice::Cpu.open().unwrap();
    let report = verify(folder, &device, Precision::F32, &mut |case| {
        let mark = if case.pass { "ok  " } else { "FAIL" };
        let note = case.note.as_deref().unwrap_or("");
        println!("{mark} {} {}: {:.1e} of {:.0e} {note}", case.group, case.name, case.worst, case.tolerance);
    });
    let report = report.unwrap();
    assert!(report.passed(), "{:#?}", report.failures().collect::<Vec<_>>());
    report
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[test]
fn committed_fixtures() {
    let report = check(&fixtures());
    assert!(report.cases.len() > 70, "{} cases", report.cases.len());
    let kinds: Vec<GroupKind> = find_groups(&fixtures()).unwrap().iter().map(|group| group.kind).collect();
    assert_eq!(
        kinds,
        [GroupKind::Llama, GroupKind::Peft, GroupKind::MiniGpt, GroupKind::Training, GroupKind::Vision]
    );
}

#[test]
fn one_group_alone() {
    for group in ["llama", "lora_peft", "minigpt", "train", "vit"] {
        let report = check(&fixtures().join(group));
        assert!(report.cases.iter().all(|case| case.group == group), "{group}");
    }
}

#[test]
fn shared_goldens() {
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let folder = shared.join("goldens");
    if !folder.is_dir() {
        println!("skipped: no `{}`", folder.display());
        return;
    }
    let report = check(&folder);
    assert!(report.cases.len() > 100, "{} cases", report.cases.len());
}
