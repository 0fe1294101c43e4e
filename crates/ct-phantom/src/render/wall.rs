//! Skin, fat and muscle of the body wall, diaphragm and lungs, ribs, table.

use super::row::Row;
use crate::anatomy::Anatomy;
use crate::label::PhantomLabel as Label;
use crate::vector::{cos_turns, smoothstep};

/// Evaluates the surfaces of wall and diaphragm along the row.
pub(super) fn measure(row: &mut Row, anatomy: &Anatomy) {
    let frame = &anatomy.frame;
    // The chest is a little narrower than the waist line of the reference.
    let narrowing = 1.0 - 0.05 * smoothstep(30.0, 130.0, row.z_row);
    let (skin, muscle, cavity) =
        (frame.skin.scaled(narrowing), frame.muscle.scaled(narrowing), frame.cavity.scaled(narrowing));
    for i in row.span.clone() {
        let (x, y) = (row.x[i], row.y[i]);
        // The groove over the spinous processes.
        let groove = if y > 0.0 { 7.0 * (1.0 - x * x * (1.0 / 900.0)).max(0.0) } else { 0.0 };
        row.skin[i] = skin.distance(x, y) + groove;
        row.muscle[i] = muscle.distance(x, y) + groove;
        row.cavity[i] = cavity.distance(x, y);
        // The diaphragm: the cavity's outline shrinks like a dome; higher on the right, and leaving
        // the wall in front last.
        let height = frame.dome_height * (1.0 - 0.11 * x / cavity.half_width);
        let up = (row.z[i] - frame.dome_start).max(0.0) / height;
        row.abdomen[i] = if up <= 0.0 {
            row.cavity[i]
        } else if up < 1.0 {
            let shrink = (1.0 - up * up * up).sqrt();
            let forward = 0.72 * cavity.front * (1.0 - shrink);
            cavity.scaled(shrink).distance(x, y + forward).max(row.cavity[i])
        } else {
            // Above the dome, by how much.
            ((up - 1.0) * height + 2.0).max(row.cavity[i])
        };
    }
}

/// Paints from the skin inwards to the fat of the cavity and the lungs.
pub(super) fn paint(row: &mut Row, anatomy: &Anatomy) {
    let (tissue, frame) = (&anatomy.tissue, &anatomy.frame);
    let edge = 1.0 / row.per_edge;
    for i in row.span.clone() {
        let (skin, muscle, cavity) = (row.skin[i], row.muscle[i], row.cavity[i]);
        if skin > edge {
            continue;
        }
        row.mix(i, 25.0, skin, Label::Skin);
        if skin + 1.8 < edge {
            let hu = tissue.fat + 4.0 * row.mottle[i] + 26.0 * (1.0 - row.strands[i].abs() * 11.0).max(0.0);
            row.mix(i, hu, skin + 1.8, Label::Fat);
        }
        if muscle < edge {
            let hu = wall_hu(row, i, tissue.muscle, tissue.fat);
            row.mix(i, hu, muscle, Label::Muscle);
        }
        if cavity < edge {
            let hu = row.fat_hu(tissue.fat, i);
            row.mix(i, hu, cavity, Label::Fat);
            // Where the diaphragm has left the wall there is lung, and the diaphragm under it.
            let above = row.abdomen[i];
            if row.z[i] > frame.dome_start && above > -3.5 {
                let hu = row.muscle_hu(tissue.muscle, i);
                row.mix(i, hu, -3.0 - above, Label::Muscle);
                let vessel = ((row.grain[i] * 0.6 + row.mottle[i] - 1.5) * 1.2).clamp(0.0, 1.0);
                let hu = -870.0 + 26.0 * row.drift[i] + 700.0 * vessel;
                row.mix(i, hu, (-above).max(cavity + 2.0), Label::Lung);
            }
        }
    }
}

/// Muscle of the wall: three flat layers on the sides, the white line in front.
fn wall_hu(row: &Row, i: usize, muscle: f32, fat: f32) -> f32 {
    let thickness = row.cavity[i] - row.muscle[i];
    let depth = if thickness > 1.0 { -row.muscle[i] / thickness } else { 0.5 };
    let (x, y) = (row.x[i], row.y[i]);
    let hu = row.muscle_hu(muscle, i);
    let side = smoothstep(38.0, 60.0, x.abs()) * smoothstep(45.0, 15.0, y);
    let seam = |at: f32| (1.0 - (depth - at).abs() * thickness * 0.9).max(0.0);
    let between = (seam(0.36) + seam(0.68)).min(1.0) * side * (0.55 + 0.3 * row.drift[i]).clamp(0.0, 1.0);
    let white_line = if y < 0.0 { (1.0 - x.abs() * 0.3).clamp(0.0, 0.7) } else { 0.0 };
    hu + (fat - hu) * between.max(white_line)
}

/// Ribs seven to twelve: bars in the wall that slope down from the spine to the front.
pub(super) fn paint_ribs(row: &mut Row, anatomy: &Anatomy) {
    const PITCH_MM: f32 = 29.0;
    let (spine, tissue) = (&anatomy.spine, &anatomy.tissue);
    let cavity = &anatomy.frame.cavity;
    // Length along the oval from the spine to the side, roughly.
    let quarter = 0.78 * (cavity.half_width + cavity.back);
    for i in row.span.clone() {
        let (x, y) = (row.x[i], row.y[i]);
        let radial = row.cavity[i] - 4.5;
        if radial.abs() > 8.0 || x.abs() < 20.0 {
            continue;
        }
        // 0 behind, 1 at the side, 2 in front.
        let around = 1.0 - y / (x.abs() + y.abs());
        let along = around * quarter;
        let up = row.z[i] + spine.rib_slope * along - spine.rib12_z;
        let number = (up / PITCH_MM + 0.5).floor(); // 0 is the twelfth rib, 1 the eleventh …
        let off = up - number * PITCH_MM;
        if !(0.0..9.0).contains(&number) {
            continue;
        }
        let reach = match number {
            n if n < 0.5 => 0.42,
            n if n < 1.5 => 0.8,
            n => 1.05 + 0.06 * n,
        };
        // Cartilage climbs towards the breastbone instead of sloping on.
        let end = along - reach * quarter;
        let (half_thick, half_high) = (3.4, 6.8);
        let (u, v) = (radial / half_thick, off / half_high);
        let k = (u * u + v * v).sqrt();
        let side = if k > 1e-3 {
            (k - 1.0) * half_thick * (1.0 + v * v / (u * u + v * v)).min(1.8)
        } else {
            -half_thick
        };
        let bone = side.max(end);
        if number >= 2.0 && around > 0.9 {
            let far = side.max(-end).max(end - 55.0);
            let hu = 105.0 + 14.0 * row.mottle[i];
            row.mix(i, hu, far, Label::Rib);
        }
        if bone < 1.0 {
            let hu = tissue.cortical * 0.9 + 30.0 * row.grain[i];
            row.mix(i, hu, bone, Label::Rib);
            let hu = 0.6 * tissue.trabecular + 24.0 * row.grain[i];
            row.mix(i, hu, bone + 1.3, Label::Rib);
        }
    }
}

/// Two curved shells with foam between.
pub(super) fn paint_table(row: &mut Row, anatomy: &Anatomy) {
    let Some(table) = anatomy.table else { return };
    if row.y_row < table.top_y - 60.0 {
        return;
    }
    let half_width = 205.0;
    for i in 0..row.len() {
        let x = row.flat_x(i);
        if x.abs() > half_width || row.skin[i] < 1.0 {
            continue;
        }
        let dy = row.y_row - (table.top_y - table.radius_mm);
        let below = (x * x + dy * dy).sqrt() - table.radius_mm;
        let taper = 34.0 * cos_turns(x / (half_width * 4.0));
        let slab = (-below).max(below - taper);
        row.mix(i, table.shell_hu, slab, Label::Background);
        row.mix(i, -940.0, slab + 2.2, Label::Background);
    }
}
