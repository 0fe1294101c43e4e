//! How the published programs average.

use serde::{Deserialize, Serialize};
use vlm_prompt::{BoxDecode, BoxFormat, GridBox, PixelBox, accept_at_head, score_at_head, score_in_paper};

use crate::confusion::{ConfusionCounts, ConfusionScores};
use crate::overlap::{dsc, iou, iou_era_p, is_satisfactory_in_paper};
use crate::summary_statistics::{count, mean, share};

/// What became of an answer in a published program.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishedAnswer {
    /// Not in the file of predictions.
    Missing,
    /// In the file, but not a box for the scorer.
    Invalid,
    /// A box in px; four zeros say that nothing is there.
    Box(PixelBox),
}

impl PublishedAnswer {
    /// Era H's way from a reply to a box in an image of `width` by `height` px.
    ///
    /// # Source
    /// SPEC 5.2 and 5.3.
    pub fn at_head(reply: &str, width: u32, height: u32) -> Self {
        match accept_at_head(reply) {
            None => Self::Missing,
            Some(stored) => Self::in_pixels(score_at_head(&stored), width, height),
        }
    }

    /// Era P's way: nothing is left out, what is no box scores 0.
    ///
    /// # Source
    /// SPEC 5.4.
    pub fn in_paper(reply: &str, width: u32, height: u32) -> Self {
        Self::in_pixels(score_in_paper(reply), width, height)
    }

    fn in_pixels(grid: Option<GridBox>, width: u32, height: u32) -> Self {
        grid.and_then(|grid| BoxFormat::Percent100.decode(grid, width, height, BoxDecode::GridLine).ok())
            .map_or(Self::Invalid, Self::Box)
    }
}

/// One sample of a published program. Era H takes the pancreas as truth even where a tumor was asked for (SPEC 5.4);
/// whoever wants those numbers passes that box.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PublishedSample {
    /// The true box in px as stored, maximum edges inside; four zeros when nothing is there.
    pub truth: PixelBox,
    /// The answer.
    pub answer: PublishedAnswer,
}

/// Which samples era H counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EraHReading {
    /// Every answered sample.
    Plain,
    /// Lists with and without the target: overlap only where both boxes are there.
    Balanced,
    /// The organs of AbdomenCT-1K: overlap where either box is there.
    MultiOrgan,
}

/// What era H reports of one dataset or organ, as shares; its text shows them times 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EraHScores {
    /// All samples.
    pub n: usize,
    /// Samples with IoU of at least 0.5, of all samples.
    pub detection_accuracy: f64,
    /// Mean IoU of the samples that count; 0 when none do.
    pub iou: f64,
    /// Mean DSC of the same samples.
    pub dsc: f64,
    /// Balanced lists only: whether the target is there at all.
    pub presence: Option<ConfusionScores>,
    /// Answers that are no box.
    pub n_invalid: usize,
    /// Answers that are not in the file.
    pub n_missing: usize,
}

impl EraHScores {
    /// Invalid and missing answers together.
    pub fn n_bad(&self) -> usize {
        self.n_invalid + self.n_missing
    }
}

/// Era H's scores: boxes without `+ 1`, averaged over answered samples, bad answers counted and left out.
///
/// # Source
/// SPEC 5.4.
pub fn score_era_h(samples: &[PublishedSample], reading: EraHReading) -> EraHScores {
    let (mut ious, mut dscs) = (Vec::new(), Vec::new());
    let mut presence = ConfusionCounts::default();
    let (mut n_invalid, mut n_missing) = (0, 0);
    for sample in samples {
        let predicted = match sample.answer {
            PublishedAnswer::Missing => {
                n_missing += 1;
                continue;
            }
            PublishedAnswer::Invalid => {
                n_invalid += 1;
                continue;
            }
            PublishedAnswer::Box(predicted) => predicted,
        };
        let is_there = [sample.truth, predicted].map(|pixels| pixels != PixelBox::default());
        presence.add(is_there[0], is_there[1]);
        let is_counted = match reading {
            EraHReading::Plain => true,
            EraHReading::Balanced => is_there == [true, true],
            EraHReading::MultiOrgan => is_there != [false, false],
        };
        if is_counted {
            ious.push(iou(predicted, sample.truth));
            dscs.push(dsc(predicted, sample.truth));
        }
    }
    EraHScores {
        n: samples.len(),
        detection_accuracy: share(ious.iter().filter(|iou| **iou >= 0.5).count(), samples.len()),
        iou: mean(&ious).unwrap_or(0.0),
        dsc: mean(&dscs).unwrap_or(0.0),
        presence: (reading == EraHReading::Balanced).then(|| presence.into()),
        n_invalid,
        n_missing,
    }
}

/// What era P reports of one dataset, as shares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EraPScores {
    /// All samples.
    pub n: usize,
    /// Mean inclusive IoU over all samples, bad answers as 0.
    pub iou: f64,
    /// Samples with IoU over 0.5.
    pub accuracy: f64,
    /// Samples that its tumor script calls satisfactory.
    pub satisfactory: f64,
    /// Answers that are no box.
    pub n_bad: usize,
}

/// Era P's scores: boxes with `+ 1`, averaged over all samples. To be compared with the paper's numbers.
///
/// # Source
/// SPEC 5.4.
pub fn score_era_p(samples: &[PublishedSample]) -> EraPScores {
    let boxes: Vec<_> = samples
        .iter()
        .filter_map(|sample| match sample.answer {
            PublishedAnswer::Box(predicted) => Some((predicted, sample.truth)),
            PublishedAnswer::Missing | PublishedAnswer::Invalid => None,
        })
        .collect();
    let ious: Vec<f64> = boxes.iter().map(|(predicted, truth)| iou_era_p(*predicted, *truth)).collect();
    let n = samples.len();
    let n_satisfactory =
        boxes.iter().filter(|(predicted, truth)| is_satisfactory_in_paper(*predicted, *truth)).count();
    EraPScores {
        n,
        iou: if n == 0 { 0.0 } else { ious.iter().sum::<f64>() / count(n) },
        accuracy: share(ious.iter().filter(|iou| **iou > 0.5).count(), n),
        satisfactory: share(n_satisfactory, n),
        n_bad: n - boxes.len(),
    }
}

/// A score over datasets or organs: the mean weighted by all their samples; 0 when there are none.
///
/// # Source
/// SPEC 5.4.
pub fn weighted_mean(parts: impl IntoIterator<Item = (usize, f64)>) -> f64 {
    let (sum, n) =
        parts.into_iter().fold((0.0, 0), |(sum, n), (part, score)| (sum + count(part) * score, n + part));
    if n == 0 { 0.0 } else { sum / count(n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANCREAS: [u32; 4] = [196, 235, 237, 260];
    const SQUARE: [u32; 4] = [100, 100, 200, 200];

    fn head(reply: &str, truth: [u32; 4]) -> PublishedSample {
        PublishedSample { truth: truth.into(), answer: PublishedAnswer::at_head(reply, 512, 512) }
    }

    fn percent(value: f64) -> String {
        format!("{:.2}", 100.0 * value)
    }

    fn toy() -> Vec<PublishedSample> {
        vec![
            head("{<38><45><46><50>}", PANCREAS),
            head("{<19><19><39><39>}", SQUARE),
            head("{<38><45><46><50>}1", PANCREAS),
            head("no idea", PANCREAS),
        ]
    }

    #[test]
    fn toy_report_of_both_eras() {
        let scores = score_era_h(&toy(), EraHReading::Plain);
        assert_eq!(percent(scores.detection_accuracy), "50.00");
        assert_eq!((percent(scores.iou), percent(scores.dsc)), ("80.46".into(), "88.53".into()));
        assert_eq!((scores.n_bad(), scores.n_invalid, scores.n_missing), (2, 1, 1));
        let paper = score_era_p(&toy());
        assert_eq!((percent(paper.iou), paper.n_bad, paper.n), ("40.49".into(), 2, 4));
        assert_eq!((paper.accuracy, paper.satisfactory), (0.5, 0.5));
        let replies = [
            ("{<38><45><46><50>}", PANCREAS),
            ("{<19><19><39><39>}", SQUARE),
            ("1 2 3 4 5", PANCREAS),
            ("", PANCREAS),
        ];
        let samples = replies.map(|(reply, truth)| PublishedSample {
            truth: truth.into(),
            answer: PublishedAnswer::in_paper(reply, 512, 512),
        });
        assert_eq!(score_era_p(&samples), paper);
    }

    #[test]
    fn toy_report_over_two_datasets() {
        let second = [head("{<25><25><50><50>}", [128, 128, 256, 256]), head("{<0><0><0><0>}", PANCREAS)];
        let (first, second) =
            (score_era_h(&toy(), EraHReading::Plain), score_era_h(&second, EraHReading::Plain));
        assert_eq!(percent(second.iou), "50.00");
        assert_eq!(percent(weighted_mean([(first.n, first.iou), (second.n, second.iou)])), "70.31");
        assert_eq!(weighted_mean([]), 0.0);
        assert_eq!(format!("{:.4}", weighted_mean([(378, 0.053), (526, 0.043)])), "0.0472");
    }

    #[test]
    fn toy_tumors_with_either_truth() {
        let replies = ["{<42><46><46><49>}", "{<21><21><29><29>}"];
        let against = |truths: [[u32; 4]; 2]| {
            let samples: Vec<_> =
                replies.iter().zip(truths).map(|(reply, truth)| head(reply, truth)).collect();
            percent(score_era_h(&samples, EraHReading::Plain).iou)
        };
        assert_eq!(against([PANCREAS, SQUARE]), "23.73");
        assert_eq!(against([[220, 238, 237, 255], [110, 110, 150, 150]]), "65.96");
    }

    #[test]
    fn toy_of_a_balanced_list() {
        let samples = [
            head("{<38><45><46><50>}", PANCREAS),
            head("{<0><0><0><0>}", [0; 4]),
            head("{<19><19><39><39>}", [0; 4]),
            head("{<0><0><0><0>}", PANCREAS),
        ];
        let scores = score_era_h(&samples, EraHReading::Balanced);
        let presence = scores.presence.unwrap();
        assert_eq!(presence.counts, ConfusionCounts { tp: 1, tn: 1, fp: 1, fn_: 1 });
        assert_eq!(
            (percent(presence.accuracy), percent(scores.detection_accuracy)),
            ("50.00".into(), "25.00".into())
        );
        assert_eq!(percent(scores.iou), "66.73");
        // Over organs the two one-sided samples count as 0 too.
        let organs = score_era_h(&samples, EraHReading::MultiOrgan);
        assert_eq!((percent(3.0 * organs.iou), organs.presence), ("66.73".into(), None));
    }

    #[test]
    fn nothing_at_all() {
        assert_eq!(score_era_h(&[], EraHReading::Plain).iou, 0.0);
        assert_eq!(score_era_p(&[]).iou, 0.0);
    }
}
