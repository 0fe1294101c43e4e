//! Are these slices fit to train and to judge a model on?
//!
//! [`audit`] compares the records, and the images, of one or more indices: stages of one dataset,
//! datasets that are used together, or both. It reports
//!
//! - what is in a training part and in a test part, by patient, volume, study, mask, file, pixels,
//!   and as a mirrored, re-windowed or rescaled copy;
//! - labels that follow from the dataset, and labels that a small forest guesses from size and gray
//!   levels ([`ProbeReport`]);
//! - records, images and split files that contradict each other.
//!
//! Each [`Finding`] has a stable [`FindingCode`] and a [`Severity`]; [`AuditReport::passed`] is
//! what an exit code is made of. The report is the same for any number of threads. It names
//! patients as the index does (or as hashes, with [`AuditOptions::redact`]) and no path outside it.
//!
//! It does not judge whether boxes are right, or whether two patients of one name in different
//! datasets are one person: that is a warning.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use ct_slices::audit::{AuditInput, AuditOptions, audit};
//! use ct_slices::index::{IndexLimits, read_index_as_is};
//!
//! let index = read_index_as_is(Path::new("out/index.jsonl"), &IndexLimits::default())?;
//! let report = audit(&[AuditInput::new(index)], &AuditOptions::default());
//! assert!(report.passed(false), "{report}");
//! # Ok::<(), ct_slices::index::IndexError>(())
//! ```

mod checks;
mod cohort;
mod copies;
mod features;
mod finding;
mod forest;
mod image_facts;
mod leaks;
mod options;
mod probe;
mod probe_report;
mod report;
mod roc;
mod signature;
mod slices;

pub use cohort::ProbeLabel;
pub use finding::{Finding, FindingCode, Severity};
pub use options::{AuditInput, AuditOptions};
pub use probe_report::{ProbeFeatures, ProbeReport, ProbeResult, ProbeSource, ProbeView};
pub use report::{AuditReport, InputSummary};

use image_facts::ImageState;
use slices::Slices;

/// Audits indices, each by itself and all against each other.
#[must_use]
pub fn audit(inputs: &[AuditInput], options: &AuditOptions) -> AuditReport {
    let slices = Slices::new(inputs, options);
    let images = if options.verify_images {
        image_facts::look_at_images(&slices)
    } else {
        vec![ImageState::Unseen; slices.all.len()]
    };

    let mut findings = leaks::find_leaks(&slices, &images, options);
    if options.find_altered_copies {
        findings.extend(copies::find_copies(&slices, &images, options));
    }
    findings.extend(checks::check_records(&slices, options));
    if options.verify_images {
        findings.extend(checks::check_images(&slices, &images, options));
    }
    findings.extend(checks::check_selection(&slices, options));
    findings.extend(checks::check_split_files(&slices, options));

    let mut report = None;
    if options.probe {
        match cohort::cohort(&slices, &images, options.probe_max_slices) {
            Ok(cohort) => {
                let (probe, about) = probe::run_probe(&slices, &cohort, options);
                findings.extend(about);
                report = Some(probe);
            }
            Err(reason) => findings.push(Finding {
                code: FindingCode::ProbeSkipped,
                severity: FindingCode::ProbeSkipped.severity(),
                inputs: slices.input_names.clone(),
                count: slices.all.len() as u64,
                message: format!("no probe: {reason}"),
                examples: Vec::new(),
            }),
        }
    }
    findings.sort_by(|a, b| (a.severity, a.code, &a.inputs).cmp(&(b.severity, b.code, &b.inputs)));
    AuditReport {
        schema_version: AuditReport::SCHEMA_VERSION,
        inputs: slices.summaries(),
        images_verified: options.verify_images,
        findings,
        probe: report,
    }
}
