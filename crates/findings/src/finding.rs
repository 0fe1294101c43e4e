//! A tube, measured in the patient.

use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::geometry::StudyGeometry;
use crate::iou::BoxStack;
use crate::link::Tube;
use crate::plane_box::PlaneBox;

/// Extents of a finding in mm. They are those of boxes along the axes of the slices, not of the structure
/// itself, which may lie across its box.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeMm {
    /// The longest side of a box within a slice, over the slices that the model saw it on.
    pub longest: f64,
    /// The other side of the same box.
    pub perpendicular: f64,
    /// Across the slices: their number times the distance of their planes.
    pub across_slices: f64,
}

/// A box of a finding on one slice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingBox {
    /// Number of the slice from the feet.
    pub slice_idx: usize,
    /// After smoothing and, in gaps, interpolation.
    pub box_px: PlaneBox,
    /// The box that the model gave; none where it was interpolated.
    pub observed_px: Option<PlaneBox>,
    /// The model's probability of the box.
    pub probability: Option<f64>,
    /// Corners of `box_px` in the slice's middle plane: top left, top right, bottom right, bottom left.
    pub corners_lps_mm: [[f64; 3]; 4],
}

/// What was found: one tube with its measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// From 1, in the order of the document.
    pub number: u32,
    /// What it is of.
    pub entity: Entity,
    /// Mean of the model's probabilities of its boxes; none where the model gave none.
    pub confidence: Option<f64>,
    /// Lowest slice.
    pub first_slice_idx: usize,
    /// Highest slice.
    pub last_slice_idx: usize,
    /// The slice to look at: the box of the model with the largest area times probability.
    pub key_slice_idx: usize,
    /// Height of the key slice in the patient: z of the center of its box, LPS mm.
    pub key_level_mm: f64,
    /// Slices on which the model gave a box.
    pub n_observed: usize,
    /// Slices whose box was interpolated.
    pub n_interpolated: usize,
    /// Center of the block around all boxes.
    pub center_lps_mm: [f64; 3],
    /// Corners of that block: its lower face (top left, top right, bottom right, bottom left as the slice
    /// is shown), then its upper face. A parallelepiped along the axes of the slices.
    pub corners_lps_mm: [[f64; 3]; 8],
    /// Extents.
    pub size_mm: SizeMm,
    /// Volume of the boxes, in ml; larger than that of what is inside.
    pub volume_ml: f64,
    /// One for each slice, from the feet up.
    pub boxes: Vec<FindingBox>,
}

impl Finding {
    /// Measures a tube; none if it has no slice.
    pub(crate) fn measure(
        number: u32,
        tube: Tube,
        geometry: &StudyGeometry,
        default_probability: f64,
    ) -> Option<Self> {
        let (first, last) = (tube.slices.first()?.slice_idx, tube.slices.last()?.slice_idx);
        let [column_mm, row_mm] = geometry.pixel_mm();
        let (mut key, mut key_worth) = (first, f64::NEG_INFINITY);
        let (mut longest, mut perpendicular) = (0.0, 0.0);
        let mut hull = tube.slices[0].box_px;
        let (mut area_px2, mut n_observed, mut probabilities) = (0.0, 0, Vec::new());
        for slice in &tube.slices {
            hull = hull.hull(&slice.box_px);
            area_px2 += slice.box_px.area_px2();
            if slice.observed_px.is_none() {
                continue;
            }
            n_observed += 1;
            probabilities.extend(slice.probability);
            let worth = slice.box_px.area_px2() * slice.probability.unwrap_or(default_probability);
            if worth > key_worth {
                (key, key_worth) = (slice.slice_idx, worth);
            }
            let (width, height) = (slice.box_px.width_px() * column_mm, slice.box_px.height_px() * row_mm);
            if width.max(height) > longest {
                (longest, perpendicular) = (width.max(height), width.min(height));
            }
        }
        let n_slices = tube.slices.len();
        let middle = |b: &PlaneBox, slice: f64| {
            geometry.to_lps_mm([0.5 * (b.x_min + b.x_max), 0.5 * (b.y_min + b.y_max), slice])
        };
        let key_box = tube.slices[key - first].box_px;
        let confidence = match probabilities.len() {
            0 => None,
            n => Some(probabilities.iter().sum::<f64>() / n as f64),
        };
        let boxes = tube.slices.iter().map(|slice| FindingBox {
            slice_idx: slice.slice_idx,
            box_px: slice.box_px,
            observed_px: slice.observed_px,
            probability: slice.probability,
            corners_lps_mm: geometry.corners_lps_mm(&slice.box_px, slice.slice_idx),
        });
        Some(Self {
            number,
            confidence,
            first_slice_idx: first,
            last_slice_idx: last,
            key_slice_idx: key,
            key_level_mm: middle(&key_box, key as f64)[2],
            n_observed,
            n_interpolated: n_slices - n_observed,
            center_lps_mm: middle(&hull, 0.5 * (first + last) as f64),
            corners_lps_mm: geometry.block_corners_lps_mm(&hull, first, last),
            size_mm: SizeMm {
                longest,
                perpendicular,
                across_slices: n_slices as f64 * geometry.slice_distance_mm(),
            },
            volume_ml: area_px2 * geometry.voxel_mm3() / 1000.0,
            boxes: boxes.collect(),
            entity: tube.entity,
        })
    }

    /// The boxes by slice.
    #[must_use]
    pub fn stack(&self) -> BoxStack {
        self.boxes.iter().map(|b| (b.slice_idx, b.box_px)).collect()
    }

    /// The box on a slice, if it has one.
    #[must_use]
    pub fn box_at(&self, slice_idx: usize) -> Option<&FindingBox> {
        self.boxes.get(slice_idx.checked_sub(self.first_slice_idx)?)
    }
}

#[cfg(test)]
mod tests {
    use ct_volume::{Affine, Geometry};

    use super::*;
    use crate::link::TubeSlice;

    #[test]
    fn worked_measures() {
        let affine = Affine::from_spacing_origin([0.5, 0.75, 3.0], [0.0; 3]);
        let geometry = StudyGeometry::new(&Geometry::new([40, 40, 30], affine).unwrap()).unwrap();
        let slice = |slice_idx, edges: [f64; 4], probability: Option<f64>| TubeSlice {
            slice_idx,
            box_px: edges.into(),
            observed_px: probability.map(|_| edges.into()),
            probability,
        };
        let slices = vec![
            slice(4, [10.0, 10.0, 20.0, 20.0], Some(0.5)),
            slice(5, [10.0, 10.0, 26.0, 20.0], None),
            slice(6, [10.0, 12.0, 22.0, 20.0], Some(0.9)),
        ];
        let tube = Tube { entity: Entity::PANCREATIC_TUMOR, slices };
        let finding = Finding::measure(1, tube, &geometry, 0.5).unwrap();
        assert_eq!((finding.key_slice_idx, finding.key_level_mm), (6, 18.0));
        assert_eq!((finding.n_observed, finding.n_interpolated), (2, 1));
        assert!((finding.confidence.unwrap() - 0.7).abs() < 1e-15);
        // Slice 4: 5 x 7.5 mm; slice 6: 6 x 6 mm.
        assert_eq!((finding.size_mm.longest, finding.size_mm.perpendicular), (7.5, 5.0));
        assert!((finding.size_mm.across_slices - 9.0).abs() < 1e-12);
        assert!((finding.volume_ml - (100.0 + 160.0 + 96.0) * 1.125e-3).abs() < 1e-12);
        // The block is x 10..26, y 10..20, slices 4..6.
        assert_eq!(finding.center_lps_mm, geometry.to_lps_mm([18.0, 15.0, 5.0]));
        assert_eq!(finding.box_at(6).unwrap().slice_idx, 6);
        assert!(finding.box_at(3).is_none() && finding.box_at(7).is_none());
    }
}
