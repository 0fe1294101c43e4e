//! From anatomy to voxels: one plane at a time, one row at a time.

mod gland;
mod material;
mod quantum;
mod row;
mod spine;
mod survey;
mod wall;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::acquisition::Acquisition;
use crate::draws::Draws;
use crate::label::PhantomLabel as Label;
use crate::patient::Patient;
use crate::vector::{round_hu, smoothstep};
use quantum::Quantum;
use row::Row;
pub(crate) use survey::{Survey, survey};

/// HU outside the scanner's circle, as most scanners fill it.
const FILL_HU: f32 = -1024.0;

/// What is rendered.
pub(crate) struct Scene<'a> {
    pub(crate) patient: &'a Patient,
    /// Whether the mass is a tumour or a bulge.
    pub(crate) tumor: bool,
}

/// Renders the slices of `planes` from the lowest up. `store` receives slice, row, HU and labels of each
/// row, columns running to the patient's left and rows to the back; returns false if `cancel` was set.
/// A slice does not depend on which others are rendered.
pub(crate) fn render(
    scene: &Scene<'_>,
    noise_draws: &mut Draws,
    planes: Range<usize>,
    cancel: &AtomicBool,
    mut store: impl FnMut(usize, usize, &[f32], &[Label]),
) -> bool {
    let scan = &scene.patient.scan;
    let n = scan.matrix;
    let grid = Grid::new(scan);
    let mut row = Row::new(n, grid.x_start, grid.pixel, grid.edge);
    let mut quantum = Quantum::new(scan);
    let mut plane = vec![0.0; n * n];
    let mut depth = vec![0.0; n * n];
    let mut labels = vec![Label::Background; n * n];
    for k in planes {
        if cancel.load(Ordering::Relaxed) {
            return false;
        }
        plane.fill(0.0);
        let sub_planes = scan.sub_planes();
        for sub in 0..sub_planes {
            let centered = sub == sub_planes / 2;
            let z = grid.z(k) + (sub as f32 - (sub_planes / 2) as f32) * grid.thickness / sub_planes as f32;
            for j in 0..n {
                row.begin(&scene.patient.anatomy, grid.y(j), z);
                paint_row(&mut row, scene);
                let line = &mut plane[j * n..][..n];
                line.iter_mut().zip(&row.hu).for_each(|(sum, hu)| *sum += hu / sub_planes as f32);
                if centered {
                    labels[j * n..][..n].copy_from_slice(&row.label);
                    depth[j * n..][..n].copy_from_slice(&row.skin);
                }
            }
        }
        quantum.slice(noise_draws, k);
        for j in 0..n {
            let line = &mut plane[j * n..][..n];
            let dy = j as f32 - (n as f32 - 1.0) * 0.5;
            for (i, hu) in line.iter_mut().enumerate() {
                let at = j * n + i;
                let dx = i as f32 - (n as f32 - 1.0) * 0.5;
                if dx * dx + dy * dy > (n * n) as f32 * 0.25 {
                    *hu = FILL_HU;
                    labels[at] = Label::Background;
                    continue;
                }
                // Rays through the middle are the weakest; streaks lie where the body is widest.
                let inner = smoothstep(10.0, -90.0, depth[at]);
                let sigma = scan.noise_hu * (0.5 + 0.5 * inner);
                let streak = scan.noise_hu * 0.22 * inner;
                *hu = round_hu(*hu + sigma * quantum.noise[at] + streak * quantum.streaks[at]);
            }
            store(k, j, line, &labels[j * n..][..n]);
        }
    }
    true
}

/// Positions of voxels in the anatomy's frame, mm.
pub(crate) struct Grid {
    pub(crate) x_start: f32,
    pub(crate) y_start: f32,
    pub(crate) z_start: f32,
    pub(crate) pixel: f32,
    pub(crate) slice: f32,
    thickness: f32,
    edge: f32,
}

impl Grid {
    #[expect(clippy::cast_possible_truncation, reason = "millimetres of a human body")]
    pub(crate) fn new(scan: &Acquisition) -> Self {
        let half = scan.pixel_mm * (scan.matrix as f64 - 1.0) / 2.0;
        let pixel = scan.pixel_mm as f32;
        let edge = scan.kernel.edge_mm();
        Self {
            x_start: (scan.center_mm[0] - half) as f32,
            y_start: (scan.center_mm[1] - half) as f32,
            z_start: scan.z_start_mm as f32,
            pixel,
            slice: scan.slice_mm as f32,
            thickness: scan.thickness_mm as f32,
            edge: (edge * edge + pixel * pixel).sqrt(),
        }
    }

    fn y(&self, j: usize) -> f32 {
        self.y_start + j as f32 * self.pixel
    }

    fn z(&self, k: usize) -> f32 {
        self.z_start + k as f32 * self.slice
    }
}

fn paint_row(row: &mut Row, scene: &Scene<'_>) {
    let Patient { anatomy, mass, .. } = scene.patient;
    let fat = anatomy.tissue.fat;
    if !row.span.is_empty() {
        wall::measure(row, anatomy);
    }
    wall::paint_table(row, anatomy);
    if row.span.is_empty() {
        return;
    }
    wall::paint(row, anatomy);
    for layer in &anatomy.deep {
        material::paint_layer(row, layer, fat);
    }
    for layer in &anatomy.organs {
        material::paint_layer(row, layer, fat);
    }
    for layer in &mass.neighbors {
        material::paint_layer(row, layer, fat);
    }
    if let Some(mimic) = &mass.mimic {
        let layer = if scene.tumor { &mimic.beside_tumor } else { &mimic.beside_bulge };
        material::paint_layer(row, layer, fat);
    }
    for layer in &anatomy.central {
        material::paint_layer(row, layer, fat);
    }
    gland::paint(row, anatomy, mass, scene.tumor);
    for layer in &anatomy.vessels {
        material::paint_layer(row, layer, fat);
    }
    spine::paint(row, anatomy);
    wall::paint_ribs(row, anatomy);
}
