//! Boxes as voxels.

use std::path::Path;

use ct_volume::{LabelVolume, Limits, VolumeError, nifti};
use ndarray::{Array2, Array3, ShapeBuilder, s};

use crate::document::Findings;
use crate::entity::Entity;
use crate::error::FindingsError;
use crate::finding::FindingBox;
use crate::geometry::StudyGeometry;

/// The boxes of all findings as labels, on the grid of the input file: same shape, same affine.
///
/// A voxel is in a box if its center is ([`PlaneBox::pixels`](crate::PlaneBox::pixels)); labels are those
/// of [`Entity::labels`]. Where boxes overlap, the later of this order stays: liver, spleen, right kidney,
/// others by name, pancreas, pancreatic tumor; [`entity_mask`] has each entity whole.
///
/// # Errors
/// [`FindingsError::Geometry`]; [`FindingsError::Limit`] for a study larger than [`Limits`] allow.
pub fn box_mask(findings: &Findings) -> Result<LabelVolume, FindingsError> {
    fill(findings, &painted_labels(findings))
}

/// What stands in the boxes of all findings as labels, on the grid of the input file; labels and their
/// order are those of [`box_mask`].
///
/// # Shapes
/// - `masks` is asked once for each slice with boxes, from the feet up, for a mask `[row, column]` of the
///   whole slice for each of its boxes, in their order
///
/// # Panics
/// If it gives another number of masks, or masks of another size: a caller's bug.
///
/// # Errors
/// As [`box_mask`], and those of `masks`.
pub fn slice_masks<E: From<FindingsError>>(
    findings: &Findings,
    mut masks: impl FnMut(usize, &[&FindingBox]) -> Result<Vec<Array2<bool>>, E>,
) -> Result<LabelVolume, E> {
    let geometry = findings.geometry()?;
    let (source, transform) = (geometry.source(), geometry.transform());
    let mut labeled = empty(&geometry)?;
    let [columns, rows, _] = geometry.display().shape();
    let labels = painted_labels(findings);
    for slice_idx in findings.slices_with_boxes() {
        let (boxes, labels): (Vec<&FindingBox>, Vec<u16>) = labels
            .iter()
            .flat_map(|(entity, label)| {
                let of_entity = findings.findings.iter().filter(move |finding| finding.entity == *entity);
                of_entity.filter_map(move |finding| Some((finding.box_at(slice_idx)?, *label)))
            })
            .unzip();
        let masks = masks(slice_idx, &boxes)?;
        assert_eq!(masks.len(), boxes.len(), "masks and boxes of slice {slice_idx}");
        for (mask, label) in masks.iter().zip(labels) {
            assert_eq!(mask.dim(), (rows, columns), "a mask of slice {slice_idx}");
            for ((row, column), _) in mask.indexed_iter().filter(|(_, is_inside)| **is_inside) {
                labeled[transform.source_index([column, row, slice_idx], source.shape())] = label;
            }
        }
    }
    Ok(LabelVolume::new(labeled, *source.affine()).map_err(FindingsError::from)?)
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

/// The label of each entity, in the order of painting.
fn painted_labels(findings: &Findings) -> Vec<(Entity, u16)> {
    let mut labels: Vec<(Entity, u16)> = findings.labels().into_iter().collect();
    labels.sort_by_key(|(entity, label)| (painted(entity), *label));
    labels
}

fn empty(geometry: &StudyGeometry) -> Result<Array3<u16>, FindingsError> {
    let shape = geometry.source().shape();
    Limits::default().check_array(&shape.map(|side| side as u64), 2)?;
    Ok(Array3::zeros((shape[0], shape[1], shape[2]).f()))
}

fn fill(findings: &Findings, labels: &[(Entity, u16)]) -> Result<LabelVolume, FindingsError> {
    let geometry = findings.geometry()?;
    let mut mask = empty(&geometry)?;
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
