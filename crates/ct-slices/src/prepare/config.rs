//! What a run makes: everything here changes its bytes.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use ct_volume::Orientation;

use super::error::PrepareError;
use crate::annotate::{AnnotateRules, KidneyRule, MaxZero};
use crate::dataset::Layout;
use crate::organ::{LabelMap, Organ};
use crate::pixels::{HuWindow, Precision, Rendering};
use crate::plane::PlaneMap;
use crate::preset::Preset;

/// The configuration's file in an output folder.
const CONFIG_FILE: &str = "config.json";

/// How images of the preset `paper-2024` lie relative to their boxes (SPEC D4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageOrientation {
    /// Images and boxes under the same map, so that they agree.
    #[default]
    Consistent,
    /// Images as stored, boxes under the map: as published, and boxes do not match their images.
    Published,
}

/// Everything that decides what a run writes. Saved in `summary.json`; its hash tells parts of
/// different runs apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareConfig {
    /// Behaviour to follow.
    pub preset: Preset,
    /// How the dataset lies on disk; also which published index maps apply.
    pub layout: Layout,
    /// Short name of the dataset in records.
    pub tag: String,
    /// Labels of the masks.
    pub label_map: LabelMap,
    /// Slices are selected where a box ratio is above this, strictly.
    pub threshold: f64,
    /// Seed of the split and of every draw.
    pub seed: u64,
    /// Draw as many slices without the organ as there are with it.
    pub balanced: bool,
    /// Limits of the HU window of preset `fixed`, `[low, high]`.
    pub window_hu: [f64; 2],
    /// For preset `paper-2024` only.
    pub image_orientation: ImageOrientation,
    /// Write slices z-1, z, z+1 as red, green, blue.
    pub neighbors_rgb: bool,
    /// Also write the neighbours of selected slices as images of their own, so that 2.5-D inputs can
    /// be made without reading volumes again. On in preset `fixed`; the published code has none.
    pub context_images: bool,
    /// Also write the reference's JSON files.
    pub reference_json: bool,
    /// Go on where a DICOM series is irregular.
    pub allow_irregular: bool,
    /// Go on where the mask lies elsewhere than the study but has its shape and axes.
    pub ignore_mask_position: bool,
}

impl PrepareConfig {
    /// The defaults of a preset for a layout.
    #[must_use]
    pub fn new(preset: Preset, layout: Layout, tag: impl Into<String>, label_map: LabelMap) -> Self {
        Self {
            preset,
            layout,
            tag: tag.into(),
            label_map,
            threshold: 0.6,
            seed: 42,
            balanced: false,
            window_hu: [-150.0, 250.0],
            image_orientation: ImageOrientation::default(),
            neighbors_rgb: false,
            context_images: preset == Preset::Fixed,
            reference_json: false,
            allow_irregular: false,
            ignore_mask_position: layout == Layout::Nih,
        }
    }

    /// Checks values that a caller can get wrong.
    pub(super) fn check(&self) -> Result<(), PrepareError> {
        let fail = |text: String| Err(PrepareError::Config(text));
        if !(0.0..=1.0).contains(&self.threshold) {
            return fail(format!("threshold {} is not between 0 and 1", self.threshold));
        }
        if self.label_map.0.is_empty() {
            return fail(
                "no label means an organ: give --label ORGAN=NUMBER, for example --label pancreas=7".into(),
            );
        }
        if self.layout == Layout::ImagesCsv {
            return fail("layout images-csv holds ready images: audit them as they are".into());
        }
        self.window().map(|_| ())
    }

    /// SHA-256 of the configuration's JSON.
    pub(super) fn sha256(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        crate::hex::hex(&Sha256::digest(&json))
    }

    /// Saves the configuration in an output folder.
    pub(super) fn write(&self, out: &Path) -> Result<(), PrepareError> {
        let path = out.join(CONFIG_FILE);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| PrepareError::Config(format!("cannot write the configuration: {error}")))?;
        Ok(ct_volume::write_atomic(&path, &json)?)
    }

    /// Reads the configuration of an output folder.
    pub(super) fn read(out: &Path) -> Result<Self, PrepareError> {
        let path = out.join(CONFIG_FILE);
        let text = fs_err::read_to_string(&path).map_err(PrepareError::io(&path))?;
        let unusable = |error| PrepareError::Output {
            path: path.clone(),
            reason: format!("is no configuration: {error}"),
        };
        serde_json::from_str(&text).map_err(unusable)
    }

    pub(super) fn window(&self) -> Result<HuWindow, PrepareError> {
        let [low, high] = self.window_hu;
        HuWindow::from_limits(low, high).map_err(|e| PrepareError::Config(e.to_string()))
    }

    /// The axes that arrays are brought to before a map applies; `None` keeps file order.
    ///
    /// The published maps take files as they are stored. A layout that was never published has no
    /// storage order to keep, so it is brought to RAS+, which those maps expect.
    pub(super) fn axes(&self) -> Option<Orientation> {
        match (self.preset, self.layout) {
            (Preset::Fixed, _) => Some(Orientation::LPS),
            (_, Layout::Msd | Layout::Nih | Layout::Abd) => None,
            _ => Some(Orientation::RAS),
        }
    }

    /// The index map of masks (SPEC 1.2).
    pub(super) fn mask_map(&self) -> PlaneMap {
        match (self.preset, self.layout) {
            (Preset::Fixed, _) => PlaneMap::Display,
            (_, Layout::Nih) => PlaneMap::FlipRows,
            _ => PlaneMap::FlipBoth,
        }
    }

    /// The index map of images.
    pub(super) fn image_map(&self) -> PlaneMap {
        match (self.preset, self.image_orientation) {
            (Preset::Paper2024, ImageOrientation::Published) => PlaneMap::Stored,
            _ => self.mask_map(),
        }
    }

    /// True where the published program takes stored DICOM values, file by file (SPEC D1, D2).
    pub(super) fn reads_numbered_dicom(&self) -> bool {
        self.preset != Preset::Fixed && self.layout == Layout::Nih
    }

    pub(super) fn rendering(&self) -> Result<Rendering, PrepareError> {
        Ok(match self.preset {
            Preset::Paper2024 => Rendering::Paper2024,
            Preset::Code2025 if self.layout == Layout::Nih => {
                Rendering::Code2025 { precision: Precision::F32 }
            }
            Preset::Code2025 => Rendering::Code2025 { precision: Precision::F64 },
            Preset::Fixed => Rendering::FixedWindow(self.window()?),
        })
    }

    /// True if the right kidney is told by the body's midline, which only the study shows (SPEC D15).
    pub(super) fn needs_midline(&self) -> bool {
        self.preset == Preset::Fixed && self.label_map.0.contains_key(&Organ::Kidney)
    }

    pub(super) fn annotate_rules(&self, midline_col: Option<f64>) -> AnnotateRules {
        let fixed = self.preset == Preset::Fixed;
        AnnotateRules {
            // The published multi-organ script writes 0; the others stop with a division error (D6),
            // which would only lose the volumes without a tumour.
            max_zero: MaxZero::Zero,
            kidney: if fixed { KidneyRule::Fixed { midline_col } } else { KidneyRule::Published },
        }
    }

    /// Organs whose boxes select a slice.
    pub(super) fn detection_organs(&self) -> impl Iterator<Item = Organ> + '_ {
        self.label_map.organs()
    }
}
