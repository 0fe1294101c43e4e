//! From header fields to the affine, as nibabel's `get_best_affine` does it.

use super::error::NiftiError;
use super::fields::Fields;
use super::header::AffineSource;
use crate::affine::Affine;
use crate::geometry::{Geometry, GeometryError};
use crate::warning::{Warning, WarningCode};

/// Corner distance above which sform and qform are said to disagree: more than a voxel of most CT,
/// and more than the 0.5 mm by which a quaternion near 180 degrees in 32-bit floats can be off.
const DISAGREE_MM: f64 = 1.0;
/// Largest cosine between two axes that still counts as a right angle: 0.06 degrees.
const SHEAR: f64 = 1e-3;
/// Largest relative difference of `pixdim` and the affine: half a millimetre over 500.
const SPACING: f64 = 1e-3;

/// The fields of a header that say where voxels lie, after nibabel's repairs.
#[derive(Clone, Debug)]
pub(super) struct Placement<'a> {
    fields: &'a Fields,
    /// Voxels along each of three axes.
    shape: [usize; 3],
    /// `dim[0]`.
    rank: usize,
    /// `pixdim[1..4]`, positive.
    pixdim: [f64; 3],
    /// Handedness of the qform.
    qfac: f64,
    sform_code: i32,
    qform_code: i32,
}

impl<'a> Placement<'a> {
    /// Repairs what nibabel repairs, and says so.
    pub(super) fn new(
        fields: &'a Fields,
        shape: [usize; 3],
        rank: usize,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let mut repaired = |text: String| warnings.push(Warning::new(WarningCode::HeaderRepaired, text));
        let mut pixdim = [0.0; 3];
        for (axis, length) in pixdim.iter_mut().enumerate() {
            let found = fields.pixdim[axis + 1];
            *length = if found == 0.0 { 1.0 } else { found.abs() };
            // Axes past the rank have no spacing, and many writers leave zeros there.
            if found <= 0.0 && axis < rank {
                repaired(format!("pixdim[{}] is {found}; {length} was taken", axis + 1));
            }
        }
        let mut code = |name: &str, found: i32| {
            if (0..=5).contains(&found) {
                return found;
            }
            repaired(format!("{name} {found} is not one of the format; 0 (unknown) was taken"));
            0
        };
        let sform_code = code("sform_code", fields.sform_code);
        let qform_code = code("qform_code", fields.qform_code);
        let qfac = if fields.pixdim[0] == -1.0 { -1.0 } else { 1.0 };
        // Zero is how a writer says "no qfac"; nifti1.h takes it as 1.
        if sform_code == 0 && qform_code > 0 && ![-1.0, 0.0, 1.0].contains(&fields.pixdim[0]) {
            repaired(format!("pixdim[0] (qfac) is {}; 1 was taken", fields.pixdim[0]));
        }
        Self { fields, shape, rank, pixdim, qfac, sform_code, qform_code }
    }

    /// The affine that nibabel takes, checked, and where it comes from.
    pub(super) fn geometry(
        &self,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Geometry, AffineSource), NiftiError> {
        let (affine, source) = if self.sform_code > 0 {
            (Affine::from_rows(self.fields.srow), AffineSource::Sform)
        } else if self.qform_code > 0 {
            (self.qform()?, AffineSource::Qform)
        } else {
            (self.base(), AffineSource::Pixdim)
        };
        let geometry = Geometry::new(self.shape, affine)?;
        self.remark(&geometry, source, warnings);
        Ok((geometry, source))
    }

    /// The qform: `nifti1.h`, method 2, with nibabel's tolerance for a quaternion that is longer
    /// than 1 by rounding.
    fn qform(&self) -> Result<Affine, NiftiError> {
        let bcd = self.fields.quatern;
        let tolerance = if self.fields.version == 1 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let rest = 1.0 - bcd.iter().map(|v| v * v).sum::<f64>();
        let a = if rest.abs() < 3.0 * tolerance {
            0.0
        } else if rest < 0.0 {
            return Err(NiftiError::Quaternion { bcd });
        } else {
            rest.sqrt()
        };
        let [b, c, d] = bcd;
        let scale = 2.0 / (a * a + b * b + c * c + d * d);
        let rotation = [
            [1.0 - scale * (c * c + d * d), scale * (b * c - a * d), scale * (b * d + a * c)],
            [scale * (b * c + a * d), 1.0 - scale * (b * b + d * d), scale * (c * d - a * b)],
            [scale * (b * d - a * c), scale * (c * d + a * b), 1.0 - scale * (b * b + c * c)],
        ];
        let steps = [self.pixdim[0], self.pixdim[1], self.qfac * self.pixdim[2]];
        let mut rows = [[0.0; 4]; 3];
        for (row, values) in rows.iter_mut().enumerate() {
            for axis in 0..3 {
                values[axis] = rotation[row][axis] * steps[axis];
            }
            values[3] = self.fields.qoffset[row];
        }
        Ok(Affine::from_rows(rows))
    }

    /// nibabel's guess where neither form is set: axes along the patient's, x towards the left, the
    /// origin in the middle of the volume.
    fn base(&self) -> Affine {
        let mut steps = self.pixdim;
        for step in steps.iter_mut().skip(self.rank) {
            *step = 1.0;
        }
        steps[0] = -steps[0];
        let origin = std::array::from_fn(|axis| -((self.shape[axis] - 1) as f64) / 2.0 * steps[axis]);
        Affine::from_spacing_origin(steps, origin)
    }

    fn remark(&self, geometry: &Geometry, source: AffineSource, warnings: &mut Vec<Warning>) {
        let mut warn = |code, text: String| warnings.push(Warning::new(code, text));
        let affine = geometry.affine();
        if source == AffineSource::Pixdim {
            let text = "neither sform nor qform is set; axes were taken as LAS, as nibabel does";
            warn(WarningCode::NoOrientation, text.to_owned());
        }
        let has_both = source == AffineSource::Sform && self.qform_code > 0;
        if let Some(text) = has_both.then(|| self.disagreement(geometry)).flatten() {
            warn(WarningCode::SformQformDisagree, text);
        }
        if let Some(text) = sheared(affine) {
            warn(WarningCode::ShearedAffine, text);
        }
        let spacing = affine.spacing_mm();
        let differs = |axis: usize| {
            let apart = (self.pixdim[axis] - spacing[axis]).abs();
            apart.is_nan() || apart > SPACING * spacing[axis]
        };
        if source == AffineSource::Sform && (0..self.rank.min(3)).any(differs) {
            let text = format!("pixdim is {:?}, the affine's spacing {spacing:?} mm was taken", self.pixdim);
            warn(WarningCode::SpacingMismatch, text);
        }
        // The spatial unit is in the low three bits; 0 is "unknown", 2 millimetres.
        let unit = match self.fields.xyzt_units & 7 {
            1 => "meters",
            3 => "micrometers",
            _ => return,
        };
        let text = format!("the header's unit is {unit}, which nibabel and this reader take as millimeters");
        warn(WarningCode::SpatialUnits, text);
    }

    /// How sform and qform disagree, if they do.
    fn disagreement(&self, sform: &Geometry) -> Option<String> {
        let qform = self.qform().map_err(|error| error.to_string());
        let qform = qform.and_then(|q| Geometry::new(self.shape, q).map_err(|error| error.to_string()));
        let qform = match qform {
            Ok(qform) => qform,
            Err(why) => return Some(format!("the sform was taken; the qform is unusable: {why}")),
        };
        let Err(GeometryError::PositionMismatch { distance_mm, .. }) =
            sform.check_same_grid(&qform, DISAGREE_MM)
        else {
            return None;
        };
        Some(format!(
            "the sform ({}) was taken; the qform ({}) puts a corner {distance_mm:.1} mm away",
            sform.orientation(),
            qform.orientation()
        ))
    }
}

/// What to say of an affine whose axes are not at right angles.
pub(crate) fn sheared(affine: &Affine) -> Option<String> {
    let shear = affine.shear();
    (shear > SHEAR).then(|| format!("voxel axes are not at right angles: largest cosine {shear:.4}"))
}
