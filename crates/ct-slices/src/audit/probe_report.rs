//! What the probe found, as data and as text.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cohort::ProbeLabel;

/// What part of the image the probe saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeView {
    /// The image as it is.
    Image,
    /// The part in the pancreas box: what is asked about.
    PancreasBox,
}

/// What the probe knew of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeFeatures {
    /// Columns, rows, area, aspect.
    Size,
    /// Histogram, percentiles, mean and deviation, of all pixels and of the border.
    Gray,
    /// Both; this decides.
    SizeAndGray,
}

/// How well the probe did with one view and one set of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeResult {
    /// Part of the image.
    pub view: ProbeView,
    /// What was known of it.
    pub features: ProbeFeatures,
    /// Area under the ROC curve of the scores of held-out patients, all folds together.
    pub auroc: f64,
    /// Middle 95 % of it over patients drawn anew.
    pub auroc_interval: Option<[f64; 2]>,
    /// Smallest and largest area within one fold.
    pub auroc_of_folds: Option<[f64; 2]>,
    /// Share of held-out slices that a threshold of 0.5 gets right.
    pub accuracy: f64,
    /// How likely chance does as well, by permutation of patients.
    pub p_value: Option<f64>,
}

/// How well the probe did on one dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSource {
    /// The dataset.
    pub dataset: String,
    /// Slices with "yes".
    pub n_yes: u64,
    /// Slices with "no".
    pub n_no: u64,
    /// Area among this dataset's slices, for the best view; null if they all have one answer.
    pub auroc_within: Option<f64>,
    /// The same, of a forest that has seen none of this dataset; null also if no other teaches both.
    pub auroc_left_out: Option<f64>,
}

/// The result of the probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeReport {
    /// What was to be predicted.
    pub label: ProbeLabel,
    /// Slices.
    pub n_slices: u64,
    /// Patients.
    pub n_patients: u64,
    /// Slices with "yes".
    pub n_yes: u64,
    /// Slices with "no".
    pub n_no: u64,
    /// Slices left out because there are too many.
    pub n_left_out: u64,
    /// Folds of the cross-validation; 0 if there was none.
    pub n_folds: u64,
    /// Seed of folds, forest and bootstrap.
    pub seed: u64,
    /// Area above which the probe is a finding.
    pub threshold: f64,
    /// Area of a rule that knows the dataset and nothing else; null with one dataset.
    pub auroc_of_source: Option<f64>,
    /// Largest area of a view with all features.
    pub max_auroc: Option<f64>,
    /// One per view and set of features.
    pub results: Vec<ProbeResult>,
    /// One per dataset.
    pub sources: Vec<ProbeSource>,
}

impl fmt::Display for ProbeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::PancreasBox => "pancreas box",
        })
    }
}

impl fmt::Display for ProbeFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "size",
            Self::Gray => "gray levels",
            Self::SizeAndGray => "size and gray levels",
        })
    }
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "probe of {}: {} slices of {} patients, {} yes, {} no; {} folds by patient, seed {}",
            self.label.name(),
            self.n_slices,
            self.n_patients,
            self.n_yes,
            self.n_no,
            self.n_folds,
            self.seed
        )?;
        if self.n_left_out > 0 {
            writeln!(f, "  {} slices left out, evenly over patients", self.n_left_out)?;
        }
        if let Some(auroc) = self.auroc_of_source {
            writeln!(f, "  dataset alone: AUROC {auroc:.3}")?;
        }
        let range = |range: Option<[f64; 2]>| {
            range.map_or_else(|| "-".to_owned(), |[low, high]| format!("{low:.3}..{high:.3}"))
        };
        for result in &self.results {
            writeln!(
                f,
                "  {}, {}: AUROC {:.3} (95 % of patients drawn anew {}, folds {}), accuracy {:.3}, p {:.4}",
                result.view,
                result.features,
                result.auroc,
                range(result.auroc_interval),
                range(result.auroc_of_folds),
                result.accuracy,
                result.p_value.unwrap_or(1.0)
            )?;
        }
        let number = |auroc: Option<f64>| auroc.map_or_else(|| "-".to_owned(), |auroc| format!("{auroc:.3}"));
        for source in &self.sources {
            writeln!(
                f,
                "  {}: {} yes, {} no; AUROC within {}, left out {}",
                source.dataset,
                source.n_yes,
                source.n_no,
                number(source.auroc_within),
                number(source.auroc_left_out)
            )?;
        }
        Ok(())
    }
}
