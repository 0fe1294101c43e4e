//! The pancreas with its mass.

use super::row::Row;
use crate::anatomy::{Anatomy, Mass};
use crate::label::PhantomLabel as Label;
use crate::shape::FAR;
use crate::vector::{smooth_min, vec3};

/// Paints gland, bulge or tumour, duct, cyst. `tumor` turns the mass from a bulge of parenchyma into
/// a tumour: it changes HU and labels inside the mass (and its fuzzy rim), nothing else.
pub(super) fn paint(row: &mut Row, anatomy: &Anatomy, mass: &Mass, tumor: bool) {
    let gland = &anatomy.pancreas;
    let mut distance = std::mem::take(&mut row.distance);
    let margin = gland.halo_mm + gland.lobulation_mm * 3.0 + 1.0 / row.per_edge + 3.0;
    let (mut first, mut last) = (usize::MAX, 0);
    for part in &gland.parts {
        let columns = part.row(&row.points(), &row.abdomen, margin, &mut distance);
        if !columns.is_empty() {
            first = first.min(columns.start);
            last = last.max(columns.end);
        }
    }
    let reach = mass.radius_mm * 1.5 + margin + row.points().reach_mm;
    if (row.y_row - mass.center.y).abs() < reach && (row.z_row - mass.center.z).abs() < reach {
        let columns = row.points().columns(mass.center.x - reach, mass.center.x + reach);
        if !columns.is_empty() {
            first = first.min(columns.start);
            last = last.max(columns.end);
        }
    }
    if first < last {
        paint_columns(row, anatomy, mass, tumor, &distance, first..last);
        distance[first..last].fill(FAR);
    }
    row.distance = distance;
}

fn paint_columns(
    row: &mut Row,
    anatomy: &Anatomy,
    mass: &Mass,
    tumor: bool,
    distance: &[f32],
    columns: std::ops::Range<usize>,
) {
    let gland = &anatomy.pancreas;
    let fat_hu = anatomy.tissue.fat;
    let lobules = anatomy.lattice.row(&anatomy.fields.lobules, row.y_row, row.z_row);
    let outline = anatomy.lattice.row(&anatomy.fields.mass, row.y_row, row.z_row);
    let mut duct = std::mem::take(&mut row.second);
    let duct_columns = match &mass.duct {
        Some((shape, _)) => shape.row(&row.points(), &row.abdomen, 2.0, &mut duct),
        None => 0..0,
    };
    let half_edge = 0.5 / row.per_edge;
    for i in columns {
        let p = vec3(row.x[i], row.y[i], row.z[i]);
        let x = row.flat_x(i);
        let lobule = lobules.at(x);
        let in_mass = mass.distance(p, outline.at(x));
        let in_gland = distance[i] + gland.lobulation_mm * (lobule.abs() * 1.3 - 0.9);
        // The bulge joins the gland with a fillet, and stays inside the cavity.
        let d = smooth_min(in_gland, in_mass, 2.0).max(row.abdomen[i] + 2.0);
        if d > gland.halo_mm + half_edge {
            continue;
        }
        let fat = row.fat_hu(fat_hu, i);
        row.mix(i, fat, d - gland.halo_mm, Label::Fat);

        // Fat lies between lobules, where the lobule field crosses zero.
        let mut share = gland.fat_share;
        if let Some((center, radius, added)) = mass.focal_fat {
            let near = 1.0 - (p - center).length() / radius;
            share += added * near.clamp(0.0, 0.5) * 2.0;
        }
        let steep = 0.56 / (share + 0.05).min(1.0);
        let depth = 0.2 + share;
        let mut cleft = ((1.0 - lobule.abs() * steep).max(0.0) * depth).min(0.65);
        let healthy =
            gland.hu + 2.5 * row.grain[i] + gland.uneven_hu * (0.8 * row.drift[i] + 0.3 * row.mottle[i]);
        let inside = (0.5 - in_mass / mass.fuzz_mm).clamp(0.0, 1.0);
        if tumor {
            // A tumour has no lobules. It lies below the gland as it looks with its fat: the mean of
            // the clefts takes their place (0.36 / steep: a triangle under the normal density).
            cleft += (0.36 / steep * depth - cleft) * inside;
        }
        let mut hu = healthy + (fat_hu + 15.0 - healthy) * cleft;
        if tumor {
            hu -= mass.contrast_hu * inside * (1.0 + 0.16 * row.mottle[i]).clamp(0.6, 1.3);
        }
        let label = if tumor && in_mass < 0.0 { Label::Tumor } else { Label::Pancreas };
        row.mix(i, hu, d, label);

        if let Some((_, duct_hu)) = mass.duct
            && duct_columns.contains(&i)
            && d < -1.5
            && in_mass > 0.0
        {
            let cover = row.cover(duct[i]);
            row.hu[i] += (duct_hu - row.hu[i]) * cover;
        }
        if let Some((center, radius, cyst_hu)) = mass.cyst
            && d < 0.0
        {
            let cover = row.cover((p - center).length() - radius);
            row.hu[i] += (cyst_hu - row.hu[i]) * cover;
        }
    }
    duct[duct_columns].fill(FAR);
    row.second = duct;
}
