//! Smooth three-dimensional noise: random values on a lattice, joined by quadratic B-splines.

use crate::draws::Draws;
use crate::vector::Vec3;

const SIZE: usize = 32;
/// A spline of unit-variance values has about this deviation in 3-D: (0.55^1.5).
const SPLINE_DEVIATION: f32 = 0.408;

/// 32³ random values, periodic. Fields that must not be alike read it at far offsets.
pub(crate) struct Lattice(Vec<f32>);

/// One noise field: how the lattice is laid over the patient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Lattice cells per mm, per axis.
    per_mm: Vec3,
    /// In cells.
    offset: Vec3,
}

/// A field along one image row, reduced to a table over x.
pub(crate) struct FieldRow {
    table: [f32; SIZE],
    per_mm: f32,
    offset: f32,
}

impl Field {
    /// A field with blobs of about `cell_mm`, placed at random.
    pub(crate) fn new(draws: &mut Draws, cell_mm: Vec3) -> Self {
        let per_mm = Vec3 { x: 1.0 / cell_mm.x, y: 1.0 / cell_mm.y, z: 1.0 / cell_mm.z };
        // A positive offset keeps every index positive: a patient is under 300 cells wide.
        let mut offset = || 512.0 + draws.range(0.0, 32.0);
        Self { per_mm, offset: Vec3 { x: offset(), y: offset(), z: offset() } }
    }

    pub(crate) fn isotropic(draws: &mut Draws, cell_mm: f32) -> Self {
        Self::new(draws, Vec3 { x: cell_mm, y: cell_mm, z: cell_mm })
    }
}

/// Lattice index of the middle tap and the three spline weights.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "offsets keep positions between 0 and 2^12 cells"
)]
fn taps(position: f32) -> (usize, [f32; 3]) {
    let nearest = position + 0.5;
    let index = nearest as u32;
    let t = nearest - index as f32; // [0, 1), 0.5 at the lattice point
    let u = 1.0 - t;
    (index as usize, [0.5 * u * u, 0.5 + t * u, 0.5 * t * t])
}

impl Lattice {
    pub(crate) fn new(draws: &mut Draws) -> Self {
        Self((0..SIZE * SIZE * SIZE).map(|_| draws.bell() * (1.0 / SPLINE_DEVIATION)).collect())
    }

    /// The field along the row at (y, z).
    pub(crate) fn row(&self, field: &Field, y_mm: f32, z_mm: f32) -> FieldRow {
        let (jy, wy) = taps(y_mm * field.per_mm.y + field.offset.y);
        let (kz, wz) = taps(z_mm * field.per_mm.z + field.offset.z);
        let mut table = [0.0; SIZE];
        for (dz, wz) in wz.into_iter().enumerate() {
            for (dy, wy) in wy.into_iter().enumerate() {
                let plane = (kz + SIZE + dz - 1) % SIZE * SIZE + (jy + SIZE + dy - 1) % SIZE;
                let line = &self.0[plane * SIZE..][..SIZE];
                let weight = wz * wy;
                for (sum, value) in table.iter_mut().zip(line) {
                    *sum += weight * value;
                }
            }
        }
        FieldRow { table, per_mm: field.per_mm.x, offset: field.offset.x }
    }

    /// The field at one point, about unit variance.
    pub(crate) fn at(&self, field: &Field, p: Vec3) -> f32 {
        self.row(field, p.y, p.z).at(p.x)
    }
}

impl FieldRow {
    #[inline]
    pub(crate) fn at(&self, x_mm: f32) -> f32 {
        let (i, w) = taps(x_mm * self.per_mm + self.offset);
        let tap = |n: usize| self.table[(i + SIZE - 1 + n) % SIZE];
        w[0] * tap(0) + w[1] * tap(1) + w[2] * tap(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Purpose;
    use crate::spec::Layout;
    use crate::vector::vec3;

    #[test]
    fn fields_are_smooth_and_of_about_unit_variance() {
        let mut draws = Draws::new(3, Layout::Msd, 0, Purpose::Lattice);
        let lattice = Lattice::new(&mut draws);
        let field = Field::isotropic(&mut draws, 10.0);
        let mut squares = 0.0;
        let (mut n, mut largest_step) = (0.0, 0.0_f32);
        for z in 0..40 {
            for y in 0..40 {
                let row = lattice.row(&field, y as f32 * 7.0, z as f32 * 7.0);
                for x in 0..40 {
                    let value = row.at(x as f32 * 7.0);
                    assert_eq!(
                        value,
                        lattice.at(&field, vec3(x as f32 * 7.0, y as f32 * 7.0, z as f32 * 7.0))
                    );
                    largest_step = largest_step.max((row.at(x as f32 * 7.0 + 0.1) - value).abs());
                    squares += value * value;
                    n += 1.0;
                }
            }
        }
        assert!((0.6..1.5).contains(&(squares / n)), "{}", squares / n);
        assert!(largest_step < 0.1, "{largest_step}");
    }
}
