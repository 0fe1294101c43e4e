//! Where a voxel array lies in the patient.

use crate::affine::Affine;
use crate::orientation::Orientation;

/// Array shape and the map from voxel index to RAS+ millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    shape: [usize; 3],
    affine: Affine,
}

/// Why a geometry cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// An axis has no voxels.
    #[error("array shape {shape:?} has an empty axis")]
    EmptyAxis {
        /// The shape.
        shape: [usize; 3],
    },
    /// An entry of the affine is NaN or infinite.
    #[error("affine {rows:?} holds a number that is not finite")]
    NotFinite {
        /// Rows of the affine.
        rows: Box<[[f64; 4]; 4]>,
    },
    /// The affine's 3x3 part cannot be inverted.
    #[error("affine {rows:?} is singular: it maps the volume onto a plane, line or point")]
    Singular {
        /// Rows of the affine.
        rows: Box<[[f64; 4]; 4]>,
    },
    /// Two arrays that must lie on one grid have different shapes.
    #[error("shapes differ: {left:?} and {right:?}")]
    ShapeMismatch {
        /// First shape.
        left: [usize; 3],
        /// Second shape.
        right: [usize; 3],
    },
    /// Two arrays that must lie on one grid are at different places.
    #[error("voxel positions differ by up to {distance_mm:.3} mm, more than {tolerance_mm:.3} mm")]
    PositionMismatch {
        /// Largest distance between the same corner of both grids, in mm.
        distance_mm: f64,
        /// What was allowed, in mm.
        tolerance_mm: f64,
    },
}

impl Geometry {
    /// Checks and joins shape and affine.
    ///
    /// # Errors
    /// [`GeometryError::EmptyAxis`], [`NotFinite`](GeometryError::NotFinite),
    /// [`Singular`](GeometryError::Singular).
    pub fn new(shape: [usize; 3], affine: Affine) -> Result<Self, GeometryError> {
        if shape.contains(&0) {
            return Err(GeometryError::EmptyAxis { shape });
        }
        if !affine.is_finite() {
            return Err(GeometryError::NotFinite { rows: Box::new(affine.rows()) });
        }
        let [a, b, c] = affine.spacing_mm();
        // Relative to the spacing, so that micrometre voxels are not called singular.
        if affine.determinant().abs() <= 1e-9 * a * b * c || a * b * c == 0.0 {
            return Err(GeometryError::Singular { rows: Box::new(affine.rows()) });
        }
        Ok(Self { shape, affine })
    }

    /// Number of voxels along each array axis.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Voxel index to RAS+ mm.
    #[must_use]
    pub fn affine(&self) -> &Affine {
        &self.affine
    }

    /// Edge lengths of a voxel in mm, per array axis: the lengths of the affine's columns.
    #[must_use]
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.affine.spacing_mm()
    }

    /// Axis codes nearest to the affine.
    #[must_use]
    pub fn orientation(&self) -> Orientation {
        self.affine.orientation()
    }

    /// The geometry after a move to other axis codes.
    #[must_use]
    pub fn reoriented(&self, target: Orientation) -> Self {
        let transform = self.orientation().transform_to(target);
        Self { shape: transform.output_shape(self.shape), affine: transform.affine(&self.affine, self.shape) }
    }

    /// Checks that two arrays lie on the same voxel grid.
    ///
    /// # Errors
    /// [`GeometryError::ShapeMismatch`]; [`GeometryError::PositionMismatch`] if a corner voxel of
    /// one lies more than `tolerance_mm` from the same corner of the other.
    pub fn check_same_grid(&self, other: &Self, tolerance_mm: f64) -> Result<(), GeometryError> {
        if self.shape != other.shape {
            return Err(GeometryError::ShapeMismatch { left: self.shape, right: other.shape });
        }
        let mut distance_mm: f64 = 0.0;
        for corner in 0..8_usize {
            let index = std::array::from_fn(|axis| {
                if corner & (1 << axis) == 0 { 0.0 } else { (self.shape[axis] - 1) as f64 }
            });
            let (a, b) = (self.affine.apply(index), other.affine.apply(index));
            let apart: f64 = (0..3).map(|n| (a[n] - b[n]).powi(2)).sum();
            distance_mm = distance_mm.max(apart.sqrt());
        }
        if distance_mm > tolerance_mm {
            return Err(GeometryError::PositionMismatch { distance_mm, tolerance_mm });
        }
        Ok(())
    }
}
