//! The 4x4 map from voxel index to patient millimetres.

use crate::orientation::{AxisCode, Orientation};

/// Maps a voxel index `(i, j, k)` to patient millimetres in RAS+ axes: +x right, +y anterior,
/// +z superior, as NIfTI and nibabel have it. DICOM's LPS+ coordinates are converted on load.
///
/// Rows are stored first to last; the last row is `[0, 0, 0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine([[f64; 4]; 4]);

impl Affine {
    /// From the rows of a 4x4 matrix; the last row is set to `[0, 0, 0, 1]`.
    #[must_use]
    pub fn from_rows(rows: [[f64; 4]; 3]) -> Self {
        Self([rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]])
    }

    /// Axes along the patient axes, with spacing in mm and the position of voxel (0, 0, 0) in mm.
    #[must_use]
    pub fn from_spacing_origin(spacing_mm: [f64; 3], origin_mm: [f64; 3]) -> Self {
        let mut rows = [[0.0; 4]; 3];
        for axis in 0..3 {
            rows[axis][axis] = spacing_mm[axis];
            rows[axis][3] = origin_mm[axis];
        }
        Self::from_rows(rows)
    }

    /// From the direction of each voxel axis (columns, mm per step) and the origin, in RAS+ mm.
    #[must_use]
    pub fn from_columns(steps_mm: [[f64; 3]; 3], origin_mm: [f64; 3]) -> Self {
        let mut rows = [[0.0; 4]; 3];
        for (row, values) in rows.iter_mut().enumerate() {
            for axis in 0..3 {
                values[axis] = steps_mm[axis][row];
            }
            values[3] = origin_mm[row];
        }
        Self::from_rows(rows)
    }

    /// All 16 numbers, row by row.
    #[must_use]
    pub fn rows(&self) -> [[f64; 4]; 4] {
        self.0
    }

    /// The step of one voxel axis in mm, RAS+.
    #[must_use]
    pub fn column(&self, axis: usize) -> [f64; 3] {
        [self.0[0][axis], self.0[1][axis], self.0[2][axis]]
    }

    /// Position of voxel (0, 0, 0) in mm, RAS+.
    #[must_use]
    pub fn origin_mm(&self) -> [f64; 3] {
        self.column(3)
    }

    /// Position in RAS+ mm of a (possibly fractional) voxel index.
    #[must_use]
    pub fn apply(&self, index: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|row| {
            let r = &self.0[row];
            r[0] * index[0] + r[1] * index[1] + r[2] * index[2] + r[3]
        })
    }

    /// Length of each voxel axis step, in mm.
    #[must_use]
    pub fn spacing_mm(&self) -> [f64; 3] {
        std::array::from_fn(|axis| norm(self.column(axis)))
    }

    /// Determinant of the 3x3 part, in mm³; 0 for an affine that cannot be inverted.
    #[must_use]
    pub fn determinant(&self) -> f64 {
        let [a, b, c] = [self.column(0), self.column(1), self.column(2)];
        dot(a, cross(b, c))
    }

    /// True if every entry is a finite number.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.0.iter().flatten().all(|v| v.is_finite())
    }

    /// The map from RAS+ mm to voxel index, or `None` if the affine is singular.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let det = self.determinant();
        if !det.is_finite() || det == 0.0 {
            return None;
        }
        let [a, b, c] = [self.column(0), self.column(1), self.column(2)];
        let rows3 = [cross(b, c), cross(c, a), cross(a, b)].map(|r| r.map(|v| v / det));
        let origin = self.origin_mm();
        let rows = rows3.map(|r| [r[0], r[1], r[2], -dot(r, origin)]);
        Some(Self::from_rows(rows))
    }

    /// The affine that applies `first`, then `self`.
    #[must_use]
    pub fn after(&self, first: &Self) -> Self {
        let mut rows = [[0.0; 4]; 3];
        for (row, out) in rows.iter_mut().enumerate() {
            for (col, value) in out.iter_mut().enumerate() {
                *value = (0..4).map(|n| self.0[row][n] * first.0[n][col]).sum();
            }
        }
        Self::from_rows(rows)
    }

    /// Largest absolute cosine between two voxel axes: 0 for a right-angled grid, near 1 for a
    /// sheared one. Axes of zero length count as right-angled.
    #[must_use]
    pub fn shear(&self) -> f64 {
        let unit: [[f64; 3]; 3] = std::array::from_fn(|axis| {
            let c = self.column(axis);
            let n = norm(c);
            if n > 0.0 { c.map(|v| v / n) } else { [0.0; 3] }
        });
        [(0, 1), (0, 2), (1, 2)].into_iter().map(|(a, b)| dot(unit[a], unit[b]).abs()).fold(0.0, f64::max)
    }

    /// Largest absolute difference of any entry.
    #[must_use]
    pub fn max_abs_diff(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().flatten().zip(other.0.iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    /// The axis codes nearest to this affine, as nibabel's `io_orientation` chooses them: the
    /// rotation nearest to the 3x3 part (its polar factor), then for each voxel axis, the one with
    /// the largest entry first, the patient axis with the largest entry among those still free.
    #[must_use]
    pub fn orientation(&self) -> Orientation {
        let rotation = self.polar_rotation();
        let largest = |axis: usize| (0..3).map(|row| rotation[row][axis].powi(2)).fold(0.0, f64::max);
        let mut axes = [0, 1, 2];
        axes.sort_by(|&a, &b| largest(b).total_cmp(&largest(a)));
        let mut free = [true; 3];
        let mut codes = [AxisCode::R; 3];
        for axis in axes {
            let mut best: Option<(usize, f64)> = None;
            for row in 0..3 {
                let size = rotation[row][axis].abs();
                if free[row] && best.is_none_or(|(_, b)| size > b) {
                    best = Some((row, size));
                }
            }
            let row = best.map_or(axis, |(row, _)| row);
            free[row] = false;
            codes[axis] = AxisCode::from_patient_axis(row, rotation[row][axis] >= 0.0);
        }
        Orientation::from_codes(codes).unwrap_or(Orientation::RAS)
    }

    /// Rows of the orthogonal matrix nearest to the column-normalised 3x3 part (Newton's iteration
    /// for the polar factor; the normalised part itself where that is singular).
    fn polar_rotation(&self) -> [[f64; 3]; 3] {
        let mut m = [[0.0; 3]; 3];
        for axis in 0..3 {
            let column = self.column(axis);
            let length = norm(column);
            let length = if length > 0.0 { length } else { 1.0 };
            for (values, value) in m.iter_mut().zip(column) {
                values[axis] = value / length;
            }
        }
        let start = m;
        for _ in 0..64 {
            let as_affine = Self::from_rows(m.map(|r| [r[0], r[1], r[2], 0.0]));
            if as_affine.determinant().abs() < 1e-9 {
                return start;
            }
            let Some(inverse) = as_affine.inverse() else { return start };
            let mut change: f64 = 0.0;
            for (row, values) in m.iter_mut().enumerate() {
                for (col, value) in values.iter_mut().enumerate() {
                    let next = 0.5 * (*value + inverse.0[col][row]);
                    change = change.max((next - *value).abs());
                    *value = next;
                }
            }
            if change < 1e-14 {
                break;
            }
        }
        m
    }
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(crate) fn norm(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_undoes_the_affine() {
        let affine =
            Affine::from_rows([[-0.8, 0.1, 0.0, 200.0], [0.05, -0.7, 0.2, 150.0], [0.0, 0.3, 2.5, -40.0]]);
        let back = affine.inverse().unwrap();
        let index = [3.0, 5.0, 7.0];
        let round = back.apply(affine.apply(index));
        for axis in 0..3 {
            assert!((round[axis] - index[axis]).abs() < 1e-9);
        }
        assert!(back.after(&affine).max_abs_diff(&Affine::from_spacing_origin([1.0; 3], [0.0; 3])) < 1e-12);
    }

    #[test]
    fn singular_affine_has_no_inverse() {
        assert!(Affine::from_spacing_origin([1.0, 0.0, 2.0], [0.0; 3]).inverse().is_none());
    }

    #[test]
    fn orientation_of_all_axis_permutations() {
        for orientation in Orientation::all() {
            let affine = orientation.affine([0.7, 0.8, 2.0]);
            assert_eq!(affine.orientation(), orientation);
        }
    }

    #[test]
    fn shear_is_zero_for_a_rotation() {
        let (s, c) = 0.3_f64.sin_cos();
        let affine = Affine::from_rows([[c, -s, 0.0, 0.0], [s, c, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]]);
        assert!(affine.shear() < 1e-15);
        let sheared = Affine::from_rows([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.3, 0.0], [0.0, 0.0, 1.0, 0.0]]);
        assert!(sheared.shear() > 0.25);
    }
}
