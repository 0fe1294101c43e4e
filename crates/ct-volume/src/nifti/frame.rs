//! One frame of stored voxels to a volume or a mask: what NIfTI and NRRD have in common.

use ndarray::{Array3, ShapeBuilder};

use super::error::NiftiError;
use super::header::Span;
use super::source::Source;
use super::voxels::{self, Buffer, Stored};
use crate::geometry::Geometry;
use crate::limits::Limits;
use crate::plausible::{LARGEST_HU, implausible};
use crate::volume::{LabelVolume, Volume};
use crate::warning::{Warning, WarningCode};

/// A frame that has not been read yet. Its sizes were checked against the limits.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) geometry: Geometry,
    pub(crate) source: Source<'a>,
    pub(crate) span: Span,
    pub(crate) stored: Stored,
    /// What the header gave cause for.
    pub(crate) warnings: Vec<Warning>,
}

impl Frame<'_> {
    /// Reads it as HU, into `spare` if that is large enough; NaN and infinite voxels become air.
    pub(crate) fn into_volume(self, limits: &Limits, spare: Vec<f32>) -> Result<Volume, NiftiError> {
        let (geometry, stored) = (self.geometry, self.stored);
        let (buffer, mut warnings) = self.load(limits, spare)?;
        let (hu, replaced) = voxels::to_hu(buffer, stored)?;
        if replaced > 0 {
            let text = format!("{replaced} voxels were NaN or infinite and became -1024 HU");
            warnings.push(Warning::new(WarningCode::NonFiniteVoxels, text));
        }
        if stored.largest() > LARGEST_HU {
            warnings.extend(implausible(&hu));
        }
        Ok(Volume::new(fortran_array(&geometry, hu), *geometry.affine())?.with_warnings(warnings))
    }

    /// Reads it as labels; what is not whole is rounded.
    pub(crate) fn into_labels(self, limits: &Limits) -> Result<LabelVolume, NiftiError> {
        let (geometry, stored) = (self.geometry, self.stored);
        let (buffer, mut warnings) = self.load(limits, Vec::new())?;
        let (labels, rounded) = voxels::to_labels(buffer, stored)?;
        if rounded > 0 {
            let text = format!("{rounded} voxels were not whole numbers and were rounded");
            warnings.push(Warning::new(WarningCode::LabelsRounded, text));
        }
        Ok(LabelVolume::new(fortran_array(&geometry, labels), *geometry.affine())?.with_warnings(warnings))
    }

    /// The stored voxels, in memory; the source is gone after this.
    fn load<T: bytemuck::Pod>(
        self,
        limits: &Limits,
        spare: Vec<T>,
    ) -> Result<(Buffer<T>, Vec<Warning>), NiftiError> {
        let (buffer, trailing) = self.source.load(&self.span, limits, spare)?;
        let mut warnings = self.warnings;
        if trailing > 0 {
            let text = format!("{trailing} or more bytes follow the voxels and were ignored");
            warnings.push(Warning::new(WarningCode::TrailingBytes, text));
        }
        Ok((buffer, warnings))
    }
}

/// Voxels with the first axis fastest, as both formats have them.
fn fortran_array<T>(geometry: &Geometry, cells: Vec<T>) -> Array3<T> {
    let [i, j, k] = geometry.shape();
    Array3::from_shape_vec((i, j, k).f(), cells).expect("the buffer was made for this shape")
}
