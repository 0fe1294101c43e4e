//! Points in millimetres and the few scalar functions that shapes need.
//!
//! Only operations that IEEE 754 defines exactly (`+ - * /`, square root) are used on voxels, so
//! that a phantom is the same on every machine; sines come from a polynomial here, not from the
//! platform's library.

use std::ops::{Add, Mul, Sub};

/// A point or step in mm: x to the patient's left, y to the back, z to the head (LPS).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Vec3 {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) z: f32,
}

pub(crate) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub(crate) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(crate) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// Component by component.
    pub(crate) fn times(self, other: Self) -> Self {
        vec3(self.x * other.x, self.y * other.y, self.z * other.z)
    }

    pub(crate) fn lerp(self, other: Self, t: f32) -> Self {
        self + (other - self) * t
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        vec3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        vec3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        vec3(self.x * factor, self.y * factor, self.z * factor)
    }
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(crate) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Union of two distances with a fillet of about `radius`.
pub(crate) fn smooth_min(a: f32, b: f32, radius: f32) -> f32 {
    let h = (radius - (a - b).abs()).max(0.0) / radius;
    a.min(b) - h * h * radius * 0.25
}

/// Sine of an angle in turns, within 0.0013 (Bhaskara's parabola with one refinement).
pub(crate) fn sin_turns(turns: f32) -> f32 {
    let t = turns - turns.floor(); // [0, 1)
    let (half, sign) = if t < 0.5 { (t, 1.0) } else { (t - 0.5, -1.0) };
    let parabola = 16.0 * half * (0.5 - half);
    sign * parabola * (0.775 + 0.225 * parabola)
}

/// Cosine of an angle in turns.
pub(crate) fn cos_turns(turns: f32) -> f32 {
    sin_turns(turns + 0.25)
}

/// The whole number below `x`, kept in `0..=max`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=max first")]
pub(crate) fn index_below(x: f32, max: usize) -> usize {
    x.clamp(0.0, max as f32) as usize
}

/// Whole HU as stored; every phantom value is far inside the range.
pub(crate) fn round_hu(hu: f32) -> f32 {
    hu.clamp(-1024.0, 3071.0).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_are_close_to_sines() {
        for n in -300..300 {
            let turns = n as f32 / 100.0;
            let expected = (f64::from(turns) * std::f64::consts::TAU).sin();
            assert!((f64::from(sin_turns(turns)) - expected).abs() < 2e-3, "{turns}");
        }
    }

    #[test]
    fn smooth_minimum_is_a_minimum_far_away() {
        assert_eq!(smooth_min(1.0, 9.0, 4.0), 1.0);
        assert!(smooth_min(1.0, 1.0, 4.0) < 1.0);
    }
}
