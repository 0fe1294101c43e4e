//! Numbers that were published, with the section of the specification that quotes them.

use serde::Serialize;

/// A published number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PublishedNumber {
    /// What was measured.
    pub what: &'static str,
    /// What came out.
    pub value: PublishedValue,
    /// Section of the specification, as in `7.1`.
    pub section: &'static str,
    /// Where it was published.
    pub source: &'static str,
}

/// How much of the number is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishedValue {
    /// The number.
    Exact(f64),
    /// Not printed where the text survives; it cannot be outside of these.
    Between(f64, f64),
    /// Printed as less than this.
    Below(f64),
}

impl PublishedValue {
    /// The number to beat: itself, or the upper end of what it can be.
    pub fn floor(self) -> f64 {
        match self {
            Self::Exact(value) | Self::Between(_, value) | Self::Below(value) => value,
        }
    }
}

/// `0.595`, `0.497 to 0.569` or `< 0.001`.
impl std::fmt::Display for PublishedValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(value) => write!(formatter, "{value}"),
            Self::Between(low, high) => write!(formatter, "{low} to {high}"),
            Self::Below(value) => write!(formatter, "< {value}"),
        }
    }
}

const fn exact(
    what: &'static str,
    value: f64,
    section: &'static str,
    source: &'static str,
) -> PublishedNumber {
    PublishedNumber { what, value: PublishedValue::Exact(value), section, source }
}

/// Pancreas box, NIH, best IoU.
pub const PANCREAS_NIH_IOU: PublishedNumber =
    exact("pancreas box IoU, NIH, after 33 epochs", 0.595, "7.1", "paper, text on Table 1");
/// Pancreas box, MSD, best IoU.
pub const PANCREAS_MSD_IOU: PublishedNumber =
    exact("pancreas box IoU, MSD, after 21 epochs", 0.550, "7.1", "paper, text on Table 1");
/// Pancreas box, both datasets weighted by slices. The value is not in the text: it is over the multi-organ value
/// (0.497, "about 8 % lower"), and not over the two separate best values together.
pub const PANCREAS_AVERAGE_IOU: PublishedNumber = PublishedNumber {
    what: "pancreas box IoU, weighted average, after 21 epochs",
    value: PublishedValue::Between(0.497, 0.569),
    section: "7.1",
    source: "paper, text on Table 1; bounds by arithmetic",
};
/// Pancreas box, NIH, the base model before training.
pub const PANCREAS_NIH_IOU_BASE: PublishedNumber =
    exact("pancreas box IoU, NIH, MiniGPT-v2", 0.053, "7.1", "paper, text on Table 1");
/// Pancreas box, MSD, the base model before training.
pub const PANCREAS_MSD_IOU_BASE: PublishedNumber =
    exact("pancreas box IoU, MSD, MiniGPT-v2", 0.043, "7.1", "paper, text on Table 1");
/// Pancreas box, both datasets, the base model before training.
pub const PANCREAS_AVERAGE_IOU_BASE: PublishedNumber =
    exact("pancreas box IoU, weighted average, MiniGPT-v2", 0.047, "7.1", "paper, text on Table 1");

/// Tumor yes/no, accuracy.
pub const TUMOR_ACCURACY: PublishedNumber =
    exact("tumor yes/no accuracy, after tumor classification", 0.876, "7.3", "paper, Table 2");
/// Tumor yes/no, precision.
pub const TUMOR_PRECISION: PublishedNumber =
    exact("tumor yes/no precision, after tumor classification", 0.874, "7.3", "paper, Table 2");
/// Tumor yes/no, recall.
pub const TUMOR_RECALL: PublishedNumber =
    exact("tumor yes/no recall, after tumor classification", 0.878, "7.3", "paper, Table 2");
/// Tumor yes/no, F1.
pub const TUMOR_F1: PublishedNumber =
    exact("tumor yes/no F1, after tumor classification", 0.876, "7.3", "paper, Table 2");
/// Tumor yes/no, the base model: accuracy, precision, recall, F1.
pub const TUMOR_BASE: [PublishedNumber; 4] = [
    exact("tumor yes/no accuracy, MiniGPT-v2", 0.462, "7.3", "paper, Table 2"),
    exact("tumor yes/no precision, MiniGPT-v2", 0.444, "7.3", "paper, Table 2"),
    exact("tumor yes/no recall, MiniGPT-v2", 0.304, "7.3", "paper, Table 2"),
    exact("tumor yes/no F1, MiniGPT-v2", 0.361, "7.3", "paper, Table 2"),
];
/// Tumor yes/no after the pancreas stage alone: accuracy, precision, recall, F1.
pub const TUMOR_AFTER_PANCREAS: [PublishedNumber; 4] = [
    exact("tumor yes/no accuracy, after pancreas detection", 0.460, "7.3", "paper, Table 2"),
    exact("tumor yes/no precision, after pancreas detection", 0.448, "7.3", "paper, Table 2"),
    exact("tumor yes/no recall, after pancreas detection", 0.341, "7.3", "paper, Table 2"),
    exact("tumor yes/no F1, after pancreas detection", 0.387, "7.3", "paper, Table 2"),
];

/// Tumor box, MSD.
pub const TUMOR_BOX_IOU: PublishedNumber =
    exact("tumor box IoU, MSD, after tumor detection", 0.168, "7.4", "paper, Table 3");
/// Tumor box, MSD, at the stages before: base model, after pancreas detection, after tumor classification.
pub const TUMOR_BOX_IOU_BEFORE: [PublishedNumber; 3] = [
    PublishedNumber {
        what: "tumor box IoU, MSD, MiniGPT-v2",
        value: PublishedValue::Below(0.001),
        section: "7.4",
        source: "paper, Table 3",
    },
    exact("tumor box IoU, MSD, after pancreas detection", 0.025, "7.4", "paper, Table 3"),
    exact("tumor box IoU, MSD, after tumor classification", 0.072, "7.4", "paper, Table 3"),
];

/// Liver box, AbdomenCT-1K.
pub const LIVER_IOU: PublishedNumber = exact("liver box IoU, AbdomenCT-1K", 0.839, "7.5", "paper, Table 4");
/// Right kidney box, AbdomenCT-1K.
pub const RIGHT_KIDNEY_IOU: PublishedNumber =
    exact("right kidney box IoU, AbdomenCT-1K", 0.722, "7.5", "paper, Table 4");
/// Spleen box, AbdomenCT-1K.
pub const SPLEEN_IOU: PublishedNumber = exact("spleen box IoU, AbdomenCT-1K", 0.705, "7.5", "paper, Table 4");
/// Pancreas box among the organs, AbdomenCT-1K.
pub const ORGAN_PANCREAS_IOU: PublishedNumber =
    exact("pancreas box IoU, AbdomenCT-1K", 0.497, "7.5", "paper, Table 4");
/// Mean over the four organs, AbdomenCT-1K.
pub const ORGANS_AVERAGE_IOU: PublishedNumber =
    exact("organ box IoU, average, AbdomenCT-1K", 0.691, "7.5", "paper, Table 4");

/// A convolutional network's accuracy, quoted for comparison.
pub const CNN_ACCURACY: PublishedNumber =
    exact("pancreatic cancer accuracy, CNN", 0.830, "7.6", "Liu 2020, quoted in the paper");
/// The same network's recall.
pub const CNN_RECALL: PublishedNumber =
    exact("pancreatic cancer recall, CNN", 0.790, "7.6", "Liu 2020, quoted in the paper");
/// MiniGPT-Med's boxes of lung nodules, quoted for comparison.
pub const MINIGPT_MED_NODULE_IOU: PublishedNumber =
    exact("lung nodule box IoU, MiniGPT-Med", 0.260, "7.6", "quoted in the paper");

/// Every number above.
pub fn all() -> Vec<PublishedNumber> {
    let mut all = vec![
        PANCREAS_NIH_IOU,
        PANCREAS_MSD_IOU,
        PANCREAS_AVERAGE_IOU,
        PANCREAS_NIH_IOU_BASE,
        PANCREAS_MSD_IOU_BASE,
        PANCREAS_AVERAGE_IOU_BASE,
        TUMOR_ACCURACY,
        TUMOR_PRECISION,
        TUMOR_RECALL,
        TUMOR_F1,
    ];
    all.extend(TUMOR_BASE);
    all.extend(TUMOR_AFTER_PANCREAS);
    all.push(TUMOR_BOX_IOU);
    all.extend(TUMOR_BOX_IOU_BEFORE);
    all.extend([LIVER_IOU, RIGHT_KIDNEY_IOU, SPLEEN_IOU, ORGAN_PANCREAS_IOU, ORGANS_AVERAGE_IOU]);
    all.extend([CNN_ACCURACY, CNN_RECALL, MINIGPT_MED_NODULE_IOU]);
    all
}

/// Slices at one threshold (SPEC 7.7; the paper's appendix, Table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SlicesAtThreshold {
    /// Slices are kept whose ratio is above this, in percent.
    pub threshold_percent: u8,
    /// NIH, training.
    pub nih_train: usize,
    /// NIH, test.
    pub nih_test: usize,
    /// MSD, training.
    pub msd_train: usize,
    /// MSD, test.
    pub msd_test: usize,
}

const fn slices(threshold_percent: u8, counts: [usize; 4]) -> SlicesAtThreshold {
    let [nih_train, nih_test, msd_train, msd_test] = counts;
    SlicesAtThreshold { threshold_percent, nih_train, nih_test, msd_train, msd_test }
}

/// Slices per threshold. The IoU beside them (SPEC 7.2) is not in the text.
pub const SLICES_PER_THRESHOLD: [SlicesAtThreshold; 10] = [
    slices(0, [5520, 1352, 6936, 1803]),
    slices(10, [4066, 1064, 5856, 1526]),
    slices(20, [2705, 720, 4391, 1149]),
    slices(30, [2180, 614, 3327, 893]),
    slices(40, [1891, 544, 2710, 716]),
    slices(50, [1657, 455, 2312, 621]),
    slices(60, [1402, 378, 1985, 526]),
    slices(70, [1180, 306, 1681, 444]),
    slices(80, [897, 226, 1389, 343]),
    slices(90, [504, 135, 968, 224]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::weighted_mean;

    #[test]
    fn averages_follow_from_their_parts() {
        let at_60 = SLICES_PER_THRESHOLD[6];
        let average = |nih: PublishedNumber, msd: PublishedNumber| {
            weighted_mean([(at_60.nih_test, nih.value.floor()), (at_60.msd_test, msd.value.floor())])
        };
        let base = average(PANCREAS_NIH_IOU_BASE, PANCREAS_MSD_IOU_BASE);
        assert!((base - PANCREAS_AVERAGE_IOU_BASE.value.floor()).abs() < 0.0005, "{base}");
        let best = average(PANCREAS_NIH_IOU, PANCREAS_MSD_IOU);
        assert!((best - PANCREAS_AVERAGE_IOU.value.floor()).abs() < 0.0005, "{best}");
        let organs = [LIVER_IOU, RIGHT_KIDNEY_IOU, SPLEEN_IOU, ORGAN_PANCREAS_IOU];
        let mean = organs.iter().map(|organ| organ.value.floor()).sum::<f64>() / 4.0;
        assert!((mean - ORGANS_AVERAGE_IOU.value.floor()).abs() < 0.0005, "{mean}");
    }

    #[test]
    fn every_number_names_its_section() {
        let numbers = all();
        assert_eq!(numbers.len(), 30);
        for number in numbers {
            assert!(number.section.starts_with("7.") && !number.source.is_empty(), "{number:?}");
            assert!((0.0..=1.0).contains(&number.value.floor()), "{number:?}");
        }
        assert_eq!(PANCREAS_AVERAGE_IOU.value.to_string(), "0.497 to 0.569");
        assert_eq!(TUMOR_BOX_IOU_BEFORE[0].value.to_string(), "< 0.001");
    }
}
