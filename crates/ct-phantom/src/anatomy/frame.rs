//! The size of a patient and where the organs' reference positions land in it.

use crate::draws::Draws;
use crate::vector::{Vec3, vec3};

/// An oval with different depth in front and behind, between an ellipse and a rounded rectangle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oval {
    pub(crate) half_width: f32,
    pub(crate) front: f32,
    pub(crate) back: f32,
    /// 0 is an ellipse, 1 a fourth-power oval.
    pub(crate) squareness: f32,
}

impl Oval {
    /// Distance along the ray from the middle, in mm; negative inside.
    #[inline]
    pub(crate) fn distance(&self, x: f32, y: f32) -> f32 {
        let (u, v) = (x / self.half_width, y / if y < 0.0 { self.front } else { self.back });
        let (u2, v2) = (u * u, v * v);
        let round = (u2 + v2).sqrt();
        let square = (u2 * u2 + v2 * v2).sqrt().sqrt();
        let r = round + (square - round) * self.squareness;
        let length = (x * x + y * y).sqrt();
        if r < 1e-4 { -self.front } else { length * (1.0 - 1.0 / r) }
    }

    /// Half of the width at height `y` of a box around the oval grown by `margin`; 0 if it misses it.
    pub(crate) fn half_chord(&self, y: f32, margin: f32) -> f32 {
        let reach = margin + if y < 0.0 { self.front } else { self.back };
        let v = y / reach;
        if v.abs() >= 1.0 {
            return 0.0;
        }
        // The fourth-power oval holds both forms.
        (self.half_width + margin) * (1.0 - v * v * v * v).sqrt().sqrt()
    }

    pub(crate) fn scaled(&self, factor: f32) -> Self {
        Self {
            half_width: self.half_width * factor,
            front: self.front * factor,
            back: self.back * factor,
            ..*self
        }
    }
}

/// Body wall and scale of one patient. Origin: middle of the body at the level of the pancreas.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Skin surface.
    pub(crate) skin: Oval,
    /// Boundary between subcutaneous fat and muscle.
    pub(crate) muscle: Oval,
    /// Inside of the wall.
    pub(crate) cavity: Oval,
    /// Middle of the vertebral bodies at z = 0.
    pub(crate) spine_y: f32,
    /// Factors from the reference patient.
    scale: Vec3,
    /// Height where the diaphragm begins to close, and how far it reaches above that, in mm.
    pub(crate) dome_start: f32,
    pub(crate) dome_height: f32,
    /// 0 for a lean patient, 1 for one with much fat around the organs.
    pub(crate) visceral_fat: f32,
}

/// The cavity of the reference patient that positions are written down for.
const REFERENCE: Oval = Oval { half_width: 137.0, front: 87.0, back: 79.0, squareness: 0.0 };
const REFERENCE_SPINE_Y: f32 = 46.0;

impl Frame {
    pub(crate) fn draw(draws: &mut Draws, half_width: f32) -> Self {
        // Large patients are mostly large by fat.
        let size = (half_width - 142.0) / 42.0;
        let fat = 5.0 + 17.0 * size * draws.range(0.5, 1.25) + draws.range(0.0, 7.0);
        let front = half_width * draws.range(0.62, 0.74);
        let back = half_width * draws.range(0.58, 0.66);
        let skin = Oval { half_width, front, back, squareness: draws.range(0.3, 0.55) };
        let muscle = Oval {
            half_width: half_width - 0.75 * fat,
            front: front - fat * draws.range(0.6, 1.1),
            back: back - 0.8 * fat,
            squareness: skin.squareness,
        };
        let wall = draws.range(11.0, 15.0);
        let cavity = Oval {
            half_width: muscle.half_width - wall,
            front: muscle.front - 0.75 * wall,
            back: muscle.back - 1.75 * wall,
            squareness: skin.squareness * 0.8,
        };
        let spine_y = muscle.back - draws.range(50.0, 55.0);
        let scale = vec3(
            cavity.half_width / REFERENCE.half_width,
            (cavity.front + spine_y) / (REFERENCE.front + REFERENCE_SPINE_Y),
            draws.range(0.93, 1.08),
        );
        Self {
            skin,
            muscle,
            cavity,
            spine_y,
            scale,
            dome_start: draws.range(14.0, 30.0),
            dome_height: draws.range(74.0, 90.0),
            visceral_fat: (0.25 + 0.6 * size + draws.spread(0.35)).clamp(0.0, 1.0),
        }
    }

    /// From a position in the reference patient to this patient, mm.
    pub(crate) fn at(&self, x: f32, y: f32, z: f32) -> Vec3 {
        vec3(x * self.scale.x, self.spine_y + (y - REFERENCE_SPINE_Y) * self.scale.y, z * self.scale.z)
    }

    /// From a size in the reference patient; organs vary less than bodies do.
    pub(crate) fn size(&self, x: f32, y: f32, z: f32) -> Vec3 {
        let damped = |s: f32| 0.5 + 0.5 * s;
        vec3(x * damped(self.scale.x), y * damped(self.scale.y), z * damped(self.scale.z))
    }
}
