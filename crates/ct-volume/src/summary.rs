//! What `inspect` tells about a study.

use serde::Serialize;

use crate::volume::Volume;
use crate::warning::Warning;

/// Geometry and values of a study, ready for JSON; holds no identifier.
#[derive(Clone, Debug, Serialize)]
pub struct StudySummary {
    /// Voxels along x, y, z of the array (file order).
    pub shape: [usize; 3],
    /// Voxel edge lengths in mm, per array axis.
    pub spacing_mm: [f64; 3],
    /// Voxel index to RAS+ mm, row by row.
    pub affine: [[f64; 4]; 4],
    /// Axis codes of the array, such as "LPS".
    pub orientation: String,
    /// Extremes and mean.
    pub hu: HuSummary,
    /// Slices along the third array axis.
    pub n_slices: usize,
    /// What the reader noticed.
    pub warnings: Vec<Warning>,
}

/// Extremes and mean of the voxels, in HU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HuSummary {
    /// Smallest voxel.
    pub min: f32,
    /// Largest voxel.
    pub max: f32,
    /// Mean over all voxels, summed in f64.
    pub mean: f64,
}

/// Describes a volume.
#[must_use]
pub fn summarize(volume: &Volume) -> StudySummary {
    let geometry = volume.geometry();
    let (mut min, mut max, mut sum) = (f32::INFINITY, f32::NEG_INFINITY, 0.0_f64);
    for &hu in volume.hu() {
        min = min.min(hu);
        max = max.max(hu);
        sum += f64::from(hu);
    }
    StudySummary {
        shape: geometry.shape(),
        spacing_mm: geometry.spacing_mm(),
        affine: geometry.affine().rows(),
        orientation: geometry.orientation().to_string(),
        hu: HuSummary { min, max, mean: sum / volume.hu().len() as f64 },
        n_slices: geometry.shape()[2],
        warnings: volume.warnings().to_vec(),
    }
}
