//! Voxels with their geometry.

use ndarray::{Array3, ArrayView3};

use crate::affine::Affine;
use crate::geometry::{Geometry, GeometryError};
use crate::orientation::Orientation;
use crate::warning::Warning;

/// A CT volume: Hounsfield units as `f32`, with geometry.
///
/// # Shapes
/// The array is indexed `[i, j, k]` in file order, with `i` fastest in memory (Fortran order), so
/// that the plane of one `k` is contiguous. For DICOM, `i` is the column, `j` the row, `k` the
/// slice sorted along the normal.
///
/// # Units
/// HU after rescale slope and intercept (stored values only where the reader was told so).
#[derive(Clone, Debug)]
pub struct Volume {
    hu: Array3<f32>,
    geometry: Geometry,
    warnings: Vec<Warning>,
}

/// A mask: one label number per voxel, with geometry. Same index order as [`Volume`].
#[derive(Clone, Debug)]
pub struct LabelVolume {
    labels: Array3<u16>,
    geometry: Geometry,
    warnings: Vec<Warning>,
}

macro_rules! voxel_array {
    ($type:ty, $field:ident, $element:ty, $what:literal) => {
        impl $type {
            #[doc = concat!("Joins ", $what, " and their affine.")]
            ///
            /// # Errors
            /// A [`GeometryError`] if an axis is empty or the affine is not invertible.
            pub fn new($field: Array3<$element>, affine: Affine) -> Result<Self, GeometryError> {
                let (i, j, k) = $field.dim();
                let geometry = Geometry::new([i, j, k], affine)?;
                Ok(Self { $field, geometry, warnings: Vec::new() })
            }

            /// The same with what the reader noticed.
            #[must_use]
            pub fn with_warnings(mut self, warnings: Vec<Warning>) -> Self {
                self.warnings = warnings;
                self
            }

            /// Shape, affine, spacing, orientation.
            #[must_use]
            pub fn geometry(&self) -> &Geometry {
                &self.geometry
            }

            /// What the reader noticed and a user should know.
            #[must_use]
            pub fn warnings(&self) -> &[Warning] {
                &self.warnings
            }

            #[doc = concat!("The ", $what, ", `[i, j, k]`.")]
            #[must_use]
            pub fn $field(&self) -> &Array3<$element> {
                &self.$field
            }

            #[doc = concat!("Takes the ", $what, ".")]
            #[must_use]
            pub fn into_array(self) -> Array3<$element> {
                self.$field
            }

            /// A view with the axes of `target`, such as [`Orientation::RAS`]; nothing is copied.
            #[must_use]
            pub fn view_as(&self, target: Orientation) -> ArrayView3<'_, $element> {
                self.geometry.orientation().transform_to(target).view(&self.$field)
            }

            /// A copy with the axes of `target`, in Fortran order.
            #[must_use]
            pub fn reoriented(&self, target: Orientation) -> Self {
                let view = self.view_as(target);
                let mut copy = Array3::zeros(ndarray::ShapeBuilder::f(view.raw_dim()));
                copy.assign(&view);
                Self {
                    $field: copy,
                    geometry: self.geometry.reoriented(target),
                    warnings: self.warnings.clone(),
                }
            }
        }
    };
}

voxel_array!(Volume, hu, f32, "Hounsfield units");
voxel_array!(LabelVolume, labels, u16, "label numbers");
