//! `findings.json`: what was found in a study, with where it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ct_volume::{Affine, Geometry, Limits, Warning, write_atomic};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answers::SliceAnswers;
use crate::entity::{Entity, color_of};
use crate::error::FindingsError;
use crate::finding::Finding;
use crate::geometry::StudyGeometry;
use crate::link::{LinkOptions, link};
use crate::score::{CaseScore, CaseScoreRule, case_score};

/// What results may be used for.
pub const RESEARCH_NOTE: &str = "research use only, not for diagnosis";

/// The version of the document's form: the first number changes when old readers would misread it.
pub const SCHEMA_VERSION: &str = "1.0";

/// JSON Schema (2020-12) of the document.
pub const FINDINGS_SCHEMA: &str = include_str!("../schema/findings-1.schema.json");

/// How answers become findings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FindingOptions {
    /// How boxes are linked.
    pub link: LinkOptions,
    /// Which rule gives the tumor score.
    pub case_score: CaseScoreRule,
}

/// Where a result comes from, as the caller knows it. Nothing of the patient belongs here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Provenance {
    /// Versions of programs and libraries, by name.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of files of weights, 64 hex digits, by the name of what they are.
    pub weights_sha256: BTreeMap<String, String>,
    /// SHA-256 of the split that the weights were trained on, so that a patient of its training part can
    /// be told.
    pub split_sha256: Option<String>,
    /// The configuration, as the caller writes it.
    pub config: Option<Value>,
}

/// Where the study lies, without identifiers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRecord {
    /// Voxels along the axes of the input file.
    pub shape: [usize; 3],
    /// Voxel index of the input file to RAS+ mm, row by row.
    pub affine_ras_mm: [[f64; 4]; 4],
    /// Axis codes of the input file, such as `LPS`.
    pub orientation: String,
    /// Voxel edge lengths along the axes of the input file, in mm.
    pub spacing_mm: [f64; 3],
    /// Columns and rows of a slice, whose axes are in the order LPS.
    pub slice_size_px: [u32; 2],
    /// Slices, from the feet up.
    pub n_slices: usize,
}

/// A remark of the reader about the study's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyWarning {
    /// A stable code, such as `burned-in-annotation`.
    pub code: String,
    /// The sentence, without identifiers.
    pub message: String,
}

impl From<&Warning> for StudyWarning {
    fn from(warning: &Warning) -> Self {
        Self { code: warning.code.to_string(), message: warning.message.clone() }
    }
}

/// An entity of the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityRecord {
    /// Its name.
    pub entity: Entity,
    /// Its label in masks, its category in COCO files.
    pub label: u16,
    /// Its color in overlays, RGB.
    pub color_rgb: [u8; 3],
}

/// What the model thinks of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceScore {
    /// Number of the slice from the feet.
    pub slice_idx: usize,
    /// Probability that it shows a pancreatic tumor.
    pub tumor_probability: f64,
}

/// Boxes that are in no finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// Without area inside their slice.
    pub empty_boxes: usize,
    /// In tubes that were too short.
    pub isolated_boxes: usize,
}

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// [`RESEARCH_NOTE`].
    pub note: String,
    /// Where it comes from.
    pub provenance: Provenance,
    /// The study's geometry.
    pub study: StudyRecord,
    /// What the reader remarked on, such as text that may be burned into pixels; images of the study that lie
    /// beside the document show the same pixels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<StudyWarning>,
    /// How answers became findings.
    pub options: FindingOptions,
    /// Slices that were asked about.
    pub n_slices_asked: usize,
    /// The tumor score; none where no slice has a probability.
    pub case_tumor_score: Option<CaseScore>,
    /// Tumor probabilities, from the feet up.
    pub slice_scores: Vec<SliceScore>,
    /// The entities of the findings, by label.
    pub entities: Vec<EntityRecord>,
    /// What was found: by label of the entity, then from the feet up.
    pub findings: Vec<Finding>,
    /// What was left out.
    pub dropped: Dropped,
}

impl Findings {
    /// Links, measures and scores the answers about one study, whose geometry is that of its file.
    ///
    /// # Errors
    /// As [`link`]; [`FindingsError::Geometry`]; [`FindingsError::Document`] for a hash of the provenance
    /// that is none.
    pub fn from_answers(
        answers: &[SliceAnswers],
        geometry: &Geometry,
        provenance: Provenance,
        options: &FindingOptions,
    ) -> Result<Self, FindingsError> {
        check_hashes(&provenance)?;
        let study = StudyGeometry::new(geometry)?;
        let linked = link(answers, &study, &options.link)?;
        let default_probability = options.link.default_probability;
        let findings: Vec<Finding> = (1..)
            .zip(linked.tubes)
            .filter_map(|(number, tube)| Finding::measure(number, tube, &study, default_probability))
            .collect();
        let mut slice_scores: Vec<SliceScore> = answers
            .iter()
            .filter_map(|answer| {
                let tumor_probability = answer.tumor_probability?;
                Some(SliceScore { slice_idx: answer.slice_idx, tumor_probability })
            })
            .collect();
        slice_scores.sort_by_key(|score| score.slice_idx);
        let probabilities: Vec<f64> = slice_scores.iter().map(|score| score.tumor_probability).collect();
        Ok(Self {
            schema_version: SCHEMA_VERSION.to_owned(),
            note: RESEARCH_NOTE.to_owned(),
            provenance,
            study: StudyRecord {
                shape: geometry.shape(),
                affine_ras_mm: geometry.affine().rows(),
                orientation: geometry.orientation().to_string(),
                spacing_mm: geometry.spacing_mm(),
                slice_size_px: study.size_px(),
                n_slices: study.n_slices(),
            },
            warnings: Vec::new(),
            options: options.clone(),
            n_slices_asked: answers.len(),
            case_tumor_score: case_score(&probabilities, options.case_score),
            slice_scores,
            entities: entity_records(&findings),
            findings,
            dropped: Dropped { empty_boxes: linked.n_empty_boxes, isolated_boxes: linked.n_isolated_boxes },
        })
    }

    /// The study's geometry.
    ///
    /// # Errors
    /// [`FindingsError::Geometry`] if the document's cannot be used.
    pub fn geometry(&self) -> Result<StudyGeometry, FindingsError> {
        let [x, y, z, _] = self.study.affine_ras_mm;
        StudyGeometry::new(&Geometry::new(self.study.shape, Affine::from_rows([x, y, z]))?)
    }

    /// The label of each entity.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<Entity, u16> {
        Entity::labels(self.findings.iter().map(|finding| &finding.entity))
    }

    /// Slices that have a box, from the feet up.
    #[must_use]
    pub fn slices_with_boxes(&self) -> BTreeSet<usize> {
        self.findings.iter().flat_map(|finding| finding.boxes.iter().map(|b| b.slice_idx)).collect()
    }

    /// The bytes of `findings.json`: indented, the same for the same document.
    ///
    /// # Panics
    /// Never: every field can be written as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("maps have string keys, nothing else can fail");
        bytes.push(b'\n');
        bytes
    }

    /// Writes `findings.json`, whole or not at all.
    ///
    /// # Errors
    /// [`FindingsError::Volume`].
    pub fn write(&self, path: &Path) -> Result<(), FindingsError> {
        Ok(write_atomic(path, &self.to_json())?)
    }

    /// Reads a document of version 1 and checks that it can be used: slices and boxes lie in the study.
    ///
    /// # Errors
    /// [`FindingsError::Json`]; [`FindingsError::Document`]; [`FindingsError::Geometry`];
    /// [`FindingsError::Limit`] for a study beyond the default [`Limits`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, FindingsError> {
        let findings: Self = serde_json::from_slice(bytes).map_err(FindingsError::Json)?;
        findings.check()?;
        Ok(findings)
    }

    fn check(&self) -> Result<(), FindingsError> {
        let wrong = |what, got: String, expected| Err(FindingsError::Document { what, got, expected });
        if self.schema_version.split('.').next() != Some("1") {
            let shown = self.schema_version.chars().take(16).collect();
            return wrong("schema_version", shown, "version 1");
        }
        check_hashes(&self.provenance)?;
        self.options.link.check()?;
        // What is made from a document has an entry for each slice, or for each voxel.
        Limits::default().check_array(&self.study.shape.map(|side| side as u64), 2)?;
        let geometry = self.geometry()?;
        let n_slices = geometry.n_slices();
        if (self.study.n_slices, self.study.slice_size_px) != (n_slices, geometry.size_px()) {
            return wrong("study.n_slices", self.study.n_slices.to_string(), "what shape and affine say");
        }
        for finding in &self.findings {
            let (first, last) = (finding.first_slice_idx, finding.last_slice_idx);
            let slices = finding.boxes.iter().map(|b| b.slice_idx);
            let in_study =
                first <= last && last < n_slices && (first..=last).contains(&finding.key_slice_idx);
            if !in_study || !slices.eq(first..=last) {
                let expected = "a box for each slice from the first to the last, in the study";
                return wrong("finding's slices", format!("{first}..={last}"), expected);
            }
            let inside = |b: &crate::PlaneBox| b.clipped(geometry.size_px()) == Some(*b);
            if let Some(bad) = finding.boxes.iter().find(|b| !inside(&b.box_px)) {
                let got = format!("{:?}", bad.box_px.to_array());
                return wrong("finding's box", got, "edges in order, inside the slice");
            }
            let probabilities = finding.boxes.iter().map(|b| b.probability);
            for p in probabilities.chain([finding.confidence]).flatten() {
                if !(0.0..=1.0).contains(&p) {
                    return wrong("finding's probability", p.to_string(), "a number in 0..1");
                }
            }
        }
        Ok(())
    }
}

fn entity_records(findings: &[Finding]) -> Vec<EntityRecord> {
    let labels = Entity::labels(findings.iter().map(|finding| &finding.entity));
    let mut records: Vec<EntityRecord> = labels
        .into_iter()
        .map(|(entity, label)| EntityRecord { entity, label, color_rgb: color_of(label) })
        .collect();
    records.sort_by_key(|record| record.label);
    records
}

fn check_hashes(provenance: &Provenance) -> Result<(), FindingsError> {
    let is_hash =
        |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match provenance.weights_sha256.values().chain(&provenance.split_sha256).find(|text| !is_hash(text)) {
        Some(bad) => Err(FindingsError::Document {
            what: "provenance's sha256",
            got: bad.chars().take(80).collect(),
            expected: "64 lower-case hex digits",
        }),
        None => Ok(()),
    }
}
