//! Reduced precision on the CPU: slower, but it computes what a GPU would round.

use std::path::Path;

use vlm_model::{DeviceChoice, Precision};
use vlm_verify::verify;

#[test]
fn committed_fixtures_in_bf16_and_f16() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")];
    let shared = std::env::var_os("MINIGPT_PANCREAS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), Into::into);
    let shared = shared.join("goldens");
    if shared.is_dir() {
        folders.push(shared);
    } else {
        println!("skipped: no `{}`", shared.display());
    }
    let device = DeviceChoice::Cpu.open().unwrap();
    for folder in &folders {
        for precision in [Precision::Bf16, Precision::F16] {
            let report = verify(folder, &device, precision, &mut |case| {
                let mark = if case.pass { "ok  " } else { "FAIL" };
                println!(
                    "{precision} {mark} {} {}: {:.1e} of {:.0e}",
                    case.group, case.name, case.worst, case.tolerance
                );
            });
            let report = report.unwrap();
            assert!(report.passed(), "{precision} {:#?}", report.failures().collect::<Vec<_>>());
        }
    }
}
