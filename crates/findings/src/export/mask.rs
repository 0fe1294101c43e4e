//! Boxes as voxels.

use std::path::Path;

use ct_volume::{LabelVolume, Limits, VolumeError, nifti};
use ndarray::{Array3, ShapeBuilder, s};

use crate::document::Findings;
use crate::entity::Entity;
use crate::error::FindingsError;

/// The boxes of all findings as labels, on the grid of the input file: same shape, same affine.
///
/// A voxel is in a box if its center is ([`PlaneBox::pixels`](crate::PlaneBox::pixels)); labels are those
/// of [`Entity::labels`]. Where boxes overlap, the later of this order stays: liver, spleen, right kidney,
/// others by name, pancreas, pancreatic tumor; [`entity_mask`] has each entity whole.
///
/// # Errors
/// [`FindingsError::Geometry`]; [`FindingsError::Limit`] for a study larger than [`Limits`] allow.
pub fn box_mask(findings: &Findings) -> Result<LabelVolume, FindingsError> {
    let mut labels: Vec<(Entity, u16)> = findings.labels().into_iter().collect();
    labels.sort_by_key(|(entity, label)| (painted(entity), *label));
    fill(findings, &labels)
}

/// The boxes of one entity, labeled 1, on the grid of the input file.
///
/// # Errors
/// As [`box_mask`].
pub fn entity_mask(findings: &Findings, entity: &Entity) -> Result<LabelVolume, FindingsError> {
    fill(findings, &[(entity.clone(), 1)])
}

/// Writes [`box_mask`] as NIfTI-1, gzip if the name ends in `.gz`.
///
/// # Errors
/// As [`box_mask`]; [`FindingsError::Volume`].
pub fn write_box_mask(path: &Path, findings: &Findings) -> Result<(), FindingsError> {
    Ok(nifti::write_labels(path, &box_mask(findings)?)?)
}

/// The bytes of [`box_mask`]'s `.nii.gz` file, as [`write_box_mask`] writes it.
///
/// # Errors
/// As [`box_mask`]; [`FindingsError::Volume`] for an axis that NIfTI-1 cannot hold.
pub fn box_mask_gz(findings: &Findings) -> Result<Vec<u8>, FindingsError> {
    let unusable = |error| VolumeError::Nifti { path: "boxes.nii.gz".into(), source: error };
    Ok(nifti::labels_gz(&box_mask(findings)?).map_err(unusable)?)
}

/// When an entity is painted: large organs first, the tumor last.
fn painted(entity: &Entity) -> u8 {
    match entity {
        e if *e == Entity::LIVER => 0,
        e if *e == Entity::SPLEEN => 1,
        e if *e == Entity::RIGHT_KIDNEY => 2,
        e if *e == Entity::PANCREAS => 4,
        e if e.is_tumor() => 5,
        _ => 3,
    }
}

fn fill(findings: &Findings, labels: &[(Entity, u16)]) -> Result<LabelVolume, FindingsError> {
    let geometry = findings.geometry()?;
    let shape = geometry.source().shape();
    Limits::default().check_array(&shape.map(|side| side as u64), 2)?;
    let mut mask = Array3::<u16>::zeros((shape[0], shape[1], shape[2]).f());
    for (entity, label) in labels {
        for finding in findings.findings.iter().filter(|finding| finding.entity == *entity) {
            for slice in &finding.boxes {
                let [i, j, k] = geometry.source_voxels(&slice.box_px, slice.slice_idx);
                mask.slice_mut(s![i, j, k]).fill(*label);
            }
        }
    }
    Ok(LabelVolume::new(mask, *geometry.source().affine())?)
}
