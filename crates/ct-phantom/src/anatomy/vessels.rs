//! Aorta, vena cava, portal system, arteries, and the small vessels of the mesentery.

use super::{Frame, Layer, Material, Pancreas, Tissue};
use crate::draws::Draws;
use crate::label::PhantomLabel as Label;
use crate::shape::{Shape, Tube};
use crate::vector::{Vec3, vec3};

fn vessel(points: &[(Vec3, f32)], hu: f32, label: Label) -> Layer {
    let shape = Shape::Tube(Tube::through(points, 4));
    Layer::new(shape, Material::Solid { hu, texture_hu: 1.5 }, label)
}

/// Aorta, vena cava and renal vessels: behind everything else.
pub(super) fn push_trunks(draws: &mut Draws, frame: &Frame, tissue: &Tissue, layers: &mut Vec<Layer>) {
    let sy = frame.spine_y;
    let aorta_y = sy - 31.0;
    let caliber = draws.range(8.8, 12.0);
    let mut sway = || draws.spread(3.0);
    let aorta = [
        (vec3(4.0 + sway(), aorta_y + 2.0, -240.0), caliber * 0.8),
        (vec3(3.0 + sway(), aorta_y, -110.0), caliber * 0.88),
        (vec3(4.0 + sway(), aorta_y, -40.0), caliber * 0.94),
        (vec3(4.0 + sway(), aorta_y, 20.0), caliber),
        (vec3(7.0 + sway(), aorta_y + 3.0, 80.0), caliber * 1.05),
        (vec3(10.0 + sway(), aorta_y + 5.0, 160.0), caliber * 1.1),
    ];
    let width = draws.range(10.0, 13.0);
    let cava = [
        (vec3(-22.0, sy - 25.0, -240.0), width * 0.9),
        (vec3(-23.0, sy - 26.0, -90.0), width * 0.9),
        (vec3(-24.0, sy - 28.0, -20.0), width),
        (vec3(-25.0, sy - 36.0, 30.0), width),
        (vec3(-24.0, sy - 44.0, 75.0), width * 1.1),
        (vec3(-18.0, sy - 52.0, 115.0), width * 1.15),
    ];
    let flat = draws.range(1.05, 1.45);
    let line = crate::shape::smooth_line(&cava, 4);
    layers.push(Layer::new(
        Shape::Tube(Tube::stretched(&line, vec3(0.92, flat, 1.0))),
        Material::Solid { hu: tissue.vena_cava, texture_hu: 4.0 },
        Label::VenaCava,
    ));
    layers.push(vessel(&aorta, tissue.artery, Label::Aorta));
    if draws.chance(0.4) {
        // Calcified plaques in the wall.
        for _ in 0..1 + draws.below(4) {
            let (turn, z) = (draws.range(0.05, 0.45), draws.range(-90.0, 60.0));
            let at = |turn: f32, z: f32| {
                vec3(
                    4.0 + crate::vector::cos_turns(turn) * caliber * 0.9,
                    aorta_y + crate::vector::sin_turns(turn) * caliber * 0.9,
                    z,
                )
            };
            let plaque = [(at(turn, z), 1.1), (at(turn + 0.07, z + draws.spread(6.0)), 1.1)];
            layers.push(Layer::new(
                Shape::Tube(Tube::new(&plaque)),
                Material::Solid { hu: draws.range(350.0, 800.0), texture_hu: 0.0 },
                Label::Aorta,
            ));
        }
    }
    let renal_vein = (tissue.vena_cava + tissue.cortex) * 0.5;
    let p = |x: f32, y: f32, z: f32| frame.at(x, y, z);
    let front = aorta_y - caliber - 3.0;
    let left_vein = [
        (p(44.0, 38.0, -12.0), 3.2),
        (p(28.0, 22.0, -10.0), 3.6),
        (vec3(6.0, front, -8.0), 3.4),
        (vec3(-16.0, sy - 28.0, -10.0), 3.8),
    ];
    layers.push(vessel(&left_vein, renal_vein, Label::Vein));
    let right_vein = [(p(-44.0, 38.0, -24.0), 3.2), (vec3(-30.0, sy - 24.0, -20.0), 3.6)];
    layers.push(vessel(&right_vein, renal_vein, Label::Vein));
    let left_artery =
        [(vec3(10.0, aorta_y, -6.0), 2.6), (p(30.0, 30.0, -10.0), 2.4), (p(46.0, 40.0, -13.0), 2.0)];
    layers.push(vessel(&left_artery, tissue.artery, Label::Artery));
    let right_artery = [
        (vec3(-4.0, aorta_y + 2.0, -8.0), 2.6),
        (vec3(-26.0, sy - 13.0, -16.0), 2.4),
        (p(-46.0, 40.0, -25.0), 2.0),
    ];
    layers.push(vessel(&right_artery, tissue.artery, Label::Artery));
}

/// Celiac and mesenteric arteries, the portal system along the pancreas, small vessels.
pub(super) fn push_branches(
    draws: &mut Draws,
    frame: &Frame,
    tissue: &Tissue,
    pancreas: &Pancreas,
    layers: &mut Vec<Layer>,
) {
    let aorta_front = frame.spine_y - 40.0;
    let (neck, neck_r) = pancreas.node(Pancreas::NECK);
    let confluence = neck + vec3(-3.0, neck_r + 5.0, -3.0);
    let hilum = frame.at(90.0, 24.0, 30.0);
    let caliber = draws.range(0.85, 1.15);

    // Behind the body and tail, hugging the gland.
    let behind = |n: usize, gap: f32| {
        let (p, r) = pancreas.node(n);
        p + vec3(r * 0.25, r + gap, 0.0)
    };
    let splenic_vein = [
        (confluence, 4.6 * caliber),
        (behind(Pancreas::NECK + 1, 2.0), 4.2 * caliber),
        (behind(Pancreas::NECK + 2, 2.0), 4.0 * caliber),
        (behind(Pancreas::NECK + 3, 2.0), 3.8 * caliber),
        (hilum, 2.8 * caliber),
    ];
    layers.push(vessel(&splenic_vein, tissue.portal, Label::Vein));
    let portal = [
        (confluence + vec3(1.0, 1.0, -8.0), 5.8 * caliber),
        (confluence, 6.4 * caliber),
        (frame.at(-24.0, -10.0, 16.0), 6.4 * caliber),
        (frame.at(-38.0, -8.0, 25.0), 6.0 * caliber),
    ];
    layers.push(vessel(&portal, tissue.portal, Label::Vein));
    let root = frame.at(-4.0, -40.0, -100.0);
    let mesenteric_vein = [
        (confluence, 5.8 * caliber),
        (confluence + vec3(0.0, 0.0, -22.0), 5.4 * caliber),
        (confluence + vec3(2.0, -6.0, -48.0), 4.8 * caliber),
        (root, 3.6 * caliber),
        (root + vec3(-14.0, -4.0, -50.0), 2.6),
    ];
    layers.push(vessel(&mesenteric_vein, tissue.portal, Label::Vein));

    let trunk = vec3(3.0 + draws.spread(2.0), aorta_front - 6.0, 14.0 + draws.spread(4.0));
    let fork = trunk + vec3(0.0, -11.0, 3.0);
    layers.push(vessel(
        &[(trunk + vec3(0.0, 8.0, 0.0), 3.4), (trunk, 3.4), (fork, 3.2)],
        tissue.artery,
        Label::Artery,
    ));
    let hepatic = [
        (fork, 2.6),
        (fork + vec3(-14.0, -2.0, 0.0), 2.5),
        (frame.at(-28.0, -20.0, 16.0), 2.2),
        (frame.at(-40.0, -14.0, 26.0), 1.6),
    ];
    layers.push(vessel(&hepatic, tissue.artery, Label::Artery));
    let above = |n: usize, wave: f32| {
        let (p, r) = pancreas.node(n);
        p + vec3(0.0, r * 0.7 + 2.0, r + 3.0 + wave)
    };
    let splenic_artery = [
        (fork, 2.8),
        (above(Pancreas::NECK + 1, draws.spread(5.0)), 2.6),
        (above(Pancreas::NECK + 2, draws.spread(5.0)), 2.5),
        (above(Pancreas::NECK + 3, draws.spread(5.0)), 2.4),
        (hilum + vec3(0.0, -3.0, 5.0), 1.8),
    ];
    layers.push(vessel(&splenic_artery, tissue.artery, Label::Artery));
    let superior = [
        (vec3(3.0, aorta_front + 2.0, 2.0), 3.8),
        (vec3(3.0, aorta_front - 9.0, -5.0), 3.7),
        (confluence + vec3(12.0, 2.0, -24.0), 3.5),
        (confluence + vec3(12.0, -5.0, -48.0), 3.2),
        (root + vec3(11.0, 0.0, 0.0), 2.6),
        (root + vec3(2.0, -6.0, -50.0), 2.0),
    ];
    layers.push(vessel(&superior, tissue.artery, Label::Artery));
    let gastroduodenal = [
        (frame.at(-22.0, -20.0, 14.0), 1.6),
        (neck + vec3(-11.0, -neck_r - 1.0, 0.0), 1.5),
        (neck + vec3(-13.0, -neck_r, -20.0), 1.2),
    ];
    layers.push(vessel(&gastroduodenal, tissue.artery, Label::Artery));

    // Mesentery: paired small vessels fanning out to the bowel.
    for n in 0..14 {
        let z = -30.0 - 8.0 * n as f32 + draws.spread(5.0);
        let start = root.lerp(confluence, ((z + 100.0) / 70.0).clamp(0.0, 1.0))
            + vec3(draws.spread(4.0), draws.spread(3.0), 0.0);
        let start = vec3(start.x, start.y, z);
        let end = frame.at(draws.range(-70.0, 84.0), draws.range(-58.0, -18.0), z - draws.range(8.0, 34.0));
        let bend = vec3(draws.spread(8.0), draws.spread(8.0), draws.spread(6.0));
        let middle = start.lerp(end, 0.5) + bend;
        let pair = vec3(3.0, 2.0, 1.0);
        // They run in fat, not through bowel.
        let vein = vessel(&[(start, 1.7), (middle, 1.4), (end, 0.9)], tissue.portal, Label::Vein);
        layers.push(vein.only_on(Label::Fat));
        let artery = [(start + pair, 1.2), (middle + pair, 1.0), (end + pair, 0.7)];
        layers.push(vessel(&artery, tissue.artery * 0.9, Label::Artery).only_on(Label::Fat));
    }
    // Omentum and the stomach's curvatures.
    for _ in 0..7 {
        let a = frame.at(draws.range(-10.0, 80.0), draws.range(-66.0, -20.0), draws.range(-20.0, 60.0));
        let b = a + vec3(draws.spread(26.0), draws.spread(12.0), draws.spread(20.0));
        let c = b + vec3(draws.spread(16.0), draws.spread(10.0), draws.spread(16.0));
        let vein = vessel(&[(a, 1.5), (b, 1.3), (c, 0.9)], tissue.portal, Label::Vein);
        layers.push(vein.only_on(Label::Fat));
    }
}
