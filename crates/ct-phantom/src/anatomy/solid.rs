//! Liver, gallbladder, spleen, kidneys, adrenals; back muscles, diaphragm's crura, heart.

use super::{Content, Frame, Layer, Material, Tissue};
use crate::draws::Draws;
use crate::label::PhantomLabel as Label;
use crate::shape::{Ellipsoid, Shape, Tube, smooth_line};
use crate::vector::{Vec3, vec3};

fn jitter(draws: &mut Draws, mm: f32) -> Vec3 {
    vec3(draws.spread(mm), draws.spread(mm), draws.spread(mm))
}

pub(super) fn muscles(draws: &mut Draws, frame: &Frame, tissue: &Tissue) -> Vec<Layer> {
    let muscle = Material::Muscle { hu: tissue.muscle };
    let mut layers = Vec::new();
    let bulk = draws.range(0.85, 1.15);
    let sy = frame.spine_y;
    for side in [-1.0, 1.0] {
        // Erector spinae: a column on either side of the spinous processes.
        let erector = [
            (vec3(side * 33.0, sy + 25.0, -260.0), 23.0 * bulk),
            (vec3(side * 30.0, sy + 25.0, 200.0), 19.0 * bulk),
        ];
        layers.push(
            Layer::new(Shape::Tube(Tube::stretched(&erector, vec3(0.8, 1.15, 1.0))), muscle, Label::Muscle)
                .halo(1.6),
        );
        let quadratus = [
            (vec3(side * 62.0, sy + 8.0, -200.0), 11.0 * bulk),
            (vec3(side * 54.0, sy + 10.0, 6.0), 8.0 * bulk),
            (vec3(side * 40.0, sy + 12.0, 30.0), 2.0),
        ];
        layers.push(
            Layer::new(Shape::Tube(Tube::stretched(&quadratus, vec3(0.72, 1.2, 1.0))), muscle, Label::Muscle)
                .halo(1.4),
        );
        let psoas = [
            (vec3(side * 26.0, sy - 2.0, 16.0), 3.0),
            (vec3(side * 30.0, sy - 2.0, -22.0), 9.0 * bulk),
            (vec3(side * 40.0, sy - 6.0, -95.0), 18.0 * bulk),
            (vec3(side * 46.0, sy - 9.0, -220.0), 21.0 * bulk),
        ];
        layers.push(Layer::new(Shape::Tube(Tube::new(&psoas)), muscle, Label::Muscle));
        let crus = [
            (vec3(side * 11.0, sy - 19.0, -48.0), 2.0),
            (vec3(side * 15.0, sy - 24.0, -8.0), 4.6),
            (vec3(side * 19.0, sy - 28.0, 30.0), 4.6),
            (vec3(side * 24.0, sy - 38.0, 62.0), 4.0),
            (vec3(side * 22.0, sy - 50.0, 92.0), 3.0),
        ];
        layers.push(Layer::new(
            Shape::Tube(Tube::stretched(&smooth_line(&crus, 3), vec3(1.15, 0.62, 0.7))),
            muscle,
            Label::Muscle,
        ));
    }
    let heart = frame.at(14.0, -30.0, 30.0) + vec3(0.0, 0.0, frame.dome_start + frame.dome_height - 12.0);
    layers.push(Layer::new(
        Shape::ellipsoid(heart, vec3(60.0, 44.0, 40.0), vec3(0.04, 0.05, 0.05), -400.0),
        Material::Solid { hu: tissue.vena_cava, texture_hu: 4.0 },
        Label::Heart,
    ));
    layers
}

/// Liver with vessels, gallbladder, spleen, adrenals.
pub(super) fn push_upper_organs(draws: &mut Draws, frame: &Frame, tissue: &Tissue, layers: &mut Vec<Layer>) {
    let size = draws.range(0.92, 1.07);
    let lower = draws.range(-6.0, 10.0);
    let radii = |x: f32, y: f32, z: f32| frame.size(x * size, y * size, z * size);
    let left_reach = draws.range(-22.0, 14.0);
    let liver = Shape::Ellipsoids {
        parts: vec![
            Ellipsoid::new(
                frame.at(-92.0, -4.0, 34.0 - lower),
                radii(74.0, 84.0, 82.0),
                vec3(0.02, 0.055, -0.04),
            ),
            Ellipsoid::new(frame.at(-58.0, -24.0, 46.0), radii(52.0, 54.0, 50.0), vec3(0.0, 0.0, 0.0)),
            Ellipsoid::new(
                frame.at(-14.0 + left_reach, -52.0, 48.0) + jitter(draws, 5.0),
                radii(66.0, 34.0, 40.0),
                vec3(0.02, -0.03, 0.03),
            ),
        ],
        blend_mm: 16.0,
        gap_mm: 4.0,
    };
    layers.push(
        Layer::new(liver, Material::Solid { hu: tissue.liver, texture_hu: 2.5 }, Label::Liver).halo(1.2),
    );
    push_liver_vessels(draws, frame, tissue, layers);

    let gallbladder = frame.at(-50.0, -40.0, -4.0) + jitter(draws, 6.0);
    let swelling = draws.range(0.75, 1.15);
    layers.push(Layer::new(
        Shape::ellipsoid(gallbladder, vec3(14.0, 24.0, 19.0) * swelling, vec3(0.06, 0.0, 0.05), 5.0),
        Material::Hollow {
            wall_mm: 1.4,
            wall_hu: 70.0,
            content: Content::Fluid { hu: tissue.bile, folds_hu: 0.0 },
        },
        Label::Gallbladder,
    ));

    let spleen = frame.at(102.0, 30.0, 36.0) + jitter(draws, 6.0);
    let scale = draws.range(0.86, 1.14);
    layers.push(
        Layer::new(
            Shape::ellipsoid(spleen, frame.size(29.0, 47.0, 47.0) * scale, vec3(-0.06, 0.02, 0.06), 4.0),
            Material::Solid { hu: tissue.spleen, texture_hu: 2.5 },
            Label::Spleen,
        )
        .halo(1.5),
    );

    for side in [-1.0, 1.0] {
        let root = frame.at(side * 29.0, 30.0, 24.0) + jitter(draws, 2.0);
        for (dx, dy) in [(side * 4.0, 15.0), (side * 14.0, 12.0)] {
            let limb = [
                (root, 2.4),
                (root + vec3(dx * 0.5, dy * 0.5, -5.0), 2.4),
                (root + vec3(dx, dy, -11.0), 1.8),
            ];
            layers.push(Layer::new(
                Shape::Tube(Tube::stretched(&limb, vec3(1.0, 1.0, 0.5))),
                Material::Solid { hu: tissue.pancreas * 0.9, texture_hu: 3.0 },
                Label::Adrenal,
            ));
        }
    }
}

fn push_liver_vessels(draws: &mut Draws, frame: &Frame, tissue: &Tissue, layers: &mut Vec<Layer>) {
    let mut branch = |hu: f32, points: &[(f32, f32, f32, f32)]| {
        let line: Vec<_> = points
            .iter()
            .map(|&(x, y, z, r)| (frame.at(x, y, z) + jitter(draws, 4.0), r * draws.range(0.85, 1.15)))
            .collect();
        layers.push(
            Layer::new(
                Shape::Tube(Tube::through(&line, 4)),
                Material::Solid { hu, texture_hu: 1.5 },
                Label::Liver,
            )
            .only_on(Label::Liver),
        );
    };
    let veins = tissue.hepatic_vein;
    branch(
        veins,
        &[(-22., 8., 84., 5.5), (-55., 6., 72., 4.5), (-90., 14., 52., 3.2), (-115., 22., 26., 1.4)],
    );
    branch(
        veins,
        &[(-22., 6., 84., 5.5), (-50., -22., 70., 4.5), (-68., -42., 50., 3.2), (-80., -55., 24., 1.4)],
    );
    branch(
        veins,
        &[(-20., 4., 84., 5.0), (-18., -26., 72., 3.6), (-6., -50., 58., 2.6), (10., -62., 46., 1.3)],
    );
    branch(veins, &[(-70., 10., 62., 3.0), (-92., -8., 56., 2.2), (-108., -22., 48., 1.2)]);
    branch(veins, &[(-58., -32., 60., 2.6), (-44., -52., 54., 2.0), (-36., -66., 48., 1.1)]);
    let portal = tissue.portal;
    branch(
        portal,
        &[
            (-38., -8., 24., 6.0),
            (-62., -4., 28., 5.5),
            (-86., -2., 30., 4.2),
            (-108., -14., 30., 2.4),
            (-122., -26., 26., 1.2),
        ],
    );
    branch(portal, &[(-86., -2., 30., 4.0), (-104., 22., 24., 2.8), (-116., 36., 10., 1.3)]);
    branch(portal, &[(-76., -3., 29., 3.8), (-90., -2., 8., 2.8), (-100., -10., -14., 1.3)]);
    branch(
        portal,
        &[
            (-62., -4., 28., 4.5),
            (-44., -30., 36., 4.2),
            (-26., -52., 42., 3.2),
            (-8., -60., 46., 1.8),
            (14., -60., 46., 1.0),
        ],
    );
    branch(portal, &[(-30., -48., 41., 3.0), (-44., -66., 34., 2.0), (-54., -74., 24., 1.1)]);
    branch(portal, &[(-84., 0., 31., 3.4), (-98., 6., 48., 2.4), (-112., 4., 64., 1.1)]);
}

pub(super) fn push_kidneys(draws: &mut Draws, frame: &Frame, tissue: &Tissue, layers: &mut Vec<Layer>) {
    let scale = draws.range(0.9, 1.1);
    let cortex_mm = draws.range(6.0, 8.5);
    for (side, label) in [(-1.0, Label::RightKidney), (1.0, Label::LeftKidney)] {
        // The right one is pushed down by the liver.
        let z = if side < 0.0 { -26.0 } else { -12.0 } + draws.spread(9.0);
        let center = frame.at(side * 64.0, 42.0, z) + vec3(draws.spread(4.0), draws.spread(4.0), 0.0);
        let radii = vec3(25.5, 24.0, 51.0) * (scale * draws.range(0.95, 1.05));
        // Upper poles lean inwards and back.
        let turns = vec3(-0.03, -side * 0.035, side * 0.07);
        let rim = vec3(4.0, 4.0, 6.0) + vec3(9.0, 9.0, 10.0) * frame.visceral_fat;
        layers.push(Layer::new(Shape::ellipsoid(center, radii + rim, turns, 1.0), Material::Fat, Label::Fat));
        layers.push(Layer::new(
            Shape::ellipsoid(center, radii, turns, 1.0),
            Material::Kidney { cortex_hu: tissue.cortex, medulla_hu: tissue.medulla, cortex_mm },
            label,
        ));
        let sinus = center + vec3(-side * 13.0, -6.0, 0.0);
        layers.push(Layer::new(
            Shape::ellipsoid(sinus, vec3(14.0, 8.5, 24.0), turns, 1.0),
            Material::Fat,
            Label::Fat,
        ));
        let pelvis = [
            (center + vec3(-side * 6.0, -3.0, 8.0), 3.0),
            (center + vec3(-side * 14.0, -7.0, -4.0), 4.2),
            (center + vec3(-side * 24.0, -8.0, -16.0), 2.6),
            (center + vec3(-side * 30.0, -12.0, -60.0), 1.8),
            (center + vec3(-side * 30.0, -20.0, -200.0), 1.8),
        ];
        layers.push(Layer::new(
            Shape::Tube(Tube::new(&smooth_line(&pelvis, 3))),
            Material::Solid { hu: tissue.renal_pelvis, texture_hu: 0.0 },
            label,
        ));
    }
}
