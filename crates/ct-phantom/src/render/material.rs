//! Painting one organ's part of a row.

use std::ops::Range;

use super::row::Row;
use crate::anatomy::{Content, Layer, Material};
use crate::label::PhantomLabel as Label;
use crate::shape::FAR;

/// Evaluates a layer's shape along the row and paints it.
pub(super) fn paint_layer(row: &mut Row, layer: &Layer, fat_hu: f32) {
    let mut distance = std::mem::take(&mut row.distance);
    let margin = layer.halo_mm + 1.0 / row.per_edge;
    let columns = layer.shape.row(&row.points(), &row.abdomen, margin, &mut distance);
    paint(row, layer, &distance, columns.clone(), fat_hu);
    distance[columns].fill(FAR);
    row.distance = distance;
}

fn paint(row: &mut Row, layer: &Layer, distance: &[f32], columns: Range<usize>, fat_hu: f32) {
    let half_edge = 0.5 / row.per_edge;
    for i in columns {
        let d = distance[i];
        if d > layer.halo_mm + half_edge || layer.only_on.is_some_and(|label| row.label[i] != label) {
            continue;
        }
        // Muscles of the back lie behind the cavity and keep their rim there.
        let may_rim = row.abdomen[i] < -1.0 || (layer.label == Label::Muscle && row.muscle[i] < -3.0);
        if layer.halo_mm > 0.0 && may_rim {
            let fat = row.fat_hu(fat_hu, i);
            row.mix(i, fat, d - layer.halo_mm, Label::Fat);
        }
        match layer.material {
            Material::Solid { hu, texture_hu } => {
                let hu = hu + texture_hu * (0.7 * row.grain[i] + 0.5 * row.mottle[i] + 0.5 * row.drift[i]);
                row.mix(i, hu, d, layer.label);
            }
            Material::Muscle { hu } => {
                // Back muscles end at the fat under the skin.
                let hu = row.muscle_hu(hu, i);
                row.mix(i, hu, d.max(row.muscle[i] + 1.0), layer.label);
            }
            Material::Fat => {
                let hu = row.fat_hu(fat_hu, i);
                row.mix(i, hu, d, layer.label);
            }
            Material::Kidney { cortex_hu, medulla_hu, cortex_mm } => {
                // Columns of cortex reach down between the pyramids.
                let depth = -d - cortex_mm - 3.0 * row.mottle[i];
                let medulla = (0.5 + depth * 0.35).clamp(0.0, 1.0);
                let hu = cortex_hu + (medulla_hu - cortex_hu) * medulla + 2.0 * row.grain[i];
                row.mix(i, hu, d, layer.label);
            }
            Material::Hollow { wall_mm, wall_hu, content } => {
                let wall = wall_hu + 4.0 * row.grain[i] + 3.0 * row.drift[i];
                row.mix(i, wall, d, layer.label);
                let hu = content_hu(row, content, i);
                row.mix(i, hu, d + wall_mm, layer.label);
            }
        }
    }
}

/// HU inside a hollow organ.
fn content_hu(row: &Row, content: Content, i: usize) -> f32 {
    // A surface between gas and fluid is as soft as any other edge.
    let gas_over = |level_y: f32, hu: f32| {
        let gas = row.cover(row.y_row - level_y);
        hu + (-980.0 - hu) * gas
    };
    match content {
        Content::Fluid { hu, folds_hu } => hu + folds_hu * (0.55 * row.mottle[i] + 0.35 * row.grain[i]),
        Content::GasOverFluid { level_y, hu } => gas_over(level_y, hu + 4.0 * row.mottle[i]),
        Content::Mottled { level_y, hu } => {
            let mash = hu + 28.0 * row.mottle[i] + 22.0 * row.grain[i];
            let bubble = ((row.grain[i] + 0.4 * row.drift[i] - 1.5) * 0.7).clamp(0.0, 0.7);
            // Mash does not lie level: its surface follows the mottle.
            gas_over(level_y + 3.0 * row.drift[i] + 2.0 * row.mottle[i], mash + (-900.0 - mash) * bubble)
        }
    }
}
