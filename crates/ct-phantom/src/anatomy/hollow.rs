//! Stomach, duodenum, small bowel, colon.

use super::{Content, Frame, Layer, Material, Pancreas, Tissue};
use crate::draws::Draws;
use crate::label::PhantomLabel as Label;
use crate::shape::{Shape, Tube, smooth_line};
use crate::vector::{Vec3, vec3};

/// Colon and small bowel.
pub(super) fn push_bowel(draws: &mut Draws, frame: &Frame, tissue: &Tissue, layers: &mut Vec<Layer>) {
    push_small_bowel(draws, frame, tissue, layers);
    push_colon(draws, frame, layers);
}

fn push_colon(draws: &mut Draws, frame: &Frame, layers: &mut Vec<Layer>) {
    let caliber = draws.range(0.75, 1.15);
    let sag = draws.range(-22.0, 6.0);
    let mut path = |points: &[(f32, f32, f32, f32)]| -> Vec<(Vec3, f32)> {
        let line: Vec<_> = points
            .iter()
            .map(|&(x, y, z, r)| {
                let p = frame.at(x + draws.spread(5.0), y + draws.spread(4.0), z + draws.spread(6.0));
                (p, r * caliber * draws.range(0.85, 1.15))
            })
            .collect();
        // Haustra: the caliber swings along the way.
        let line = smooth_line(&line, 7);
        line.into_iter()
            .enumerate()
            .map(|(n, (p, r))| (p, r * (1.0 + 0.13 * crate::vector::sin_turns(n as f32 * 0.26))))
            .collect()
    };
    let ascending = path(&[
        (-92.0, 6.0, -230.0, 24.0),
        (-94.0, 6.0, -120.0, 23.0),
        (-92.0, 0.0, -82.0, 22.0),
        (-82.0, -26.0, -64.0, 18.0),
    ]);
    let transverse = path(&[
        (-82.0, -28.0, -64.0, 18.0),
        (-62.0, -58.0, -60.0 + sag, 18.0),
        (-25.0, -66.0, -62.0 + sag, 18.0),
        (20.0, -66.0, -56.0 + sag, 18.0),
        (62.0, -56.0, -36.0 + sag * 0.4, 17.0),
        (88.0, -30.0, -6.0, 17.0),
        (100.0, -2.0, 6.0, 16.0),
    ]);
    let descending = path(&[
        (100.0, -2.0, 6.0, 16.0),
        (104.0, 22.0, -30.0, 14.0),
        (104.0, 24.0, -90.0, 13.0),
        (102.0, 18.0, -230.0, 13.0),
    ]);
    for (line, gas) in [(ascending, 0.35), (transverse, 0.75), (descending, 0.4)] {
        let middle = line[line.len() / 2].0.y;
        let level_y = middle + draws.range(-14.0, 6.0) + if draws.chance(gas) { 8.0 } else { -14.0 };
        let hu = draws.range(10.0, 55.0);
        layers.push(
            Layer::new(
                Shape::Tube(Tube::new(&line)),
                Material::Hollow { wall_mm: 2.0, wall_hu: 62.0, content: Content::Mottled { level_y, hu } },
                Label::Colon,
            )
            .halo(1.0),
        );
    }
}

/// A winding line that stays in a box.
fn coil(draws: &mut Draws, low: Vec3, high: Vec3, n: usize, step_mm: f32, radius: f32) -> Vec<(Vec3, f32)> {
    let pick = |draws: &mut Draws| {
        vec3(draws.range(low.x, high.x), draws.range(low.y, high.y), draws.range(low.z, high.z))
    };
    let mut at = pick(draws);
    let mut goal = pick(draws);
    let mut line = Vec::with_capacity(n);
    for _ in 0..n {
        line.push((at, radius * draws.range(0.8, 1.15)));
        let mut way = goal - at;
        if way.length() < step_mm * 1.5 {
            goal = pick(draws);
            way = goal - at;
        }
        at = at
            + way * (step_mm / way.length().max(1.0))
            + vec3(draws.spread(6.0), draws.spread(6.0), draws.spread(6.0));
    }
    smooth_line(&line, 4)
}

fn push_small_bowel(draws: &mut Draws, frame: &Frame, tissue: &Tissue, layers: &mut Vec<Layer>) {
    let oral_contrast = draws.chance(0.3).then(|| draws.range(140.0, 320.0));
    // Jejunum on the left, reaching up to the pancreas; more loops lower down on both sides.
    let regions = [
        (frame.at(28.0, -56.0, -84.0), frame.at(88.0, -10.0, -20.0), 5),
        (frame.at(20.0, -62.0, -150.0), frame.at(92.0, 0.0, -60.0), 6),
        (frame.at(-80.0, -62.0, -190.0), frame.at(60.0, -10.0, -92.0), 8),
        (frame.at(-70.0, -60.0, -120.0), frame.at(-10.0, -34.0, -74.0), 2),
    ];
    for (low, high, coils) in regions {
        for _ in 0..coils {
            let radius = draws.range(8.5, 12.5);
            let line = coil(draws, low, high, 9, 22.0, radius);
            let content = match oral_contrast {
                Some(hu) if draws.chance(0.6) => {
                    Content::Fluid { hu: hu * draws.range(0.6, 1.1), folds_hu: 60.0 }
                }
                _ if draws.chance(0.12) => Content::GasOverFluid {
                    level_y: line[line.len() / 2].0.y + draws.spread(4.0),
                    hu: draws.range(10.0, 35.0),
                },
                // Collapsed or fluid-filled: the HU of an unenhanced or enhanced pancreas.
                _ => Content::Fluid { hu: draws.range(12.0, 85.0), folds_hu: draws.range(8.0, 26.0) },
            };
            let wall_hu = tissue.bowel_wall * draws.range(0.85, 1.1);
            let wall_mm = draws.range(1.8, 3.2);
            layers.push(
                Layer::new(
                    Shape::Tube(Tube::new(&line)),
                    Material::Hollow { wall_mm, wall_hu, content },
                    Label::SmallBowel,
                )
                .halo(0.8 + 0.8 * frame.visceral_fat),
            );
        }
    }
}

/// Stomach from fundus to pylorus, and the duodenum around the head of the pancreas.
pub(super) fn push_stomach_and_duodenum(
    draws: &mut Draws,
    frame: &Frame,
    tissue: &Tissue,
    pancreas: &Pancreas,
    layers: &mut Vec<Layer>,
) {
    let fill = draws.range(0.72, 1.08);
    let sag = draws.range(-10.0, 8.0);
    let head = pancreas.head();
    let pylorus = head + vec3(2.0, -26.0, 12.0);
    let mut node = |x: f32, y: f32, z: f32, r: f32| {
        (frame.at(x + draws.spread(5.0), y + draws.spread(3.0), z + draws.spread(5.0)), r * fill)
    };
    let mut stomach = vec![
        node(62.0, 12.0, 84.0, 24.0),
        node(66.0, -6.0, 62.0, 31.0),
        node(62.0, -34.0, 36.0, 29.0),
        node(50.0, -52.0, 10.0 + sag, 25.0),
        node(26.0, -60.0, -10.0 + sag, 20.0),
        node(0.0, -56.0, -12.0 + sag, 16.0),
    ];
    stomach.push((pylorus, 8.0));
    let level_y = frame.at(0.0, draws.range(-52.0, -22.0), 0.0).y;
    let content = match draws.below(10) {
        0..=4 => Content::GasOverFluid { level_y, hu: draws.range(2.0, 28.0) },
        5..=6 => Content::GasOverFluid { level_y, hu: draws.range(150.0, 320.0) },
        7..=8 => Content::Mottled { level_y, hu: draws.range(20.0, 60.0) },
        _ => Content::Fluid { hu: draws.range(2.0, 25.0), folds_hu: 8.0 },
    };
    layers.push(
        Layer::new(
            Shape::Tube(Tube::through(&stomach, 6)),
            Material::Hollow { wall_mm: draws.range(3.0, 5.5), wall_hu: tissue.bowel_wall * 0.9, content },
            Label::Stomach,
        )
        .halo(1.5),
    );

    // A C around the head: bulb, down its right side, under it, and across in front of the aorta.
    let caliber = draws.range(8.0, 12.0);
    let lower = pancreas.lowest();
    let side = -(pancreas.head_radius() + caliber * 0.8 + draws.range(-2.0, 2.0));
    let cross_y = frame.spine_y - 50.0;
    let duodenum = [
        (pylorus, 7.0),
        (head + vec3(side * 0.7, -14.0, 14.0), caliber * 1.1),
        (head + vec3(side, 0.0, 2.0), caliber),
        (head + vec3(side * 0.98, 6.0, -18.0), caliber),
        (vec3(head.x + side * 0.55, head.y + 8.0, lower - caliber - 2.0), caliber * 0.95),
        (vec3(-2.0, cross_y, lower - caliber - 5.0), caliber * 0.8),
        (vec3(24.0, cross_y - 2.0, lower - caliber + 2.0), caliber * 0.85),
        (frame.at(34.0, -20.0, -24.0), caliber * 0.9),
    ];
    let content = match draws.below(10) {
        0..=1 => {
            Content::GasOverFluid { level_y: head.y - draws.range(0.0, 8.0), hu: draws.range(10.0, 30.0) }
        }
        2..=3 => Content::Fluid { hu: draws.range(120.0, 260.0), folds_hu: 40.0 },
        // Unopacified: may look like the pancreas, or like a tumour beside it.
        _ => Content::Fluid { hu: draws.range(12.0, 75.0), folds_hu: draws.range(6.0, 22.0) },
    };
    layers.push(
        Layer::new(
            Shape::Tube(Tube::through(&duodenum, 6)),
            Material::Hollow { wall_mm: draws.range(2.0, 3.2), wall_hu: tissue.bowel_wall, content },
            Label::Duodenum,
        )
        .halo(0.8),
    );
}
