//! What a model said about the slices of one study.

use std::collections::BTreeSet;

use crate::entity::Entity;
use crate::error::FindingsError;
use crate::geometry::StudyGeometry;
use crate::plane_box::PlaneBox;

/// Most boxes that one slice may have: linking looks at pairs.
pub const MAX_BOXES_PER_SLICE: usize = 256;

/// A box that a model gave.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceBox {
    /// What it is of.
    pub entity: Entity,
    /// Where; parts outside the slice are cut off.
    pub box_px: PlaneBox,
    /// How likely, 0..1; none where the model does not tell.
    pub probability: Option<f64>,
}

/// All that a model said about one slice. A slice that was asked about and has nothing is given with no
/// boxes; a slice that was not asked about is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceAnswers {
    /// Number of the slice from the feet, 0 first, after the axes were put into the order LPS.
    pub slice_idx: usize,
    /// Boxes, in any order.
    pub boxes: Vec<SliceBox>,
    /// Probability, 0..1, that the slice shows a pancreatic tumor; none where that was not asked.
    pub tumor_probability: Option<f64>,
}

/// Checks answers, and gives them from the feet up.
pub(crate) fn check<'a>(
    answers: &'a [SliceAnswers],
    geometry: &StudyGeometry,
) -> Result<Vec<&'a SliceAnswers>, FindingsError> {
    let n_slices = geometry.n_slices();
    let mut seen = BTreeSet::new();
    for answer in answers {
        let slice_idx = answer.slice_idx;
        if slice_idx >= n_slices {
            return Err(FindingsError::SliceIndex { slice_idx, n_slices });
        }
        if !seen.insert(slice_idx) {
            return Err(FindingsError::SliceTwice { slice_idx });
        }
        let (got, limit) = (answer.boxes.len(), MAX_BOXES_PER_SLICE);
        if got > limit {
            return Err(FindingsError::TooManyBoxes { slice_idx, got, limit });
        }
        let probabilities = answer.boxes.iter().map(|slice_box| slice_box.probability);
        for value in probabilities.chain([answer.tumor_probability]).flatten() {
            if !(0.0..=1.0).contains(&value) {
                return Err(FindingsError::Probability { slice_idx, value });
            }
        }
        if let Some(bad) = answer.boxes.iter().find(|slice_box| !slice_box.box_px.is_finite()) {
            return Err(FindingsError::BoxEdges { slice_idx, edges: bad.box_px.to_array() });
        }
    }
    let mut sorted: Vec<&SliceAnswers> = answers.iter().collect();
    sorted.sort_by_key(|answer| answer.slice_idx);
    Ok(sorted)
}
