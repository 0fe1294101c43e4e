//! One question about one image, with its answer.

use ct_slices::BoxPx;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vlm_prompt::PixelBox;

use crate::hex::to_hex;

/// What is true of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// The box, all edges inside, in px of the image.
    Box(BoxPx),
    /// Whether yes is right.
    YesNo(bool),
}

/// One question about one image.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSample {
    /// Number of its image in the run's [`ImageTable`](crate::ImageTable).
    pub image: u32,
    /// Its image relative to the data's folder: what predictions call it.
    pub name: String,
    /// Source of the image.
    pub dataset: String,
    /// Whose image; unique within the dataset.
    pub patient: String,
    /// Which study.
    pub volume: String,
    /// Number of the slice in it.
    pub slice_index: u32,
    /// Columns and rows of the image.
    pub size_px: [u32; 2],
    /// Where the image shows a part of the file: the number of the whole one, and the part, once it is known.
    pub region: Option<SampleRegion>,
    /// Millimetres between columns and rows.
    pub spacing_mm: Option<[f64; 2]>,
    /// What is asked for, as in a prompt; empty for yes/no.
    pub target: &'static str,
    /// The answer.
    pub truth: Truth,
    /// Longer side of the tumor's box in mm.
    pub lesion_mm: Option<f64>,
    /// Share of the target's largest box in its volume.
    pub box_ratio: Option<f64>,
}

/// A part of an image around the pancreas ([`RegionSettings`](crate::RegionSettings)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRegion {
    /// The number of the whole image.
    pub whole_image: u32,
    /// What is shown; none while the pancreas was not looked for.
    pub shown: Option<BoxPx>,
}

impl StageSample {
    /// What of the image is shown, in px of the image.
    #[must_use]
    pub fn frame(&self) -> BoxPx {
        self.region.and_then(|region| region.shown).unwrap_or_else(|| BoxPx::whole(self.size_px))
    }

    /// Columns and rows of what is shown.
    #[must_use]
    pub fn frame_size_px(&self) -> [u32; 2] {
        let frame = self.frame();
        [frame.width_px(), frame.height_px()]
    }

    /// The answer about what is shown: a box in its px, as much of it as is shown. None for a box
    /// that is not shown at all.
    #[must_use]
    pub fn framed_truth(&self) -> Option<Truth> {
        match self.truth {
            Truth::Box(bbox) => bbox.within(self.frame()).map(Truth::Box),
            Truth::YesNo(_) => Some(self.truth),
        }
    }

    /// The number of the whole image.
    #[must_use]
    pub fn whole_image(&self) -> u32 {
        self.region.map_or(self.image, |region| region.whole_image)
    }

    /// Whose image, unique over datasets: what splits and intervals go by.
    #[must_use]
    pub fn patient_key(&self) -> String {
        patient_key(&self.dataset, &self.patient)
    }

    /// A short hash of the patient and a salt.
    pub(crate) fn patient_mark(&self, salt: &str) -> String {
        to_hex(&Sha256::digest(format!("{salt}\t{}", self.patient_key()))[..8])
    }

    /// The true box, edges inside.
    #[must_use]
    pub fn truth_box(&self) -> Option<PixelBox> {
        match self.truth {
            Truth::Box(bbox) => Some(<[u32; 4]>::from(bbox).into()),
            Truth::YesNo(_) => None,
        }
    }

    /// The same as much of it as is shown, in px of what is shown.
    pub(crate) fn framed_box(&self) -> Option<PixelBox> {
        match self.framed_truth()? {
            Truth::Box(bbox) => Some(<[u32; 4]>::from(bbox).into()),
            Truth::YesNo(_) => None,
        }
    }

    /// Whether yes is right, for yes/no samples.
    #[must_use]
    pub fn is_yes(&self) -> Option<bool> {
        match self.truth {
            Truth::Box(_) => None,
            Truth::YesNo(is_yes) => Some(is_yes),
        }
    }
}

pub(crate) fn patient_key(dataset: &str, patient: &str) -> String {
    format!("{dataset}/{patient}")
}

/// The samples of one stage in their three parts, no patient in two of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// What is learned from.
    pub train: Vec<StageSample>,
    /// What chooses checkpoints; cut from the training patients.
    pub validation: Vec<StageSample>,
    /// What judges, and nothing else.
    pub test: Vec<StageSample>,
}
