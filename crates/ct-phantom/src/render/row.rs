//! One image row while it is painted.

use std::ops::Range;

use crate::anatomy::{Anatomy, BEND_MM, RIPPLE_MM};
use crate::label::PhantomLabel as Label;
use crate::shape::{FAR, RowPoints};

/// Most that space is bent by along one axis: three deviations of near-normal noise.
const REACH_MM: f32 = 3.2 * BEND_MM + 3.0 * RIPPLE_MM;

/// Buffers of one row of one plane, reused from row to row.
pub(crate) struct Row {
    /// Bent positions: where each voxel lies in the unbent anatomy.
    pub(crate) x: Vec<f32>,
    pub(crate) y: Vec<f32>,
    pub(crate) z: Vec<f32>,
    /// Noise at each voxel, about unit variance.
    pub(crate) grain: Vec<f32>,
    pub(crate) mottle: Vec<f32>,
    pub(crate) drift: Vec<f32>,
    pub(crate) strands: Vec<f32>,
    pub(crate) streaks: Vec<f32>,
    /// Distances to the skin, to the muscle of the wall, to the inside of the wall, and to the
    /// abdomen's wall or diaphragm.
    pub(crate) skin: Vec<f32>,
    pub(crate) muscle: Vec<f32>,
    pub(crate) cavity: Vec<f32>,
    pub(crate) abdomen: Vec<f32>,
    /// Scratch for one shape; [`FAR`] between uses.
    pub(crate) distance: Vec<f32>,
    pub(crate) second: Vec<f32>,
    /// The picture.
    pub(crate) hu: Vec<f32>,
    pub(crate) label: Vec<Label>,
    /// Unbent position.
    pub(crate) x_start: f32,
    pub(crate) x_step: f32,
    pub(crate) y_row: f32,
    pub(crate) z_row: f32,
    /// 1 / width of an edge.
    pub(crate) per_edge: f32,
    /// Columns that hold the body and a margin; the rest is air and table.
    pub(crate) span: Range<usize>,
}

impl Row {
    pub(crate) fn new(n: usize, x_start: f32, x_step: f32, edge_mm: f32) -> Self {
        let zeros = || vec![0.0; n];
        Self {
            x: zeros(),
            y: zeros(),
            z: zeros(),
            grain: zeros(),
            mottle: zeros(),
            drift: zeros(),
            strands: zeros(),
            streaks: zeros(),
            skin: zeros(),
            muscle: zeros(),
            cavity: zeros(),
            abdomen: zeros(),
            distance: vec![FAR; n],
            second: vec![FAR; n],
            hu: zeros(),
            label: vec![Label::Background; n],
            x_start,
            x_step,
            y_row: 0.0,
            z_row: 0.0,
            per_edge: 1.0 / edge_mm,
            span: 0..0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.hu.len()
    }

    pub(crate) fn flat_x(&self, i: usize) -> f32 {
        self.x_start + i as f32 * self.x_step
    }

    pub(crate) fn points(&self) -> RowPoints<'_> {
        RowPoints {
            x: &self.x,
            y: &self.y,
            z: &self.z,
            x_start: self.x_start,
            x_step: self.x_step,
            y_row: self.y_row,
            z_row: self.z_row,
            reach_mm: REACH_MM,
            span: self.span.clone(),
        }
    }

    /// Moves to the row at (y, z), empties the picture, and evaluates the noise where the body is.
    pub(crate) fn begin(&mut self, anatomy: &Anatomy, y: f32, z: f32) {
        (self.y_row, self.z_row) = (y, z);
        self.hu.fill(-1000.0);
        self.label.fill(Label::Background);
        // Clearly outside; painting the body overwrites it within the span.
        self.skin.fill(50.0);
        let half = anatomy.frame.skin.half_chord(y, REACH_MM + 3.0);
        self.span = 0..self.len();
        self.span = if half > 0.0 { self.points().columns(-half, half) } else { 0..0 };
        if self.span.is_empty() {
            return;
        }
        let field = |f| anatomy.lattice.row(f, y, z);
        let bend = [0, 1, 2].map(|n| field(&anatomy.fields.bend[n]));
        let ripple = [0, 1, 2].map(|n| field(&anatomy.fields.ripple[n]));
        let (grain, mottle) = (field(&anatomy.fields.grain), field(&anatomy.fields.mottle));
        let (drift, strands) = (field(&anatomy.fields.drift), field(&anatomy.fields.strands));
        let streaks = field(&anatomy.fields.streaks);
        for i in self.span.clone() {
            let x = self.flat_x(i);
            let weight = anatomy.bend_weight(x, y);
            let move_by = |n: usize| weight * (BEND_MM * bend[n].at(x) + RIPPLE_MM * ripple[n].at(x));
            self.x[i] = x + move_by(0);
            self.y[i] = y + move_by(1);
            self.z[i] = z + move_by(2);
            self.grain[i] = grain.at(x);
            self.mottle[i] = mottle.at(x);
            self.drift[i] = drift.at(x);
            self.strands[i] = strands.at(x);
            self.streaks[i] = streaks.at(x);
        }
    }

    /// Share of a voxel that lies inside a surface at this distance.
    #[inline]
    pub(crate) fn cover(&self, distance: f32) -> f32 {
        (0.5 - distance * self.per_edge).clamp(0.0, 1.0)
    }

    /// Mixes a tissue in, and takes its label where the voxel's centre is inside.
    #[inline]
    pub(crate) fn mix(&mut self, i: usize, hu: f32, distance: f32, label: Label) {
        self.hu[i] += (hu - self.hu[i]) * self.cover(distance);
        if distance < 0.0 {
            self.label[i] = label;
        }
    }

    /// Fat with its strands (vessels and septa too small to be drawn).
    #[inline]
    pub(crate) fn fat_hu(&self, fat: f32, i: usize) -> f32 {
        let strand =
            (1.0 - self.strands[i].abs() * 6.0).max(0.0) * (0.5 + 0.5 * self.mottle[i]).clamp(0.0, 1.6);
        fat + 4.0 * self.mottle[i] + 5.0 * self.drift[i] + 62.0 * strand
    }

    /// Muscle with streaks of fat.
    #[inline]
    pub(crate) fn muscle_hu(&self, muscle: f32, i: usize) -> f32 {
        let fleck =
            ((self.streaks[i] - 1.1) * 0.9).clamp(0.0, 1.0) * (0.6 + 0.4 * self.drift[i]).clamp(0.1, 1.0);
        muscle + 4.0 * self.grain[i] + 4.0 * self.mottle[i] + 3.0 * self.drift[i] - 95.0 * fleck
    }
}
