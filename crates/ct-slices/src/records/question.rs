//! Records of the split files: what a training or test question is asked about (SPEC 1.5, 1.9).

use serde::{Deserialize, Serialize};

use super::info::{AbdRecord, MsdRecord, NihRecord};
use crate::bbox::BoxPx;
use crate::index::YesNo;
use crate::organ::Organ;
use crate::python::PyNumber;

/// A slice record with the number of its question as the last key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitRecord<R> {
    /// The slice.
    #[serde(flatten)]
    pub record: R,
    /// Number in its file, from 1.
    pub q_id: u64,
}

/// Numbers the selected records from 1, in their order.
///
/// # Panics
/// If an index is not one of `records`: a caller's bug.
#[must_use]
pub fn with_question_ids<R: Clone>(records: &[R], selected: &[usize]) -> Vec<SplitRecord<R>> {
    let question = |(q_id, &at): (u64, &usize)| SplitRecord { record: records[at].clone(), q_id };
    (1..).zip(selected).map(question).collect()
}

/// One organ of one AbdomenCT-1K slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are the keys of SPEC 1.5, described there and in the type's docs"
)]
pub struct AbdSplitRecord {
    pub dataset: String,
    pub volume_name: String,
    pub slice_id: u64,
    pub slice_index: u64,
    pub slice_count: u64,
    pub width: u64,
    pub height: u64,
    pub organ: Organ,
    pub pixels: u64,
    pub pixels_ratio: PyNumber,
    pub bbox: BoxPx,
    pub bbox_ratio: PyNumber,
    pub q_id: u64,
}

impl AbdSplitRecord {
    /// The question about one organ of a slice; `None` for the tumour, which these records lack.
    #[must_use]
    pub fn new(slice: &AbdRecord, organ: Organ, q_id: u64) -> Option<Self> {
        let (pixels, pixels_ratio, bbox, bbox_ratio) = slice.organ(organ)?;
        Some(Self {
            dataset: slice.dataset.clone(),
            volume_name: slice.volume_name.clone(),
            slice_id: slice.slice_id,
            slice_index: slice.slice_index,
            slice_count: slice.slice_count,
            width: slice.width,
            height: slice.height,
            organ,
            pixels,
            pixels_ratio,
            bbox,
            bbox_ratio,
            q_id,
        })
    }
}

/// A question of the tumour-classification mix: a split record with the crop's width and height in
/// place of the slice's, and the answer as the last key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TcRecord {
    /// A slice with a tumour.
    Msd {
        /// The slice.
        #[serde(flatten)]
        question: SplitRecord<MsdRecord>,
        /// Always yes, as published.
        answer: YesNo,
    },
    /// A slice without.
    Nih {
        /// The slice.
        #[serde(flatten)]
        question: SplitRecord<NihRecord>,
        /// Always no, as published.
        answer: YesNo,
    },
}

impl TcRecord {
    /// The question about an MSD slice.
    #[must_use]
    pub fn from_msd(mut record: MsdRecord, q_id: u64, answer: YesNo) -> Self {
        [record.width, record.height] = crop_size(record.bbox_pancreas);
        Self::Msd { question: SplitRecord { record, q_id }, answer }
    }

    /// The question about an NIH slice.
    #[must_use]
    pub fn from_nih(mut record: NihRecord, q_id: u64, answer: YesNo) -> Self {
        [record.width, record.height] = crop_size(record.bbox_pancreas);
        Self::Nih { question: SplitRecord { record, q_id }, answer }
    }

    /// The label.
    #[must_use]
    pub fn answer(&self) -> YesNo {
        match self {
            Self::Msd { answer, .. } | Self::Nih { answer, .. } => *answer,
        }
    }
}

/// Width and height of the published half-open crop to a box.
fn crop_size(bbox: BoxPx) -> [u64; 2] {
    [bbox.x_max.saturating_sub(bbox.x_min), bbox.y_max.saturating_sub(bbox.y_min)].map(u64::from)
}
