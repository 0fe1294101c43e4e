//! From header fields to the affine.

use super::error::{NrrdError, excerpt};
use super::fields::Fields;
use crate::affine::Affine;
use crate::geometry::Geometry;
use crate::nifti::transform::sheared;
use crate::warning::{Warning, WarningCode};

/// Signs that turn coordinates to the left, posterior and superior into RAS+.
const LPS: [f64; 3] = [-1.0, -1.0, 1.0];

/// Shape and affine of the three axes of space, and what was assumed.
pub(super) fn geometry(fields: &Fields) -> Result<(Geometry, Vec<Warning>), NrrdError> {
    let dimension = fields.need("dimension")?;
    let n = dimension.parse().ok().filter(|n| (1..=16).contains(n));
    let n = n.ok_or_else(|| NrrdError::malformed("dimension", dimension, "1 to 16"))?;
    let length = |size: &str| size.parse().ok().filter(|&n: &usize| n > 0);
    let sizes = fields.per_axis("sizes", n, length)?.ok_or(NrrdError::Missing { field: "sizes" })?;
    let directions = fields.vectors("space directions", n)?;
    let axes = axes_of_space(fields, &sizes, directions.as_deref())?;
    let signs = signs(fields.get("space"))?;
    let mut warnings = Vec::new();
    let mut warn = |code, text: String| warnings.push(Warning::new(code, text));
    let steps = match (&directions, signs) {
        (Some(_), None) => return Err(NrrdError::Missing { field: "space" }),
        (Some(directions), Some(_)) => axes.map(|axis| directions[axis].unwrap_or_default()),
        (None, signs) => {
            let taken = signs.map_or("left, posterior, superior, as ITK does", |_| "those of the space");
            warn(WarningCode::NoOrientation, format!("no space directions: axes were taken as {taken}"));
            let spacings = fields.per_axis("spacings", n, |spacing| spacing.parse().ok())?;
            std::array::from_fn(|row| {
                // The format's word for "not known" is NaN.
                let found = spacings.as_ref().map_or(f64::NAN, |all| all[axes[row]]);
                let is_known = !found.is_nan() && found != 0.0;
                if !is_known {
                    warn(
                        WarningCode::HeaderRepaired,
                        format!("no spacing of axis {}: 1 was taken", axes[row]),
                    );
                }
                let mut step = [0.0; 3];
                step[row] = if is_known { found } else { 1.0 };
                step
            })
        }
    };
    let origin = fields.vectors("space origin", 1)?.and_then(|all| all[0]);
    if signs.is_some() && origin.is_none() {
        warn(WarningCode::HeaderRepaired, "no space origin: 0 was taken".to_owned());
    }
    let is_mm = |unit: &str| ["mm", "millimeter", "millimeters", "???", ""].contains(&unit.trim());
    if let Some(units) = fields.get("space units").filter(|units| !units.split('"').all(is_mm)) {
        let text = format!("space units are {}; millimeters were taken", excerpt(units));
        warn(WarningCode::SpatialUnits, text);
    }
    let signs = signs.unwrap_or(LPS);
    // Adding 0 turns -0 into 0.
    let ras = |v: [f64; 3]| -> [f64; 3] { std::array::from_fn(|row| v[row] * signs[row] + 0.0) };
    let affine = Affine::from_columns(steps.map(ras), ras(origin.unwrap_or_default()));
    if let Some(text) = sheared(&affine) {
        warn(WarningCode::ShearedAffine, text);
    }
    Ok((Geometry::new(axes.map(|axis| sizes[axis]), affine)?, warnings))
}

/// Axes with a direction; where none has one, by their kinds. All others must have length 1.
fn axes_of_space(
    fields: &Fields,
    sizes: &[usize],
    directions: Option<&[Option<[f64; 3]>]>,
) -> Result<[usize; 3], NrrdError> {
    let n = sizes.len();
    let kinds = fields.per_axis("kinds", n, Some)?.unwrap_or_else(|| vec!["???"; n]);
    let is_one_of = |kind: &str, names: [&str; 2]| names.iter().any(|name| kind.eq_ignore_ascii_case(name));
    let is_place = |kind| is_one_of(kind, ["domain", "space"]);
    let kinds_tell = kinds.iter().any(|kind| is_place(kind));
    let is_spatial = |&axis: &usize| match directions {
        Some(directions) => directions[axis].is_some(),
        None => is_place(kinds[axis]) || (!kinds_tell && is_one_of(kinds[axis], ["???", "none"])),
    };
    if let Some(axis) = (0..n).find(|axis| !is_spatial(axis) && sizes[*axis] != 1) {
        let (kind, length) = (excerpt(kinds[axis]), sizes[axis] as u64);
        return Err(NrrdError::NonSpatialAxis { axis, kind, length });
    }
    let axes: Vec<usize> = (0..n).filter(is_spatial).collect();
    axes.try_into().map_err(|axes: Vec<_>| NrrdError::Rank { dimension: n, spatial: axes.len() })
}

/// Signs that turn coordinates of a space into RAS+.
fn signs(space: Option<&str>) -> Result<Option<[f64; 3]>, NrrdError> {
    let Some(space) = space else { return Ok(None) };
    match &space.to_ascii_lowercase()[..] {
        "left-posterior-superior" | "lps" => Ok(Some(LPS)),
        "left-anterior-superior" | "las" => Ok(Some([-1.0, 1.0, 1.0])),
        "right-anterior-superior" | "ras" => Ok(Some([1.0; 3])),
        _ => Err(NrrdError::unsupported(
            "space",
            space,
            "left-posterior-, left-anterior-, right-anterior-superior",
        )),
    }
}
