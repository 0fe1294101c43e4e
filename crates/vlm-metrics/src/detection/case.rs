//! One question for a box and its answer.

use serde::{Deserialize, Serialize};
use vlm_prompt::PixelBox;

use super::eras::{PublishedAnswer, PublishedSample};
use crate::overlap::{covered_area, iou};

/// One image, one target, at most one true box and one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetectionCase {
    /// Name of the image, unique within its dataset; two targets of one image share it.
    pub image: String,
    /// Pseudonymous patient: what the bootstrap draws.
    pub patient: String,
    /// Dataset the image comes from.
    pub dataset: String,
    /// What was asked for, as in `pancreas`.
    pub target: String,
    /// Width and height in px.
    pub image_size: [u32; 2],
    /// The true box in px as stored: the maximum edges are the last pixels inside. `None` when nothing is there.
    pub truth: Option<PixelBox>,
    /// The answer in px on the continuous axis. `None`, or a box whose four edges are 0, says that nothing is there.
    pub predicted: Option<PixelBox>,
    /// Whether the reply could be read. If not, `predicted` is not looked at.
    pub is_parsed: bool,
    /// Confidence of the box, higher is surer; any finite number. Boxes without one rank as 1.
    pub confidence: Option<f64>,
    /// Edge lengths of a pixel in mm, along x and y of the image.
    pub spacing_mm: Option<[f64; 2]>,
    /// Size of the lesion in mm, for strata.
    pub lesion_mm: Option<f64>,
}

impl Default for DetectionCase {
    /// A parsed answer that nothing is there, where nothing is.
    fn default() -> Self {
        Self {
            image: String::new(),
            patient: String::new(),
            dataset: String::new(),
            target: String::new(),
            image_size: [0, 0],
            truth: None,
            predicted: None,
            is_parsed: true,
            confidence: None,
            spacing_mm: None,
            lesion_mm: None,
        }
    }
}

impl DetectionCase {
    /// The box of a reply that was read and says that something is there.
    pub fn answered_box(&self) -> Option<PixelBox> {
        self.predicted.filter(|predicted| self.is_parsed && *predicted != PixelBox::default())
    }

    /// The sample as the published programs see it: "nothing" is the box of zeros, an unread reply is missing.
    pub fn published_sample(&self) -> PublishedSample {
        let answer = if self.is_parsed {
            PublishedAnswer::Box(self.predicted.unwrap_or_default())
        } else {
            PublishedAnswer::Missing
        };
        PublishedSample { truth: self.truth.unwrap_or_default(), answer }
    }
}

/// Intersection over union of a case: the answer against the area that the truth covers, `[x_min, x_max + 1)`. An
/// unread reply and an answer of "nothing" score 0. `None` when there is no true box.
pub fn case_iou(case: &DetectionCase) -> Option<f64> {
    let truth = covered_area(case.truth?);
    Some(case.answered_box().map_or(0.0, |predicted| iou(predicted, truth)))
}
