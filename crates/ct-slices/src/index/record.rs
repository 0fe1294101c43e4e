//! One line of the index.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bbox::BoxPx;
use crate::organ::Organ;

/// Training or test part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitPart {
    /// For training (validation is cut from it later).
    Train,
    /// Held out.
    Test,
}

/// A task that a slice was selected for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Stage 1: the pancreas box.
    PancreasDetection,
    /// Stage 2: tumour yes or no.
    TumorClassification,
    /// Stage 3: the tumour box.
    TumorDetection,
    /// Liver, right kidney, spleen, pancreas boxes.
    OrganDetection,
}

impl Task {
    /// The name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PancreasDetection => "pancreas_detection",
            Self::TumorClassification => "tumor_classification",
            Self::TumorDetection => "tumor_detection",
            Self::OrganDetection => "organ_detection",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The label of a yes/no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum YesNo {
    /// Tumour visible.
    Yes,
    /// No tumour.
    No,
}

/// One organ in the slice and in its volume.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganRecord {
    /// Mask pixels.
    pub pixels: u64,
    /// Box, all edges inside; null if the organ is not in the slice.
    pub bbox: Option<BoxPx>,
    /// Share of the volume's largest pixel count, rounded to 0.01.
    pub pixels_ratio: f64,
    /// Share of the volume's largest box area, rounded to 0.01.
    pub bbox_ratio: f64,
    /// The volume's largest pixel count.
    pub max_pixels: u64,
    /// The volume's largest box area.
    pub max_bbox_area: u64,
}

/// The slices above and below, for 2.5-D input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbors {
    /// Index of the slice below (towards index 0), if there is one.
    pub previous: Option<u32>,
    /// Its image relative to the index, if it was written.
    pub previous_image: Option<String>,
    /// Index of the slice above, if there is one.
    pub next: Option<u32>,
    /// Its image relative to the index, if it was written.
    pub next_image: Option<String>,
}

/// One slice of one volume, with all that later stages need, so that volumes need not be read again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexRecord {
    /// Version of this form; 1.
    pub schema_version: u32,
    /// Short name of the dataset, such as `MSD`: the source that an audit compares.
    pub dataset: String,
    /// Whose study this is; splits are by patient.
    pub patient: String,
    /// Name of the study, without folders and endings.
    pub volume: String,
    /// Number of the slice, from 0, in the order of the preset.
    pub slice_index: u32,
    /// Slices of the volume.
    pub slice_count: u32,
    /// Columns of the image.
    pub width: u32,
    /// Rows of the image.
    pub height: u32,
    /// Millimetres between columns, rows, slices of the image; null for images without a volume.
    pub spacing_mm: Option<[f64; 3]>,
    /// Image relative to the index's folder, with `/`; null if none was written.
    pub image: Option<String>,
    /// SHA-256 of the image's gray pixels, row by row; null if none was written.
    pub pixels_sha256: Option<String>,
    /// SHA-256 of the study's file (of the sorted files' hashes, for a series).
    pub source_sha256: Option<String>,
    /// SHA-256 of the mask's file.
    pub mask_sha256: Option<String>,
    /// Slices above and below.
    pub neighbors: Neighbors,
    /// Per organ of the label map.
    pub organs: BTreeMap<Organ, OrganRecord>,
    /// Part of the split that the patient is in.
    pub split: Option<SplitPart>,
    /// Tasks that the slice was selected for, sorted.
    pub tasks: Vec<Task>,
    /// Tumour label, for a slice of the classification set.
    pub answer: Option<YesNo>,
    /// Which part of the slice the image shows, if not all: edges inside, in slice pixels.
    pub crop: Option<BoxPx>,
}
