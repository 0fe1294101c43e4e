//! Vertebrae: body with cortical shell, disc, canal, arch and processes.
//!
//! Painted in unbent space, so that bone keeps its form.

use super::row::Row;
use crate::anatomy::Anatomy;
use crate::label::PhantomLabel as Label;

/// Distance to a flat bar in the plane, from `a` to `b`.
fn bar(p: (f32, f32), a: (f32, f32), b: (f32, f32), half: f32) -> f32 {
    let (px, py) = (p.0 - a.0, p.1 - a.1);
    let (bx, by) = (b.0 - a.0, b.1 - a.1);
    let t = ((px * bx + py * by) / (bx * bx + by * by)).clamp(0.0, 1.0);
    let (dx, dy) = (px - bx * t, py - by * t);
    (dx * dx + dy * dy).sqrt() - half
}

pub(super) fn paint(row: &mut Row, anatomy: &Anatomy) {
    let (spine, tissue) = (&anatomy.spine, &anatomy.tissue);
    let z = row.z_row;
    let center_y = anatomy.frame.spine_y - spine.curve * z * z;
    if (row.y_row - center_y - 10.0).abs() > 62.0 {
        return;
    }
    // Place within one vertebra: 0 at the disc's middle, 0.5 at the body's.
    let turns = (z - spine.disc_z) / spine.pitch_mm;
    let phase = turns - turns.floor();
    let from_disc = (phase.min(1.0 - phase)) * spine.pitch_mm;
    let disc_half = 4.2;
    let waist = 1.0 - 0.10 * ((from_disc - disc_half) / (spine.pitch_mm * 0.5 - disc_half)).clamp(0.0, 1.0);
    let (half_width, half_depth) = (spine.half_width * waist, spine.half_depth * waist);
    let in_body = disc_half - from_disc; // negative inside the bone, along z
    let y = row.y_row - center_y;
    let canal_y = spine.half_depth + 6.5;
    for i in row.points().columns(-52.0, 52.0) {
        let x = row.flat_x(i);
        let p = (x.abs(), y);
        // The arch: pedicles in the upper half, laminae sloping down to the spinous process.
        let mut arch = bar(p, (9.0, canal_y + 9.0), (2.0, canal_y + 14.0), 3.8);
        if (0.5..0.86).contains(&phase) {
            arch = arch.min(bar(p, (13.0, half_depth - 6.0), (13.5, canal_y + 8.0), 4.2));
        } else {
            // Facet joints, at the height of the disc.
            arch = arch.min(bar(p, (16.5, canal_y + 6.0), (18.0, canal_y + 12.0), 4.6));
        }
        if (0.42..0.72).contains(&phase) {
            arch = arch.min(bar(p, (14.0, canal_y + 6.0), (36.0, canal_y + 14.0), 3.0));
        }
        let spinous =
            bar(p, (0.0, canal_y + 14.0), (0.0, canal_y + if phase < 0.62 { 33.0 } else { 20.0 }), 2.8);
        // In lean patients the tip would reach the skin: it ends under it.
        arch = arch.min(spinous.max(row.skin[i] + 6.0));
        arch += 0.5 * row.mottle[i];
        if arch < 1.0 {
            row.mix(i, tissue.cortical * 0.95 + 35.0 * row.grain[i], arch, Label::Spine);
            row.mix(i, tissue.trabecular + 60.0 + 40.0 * row.grain[i], arch + 1.7, Label::Spine);
        }
        let (u, v) = (x / half_width, y / half_depth);
        let (u2, v2) = (u * u, v * v);
        let round = (u2 + v2).sqrt();
        let square = (u2 * u2 + v2 * v2).sqrt().sqrt();
        let r = 0.55 * round + 0.45 * square;
        let reach = (x * x + y * y).sqrt();
        let side = if r > 1e-3 { reach * (1.0 - 1.0 / r) } else { -half_depth };
        // The back of the body is hollowed by the canal.
        let hollow = 7.5 - (x * x * 0.45 + (y - canal_y - 1.0) * (y - canal_y - 1.0)).sqrt();
        let side = side.max(hollow - 1.0) + 0.35 * row.mottle[i];
        if side < 1.0 {
            let disc = 88.0 + 4.0 * row.mottle[i];
            row.mix(i, disc, side, Label::Spine);
            let bone = side.max(in_body);
            let cortical = tissue.cortical * (0.75 + 0.08 * row.mottle[i]);
            row.mix(i, cortical, bone, Label::Spine);
            let vein = (1.0 - ((phase - 0.5).abs() * 9.0)).max(0.0)
                * (1.0 - (p.0 * 0.16)).max(0.0)
                * if y > 0.0 { 1.0 } else { 0.0 };
            let marrow = tissue.trabecular + 24.0 * row.grain[i] + 9.0 * row.mottle[i] - 70.0 * vein;
            row.mix(i, marrow, side.max(in_body + 0.4) + 1.5, Label::Spine);
        }
        // Canal: fat rim, sac, and the cord's slightly brighter middle.
        let canal = (x * x * 0.75 + (y - canal_y - 1.0) * (y - canal_y - 1.0)).sqrt() - 8.2;
        if canal < 1.0 {
            row.mix(i, -40.0, canal, Label::Spine);
            let cord = if canal < -4.0 { 40.0 } else { 22.0 };
            row.mix(i, cord + 2.0 * row.mottle[i], canal + 1.6, Label::Spine);
        }
    }
}
