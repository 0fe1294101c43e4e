//! A study in the API: geometry, and nothing that tells whose it is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::store::Entry;
use super::{Study, StudyError};
use crate::RESEARCH_NOTE;
use crate::model::RunOptions;

/// A study that the server holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StudyInfo {
    /// What it is asked for by. Whoever knows it may see the study.
    id: String,
    /// `dicom`, `nifti` or `images`.
    kind: &'static str,
    /// Columns of the first slice.
    columns: usize,
    /// Rows of the first slice.
    rows: usize,
    /// Number of slices, from feet to head.
    slices: usize,
    /// Distances of columns, rows and slices in mm.
    spacing_mm: Option<[f64; 3]>,
    /// Axes of the file, such as `LPS`. Slices are always shown with columns to the patient's left and rows
    /// to the back.
    orientation: Option<String>,
    /// Whether it has Hounsfield units, so that windows apply.
    has_hu: bool,
    /// Whether it is the one that came with the server.
    example: bool,
    /// Whether it was looked at as a whole.
    has_findings: bool,
    /// What the reader noticed.
    warnings: Vec<WarningInfo>,
    /// Seconds until it is forgotten if nobody looks at it.
    expires_in_s: u64,
    note: &'static str,
}

/// Something that a reader noticed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WarningInfo {
    /// A stable word for programs.
    code: String,
    /// A sentence for people.
    message: String,
}

impl StudyInfo {
    pub(crate) fn new(entry: &Entry, expires_in_s: u64) -> Result<Self, StudyError> {
        let study: &Study = &entry.study;
        let [columns, rows] = study.slice_size_px(0)?;
        let warnings = study
            .warnings()
            .iter()
            .map(|warning| WarningInfo { code: warning.code.to_string(), message: warning.message.clone() });
        Ok(Self {
            id: entry.id.clone(),
            kind: study.kind().as_str(),
            columns,
            rows,
            slices: study.n_slices(),
            spacing_mm: study.spacing_mm(),
            orientation: study.orientation(),
            has_hu: study.spacing_mm().is_some(),
            example: entry.is_example,
            has_findings: entry.report().is_some(),
            warnings: warnings.collect(),
            expires_in_s,
            note: RESEARCH_NOTE,
        })
    }
}

/// What a run is to do.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRequest {
    /// Look for other organs too.
    #[serde(default)]
    organs: bool,
    /// Leave out of exports what would refer to the source.
    #[serde(default)]
    anonymize: bool,
}

impl From<RunRequest> for RunOptions {
    fn from(request: RunRequest) -> Self {
        Self { organs: request.organs, anonymize: request.anonymize }
    }
}
