//! Where the middle of the body is in the image.

use ndarray::{ArrayView3, Axis};

use crate::plane::PlaneMap;

/// Above this the sample is body (or table), below it air: half way between air and soft tissue.
const BODY_HU: f32 = -400.0;
/// Every fourth voxel along each axis: a centroid needs no more.
const STEP: usize = 4;

/// Mean image column of all voxels above -400 HU, or `None` if there are none: the line that
/// [`KidneyRule::Fixed`](crate::KidneyRule::Fixed) takes for the body's midline where the body is
/// not in the middle of the image.
///
/// # Shapes
/// - `hu`: `[i, j, k]`
///
/// # Units
/// HU in; a column of the mapped plane out, pixel centers at whole numbers.
#[must_use]
pub fn body_midline_col(hu: ArrayView3<'_, f32>, plane: PlaneMap) -> Option<f64> {
    let (mut count, mut sum) = (0_u64, 0_u64);
    for slice in hu.axis_iter(Axis(2)).step_by(STEP) {
        let plane = plane.view(slice);
        for (col, pixels) in plane.columns().into_iter().enumerate().step_by(STEP) {
            let n_body = pixels.iter().step_by(STEP).filter(|&&v| v > BODY_HU).count() as u64;
            count += n_body;
            sum += n_body * col as u64;
        }
    }
    (count > 0).then(|| sum as f64 / count as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn centroid_of_an_off_center_body() {
        // Body in i 40..=80 of 101: column i for Display, 100 - i for FlipBoth.
        let hu = Array3::from_shape_fn(
            (101, 33, 5),
            |(i, _, _)| if (40..=80).contains(&i) { 40.0 } else { -1000.0 },
        );
        assert_eq!(body_midline_col(hu.view(), PlaneMap::Display), Some(60.0));
        assert_eq!(body_midline_col(hu.view(), PlaneMap::FlipBoth), Some(40.0));
        let air = Array3::from_elem((8, 8, 2), f32::NAN);
        assert_eq!(body_midline_col(air.view(), PlaneMap::Display), None);
    }
}
