//! Names of the published JSON files.

use super::names::PublishedDataset;
use crate::index::SplitPart;

/// Era P's list of slices; it had MSD only.
pub const INFO_FILE_PAPER: &str = "slices_info.json";

/// The list of all slices of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoFile(pub PublishedDataset);

impl InfoFile {
    /// `MSD_slices_info.json` and the like.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}_slices_info.json", self.0.dataset())
    }
}

/// A list of questions of eras M and H (SPEC 1.6, 1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionFile {
    /// Pancreas detection, and the organs of AbdomenCT-1K.
    Detection(PublishedDataset),
    /// Tumour detection, MSD only.
    Tumor,
    /// Detection with slices that lack a pancreas.
    BalancedDetection(PublishedDataset),
    /// Tumour detection with slices that lack a tumour.
    BalancedTumor,
    /// Tumour classification.
    TumorClassification,
}

impl QuestionFile {
    /// The file of one part of the split, such as `MSD_tumor_balanced_train.json`.
    #[must_use]
    pub fn name(self, part: SplitPart) -> String {
        let part = part_name(part);
        match self {
            Self::Detection(layout) => format!("{layout}_{part}.json"),
            Self::Tumor => format!("MSD_tumor_{part}.json"),
            Self::BalancedDetection(layout) => format!("{layout}_balanced_{part}.json"),
            Self::BalancedTumor => format!("MSD_tumor_balanced_{part}.json"),
            Self::TumorClassification => format!("TC_{part}.json"),
        }
    }
}

/// Era P's file of one threshold and part: `MSD_60_train.json`.
#[must_use]
pub fn threshold_file_name(threshold_percent: u32, part: SplitPart) -> String {
    format!("MSD_{threshold_percent}_{}.json", part_name(part))
}

fn part_name(part: SplitPart) -> &'static str {
    match part {
        SplitPart::Train => "train",
        SplitPart::Test => "test",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_file_names() {
        assert_eq!(InfoFile(PublishedDataset::Nih).name(), "NIH_slices_info.json");
        let rows = [
            (QuestionFile::Detection(PublishedDataset::Msd), "MSD_train.json", "MSD_test.json"),
            (QuestionFile::Detection(PublishedDataset::Abd), "ABD_train.json", "ABD_test.json"),
            (QuestionFile::Tumor, "MSD_tumor_train.json", "MSD_tumor_test.json"),
            (
                QuestionFile::BalancedDetection(PublishedDataset::Nih),
                "NIH_balanced_train.json",
                "NIH_balanced_test.json",
            ),
            (QuestionFile::BalancedTumor, "MSD_tumor_balanced_train.json", "MSD_tumor_balanced_test.json"),
            (QuestionFile::TumorClassification, "TC_train.json", "TC_test.json"),
        ];
        for (file, train, test) in rows {
            assert_eq!([SplitPart::Train, SplitPart::Test].map(|part| file.name(part)), [train, test]);
        }
        assert_eq!(threshold_file_name(0, SplitPart::Test), "MSD_0_test.json");
    }
}
