//! Findings in the API.

use serde::Serialize;
use utoipa::ToSchema;

use crate::RESEARCH_NOTE;
use crate::model::{AnswerBox, Finding, SliceScore, StudyReport};

/// Version of the form of [`FindingsJson`].
const SCHEMA_VERSION: u32 = 1;

/// What a run found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingsJson {
    note: &'static str,
    schema_version: u32,
    /// The model.
    model: String,
    /// Probability of a tumor anywhere.
    tumor_score: Option<f64>,
    findings: Vec<FindingJson>,
    slices: Vec<SliceJson>,
    /// Names of the files for other programs, under `/v1/studies/{id}/exports/`.
    exports: Vec<String>,
}

/// Something that spans slices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingJson {
    label: String,
    first_slice: usize,
    /// Inside.
    last_slice: usize,
    /// The slice that shows it best.
    key_slice: usize,
    /// Left, upper, right and lower edge on that slice, in px.
    box_px: [f64; 4],
    confidence: Option<f64>,
    /// Extent along columns, rows and slices.
    size_mm: Option<[f64; 3]>,
}

/// What is known of one slice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SliceJson {
    slice: usize,
    tumor_score: Option<f64>,
    boxes: Vec<BoxJson>,
}

/// A box.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct BoxJson {
    pub(crate) label: String,
    /// Left, upper, right and lower edge in px.
    pub(crate) box_px: [f64; 4],
    pub(crate) confidence: Option<f64>,
    /// Place of the picture among those of the conversation.
    pub(crate) image: usize,
}

impl From<&AnswerBox> for BoxJson {
    fn from(found: &AnswerBox) -> Self {
        let AnswerBox { label, box_px, confidence, image } = found.clone();
        Self { label, box_px, confidence, image }
    }
}

impl From<&SliceScore> for SliceJson {
    fn from(score: &SliceScore) -> Self {
        let boxes = score.boxes.iter().map(BoxJson::from).collect();
        Self { slice: score.slice_idx, tumor_score: score.tumor_score, boxes }
    }
}

impl From<&Finding> for FindingJson {
    fn from(finding: &Finding) -> Self {
        let Finding { label, first_slice, last_slice, key_slice, box_px, confidence, size_mm } =
            finding.clone();
        Self { label, first_slice, last_slice, key_slice, box_px, confidence, size_mm }
    }
}

impl FindingsJson {
    pub(crate) fn new(report: &StudyReport, model: &str) -> Self {
        Self {
            note: RESEARCH_NOTE,
            schema_version: SCHEMA_VERSION,
            model: model.to_owned(),
            tumor_score: report.tumor_score,
            findings: report.findings.iter().map(FindingJson::from).collect(),
            slices: report.slices.iter().map(SliceJson::from).collect(),
            exports: report.exports.iter().map(|export| export.name.clone()).collect(),
        }
    }
}
