//! From boxes of slices to the patient, and back.

use std::ops::Range;

use ct_volume::{AxisTransform, Geometry, GeometryError, Orientation};

use crate::error::FindingsError;
use crate::plane_box::PlaneBox;
use crate::vector::{Vector, cross, flip_ras_lps, norm};

/// Where the slices of a study lie in the patient.
///
/// Slices are the planes of the volume's third axis after its axes were put into the order LPS (columns
/// to the patient's left, rows to the back, slices from feet to head); nothing is resampled, so an oblique
/// volume has oblique slices. A point of a slice is `[x_px, y_px, slice]`: the first two on the
/// continuous axis of [`PlaneBox`], the third a slice number whose whole values are the slices' middles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StudyGeometry {
    source: Geometry,
    display: Geometry,
    transform: AxisTransform,
    inverse: ct_volume::Affine,
}

impl StudyGeometry {
    /// Of the geometry of the volume as its file has it.
    ///
    /// # Errors
    /// [`FindingsError::Geometry`] if the affine cannot be inverted; [`FindingsError::Limit`] for sides
    /// beyond 32 bits.
    pub fn new(source: &Geometry) -> Result<Self, FindingsError> {
        let display = source.reoriented(Orientation::LPS);
        let singular = || GeometryError::Singular { rows: Box::new(display.affine().rows()) };
        let inverse = display.affine().inverse().filter(ct_volume::Affine::is_finite).ok_or_else(singular)?;
        let longest = source.shape().into_iter().max().unwrap_or(0) as u64;
        if u32::try_from(longest).is_err() {
            let (what, limit) = ("axis length", u64::from(u32::MAX));
            return Err(ct_volume::LimitExceeded { what, got: longest, limit }.into());
        }
        let transform = source.orientation().transform_to(Orientation::LPS);
        Ok(Self { source: *source, display, transform, inverse })
    }

    /// Shape and affine of the volume as its file has it.
    #[must_use]
    pub fn source(&self) -> &Geometry {
        &self.source
    }

    /// Shape and affine after the axes were put into the order LPS.
    #[must_use]
    pub fn display(&self) -> &Geometry {
        &self.display
    }

    /// How the volume's axes become those of the slices.
    #[must_use]
    pub fn transform(&self) -> &AxisTransform {
        &self.transform
    }

    /// Columns and rows of a slice.
    #[must_use]
    pub fn size_px(&self) -> [u32; 2] {
        let [columns, rows, _] = self.display.shape();
        [columns, rows].map(|side| u32::try_from(side).unwrap_or(u32::MAX))
    }

    /// Number of slices.
    #[must_use]
    pub fn n_slices(&self) -> usize {
        self.display.shape()[2]
    }

    /// Length of a column step and of a row step, in mm.
    #[must_use]
    pub fn pixel_mm(&self) -> [f64; 2] {
        let [x, y, _] = self.display.spacing_mm();
        [x, y]
    }

    /// Distance between the planes of neighboring slices, in mm; of a sheared grid less than the step.
    #[must_use]
    pub fn slice_distance_mm(&self) -> f64 {
        self.voxel_mm3() / self.pixel_mm2()
    }

    /// Area of a pixel, in mm².
    #[must_use]
    pub fn pixel_mm2(&self) -> f64 {
        norm(cross(self.step_lps_mm(0), self.step_lps_mm(1)))
    }

    /// Volume of a voxel, in mm³.
    #[must_use]
    pub fn voxel_mm3(&self) -> f64 {
        self.display.affine().determinant().abs()
    }

    /// The step of a column (0), a row (1) or a slice (2) in the patient, LPS mm.
    #[must_use]
    pub fn step_lps_mm(&self, axis: usize) -> Vector {
        flip_ras_lps(self.display.affine().column(axis))
    }

    /// Where a point of a slice lies in the patient, LPS mm.
    #[must_use]
    pub fn to_lps_mm(&self, [x_px, y_px, slice]: Vector) -> Vector {
        // The middle of pixel 0 is at 0.5 of the continuous axis and at index 0 of the affine.
        flip_ras_lps(self.display.affine().apply([x_px - 0.5, y_px - 0.5, slice]))
    }

    /// The point `[x_px, y_px, slice]` of a place in the patient, LPS mm.
    #[must_use]
    pub fn to_px(&self, lps_mm: Vector) -> Vector {
        let [i, j, k] = self.inverse.apply(flip_ras_lps(lps_mm));
        [i + 0.5, j + 0.5, k]
    }

    /// The corners of a box of one slice, in its middle plane: top left, top right, bottom right,
    /// bottom left; LPS mm.
    #[must_use]
    pub fn corners_lps_mm(&self, box_px: &PlaneBox, slice_idx: usize) -> [Vector; 4] {
        let PlaneBox { x_min, y_min, x_max, y_max } = *box_px;
        let corners = [[x_min, y_min], [x_max, y_min], [x_max, y_max], [x_min, y_max]];
        corners.map(|[x, y]| self.to_lps_mm([x, y, slice_idx as f64]))
    }

    /// The corners of a box through several slices, from the lower face of the first to the upper face of
    /// the last: the four corners of the lower face in the order of
    /// [`corners_lps_mm`](Self::corners_lps_mm), then those of the upper; LPS mm.
    #[must_use]
    pub fn block_corners_lps_mm(&self, box_px: &PlaneBox, first: usize, last: usize) -> [Vector; 8] {
        let PlaneBox { x_min, y_min, x_max, y_max } = *box_px;
        let corners = [[x_min, y_min], [x_max, y_min], [x_max, y_max], [x_min, y_max]];
        let faces = [first as f64 - 0.5, last as f64 + 0.5];
        std::array::from_fn(|n| {
            let [x, y] = corners[n % 4];
            self.to_lps_mm([x, y, faces[n / 4]])
        })
    }

    /// A point of a slice on the continuous axes of the volume as its file has it: voxel `i` covers
    /// `i..i+1` of each axis.
    #[must_use]
    pub fn to_source(&self, [x_px, y_px, slice]: Vector) -> Vector {
        let display = [x_px, y_px, slice + 0.5];
        let mut source = [0.0; 3];
        for (axis, value) in display.into_iter().enumerate() {
            let from = self.transform.source_axis[axis];
            let length = self.source.shape()[from] as f64;
            source[from] = if self.transform.flip[axis] { length - value } else { value };
        }
        source
    }

    /// The voxels of a box of one slice ([`PlaneBox::pixels`]), as ranges along the axes of the volume as
    /// its file has it; empty for a slice that the study does not have.
    #[must_use]
    pub fn source_voxels(&self, box_px: &PlaneBox, slice_idx: usize) -> [Range<usize>; 3] {
        let [columns, rows] = box_px.pixels(self.size_px());
        let mut voxels = [0..0, 0..0, 0..0];
        for (axis, range) in [columns, rows, slice_idx..slice_idx.saturating_add(1)].into_iter().enumerate() {
            let from = self.transform.source_axis[axis];
            let length = self.source.shape()[from];
            let (start, end) = (range.start.min(length), range.end.min(length));
            voxels[from] = if self.transform.flip[axis] { length - end..length - start } else { start..end };
        }
        voxels
    }

    /// Which plane of the volume as its file has it a slice is: the axis, and the index along it.
    #[must_use]
    pub fn source_plane(&self, slice_idx: usize) -> (usize, usize) {
        let axis = self.transform.source_axis[2];
        let last = self.source.shape()[axis] - 1;
        let slice_idx = slice_idx.min(last);
        (axis, if self.transform.flip[2] { last - slice_idx } else { slice_idx })
    }
}

#[cfg(test)]
mod tests {
    use ct_volume::Affine;

    use super::*;

    #[test]
    fn worked_points_of_an_axial_study() {
        // RAS axes, 0.5 mm x 0.75 mm x 3 mm, voxel 0 at the origin; slices have their columns flipped.
        let affine = Affine::from_spacing_origin([0.5, 0.75, 3.0], [0.0; 3]);
        let geometry = StudyGeometry::new(&Geometry::new([10, 20, 30], affine).unwrap()).unwrap();
        assert_eq!(geometry.size_px(), [10, 20]);
        // The first pixel of slice 2 is voxel (9, 19, 2): x = 4.5 right, y = 14.25 front.
        assert_eq!(geometry.to_lps_mm([0.5, 0.5, 2.0]), [-4.5, -14.25, 6.0]);
        assert_eq!(geometry.to_source([0.5, 0.5, 2.0]), [9.5, 19.5, 2.5]);
        assert_eq!(geometry.source_plane(2), (2, 2));
        assert_eq!(geometry.voxel_mm3(), 0.5 * 0.75 * 3.0);
        let block = geometry.block_corners_lps_mm(&PlaneBox::from([0.0, 0.0, 10.0, 20.0]), 0, 29);
        assert_eq!(block[0], [-4.75, -14.625, -1.5]);
        assert_eq!(block[6], [0.25, 0.375, 88.5]);
    }

    #[test]
    fn sheared_slices_are_nearer_than_their_step() {
        let rows = [[-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.75, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let geometry = Geometry::new([4, 4, 4], Affine::from_rows(rows)).unwrap();
        let geometry = StudyGeometry::new(&geometry).unwrap();
        assert!((geometry.slice_distance_mm() - 1.0).abs() < 1e-12);
        assert!((geometry.display().spacing_mm()[2] - 1.25).abs() < 1e-12);
    }
}
