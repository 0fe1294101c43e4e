//! Whole studies, and what is found in them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ct_volume::Volume;

use super::AnswerBox;
use crate::images::RasterImage;

/// A study that was uploaded.
#[derive(Debug)]
pub struct StudyInput {
    /// Its voxels or images.
    pub source: StudySource,
    /// The files as they came, without names: DICOM files, or the one NIfTI file. Exports that must refer to
    /// their source read it there. Never log what is in them.
    pub files: Files,
}

/// What a study is made of.
#[derive(Debug)]
pub enum StudySource {
    /// A CT volume. Slices are those of its view in LPS axes: columns to the patient's left, rows to the
    /// back, from feet to head.
    Volume(Arc<Volume>),
    /// Images without a place in a patient.
    Images(Vec<RasterImage>),
}

/// Files in memory.
#[derive(Clone, Default)]
pub struct Files(pub Vec<Bytes>);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Files({})", self.0.len())
    }
}

/// What a run is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// Look for other organs too, where the model can.
    pub organs: bool,
    /// Leave out of exports what would refer to the source.
    pub anonymize: bool,
}

/// What a run tells on its way.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RunEvent {
    /// What is being done now, in a few words for people.
    Stage(String),
    /// Steps done and steps in all.
    Progress {
        /// Done.
        done: usize,
        /// In all.
        total: usize,
    },
    /// A slice was looked at, maybe for the second time.
    Slice(SliceScore),
}

/// What is known of one slice.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceScore {
    /// Counted from 0 at the feet.
    pub slice_idx: usize,
    /// Probability of a tumor in it, from 0 to 1.
    pub tumor_score: Option<f64>,
    /// Boxes on it; `image` is 0.
    pub boxes: Vec<AnswerBox>,
}

/// Whether a run goes on.
#[derive(Debug)]
pub enum RunStep {
    /// There is more to do.
    More,
    /// It is done.
    Done(Box<StudyReport>),
}

/// What a run found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StudyReport {
    /// Probability of a tumor anywhere, from 0 to 1.
    pub tumor_score: Option<f64>,
    /// What was found, the most important first.
    pub findings: Vec<Finding>,
    /// Every slice that was looked at, in order.
    pub slices: Vec<SliceScore>,
    /// Files for other programs.
    pub exports: Vec<Export>,
}

/// Something that spans slices.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is, such as `tumor`.
    pub label: String,
    /// First slice.
    pub first_slice: usize,
    /// Last slice, inside.
    pub last_slice: usize,
    /// The slice that shows it best.
    pub key_slice: usize,
    /// Its box on that slice, in px.
    pub box_px: [f64; 4],
    /// How sure the model is, from 0 to 1.
    pub confidence: Option<f64>,
    /// Extent along columns, rows and slices in mm.
    pub size_mm: Option<[f64; 3]>,
}

/// A file for other programs.
#[derive(Clone, PartialEq)]
pub struct Export {
    /// Its name: letters, digits, `.`, `-` and `_`, at most 80; it names no patient. Others are left out.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its content.
    pub bytes: Bytes,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Export({}, {} bytes)", self.name, self.bytes.len())
    }
}
