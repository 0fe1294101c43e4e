//! The whole check.

use std::path::Path;

use burn::tensor::Device;
use vlm_model::Precision;

use crate::check::Checker;
use crate::{Case, GroupKind, Report, Skipped, VerifyError, find_groups, groups};

/// Checks every golden group at and below `folder`.
///
/// `on_case` sees each case when it is made. Groups are recognized by what is in them; values that
/// a group leaves out are not compared, but a group without a single case is a failed case.
///
/// # Errors
/// [`VerifyError`] where a folder cannot be read: what is computed wrong is a failed case.
pub fn verify(
    folder: &Path,
    device: &Device,
    precision: Precision,
    on_case: &mut dyn FnMut(&Case),
) -> Result<Report, VerifyError> {
    let device = &device.clone().without_autodiff();
    let all = find_groups(folder)?;
    let mut report = Report::default();
    for group in &all {
        let before = report.cases.len();
        let mut checker = Checker {
            group: group.name.clone(),
            precision,
            cases: &mut report.cases,
            skipped: &mut report.skipped,
            on_case,
        };
        let path = group.folder.as_path();
        match group.kind {
            GroupKind::Llama => groups::llama::check(path, device, &mut checker)?,
            GroupKind::Vision => groups::vision::check(path, device, &mut checker)?,
            GroupKind::MiniGpt => groups::minigpt::check(path, device, &mut checker)?,
            GroupKind::Peft => groups::peft::check(path, &all, device, &mut checker)?,
            GroupKind::Training => groups::training::check(path, &all, device, &mut checker)?,
            GroupKind::Image | GroupKind::Metrics => {
                let reason = "pixels and scores are checked by the tests of their own crates";
                checker.skipped.push(Skipped { name: group.name.clone(), reason: reason.to_owned() });
                continue;
            }
        }
        if checker.cases.len() == before {
            let nothing = "nothing that could be compared".to_owned();
            checker.failed("cases", crate::Tolerance::Exact, nothing);
        }
    }
    Ok(report)
}
