//! Axis codes: which way each voxel axis runs in the patient.

use std::fmt;
use std::str::FromStr;

use crate::affine::Affine;

/// The patient direction in which a voxel index grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AxisCode {
    /// Towards the patient's right (RAS+ x).
    R,
    /// Towards the patient's left.
    L,
    /// Towards the front (RAS+ y).
    A,
    /// Towards the back.
    P,
    /// Towards the head (RAS+ z).
    S,
    /// Towards the feet.
    I,
}

impl AxisCode {
    /// Patient axis 0 (right-left), 1 (anterior-posterior) or 2 (superior-inferior).
    #[must_use]
    pub fn patient_axis(self) -> usize {
        match self {
            Self::R | Self::L => 0,
            Self::A | Self::P => 1,
            Self::S | Self::I => 2,
        }
    }

    /// True for R, A and S, the positive directions of RAS+.
    #[must_use]
    pub fn is_positive(self) -> bool {
        matches!(self, Self::R | Self::A | Self::S)
    }

    pub(crate) fn from_patient_axis(axis: usize, positive: bool) -> Self {
        match (axis, positive) {
            (0, true) => Self::R,
            (0, false) => Self::L,
            (1, true) => Self::A,
            (1, false) => Self::P,
            (_, true) => Self::S,
            (_, false) => Self::I,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::R => 'R',
            Self::L => 'L',
            Self::A => 'A',
            Self::P => 'P',
            Self::S => 'S',
            Self::I => 'I',
        }
    }
}

/// One axis code per array axis, such as "LPS"; each patient axis occurs once, so there are 48.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Orientation([AxisCode; 3]);

impl Orientation {
    /// NIfTI's canonical axes: right, anterior, superior.
    pub const RAS: Self = Self([AxisCode::R, AxisCode::A, AxisCode::S]);
    /// DICOM's axes, and the radiological display plane: column to the patient's left, row to the
    /// back, slices from feet to head.
    pub const LPS: Self = Self([AxisCode::L, AxisCode::P, AxisCode::S]);

    /// From three codes; `None` if a patient axis occurs twice.
    #[must_use]
    pub fn from_codes(codes: [AxisCode; 3]) -> Option<Self> {
        let mut seen = [false; 3];
        for code in codes {
            seen[code.patient_axis()] = true;
        }
        seen.iter().all(|&s| s).then_some(Self(codes))
    }

    /// The three codes, array axis 0 first.
    #[must_use]
    pub fn codes(self) -> [AxisCode; 3] {
        self.0
    }

    /// All 48 orientations, in a fixed order.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let mut all = Vec::with_capacity(48);
        for order in orders {
            for signs in 0..8_u8 {
                let code = |n: usize| AxisCode::from_patient_axis(order[n], signs & (1 << n) == 0);
                all.push(Self([code(0), code(1), code(2)]));
            }
        }
        all
    }

    /// An affine with these axes, the given spacing in mm, and voxel (0, 0, 0) at the origin.
    #[must_use]
    pub fn affine(self, spacing_mm: [f64; 3]) -> Affine {
        let steps = std::array::from_fn(|axis| {
            let code = self.0[axis];
            let mut step = [0.0; 3];
            step[code.patient_axis()] = if code.is_positive() { spacing_mm[axis] } else { -spacing_mm[axis] };
            step
        });
        Affine::from_columns(steps, [0.0; 3])
    }

    /// How an array with these axes becomes one with the axes of `target`.
    #[must_use]
    pub fn transform_to(self, target: Self) -> AxisTransform {
        let mut transform = AxisTransform { source_axis: [0; 3], flip: [false; 3] };
        for (out, code) in target.0.into_iter().enumerate() {
            for (source, from) in self.0.into_iter().enumerate() {
                // An orientation holds each patient axis once, so this is true for one source.
                if from.patient_axis() == code.patient_axis() {
                    transform.source_axis[out] = source;
                    transform.flip[out] = from.is_positive() != code.is_positive();
                }
            }
        }
        transform
    }
}

impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0.map(AxisCode::letter);
        write!(f, "{a}{b}{c}")
    }
}

impl fmt::Debug for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Orientation({self})")
    }
}

/// Text that is not one of the 48 axis-code triples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an orientation: write three letters, one each of R/L, A/P and S/I, such as `LPS`")]
pub struct ParseOrientationError(pub String);

impl FromStr for Orientation {
    type Err = ParseOrientationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseOrientationError(text.to_owned());
        let code = |letter: char| match letter.to_ascii_uppercase() {
            'R' => Some(AxisCode::R),
            'L' => Some(AxisCode::L),
            'A' => Some(AxisCode::A),
            'P' => Some(AxisCode::P),
            'S' => Some(AxisCode::S),
            'I' => Some(AxisCode::I),
            _ => None,
        };
        let codes: Option<Vec<AxisCode>> = text.chars().map(code).collect();
        let codes: [AxisCode; 3] = codes.and_then(|c| c.try_into().ok()).ok_or_else(error)?;
        Self::from_codes(codes).ok_or_else(error)
    }
}

/// Axis moves and flips from one array to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisTransform {
    /// For each output axis, the input axis it is taken from.
    pub source_axis: [usize; 3],
    /// For each output axis, whether it runs against its input axis.
    pub flip: [bool; 3],
}

impl AxisTransform {
    /// The input voxel index that stands at an output voxel index.
    ///
    /// `input_shape` is the shape before the transform.
    #[must_use]
    pub fn source_index(&self, output: [usize; 3], input_shape: [usize; 3]) -> [usize; 3] {
        let mut input = [0; 3];
        for (axis, index) in output.into_iter().enumerate() {
            let source = self.source_axis[axis];
            input[source] = if self.flip[axis] { input_shape[source] - 1 - index } else { index };
        }
        input
    }

    /// The shape after the transform.
    #[must_use]
    pub fn output_shape(&self, input_shape: [usize; 3]) -> [usize; 3] {
        self.source_axis.map(|axis| input_shape[axis])
    }

    /// A view of `array` with axes moved and flipped; no voxel is copied.
    #[must_use]
    pub fn view<'a, T>(&self, array: &'a ndarray::Array3<T>) -> ndarray::ArrayView3<'a, T> {
        let mut view = array.view().permuted_axes(self.source_axis);
        for axis in 0..3 {
            if self.flip[axis] {
                view.invert_axis(ndarray::Axis(axis));
            }
        }
        view
    }

    /// The affine of the array after the transform.
    #[must_use]
    pub fn affine(&self, input: &Affine, input_shape: [usize; 3]) -> Affine {
        let mut origin_index = [0.0; 3];
        let mut steps = [[0.0; 3]; 3];
        for (axis, step) in steps.iter_mut().enumerate() {
            let source = self.source_axis[axis];
            let column = input.column(source);
            *step = if self.flip[axis] { column.map(|v| -v) } else { column };
            if self.flip[axis] {
                origin_index[source] = (input_shape[source].max(1) - 1) as f64;
            }
        }
        Affine::from_columns(steps, input.apply(origin_index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn text_round_trip_and_errors() {
        for orientation in Orientation::all() {
            assert_eq!(orientation.to_string().parse::<Orientation>().unwrap(), orientation);
        }
        assert_eq!(Orientation::all().len(), 48);
        for bad in ["", "RA", "RRS", "RASP", "XYZ", "RLS"] {
            assert!(bad.parse::<Orientation>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_pair_of_orientations_keeps_patient_positions() {
        let shape = [2, 3, 4];
        let array = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| i * 100 + j * 10 + k);
        for from in Orientation::all() {
            let affine = from.affine([0.5, 0.7, 2.0]);
            for to in Orientation::all() {
                let transform = from.transform_to(to);
                let moved = transform.view(&array);
                let moved_affine = transform.affine(&affine, shape);
                assert_eq!(moved_affine.orientation(), to);
                for ((i, j, k), &value) in moved.indexed_iter() {
                    let source = transform.source_index([i, j, k], shape);
                    assert_eq!(array[source], value);
                    let a = moved_affine.apply([i as f64, j as f64, k as f64]);
                    let b = affine.apply(source.map(|v| v as f64));
                    assert!((0..3).all(|n| (a[n] - b[n]).abs() < 1e-12));
                }
            }
        }
    }
}
