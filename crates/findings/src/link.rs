//! Boxes of slices, linked into tubes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answers::{SliceAnswers, check};
use crate::entity::Entity;
use crate::error::FindingsError;
use crate::geometry::StudyGeometry;
use crate::plane_box::PlaneBox;
use crate::smooth::smoothed;

/// How boxes are linked; the same in `findings.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LinkOptions {
    /// Least IoU of a box with the last box of the tube that it joins, 0..1. Default 0.1: the boxes of one
    /// organ on neighboring slices overlap by much more, stray boxes rarely at all, and a low bar keeps
    /// tubes whole where slices are thick.
    pub min_iou: f64,
    /// Slices in a row that a tube may lack; their boxes are interpolated and marked. Default 2. A caller
    /// that asks about every n-th slice alone adds `n - 1`.
    pub max_gap_slices: usize,
    /// Least number of slices with a box of the model, or the number of slices asked about where that is
    /// less. Default 2: a box without any neighbor is dropped.
    pub min_slices: usize,
    /// Least length across the slices, in mm. Default 0, which drops nothing.
    pub min_extent_mm: f64,
    /// Slices on each side that an edge is smoothed over, 0 for none. Default 1.
    pub smooth_radius_slices: usize,
    /// What weighs a box in smoothing that has no probability, 0..1. Default 0.5.
    pub default_probability: f64,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            min_iou: 0.1,
            max_gap_slices: 2,
            min_slices: 2,
            min_extent_mm: 0.0,
            smooth_radius_slices: 1,
            default_probability: 0.5,
        }
    }
}

impl LinkOptions {
    pub(crate) fn check(&self) -> Result<(), FindingsError> {
        let unit = "a number in 0..1";
        for (name, value) in [("min_iou", self.min_iou), ("default_probability", self.default_probability)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(FindingsError::Option { name, value, expected: unit });
            }
        }
        let value = self.min_extent_mm;
        if !value.is_finite() || value < 0.0 {
            let expected = "a length that is not negative";
            return Err(FindingsError::Option { name: "min_extent_mm", value, expected });
        }
        Ok(())
    }
}

/// One slice of a tube.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TubeSlice {
    /// Number of the slice from the feet.
    pub slice_idx: usize,
    /// The box after smoothing.
    pub box_px: PlaneBox,
    /// The box that the model gave, cut to the slice; none where it was interpolated.
    pub observed_px: Option<PlaneBox>,
    /// The model's probability of the box.
    pub probability: Option<f64>,
}

/// Boxes of one entity on slices without a hole.
#[derive(Clone, Debug, PartialEq)]
pub struct Tube {
    /// What it is of.
    pub entity: Entity,
    /// From the feet up, one for each slice; the first and the last were observed.
    pub slices: Vec<TubeSlice>,
}

/// What linking gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Linked {
    /// The known entities in the order of their labels, others by name; then by first slice.
    pub tubes: Vec<Tube>,
    /// Boxes that had no area inside their slice.
    pub n_empty_boxes: usize,
    /// Boxes of tubes that were too short.
    pub n_isolated_boxes: usize,
}

/// A box of the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) slice_idx: usize,
    pub(crate) box_px: PlaneBox,
    pub(crate) probability: Option<f64>,
}

/// Links the boxes of each entity over the slices, bridges gaps, drops isolated hits and smooths edges.
///
/// From the feet up, each box joins the tube whose last box it overlaps most, the best pairs first; a tube
/// takes one box a slice. The result depends on the set of answers alone, not on their order.
///
/// # Errors
/// [`FindingsError::SliceIndex`], [`SliceTwice`](FindingsError::SliceTwice),
/// [`TooManyBoxes`](FindingsError::TooManyBoxes), [`BoxEdges`](FindingsError::BoxEdges),
/// [`Probability`](FindingsError::Probability) for an answer; [`FindingsError::Option`].
pub fn link(
    answers: &[SliceAnswers],
    geometry: &StudyGeometry,
    options: &LinkOptions,
) -> Result<Linked, FindingsError> {
    options.check()?;
    let answers = check(answers, geometry)?;
    let mut linked = Linked::default();
    let mut hits: BTreeMap<&Entity, Vec<Hit>> = BTreeMap::new();
    for answer in &answers {
        for slice_box in &answer.boxes {
            let Some(box_px) = slice_box.box_px.clipped(geometry.size_px()) else {
                linked.n_empty_boxes += 1;
                continue;
            };
            let (slice_idx, probability) = (answer.slice_idx, slice_box.probability);
            hits.entry(&slice_box.entity).or_default().push(Hit { slice_idx, box_px, probability });
        }
    }
    let min_slices = options.min_slices.min(answers.len());
    for (entity, mut hits) in hits {
        hits.sort_by(in_order);
        for track in tracks(&hits, options) {
            let n_slices = track[track.len() - 1].slice_idx - track[0].slice_idx + 1;
            let extent_mm = n_slices as f64 * geometry.slice_distance_mm();
            if track.len() < min_slices || extent_mm < options.min_extent_mm {
                linked.n_isolated_boxes += track.len();
            } else {
                linked.tubes.push(Tube { entity: entity.clone(), slices: filled(&track, options) });
            }
        }
    }
    linked.tubes.sort_by(|a, b| {
        let entity = |tube: &Tube| (tube.entity.known_label().unwrap_or(u16::MAX), tube.entity.clone());
        let first = |tube: &Tube| tube.slices.first().map(|slice| (slice.slice_idx, slice.box_px.to_array()));
        // Edges are finite, so that they have an order.
        entity(a).cmp(&entity(b)).then(first(a).partial_cmp(&first(b)).unwrap_or(Ordering::Equal))
    });
    Ok(linked)
}

/// By slice, the most probable first, then by edges, so that equal sets are equal lists.
fn in_order(a: &Hit, b: &Hit) -> Ordering {
    let edges = a.box_px.to_array().into_iter().zip(b.box_px.to_array());
    let by_edges = edges.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne());
    let weight = |hit: &Hit| hit.probability.unwrap_or(-1.0);
    a.slice_idx
        .cmp(&b.slice_idx)
        .then(weight(b).total_cmp(&weight(a)))
        .then(by_edges.unwrap_or(Ordering::Equal))
}

/// Hits, sorted, to chains of one hit a slice.
fn tracks(hits: &[Hit], options: &LinkOptions) -> Vec<Vec<Hit>> {
    let mut tracks: Vec<Vec<Hit>> = Vec::new();
    // Tracks before this one have ended.
    let mut open: Vec<usize> = Vec::new();
    for slice in hits.chunk_by(|a, b| a.slice_idx == b.slice_idx) {
        let last = |tracks: &[Vec<Hit>], track: usize| tracks[track][tracks[track].len() - 1];
        let reach = options.max_gap_slices.saturating_add(1);
        open.retain(|&track| slice[0].slice_idx - last(&tracks, track).slice_idx <= reach);
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for &track in &open {
            let before = last(&tracks, track);
            for (place, hit) in slice.iter().enumerate() {
                let iou = before.box_px.iou(&hit.box_px);
                if iou >= options.min_iou && iou > 0.0 {
                    pairs.push((iou, track, place));
                }
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut joined = vec![false; slice.len()];
        for (_, track, place) in pairs {
            // A track that took a box of this slice ends in it.
            if !joined[place] && last(&tracks, track).slice_idx < slice[place].slice_idx {
                joined[place] = true;
                tracks[track].push(slice[place]);
            }
        }
        for (hit, _) in slice.iter().zip(&joined).filter(|(_, joined)| !**joined) {
            open.push(tracks.len());
            tracks.push(vec![*hit]);
        }
    }
    tracks
}

/// Smooths the hits and fills the gaps between them in a straight line.
fn filled(track: &[Hit], options: &LinkOptions) -> Vec<TubeSlice> {
    let boxes = smoothed(track, options.smooth_radius_slices, options.default_probability);
    let mut slices: Vec<TubeSlice> = Vec::with_capacity(track.len());
    for (hit, box_px) in track.iter().zip(boxes) {
        if let Some(before) = slices.last().copied() {
            let steps = (hit.slice_idx - before.slice_idx) as f64;
            for slice_idx in before.slice_idx + 1..hit.slice_idx {
                let part = (slice_idx - before.slice_idx) as f64 / steps;
                let (from, to) = (before.box_px.to_array(), box_px.to_array());
                let edges: [f64; 4] = std::array::from_fn(|edge| from[edge] + part * (to[edge] - from[edge]));
                slices.push(TubeSlice {
                    slice_idx,
                    box_px: edges.into(),
                    observed_px: None,
                    probability: None,
                });
            }
        }
        slices.push(TubeSlice {
            slice_idx: hit.slice_idx,
            box_px,
            observed_px: Some(hit.box_px),
            probability: hit.probability,
        });
    }
    slices
}

#[cfg(test)]
mod tests {
    use ct_volume::{Affine, Geometry};

    use super::*;
    use crate::SliceBox;

    fn geometry() -> StudyGeometry {
        let affine = Affine::from_spacing_origin([1.0, 1.0, 2.0], [0.0; 3]);
        StudyGeometry::new(&Geometry::new([100, 80, 40], affine).unwrap()).unwrap()
    }

    fn answer(slice_idx: usize, boxes: &[([f64; 4], f64)]) -> SliceAnswers {
        let boxes = boxes.iter().map(|&(edges, probability)| SliceBox {
            entity: Entity::PANCREAS,
            box_px: edges.into(),
            probability: Some(probability),
        });
        SliceAnswers { slice_idx, boxes: boxes.collect(), tumor_probability: None }
    }

    const BOX: [f64; 4] = [10.0, 10.0, 30.0, 20.0];

    fn spans(answers: &[SliceAnswers], options: &LinkOptions) -> Vec<(usize, usize)> {
        let linked = link(answers, &geometry(), options).unwrap();
        let span = |tube: &Tube| (tube.slices[0].slice_idx, tube.slices[tube.slices.len() - 1].slice_idx);
        linked.tubes.iter().map(span).collect()
    }

    #[test]
    fn gaps_up_to_the_limit_are_bridged_and_marked() {
        let at = |slices: &[usize]| slices.iter().map(|&n| answer(n, &[(BOX, 0.9)])).collect::<Vec<_>>();
        let options = LinkOptions::default();
        assert_eq!(spans(&at(&[3, 4, 7, 8]), &options), [(3, 8)]);
        assert_eq!(spans(&at(&[3, 4, 8, 9]), &options), [(3, 4), (8, 9)]);
        let linked = link(&at(&[3, 6]), &geometry(), &options).unwrap();
        let marks: Vec<bool> = linked.tubes[0].slices.iter().map(|s| s.observed_px.is_some()).collect();
        assert_eq!(marks, [true, false, false, true]);
    }

    #[test]
    fn isolated_hits_are_dropped_and_counted() {
        let answers = [answer(3, &[(BOX, 0.9)]), answer(20, &[(BOX, 0.9)]), answer(21, &[(BOX, 0.9)])];
        let linked = link(&answers, &geometry(), &LinkOptions::default()).unwrap();
        assert_eq!((linked.tubes.len(), linked.n_isolated_boxes), (1, 1));
        // Where one slice was asked about, one box is all that can be.
        assert_eq!(spans(&answers[..1], &LinkOptions::default()), [(3, 3)]);
        let options = LinkOptions { min_extent_mm: 4.5, ..LinkOptions::default() };
        assert!(spans(&answers, &options).is_empty());
    }

    #[test]
    fn two_objects_stay_two() {
        let other = [60.0, 40.0, 80.0, 60.0];
        let answers: Vec<_> = (5..9).map(|n| answer(n, &[(BOX, 0.5), (other, 0.9)])).collect();
        assert_eq!(spans(&answers, &LinkOptions::default()), [(5, 8), (5, 8)]);
    }

    #[test]
    fn a_box_outside_its_slice_is_counted() {
        let answers = [answer(1, &[([200.0, 0.0, 300.0, 10.0], 0.5)])];
        assert_eq!(link(&answers, &geometry(), &LinkOptions::default()).unwrap().n_empty_boxes, 1);
    }

    #[test]
    fn bad_answers_and_options_are_refused() {
        let refused =
            |answers: &[SliceAnswers]| link(answers, &geometry(), &LinkOptions::default()).unwrap_err();
        assert!(matches!(refused(&[answer(40, &[])]), FindingsError::SliceIndex { slice_idx: 40, .. }));
        assert!(matches!(refused(&[answer(1, &[]), answer(1, &[])]), FindingsError::SliceTwice { .. }));
        assert!(matches!(refused(&[answer(1, &[(BOX, 1.5)])]), FindingsError::Probability { .. }));
        let nan = [f64::NAN, 0.0, 1.0, 1.0];
        assert!(matches!(refused(&[answer(1, &[(nan, 0.5)])]), FindingsError::BoxEdges { .. }));
        let many = vec![(BOX, 0.5); MAX + 1];
        assert!(matches!(refused(&[answer(1, &many)]), FindingsError::TooManyBoxes { .. }));
        let options = LinkOptions { min_iou: f64::NAN, ..LinkOptions::default() };
        assert!(matches!(link(&[], &geometry(), &options), Err(FindingsError::Option { .. })));
    }

    const MAX: usize = crate::MAX_BOXES_PER_SLICE;
}
