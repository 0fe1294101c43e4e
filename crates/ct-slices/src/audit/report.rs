//! The result of an audit, as data, JSON and text.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::finding::{Finding, Severity};
use super::probe_report::ProbeReport;

/// What one input holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSummary {
    /// Its name.
    pub name: String,
    /// Datasets in it, sorted.
    pub datasets: Vec<String>,
    /// Records.
    pub n_records: u64,
    /// Patients, told apart by dataset and name.
    pub n_patients: u64,
    /// Records for training.
    pub n_train: u64,
    /// Records held out.
    pub n_test: u64,
    /// Records that name an image.
    pub n_images: u64,
}

/// The result of [`audit`](super::audit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditReport {
    /// Version of this form; 1.
    pub schema_version: u32,
    /// What was audited.
    pub inputs: Vec<InputSummary>,
    /// True if images were opened.
    pub images_verified: bool,
    /// Gravest first.
    pub findings: Vec<Finding>,
    /// What the probe did, if it ran.
    pub probe: Option<ProbeReport>,
}

impl AuditReport {
    /// The form that this version writes.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Number of findings this grave.
    #[must_use]
    pub fn n_findings(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// True without errors, and if `strict` without warnings.
    #[must_use]
    pub fn passed(&self, strict: bool) -> bool {
        self.n_findings(Severity::Error) == 0 && (!strict || self.n_findings(Severity::Warning) == 0)
    }

    /// Indented JSON with a line feed at the end; the same bytes for the same input.
    ///
    /// # Panics
    /// Never: a report holds only text and finite numbers.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a report is plain data");
        json.push('\n');
        json
    }

    /// The report for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for input in &self.inputs {
            writeln!(
                f,
                "{}: {} records of {} patients ({}); {} train, {} test, {} with an image",
                input.name,
                input.n_records,
                input.n_patients,
                input.datasets.join(", "),
                input.n_train,
                input.n_test,
                input.n_images
            )?;
        }
        if !self.images_verified {
            writeln!(f, "images were not opened")?;
        }
        if let Some(probe) = &self.probe {
            f.write_char('\n')?;
            write!(f, "{probe}")?;
        }
        f.write_char('\n')?;
        for finding in &self.findings {
            writeln!(
                f,
                "{} [{}] {}: {}",
                finding.severity,
                finding.code,
                finding.inputs.join(" / "),
                finding.message
            )?;
            for example in &finding.examples {
                writeln!(f, "    {example}")?;
            }
            let n_more = finding.count.saturating_sub(finding.examples.len() as u64);
            if n_more > 0 && !finding.examples.is_empty() {
                writeln!(f, "    and {n_more} more")?;
            }
        }
        let [errors, warnings, infos] =
            [Severity::Error, Severity::Warning, Severity::Info].map(|severity| self.n_findings(severity));
        writeln!(f, "{errors} errors, {warnings} warnings, {infos} remarks")
    }
}
