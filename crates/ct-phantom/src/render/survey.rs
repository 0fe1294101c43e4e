//! A quick look at the gland's box, for balancing patients.

use super::row::Row;
use super::{Scene, paint_row};
use crate::label::PhantomLabel as Label;
use crate::patient::Patient;
use crate::vector::index_below;

/// Width and height of the gland's box in mm, and the shares of 16 intensity bins in it (window
/// -150..250 HU), in the plane of the mass, without noise and with the mass as a bulge.
pub(crate) struct Survey(pub(crate) [f32; Self::N]);

impl Survey {
    const BINS: usize = 16;
    pub(crate) const N: usize = 2 + Self::BINS;
    /// Deviations over patients.
    pub(crate) const DEVIATIONS: [f32; Self::N] = [
        24.4, 9.4, 0.029, 0.074, 0.052, 0.013, 0.016, 0.022, 0.039, 0.039, 0.076, 0.079, 0.070, 0.022, 0.033,
        0.031, 0.012, 0.021,
    ];
}

pub(crate) fn survey(patient: &Patient) -> Survey {
    const PIXEL_MM: f32 = 3.0;
    let scene = Scene { patient, tumor: false };
    let mass = &patient.mass;
    // The gland's box with room for lobules, bending and the mass.
    let (low, high) = patient.anatomy.pancreas.plane_box(mass.center.z);
    let room = 12.0;
    let (x_start, y_start) =
        (low.0.min(mass.center.x - mass.radius_mm) - room, low.1.min(mass.center.y - mass.radius_mm) - room);
    let (x_end, y_end) = (
        high.0.max(mass.center.x + mass.radius_mm) + room,
        high.1.max(mass.center.y + mass.radius_mm) + room,
    );
    let columns = index_below((x_end - x_start) / PIXEL_MM, 100) + 1;
    let rows = index_below((y_end - y_start) / PIXEL_MM, 100) + 1;
    let mut row = Row::new(columns, x_start, PIXEL_MM, PIXEL_MM);
    let mut hu = Vec::with_capacity(rows * columns);
    let (mut low, mut high) = ((columns, rows), (0, 0));
    for j in 0..rows {
        row.begin(&patient.anatomy, y_start + j as f32 * PIXEL_MM, mass.center.z);
        paint_row(&mut row, &scene);
        hu.extend_from_slice(&row.hu);
        for i in (0..columns).filter(|&i| row.label[i] == Label::Pancreas) {
            low = (low.0.min(i), low.1.min(j));
            high = (high.0.max(i), high.1.max(j));
        }
    }
    let mut values = [0.0; Survey::N];
    if low.0 > high.0 {
        return Survey(values);
    }
    let (width, height) = (high.0 - low.0 + 1, high.1 - low.1 + 1);
    values[0] = width as f32 * PIXEL_MM;
    values[1] = height as f32 * PIXEL_MM;
    for line in hu.chunks_exact(columns).skip(low.1).take(height) {
        for &value in &line[low.0..=high.0] {
            let bin = index_below((value + 150.0) / 25.0, Survey::BINS - 1);
            values[2 + bin] += 1.0 / (width * height) as f32;
        }
    }
    Survey(values)
}
