//! `verify`: this model against PyTorch's golden values.

use bin_support::{EXIT_ERROR, EXIT_OK};
use vlm_verify::{Case, Report, verify};

use crate::args::VerifyArgs;

#[derive(serde::Serialize)]
struct Json<'a> {
    passed: bool,
    device: String,
    precision: String,
    #[serde(flatten)]
    report: &'a Report,
}

pub(crate) fn run(args: &VerifyArgs) -> anyhow::Result<u8> {
    let device = args.device.device.open()?;
    let mut failure = Ok(());
    let report = verify(&args.folder, &device, args.device.precision, &mut |case| {
        if !args.json && failure.is_ok() {
            failure = bin_support::data(&line(case));
        }
    })?;
    failure?;
    if args.json {
        bin_support::json(&Json {
            passed: report.passed(),
            device: args.device.device.to_string(),
            precision: args.device.precision.to_string(),
            report: &report,
        })?;
    } else {
        for skipped in &report.skipped {
            bin_support::data(&format!("skip  {}: {}", skipped.name, skipped.reason))?;
        }
        let failed = report.failures().count();
        bin_support::data(&format!("{} cases, {failed} failed", report.cases.len()))?;
    }
    Ok(if report.passed() { EXIT_OK } else { EXIT_ERROR })
}

fn line(case: &Case) -> String {
    let verdict = if case.pass { "ok   " } else { "FAIL " };
    let note = case.note.as_ref().map_or_else(String::new, |note| format!("  ({note})"));
    format!(
        "{verdict} {:<14} {:<44} {:>10.3e}  allowed {:.0e}{note}",
        case.group, case.name, case.worst, case.tolerance
    )
}
