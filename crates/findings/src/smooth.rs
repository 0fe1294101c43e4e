//! Edges of a tube, smoothed over its slices.

use crate::link::Hit;
use crate::plane_box::PlaneBox;

/// Least weight of a box: one of probability 0 still says something where it is alone.
const LEAST_WEIGHT: f64 = 1e-3;

/// Smooths each edge of the hits of one tube, sorted by slice: a weighted running median takes out single
/// wrong edges, then a mean with weights that fall with distance takes out jitter. A weight is the
/// probability of the box.
///
/// The window is symmetric and shrinks towards the ends, so that a steady drift is kept and the first and
/// the last box stay as they are. Boxes keep their edges in order.
pub(crate) fn smoothed(hits: &[Hit], radius: usize, default_probability: f64) -> Vec<PlaneBox> {
    let raw: Vec<[f64; 4]> = hits.iter().map(|hit| hit.box_px.to_array()).collect();
    let (Some(first), Some(last)) = (hits.first(), hits.last()) else { return Vec::new() };
    let weight = |hit: &Hit| hit.probability.unwrap_or(default_probability).max(LEAST_WEIGHT);
    let pass = |values: &[[f64; 4]], center: fn(&[Neighbor]) -> f64| -> Vec<[f64; 4]> {
        let at = |place: usize| {
            let here = hits[place].slice_idx;
            let reach = radius.min(here - first.slice_idx).min(last.slice_idx - here);
            // Hits are sorted, so the window is a run around `place`.
            let low = hits.partition_point(|hit| hit.slice_idx + reach < here);
            let high = hits.partition_point(|hit| hit.slice_idx <= here + reach);
            std::array::from_fn(|edge| {
                let near = (low..high).map(|n| {
                    let distance = hits[n].slice_idx.abs_diff(here);
                    let closeness = 1.0 - distance as f64 / (reach as f64 + 1.0);
                    Neighbor { value: values[n][edge], weight: weight(&hits[n]), closeness }
                });
                center(&near.collect::<Vec<_>>())
            })
        };
        (0..hits.len()).map(at).collect()
    };
    let medians = pass(&raw, median);
    pass(&medians, mean).into_iter().map(PlaneBox::from).collect()
}

/// One edge within a window.
#[derive(Clone, Copy)]
struct Neighbor {
    value: f64,
    weight: f64,
    closeness: f64,
}

/// The value below and above which lies half of the weight; the middle of two where they share it.
fn median(window: &[Neighbor]) -> f64 {
    let mut sorted = window.to_vec();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    let half = 0.5 * sorted.iter().map(|n| n.weight).sum::<f64>();
    let mut below = 0.0;
    for (place, neighbor) in sorted.iter().enumerate() {
        below += neighbor.weight;
        // Equal but for rounding.
        if (below - half).abs() <= 1e-12 * half {
            let next = sorted.get(place + 1).unwrap_or(neighbor);
            return 0.5 * (neighbor.value + next.value);
        }
        if below > half {
            return neighbor.value;
        }
    }
    sorted.last().map_or(0.0, |n| n.value)
}

fn mean(window: &[Neighbor]) -> f64 {
    let weights: f64 = window.iter().map(|n| n.weight * n.closeness).sum();
    let mean = window.iter().map(|n| n.value * n.weight * n.closeness).sum::<f64>() / weights;
    // Rounding must not carry an edge out of its slice.
    let low = window.iter().map(|n| n.value).fold(f64::INFINITY, f64::min);
    let high = window.iter().map(|n| n.value).fold(f64::NEG_INFINITY, f64::max);
    mean.max(low).min(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(lefts: &[(usize, f64, f64)]) -> Vec<Hit> {
        let hit = |&(slice_idx, left, probability): &(usize, f64, f64)| Hit {
            slice_idx,
            box_px: [left, 0.0, left + 10.0, 5.0].into(),
            probability: Some(probability),
        };
        lefts.iter().map(hit).collect()
    }

    fn lefts(hits: &[Hit], radius: usize) -> Vec<f64> {
        smoothed(hits, radius, 0.5).iter().map(|b| b.x_min).collect()
    }

    #[test]
    fn a_drift_is_kept_and_a_jump_is_taken_out() {
        let drift = hits(&[(1, 10.0, 0.9), (2, 11.0, 0.9), (3, 12.0, 0.9), (4, 13.0, 0.9)]);
        for (got, want) in lefts(&drift, 1).into_iter().zip([10.0, 11.0, 12.0, 13.0]) {
            assert!((got - want).abs() < 1e-12);
        }
        let jump = hits(&[(1, 10.0, 0.9), (2, 10.0, 0.9), (3, 40.0, 0.9), (4, 10.0, 0.9), (5, 10.0, 0.9)]);
        assert_eq!(lefts(&jump, 1), [10.0; 5]);
        assert_eq!(lefts(&jump, 0)[2], 40.0);
    }

    #[test]
    fn a_sure_box_outweighs_unsure_ones() {
        let unsure = hits(&[(1, 10.0, 0.1), (2, 20.0, 0.9), (3, 10.0, 0.1)]);
        // The median is the sure box; the mean has weights 0.05, 0.9, 0.05.
        assert!((lefts(&unsure, 1)[1] - (20.0 * 0.9 + 10.0 * 0.1)).abs() < 1e-12);
    }

    #[test]
    fn ends_stay_and_gaps_are_no_neighbors() {
        let gap = hits(&[(1, 10.0, 0.9), (4, 30.0, 0.9), (9, 50.0, 0.9)]);
        assert_eq!(lefts(&gap, 1), [10.0, 30.0, 50.0]);
        assert!(smoothed(&[], 1, 0.5).is_empty());
    }
}
