//! What tumor stages look at: not the whole slice, but the part around the pancreas that the first
//! stage finds, enlarged.
//!
//! The published tumor stage is shown crops by the mask's own pancreas box (SPEC D10), which nobody
//! has for a new patient. Here the box is an answer of a model, for training, validation and test
//! alike; where it is wrong, the tumor stage sees the wrong part, and its score says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use ct_slices::{BoxPx, Organ};
use serde::{Deserialize, Serialize};
use vlm_model::Precision;
use vlm_prompt::PixelBox;

use crate::answerer::{Answerer, Asked, ModelAnswerer};
use crate::data::{Samples, StageSample};
use crate::evaluate_stage::{OpenCheckpoint, open_checkpoint};
use crate::images::{ImageFeatures, View};
use crate::stage::target_name;
use crate::{CascadeError, Stage};

/// Least side of a region, as a share of the longer side of the image: a small cross-section is not
/// enlarged without end.
const LEAST_SHARE: f64 = 0.25;
/// Questions that are asked together.
const BATCH: usize = 32;

/// What of a slice a tumor stage is shown: a square around the pancreas that a model finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionSettings {
    /// Side of the square, in longer sides of the found box.
    pub margin: f64,
    /// Checkpoint folder that finds the pancreas; none: the run's own pancreas stage, else the embedded
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locator: Option<PathBuf>,
}

impl RegionSettings {
    pub(crate) fn check(&self, stage: Stage, field: &str) -> Result<(), CascadeError> {
        if !matches!(stage, Stage::TumorYesNo | Stage::TumorBox) {
            return Err(CascadeError::setting(field, stage, "only tumor stages look at regions"));
        }
        if !(1.0..=10.0).contains(&self.margin) {
            return Err(CascadeError::setting(
                format!("{field}.margin"),
                self.margin,
                "expected 1 to 10 sides of the box",
            ));
        }
        Ok(())
    }
}

/// The same in a checkpoint's `stage.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRegion {
    /// Side of the square, in longer sides of the found box.
    pub margin: f64,
    /// Checkpoint folder that finds the pancreas, from the checkpoint's own folder.
    pub locator: PathBuf,
}

/// The region that a box of the pancreas gives, its side `margin` longer sides of the box; the whole image
/// without a box.
#[must_use]
pub fn region_around(pancreas: Option<PixelBox>, size_px: [u32; 2], margin: f64) -> BoxPx {
    let Some(PixelBox { x_min, y_min, x_max, y_max }) = pancreas else { return BoxPx::whole(size_px) };
    let longer = (x_max - x_min).max(y_max - y_min);
    let side = (longer * margin).max(LEAST_SHARE * f64::from(size_px[0].max(size_px[1])));
    BoxPx::square_around([f64::midpoint(x_min, x_max), f64::midpoint(y_min, y_max)], side, size_px)
}

/// A model that finds the pancreas, and what it found.
pub(crate) struct Locator {
    opened: OpenCheckpoint,
    /// By image: the box, none where it found nothing.
    found: BTreeMap<u32, Option<PixelBox>>,
}

impl Locator {
    /// Opens a pancreas checkpoint.
    pub(crate) fn open(folder: &Path, precision: Precision, device: &Device) -> Result<Self, CascadeError> {
        if !folder.is_dir() {
            let reason = "there is no such folder: the tumor stage looks at the region around the pancreas \
                          that the checkpoint in it finds";
            return Err(CascadeError::setting("region.locator", folder.display(), reason));
        }
        let opened = open_checkpoint(folder, Some(Stage::PancreasBox), precision, device)?;
        Ok(Self { opened, found: BTreeMap::new() })
    }

    /// The regions of whole images, in their order, each image asked about once.
    pub(crate) fn regions(
        &mut self,
        whole: &[(u32, [u32; 2])],
        margin: f64,
        images: &mut ImageFeatures,
        progress: &mut dyn FnMut(usize, usize),
        stop: &AtomicBool,
    ) -> Result<Vec<BoxPx>, CascadeError> {
        let missing: BTreeMap<u32, [u32; 2]> =
            whole.iter().filter(|(image, _)| !self.found.contains_key(image)).copied().collect();
        if !missing.is_empty() {
            let OpenCheckpoint { model, tokenizer, prompt, .. } = &self.opened;
            let target = target_name(Organ::Pancreas);
            let question =
                Stage::PancreasBox.evaluation_question(target, prompt.instructions, prompt.yes_no_question);
            let asked: Vec<Asked<'_>> = missing
                .iter()
                .map(|(image, size_px)| Asked {
                    image: View::plain(*image).id(),
                    frame: BoxPx::whole(*size_px),
                    question: &question,
                })
                .collect();
            images.begin(model)?;
            let mut answerer = ModelAnswerer::new(model, tokenizer, *prompt, images, BATCH, progress, stop)?;
            let replies = answerer.answer(Stage::PancreasBox, &asked)?;
            self.found.extend(missing.keys().copied().zip(replies.into_iter().map(|reply| reply.box_px)));
        }
        let region = |(image, size_px): &(u32, [u32; 2])| {
            region_around(self.found.get(image).copied().flatten(), *size_px, margin)
        };
        Ok(whole.iter().map(region).collect())
    }

    /// Sets what the samples' images show. Samples whose box is not shown at all stay: nothing can be
    /// learned from them, but they count as misses.
    pub(crate) fn frame_samples(
        &mut self,
        samples: &mut Samples,
        margin: f64,
        images: &mut ImageFeatures,
        progress: &mut dyn FnMut(usize, usize),
        stop: &AtomicBool,
    ) -> Result<(), CascadeError> {
        let Samples { train, validation, test } = samples;
        let mut all: Vec<&mut StageSample> =
            train.iter_mut().chain(&mut *validation).chain(&mut *test).collect();
        let whole: Vec<_> = all.iter().map(|sample| (sample.whole_image(), sample.size_px)).collect();
        let regions = self.regions(&whole, margin, images, progress, stop)?;
        for (sample, shown) in all.iter_mut().zip(regions) {
            let image = sample.image;
            if let Some(region) = &mut sample.region {
                images.table().set_region(image, shown)?;
                region.shown = Some(shown);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_hold_the_box_and_a_margin() {
        let around = |bbox: [f64; 4], margin| {
            <[u32; 4]>::from(region_around(Some(PixelBox::from(bbox)), [200, 160], margin))
        };
        assert_eq!(around([50.0, 60.0, 110.0, 90.0], 1.5), [35, 30, 124, 119]);
        assert_eq!(around([0.0, 60.0, 60.0, 90.0], 1.5), [0, 30, 89, 119], "moved into the image");
        assert_eq!(around([100.0, 80.0, 104.0, 83.0], 1.5), [77, 57, 126, 106], "a quarter of 200 px");
        assert_eq!(around([0.0, 0.0, 190.0, 150.0], 1.4), [0, 0, 199, 159]);
        assert_eq!(region_around(None, [200, 160], 1.5), BoxPx::whole([200, 160]));
    }
}
