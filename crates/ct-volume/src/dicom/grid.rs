//! Slices in any order to one regular grid, or to a list of what is in the way.

use super::error::{Irregularity, SliceGap};
use super::header::Plane;
use crate::affine::{Affine, dot, norm};

/// Slices closer than this are at one position.
const SAME_POSITION_MM: f64 = 0.01;
/// A slice may lie this part of the spacing from its place on the grid; writers round positions.
const OFFSET_TOLERANCE: f64 = 0.05;
/// The same in mm, for thin slices.
const OFFSET_TOLERANCE_MM: f64 = 0.02;
/// A gap of more slices than this is no gap in a series but another place.
const MOST_MISSING: f64 = 1e4;
/// Largest difference of a direction cosine within one orientation.
const SAME_DIRECTION: f64 = 1e-3;
/// Largest relative difference of a pixel spacing.
const SAME_SPACING: f64 = 1e-3;
/// Tilt that matters: by angle if the slices also drift by [`TILT_DRIFT_MM`], or by drift of half a pixel.
const TILT_DEGREES: f64 = 0.5;
const TILT_DRIFT_MM: f64 = 0.1;

/// What the grid needs of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) plane: Plane,
    /// Columns and rows.
    pub(super) size: [u16; 2],
    /// Breaks ties at one position.
    pub(super) instance: i64,
}

/// Slices in order, with the affine.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    /// Indices of the slices given, one for each k.
    pub(super) order: Vec<usize>,
    /// Voxel index to RAS+ mm.
    pub(super) affine: Affine,
    /// Pairs of slices at one position: the one in `order`, and one left out.
    pub(super) duplicates: Vec<[usize; 2]>,
    /// What a caller must decide on; `identical` of duplicates is still 0.
    pub(super) troubles: Vec<Irregularity>,
    /// Distance between slices along the normal in mm; 0 for one slice.
    pub(super) gap_mm: f64,
}

impl Grid {
    /// Orders the slices, of which there is at least one; `fallback_mm` is the spacing of a single slice.
    pub(super) fn new(slices: &[Slice], fallback_mm: f64) -> Self {
        let mut troubles = Vec::new();
        let mut kept: Vec<usize> = (0..slices.len()).collect();
        let left_out = keep_largest_group(&mut kept, |a, b| same_direction(&slices[a], &slices[b]));
        if left_out > 0 {
            troubles.push(Irregularity::MixedOrientation { kept: kept.len(), left_out });
        }
        let left_out = keep_largest_group(&mut kept, |a, b| same_size(&slices[a], &slices[b]));
        if left_out > 0 {
            troubles.push(Irregularity::MixedSize { kept: kept.len(), left_out });
        }

        let plane = slices[kept[0]].plane;
        let normal = plane.normal();
        let along = |slice: usize| slices[slice].plane.distance_along(normal);
        kept.sort_by(|&a, &b| {
            along(a).total_cmp(&along(b)).then(slices[a].instance.cmp(&slices[b].instance)).then(a.cmp(&b))
        });
        let (order, duplicates) = split_duplicates(&kept, along, slices);
        if let Some(&[first, _]) = duplicates.first() {
            let mut positions: Vec<usize> = duplicates.iter().map(|&[kept, _]| kept).collect();
            positions.dedup();
            troubles.push(Irregularity::DuplicateSlices {
                positions: positions.len(),
                extra: duplicates.len(),
                identical: 0,
                first_at_mm: along(first) - along(order[0]),
            });
        }

        let planes: Vec<Plane> = order.iter().map(|&slice| slices[slice].plane).collect();
        let stack = Stack::new(&planes, normal);
        let (step_lps_mm, gap_mm) = stack.step(fallback_mm, &mut troubles);
        let [column_mm, row_mm] = plane.spacing_mm;
        let steps =
            [plane.along_row.map(|c| c * column_mm), plane.along_column.map(|c| c * row_mm), step_lps_mm];
        let affine = Affine::from_columns(steps.map(lps_to_ras), lps_to_ras(planes[0].position_lps_mm));
        Self { order, affine, duplicates, troubles, gap_mm }
    }
}

/// DICOM's patient axes are left, posterior, superior.
fn lps_to_ras([x, y, z]: [f64; 3]) -> [f64; 3] {
    // Adding zero turns a negative zero, which would look odd in reports, into zero.
    [-x + 0.0, -y + 0.0, z]
}

/// Slices of one orientation and size, each at its own position, in order.
struct Stack {
    normal: [f64; 3],
    positions: Vec<[f64; 3]>,
    /// Distance from the first slice along the normal.
    along: Vec<f64>,
    half_pixel_mm: f64,
}

impl Stack {
    fn new(planes: &[Plane], normal: [f64; 3]) -> Self {
        let start = planes[0].distance_along(normal);
        let [x, y] = planes[0].spacing_mm;
        Self {
            normal,
            positions: planes.iter().map(|plane| plane.position_lps_mm).collect(),
            along: planes.iter().map(|plane| plane.distance_along(normal) - start).collect(),
            half_pixel_mm: 0.5 * x.min(y),
        }
    }

    /// The step from slice to slice in LPS mm and its part along the normal.
    fn step(&self, fallback_mm: f64, troubles: &mut Vec<Irregularity>) -> ([f64; 3], f64) {
        let n = self.along.len();
        if n == 1 {
            return (self.normal.map(|c| c * fallback_mm), 0.0);
        }
        let gaps: Vec<f64> = self.along.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mut sorted = gaps.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[(sorted.len() - 1) / 2];
        let holes = self.holes(&gaps, median);
        let missing: usize = holes.iter().map(|hole| hole.missing).sum();
        // Index of each slice on a grid that has room for the missing ones.
        let mut place = vec![0.0; n];
        for slice in 1..n {
            let hole = holes.iter().find(|hole| hole.after_slice == slice - 1);
            place[slice] = place[slice - 1] + 1.0 + hole.map_or(0, |hole| hole.missing) as f64;
        }
        let (first, last) = (self.positions[0], self.positions[n - 1]);
        let step: [f64; 3] = std::array::from_fn(|axis| (last[axis] - first[axis]) / place[n - 1]);
        let gap = self.along[n - 1] / place[n - 1];
        if missing > 0 {
            let (spacing_mm, present) = (median, n);
            troubles.push(Irregularity::MissingSlices { missing, present, spacing_mm, gaps: holes });
        }
        self.check_offsets(&place, gap, &sorted, median, troubles);
        self.check_tilt(step, &place, troubles);
        (step, gap)
    }

    /// Gaps of twice the median or more, near a whole multiple of it.
    fn holes(&self, gaps: &[f64], median: f64) -> Vec<SliceGap> {
        let mut holes = Vec::new();
        for (after_slice, &width_mm) in gaps.iter().enumerate() {
            let steps = (width_mm / median).round();
            let near = (width_mm - steps * median).abs() <= 0.1 * median;
            if (2.0..=MOST_MISSING).contains(&steps) && near {
                let missing = to_count(steps) - 1;
                holes.push(SliceGap { after_slice, at_mm: self.along[after_slice], width_mm, missing });
            }
        }
        holes
    }

    fn check_offsets(
        &self,
        place: &[f64],
        gap: f64,
        sorted_gaps: &[f64],
        median_gap_mm: f64,
        troubles: &mut Vec<Irregularity>,
    ) {
        let offsets = self.along.iter().zip(place).map(|(along, place)| (along - place * gap).abs());
        let (slice, largest_offset_mm) = largest(offsets);
        if largest_offset_mm > (OFFSET_TOLERANCE * gap).max(OFFSET_TOLERANCE_MM) {
            troubles.push(Irregularity::UnevenSpacing {
                min_gap_mm: sorted_gaps[0],
                median_gap_mm,
                max_gap_mm: sorted_gaps[sorted_gaps.len() - 1],
                largest_offset_mm,
                slice,
            });
        }
    }

    /// Sideways movement: steady is a tilted gantry, anything else a shift.
    fn check_tilt(&self, step: [f64; 3], place: &[f64], troubles: &mut Vec<Irregularity>) {
        let first = self.positions[0];
        let sideways = |v: [f64; 3]| {
            let along = dot(v, self.normal);
            norm(std::array::from_fn(|axis| v[axis] - along * self.normal[axis]))
        };
        let shifts = self.positions.iter().zip(place).map(|(position, &place)| {
            sideways(std::array::from_fn(|axis| position[axis] - first[axis] - place * step[axis]))
        });
        let (slice, largest_mm) = largest(shifts);
        if largest_mm > self.half_pixel_mm {
            troubles.push(Irregularity::ShiftedSlices { largest_mm, slice });
        }
        let drift_mm = sideways(step) * place[place.len() - 1];
        let degrees = sideways(step).atan2(dot(step, self.normal)).to_degrees();
        if drift_mm > self.half_pixel_mm || (degrees > TILT_DEGREES && drift_mm > TILT_DRIFT_MM) {
            troubles.push(Irregularity::GantryTilt { degrees, drift_mm });
        }
    }
}

fn same_direction(a: &Slice, b: &Slice) -> bool {
    let axes = |s: &Slice| [s.plane.along_row, s.plane.along_column];
    axes(a).as_flattened().iter().zip(axes(b).as_flattened()).all(|(a, b)| (a - b).abs() <= SAME_DIRECTION)
}

fn same_size(a: &Slice, b: &Slice) -> bool {
    let spacing = a.plane.spacing_mm.iter().zip(b.plane.spacing_mm);
    a.size == b.size && spacing.into_iter().all(|(a, b)| (a - b).abs() <= SAME_SPACING * a)
}

/// Keeps the largest group of slices that are `same`, the earliest of several such; returns how many
/// slices are left out.
fn keep_largest_group(kept: &mut Vec<usize>, same: impl Fn(usize, usize) -> bool) -> usize {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &slice in kept.iter() {
        match groups.iter_mut().find(|group| same(group[0], slice)) {
            Some(group) => group.push(slice),
            None => groups.push(vec![slice]),
        }
    }
    let before = kept.len();
    // The first of the largest: max_by_key gives the last.
    if let Some(largest) = groups.into_iter().rev().max_by_key(Vec::len) {
        *kept = largest;
    }
    before - kept.len()
}

/// Splits sorted slices into one for each position, that of the lowest instance, and the rest.
fn split_duplicates(
    sorted: &[usize],
    along: impl Fn(usize) -> f64,
    slices: &[Slice],
) -> (Vec<usize>, Vec<[usize; 2]>) {
    let mut positions: Vec<Vec<usize>> = Vec::new();
    for &slice in sorted {
        match positions.last_mut() {
            Some(group) if along(slice) - along(group[0]) < SAME_POSITION_MM => group.push(slice),
            _ => positions.push(vec![slice]),
        }
    }
    let mut order = Vec::with_capacity(positions.len());
    let mut duplicates = Vec::new();
    for group in positions {
        // Which is kept must not depend on the last digits of a position.
        let kept = group.iter().copied().min_by_key(|&slice| (slices[slice].instance, slice)).unwrap_or(0);
        order.push(kept);
        duplicates.extend(group.into_iter().filter(|&slice| slice != kept).map(|slice| [kept, slice]));
    }
    (order, duplicates)
}

/// Index and value of the largest.
fn largest(values: impl Iterator<Item = f64>) -> (usize, f64) {
    values.enumerate().fold((0, 0.0), |best, (n, value)| if value > best.1 { (n, value) } else { best })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rounded ratio between 2 and 10,000"
)]
fn to_count(value: f64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(position: [f64; 3]) -> Slice {
        Slice {
            plane: Plane {
                position_lps_mm: position,
                along_row: [1.0, 0.0, 0.0],
                along_column: [0.0, 1.0, 0.0],
                spacing_mm: [0.8, 0.7],
            },
            size: [16, 12],
            instance: 0,
        }
    }

    fn at(positions: &[f64]) -> Vec<Slice> {
        positions.iter().map(|&z| slice([-10.0, -20.0, z])).collect()
    }

    #[test]
    fn slices_are_sorted_and_positions_give_the_affine() {
        let grid = Grid::new(&at(&[5.0, 0.0, 7.5, 2.5]), 1.0);
        assert_eq!(grid.order, [1, 3, 0, 2]);
        assert!(grid.troubles.is_empty());
        assert_eq!(grid.affine.spacing_mm(), [0.8, 0.7, 2.5]);
        assert_eq!(grid.affine.origin_mm(), [10.0, 20.0, 0.0]);
        assert_eq!(grid.affine.orientation().to_string(), "LPS");
    }

    #[test]
    fn rounded_positions_are_regular() {
        let positions: Vec<f64> = (0..40).map(|n| (f64::from(n) * 0.625 * 100.0).round() / 100.0).collect();
        assert!(Grid::new(&at(&positions), 1.0).troubles.is_empty());
        let positions: Vec<f64> = (0..40).map(|n| (f64::from(n) * 1.25 * 10.0).round() / 10.0).collect();
        assert!(Grid::new(&at(&positions), 1.0).troubles.is_empty());
    }

    #[test]
    fn missing_slices_leave_gaps_of_a_multiple() {
        let grid = Grid::new(&at(&[0.0, 2.0, 4.0, 10.0, 12.0, 16.0]), 1.0);
        let [Irregularity::MissingSlices { missing: 3, present: 6, spacing_mm, gaps }] = &grid.troubles[..]
        else {
            panic!("{:?}", grid.troubles);
        };
        assert_eq!(*spacing_mm, 2.0);
        assert_eq!([gaps[0].after_slice, gaps[0].missing, gaps[1].after_slice], [2, 2, 4]);
        assert_eq!(grid.affine.spacing_mm()[2], 2.0);
    }

    #[test]
    fn uneven_gaps() {
        let grid = Grid::new(&at(&[0.0, 2.0, 4.0, 6.7, 8.0]), 1.0);
        let [Irregularity::UnevenSpacing { slice: 3, largest_offset_mm, .. }] = grid.troubles[..] else {
            panic!("{:?}", grid.troubles);
        };
        assert!((largest_offset_mm - 0.7).abs() < 1e-9);
    }

    #[test]
    fn duplicates_keep_the_lowest_instance() {
        let mut slices = at(&[0.0, 2.0, 2.001, 4.0, 2.0]);
        for (slice, instance) in slices.iter_mut().zip([1, 7, 2, 3, 9]) {
            slice.instance = instance;
        }
        let grid = Grid::new(&slices, 1.0);
        assert_eq!(grid.order, [0, 2, 3]);
        assert_eq!(grid.duplicates.len(), 2);
        assert!(matches!(grid.troubles[..], [Irregularity::DuplicateSlices { positions: 1, extra: 2, .. }]));
    }

    #[test]
    fn tilt_is_seen_in_the_positions_and_kept_in_the_affine() {
        let tilt = 12.0_f64.to_radians();
        let slices: Vec<Slice> =
            (0..5).map(|n| slice([0.0, f64::from(n) * 2.0 * tilt.tan(), f64::from(n) * 2.0])).collect();
        let grid = Grid::new(&slices, 1.0);
        let [Irregularity::GantryTilt { degrees, .. }] = grid.troubles[..] else {
            panic!("{:?}", grid.troubles);
        };
        assert!((degrees - 12.0).abs() < 1e-9);
        assert!((grid.affine.shear() - 12.0_f64.to_radians().sin()).abs() < 1e-9);
    }

    #[test]
    fn shift_within_the_plane() {
        let mut slices = at(&[0.0, 2.0, 4.0, 6.0]);
        slices[2].plane.position_lps_mm[0] += 1.5;
        let grid = Grid::new(&slices, 1.0);
        assert!(matches!(grid.troubles[..], [Irregularity::ShiftedSlices { slice: 2, .. }]));
    }

    #[test]
    fn other_orientations_and_sizes_are_left_out() {
        let mut slices = at(&[0.0, 2.0, 4.0, 6.0, 8.0]);
        slices[0].plane.along_column = [0.0, 0.0, -1.0];
        slices[4].size = [16, 16];
        let grid = Grid::new(&slices, 1.0);
        assert_eq!(grid.order, [1, 2, 3]);
        assert_eq!(
            grid.troubles,
            [
                Irregularity::MixedOrientation { kept: 4, left_out: 1 },
                Irregularity::MixedSize { kept: 3, left_out: 1 }
            ]
        );
    }

    #[test]
    fn one_slice_takes_the_fallback() {
        let grid = Grid::new(&at(&[3.0]), 5.0);
        assert_eq!(grid.affine.spacing_mm(), [0.8, 0.7, 5.0]);
    }
}
