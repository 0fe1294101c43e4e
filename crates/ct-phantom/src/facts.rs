//! What is true of a patient, for tests and for the record beside the files.

use serde::{Deserialize, Serialize};

use crate::acquisition::{Kernel, Phase};

/// Part of the pancreas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// Head and uncinate process.
    Head,
    /// In front of the portal vein.
    Neck,
    /// Over the spine.
    Body,
    /// Towards the spleen.
    Tail,
}

/// A tumour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TumorFacts {
    /// Diameter of the ball that the irregular outline swings around, in mm.
    pub diameter_mm: f32,
    /// How far its middle lies below the gland around it (parenchyma and the fat in it), in HU.
    pub contrast_hu: f32,
    /// Where in the pancreas.
    pub location: Location,
    /// Voxel of its middle in the file's (or in memory: the volume's) index order.
    pub center_voxel: [usize; 3],
}

/// One synthetic patient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatientFacts {
    /// Number of the patient, from 0.
    pub index: u32,
    /// Absent in healthy patients.
    pub tumor: Option<TumorFacts>,
    /// Contrast phase.
    pub phase: Phase,
    /// Reconstruction kernel.
    pub kernel: Kernel,
    /// Voxels along the three array axes.
    pub shape: [usize; 3],
    /// Edge lengths of a voxel in mm, per array axis.
    pub spacing_mm: [f64; 3],
    /// Thickness of a slice in mm; more than the spacing where slices overlap.
    pub slice_thickness_mm: f64,
    /// Deviation of the noise in the middle of the body, in HU.
    pub noise_hu: f32,
    /// Mean HU of healthy pancreas tissue without fat.
    pub pancreas_hu: f32,
    /// Half of the body's width at the level of the pancreas, in mm.
    pub body_half_width_mm: f32,
}
