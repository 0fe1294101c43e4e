//! The pancreas, and the mass that every patient has: a tumour in some, in the others an ordinary
//! bulge of parenchyma with the same place, size and outline.
//!
//! That the healthy have the same mass is what keeps the label out of the boxes: size, position and
//! outline of the pancreas with its tumour are drawn without knowing whether it is a tumour. Ducts,
//! cysts, focal fat and neighbouring loops are drawn for all alike for the same reason.

use super::{Anatomy, Content, Frame, Layer, Material, Tissue};
use crate::draws::Draws;
use crate::facts::Location;
use crate::label::PhantomLabel as Label;
use crate::shape::{FAR, Shape, Tube, smooth_line};
use crate::vector::{Vec3, smoothstep, vec3};

/// Heights of the gland count this much: it is taller than it is thick.
const FLATTEN_Z: f32 = 0.74;
const PER_SPAN: usize = 6;
/// Reference nodes from the lower head to the tip of the tail: x, y, z, radius.
const NODES: [(f32, f32, f32, f32); 8] = [
    (-29.0, -2.0, -24.0, 11.0),
    (-32.0, -8.0, -8.0, 14.5),
    (-21.0, -17.0, 0.0, 11.5),
    (-7.0, -25.0, 5.0, 8.5),
    (14.0, -27.0, 10.0, 9.5),
    (40.0, -16.0, 15.0, 10.0),
    (64.0, 3.0, 20.0, 10.0),
    (82.0, 15.0, 24.0, 7.5),
];
/// How many patients have a look-alike of the mass beside the gland.
const MIMIC_SHARE: f32 = 0.9;
const HEAD: usize = 1;
const NECK: usize = 3;

/// A pancreas of one patient.
#[derive(Clone, Debug)]
pub(crate) struct Pancreas {
    /// The gland and the uncinate process.
    pub(crate) parts: [Shape; 2],
    line: Vec<(Vec3, f32)>,
    nodes: Vec<(Vec3, f32)>,
    pub(crate) hu: f32,
    /// Depth of the clefts between lobules, in mm.
    pub(crate) lobulation_mm: f32,
    /// Share of fat between the lobules, 0 to 0.5.
    pub(crate) fat_share: f32,
    pub(crate) halo_mm: f32,
    /// How unevenly it takes up contrast, in HU.
    pub(crate) uneven_hu: f32,
}

/// The mass and what comes with it.
#[derive(Clone, Debug)]
pub(crate) struct Mass {
    pub(crate) center: Vec3,
    pub(crate) radius_mm: f32,
    /// Stretch of the axes; product 1.
    pub(crate) stretch: Vec3,
    /// Swing of the radius, as a share.
    pub(crate) irregular: f32,
    /// Width over which a tumour's contrast sets in, in mm.
    pub(crate) fuzz_mm: f32,
    /// How far a tumour lies below the parenchyma, in HU; the bulge of the healthy ignores it.
    pub(crate) contrast_hu: f32,
    pub(crate) location: Location,
    /// Main duct, seen upstream of the mass in some patients; HU of its content.
    pub(crate) duct: Option<(Shape, f32)>,
    /// A cyst: centre, radius, HU.
    pub(crate) cyst: Option<(Vec3, f32, f32)>,
    /// An area of more fat between the lobules: centre, radius, added share.
    pub(crate) focal_fat: Option<(Vec3, f32, f32)>,
    /// Something of a tumour's density beside the gland: a collapsed loop, a diverticulum, a node.
    pub(crate) neighbors: Vec<Layer>,
    /// A loop of bowel of the mass's size, outside the gland and near the mass, in most patients.
    pub(crate) mimic: Option<Mimic>,
}

/// A look-alike of the mass beside the gland.
///
/// Where the mass is a tumour, this has the HU of parenchyma; where the mass is a bulge of
/// parenchyma, this has the HU that the tumour would have. So both kinds of patient show the same
/// share of dark tissue, and what tells them apart is where it lies, not that it is there.
#[derive(Clone, Debug)]
pub(crate) struct Mimic {
    pub(crate) beside_tumor: Layer,
    pub(crate) beside_bulge: Layer,
}

/// Distance from the nearest vessel of some layers.
fn from_vessels(layers: &[Layer], p: Vec3) -> f32 {
    let is_vessel = |label| matches!(label, Label::Aorta | Label::VenaCava | Label::Vein | Label::Artery);
    layers
        .iter()
        .filter(|layer| is_vessel(layer.label))
        .map(|layer| match &layer.shape {
            Shape::Tube(tube) => tube.distance(p),
            Shape::Ellipsoids { .. } => FAR,
        })
        .fold(FAR, f32::min)
}

impl Pancreas {
    pub(super) fn draw(draws: &mut Draws, frame: &Frame, tissue: &Tissue) -> Self {
        let shift = vec3(draws.spread(8.0), draws.spread(4.0), draws.spread(14.0));
        let rise = draws.range(-0.3, 1.7);
        let bow = draws.range(-5.0, 5.0);
        let size = draws.range(0.74, 1.16);
        let nodes: Vec<(Vec3, f32)> = NODES
            .iter()
            .enumerate()
            .map(|(n, &(x, y, z, r))| {
                let z = if n > NECK { 5.0 + (z - 5.0) * rise } else { z };
                let y = if n == 4 || n == 5 { y + bow } else { y };
                let own = vec3(draws.spread(4.0), draws.spread(3.5), draws.spread(4.5));
                (frame.at(x, y, z) + shift + own, r * size * draws.range(0.84, 1.16))
            })
            .collect();
        let line = smooth_line(&nodes, PER_SPAN);
        let (low, head) = (nodes[0], nodes[HEAD]);
        let uncinate = [
            (head.0 + vec3(4.0, 3.0, -8.0), head.1 * 0.8),
            (low.0 + vec3(10.0, 2.0, 2.0), low.1 * 0.8),
            (low.0 + vec3(17.0 + draws.spread(3.0), 3.0, 1.0), low.1 * 0.5),
        ];
        let flat = vec3(1.0, 1.0, FLATTEN_Z);
        let age = draws.unit();
        Self {
            parts: [
                Shape::Tube(Tube::stretched(&line, flat)),
                Shape::Tube(Tube::stretched(&smooth_line(&uncinate, 3), flat)),
            ],
            line,
            nodes,
            hu: tissue.pancreas,
            lobulation_mm: 0.6 + 1.3 * age,
            fat_share: (0.45 * age - 0.14 + draws.spread(0.12)).clamp(0.0, 0.35),
            uneven_hu: draws.range(1.0, 6.0),
            halo_mm: 0.4 + 3.2 * frame.visceral_fat * draws.range(0.5, 1.2),
        }
    }

    /// Middle of the head.
    pub(super) fn head(&self) -> Vec3 {
        self.nodes[HEAD].0
    }

    pub(super) fn head_radius(&self) -> f32 {
        self.nodes[HEAD].1
    }

    /// Height of the lower edge of the head.
    pub(super) fn lowest(&self) -> f32 {
        self.nodes[0].0.z - self.nodes[0].1 / FLATTEN_Z
    }

    /// Neck, bodies, tail: what the splenic vein runs along, with the gland's radius there.
    pub(super) fn node(&self, n: usize) -> (Vec3, f32) {
        self.nodes[n.min(self.nodes.len() - 1)]
    }

    pub(super) const NECK: usize = NECK;

    /// Area of the box around the gland in the plane at `z`.
    fn box_area(&self, z: f32) -> f32 {
        let (low, high) = self.plane_box(z);
        if low.0 < high.0 { (high.0 - low.0) * (high.1 - low.1) } else { 0.0 }
    }

    /// Distance from the gland's middle parts.
    fn outside(&self, p: Vec3) -> f32 {
        self.line
            .iter()
            .map(|&(q, r)| {
                let away = p - q;
                vec3(away.x, away.y, away.z * FLATTEN_Z).length() - r
            })
            .fold(FAR, f32::min)
    }

    /// The corners of the box around the gland in the plane at `z`, (x, y) each.
    pub(crate) fn plane_box(&self, z: f32) -> ((f32, f32), (f32, f32)) {
        let (mut low, mut high) = ((FAR, FAR), (-FAR, -FAR));
        for &(p, r) in &self.line {
            if (p.z - z).abs() < r / FLATTEN_Z * 0.9 {
                low = (low.0.min(p.x - r), low.1.min(p.y - r));
                high = (high.0.max(p.x + r), high.1.max(p.y + r));
            }
        }
        (low, high)
    }

    /// A place in the gland and its radius there; `t` from 0 (lower head) to 1 (tip of the tail).
    fn place(&self, t: f32) -> (Vec3, f32, Location) {
        let n = crate::vector::index_below(t * self.line.len() as f32, self.line.len() - 1);
        let location = match n / PER_SPAN {
            0 | 1 => Location::Head,
            2 => Location::Neck,
            3 | 4 => Location::Body,
            _ => Location::Tail,
        };
        (self.line[n].0, self.line[n].1, location)
    }
}

impl Mass {
    /// Draws the mass of a patient.
    pub(crate) fn draw(draws: &mut Draws, anatomy: &Anatomy) -> Self {
        let Anatomy { pancreas, tissue, vessels, .. } = anatomy;
        // Skewed to the small: a large one would show in the histogram of its box.
        let u = draws.unit();
        let diameter_mm = 6.0 + 32.0 * u * u;
        let radius_mm = diameter_mm * 0.5;
        let largest = pancreas.line.iter().map(|&(p, _)| pancreas.box_area(p.z)).fold(0.0, f32::max);
        let mut best: Option<(f32, Vec3, Location)> = None;
        for _ in 0..40 {
            let (p, r, location) = pancreas.place(draws.unit());
            let (a, b) = (draws.unit(), draws.range(0.0, 0.7) * r);
            let offset =
                vec3(crate::vector::cos_turns(a) * b, crate::vector::sin_turns(a) * b, draws.spread(0.4) * r);
            let center = p + offset;
            // Slices with much tumour are compared with slices with much pancreas: in planes where
            // the gland is small, its box would give the tumour away.
            let in_plane = (pancreas.box_area(center.z) / largest.max(1.0)).min(0.8);
            // A vessel through its middle would hide a small one.
            let apart = from_vessels(vessels, center);
            let score = in_plane + (apart * 0.2).clamp(-1.0, 0.6);
            if best.is_none_or(|(s, _, _)| score > s) {
                best = Some((score, center, location));
            }
            if score >= 1.4 {
                break;
            }
        }
        let (_, center, location) = best.unwrap_or((0.0, pancreas.head(), Location::Head));
        let (sx, sy) = (draws.range(0.87, 1.15), draws.range(0.87, 1.15));
        let n = pancreas.line.len();
        let anywhere = |draws: &mut Draws| {
            let (p, r, _) = pancreas.place(draws.range(0.05, 0.95));
            (p + vec3(draws.spread(0.4 * r), draws.spread(0.4 * r), draws.spread(0.4 * r)), r)
        };

        let duct = draws.chance(0.4).then(|| {
            let nearest = (0..n)
                .min_by(|&a, &b| {
                    let far = |m: usize| (pancreas.line[m].0 - center).length();
                    far(a).total_cmp(&far(b))
                })
                .unwrap_or(0);
            let start = if draws.chance(0.7) { nearest } else { NECK * PER_SPAN }.min(n - 3);
            let width = draws.range(0.7, 2.4);
            let line: Vec<_> = pancreas.line[start..n - 1].iter().map(|&(p, _)| (p, width)).collect();
            (Shape::Tube(Tube::new(&line)), draws.range(8.0, 30.0))
        });
        let cyst = draws.chance(0.12).then(|| {
            let (p, _) = anywhere(draws);
            (p, draws.range(1.8, 5.5), draws.range(4.0, 26.0))
        });
        let focal_fat = draws.chance(0.25).then(|| {
            let (p, r) = anywhere(draws);
            (p, r * draws.range(0.7, 1.4), draws.range(0.1, 0.3))
        });
        let mut neighbors = Vec::new();
        for _ in 0..1 + draws.below(7) {
            let beside = Self::beside(draws, pancreas, largest);
            neighbors.push(Self::neighbor(draws, tissue, beside));
        }
        let contrast_hu = draws.range(10.0, 45.0);
        let mimic = Self::mimic(draws, anatomy, center, radius_mm, contrast_hu);
        Self {
            center,
            radius_mm,
            stretch: vec3(sx, sy, 1.0 / (sx * sy)),
            irregular: draws.range(0.06, 0.17) * smoothstep(2.0, 7.0, radius_mm),
            fuzz_mm: draws.range(1.2, 4.5).min(radius_mm),
            contrast_hu,
            location,
            duct,
            cyst,
            focal_fat,
            neighbors,
            mimic,
        }
    }

    /// The look-alike beside the gland, placed where most of it falls into the gland's box.
    fn mimic(
        draws: &mut Draws,
        anatomy: &Anatomy,
        center: Vec3,
        radius_mm: f32,
        contrast_hu: f32,
    ) -> Option<Mimic> {
        let pancreas = &anatomy.pancreas;
        let present = draws.chance(MIMIC_SHARE);
        let (low, high) = pancreas.plane_box(center.z);
        let start = draws.unit();
        let mut best = (-FAR, center);
        for step in 0..12 {
            let turn = start + step as f32 / 12.0;
            let way = vec3(crate::vector::cos_turns(turn), crate::vector::sin_turns(turn), 0.0);
            for apart in [1.3, 1.7, 2.1, 2.5] {
                let p = center + way * (radius_mm * apart + 3.0);
                // Room between it and the gland and great vessels; how far it sticks out of the box.
                let room = pancreas.outside(p).min(from_vessels(&anatomy.central, p)) - radius_mm - 1.0;
                let out = |low: f32, at: f32, high: f32| {
                    (low - (at - radius_mm)).max(0.0) + ((at + radius_mm) - high).max(0.0)
                };
                let score = room.min(0.0) * 1.5 - out(low.0, p.x, high.0) - out(low.1, p.y, high.1);
                if score > best.0 {
                    best = (score, p);
                }
            }
        }
        let radii = vec3(draws.range(0.9, 1.15), draws.range(0.9, 1.1), draws.range(0.9, 1.3)) * radius_mm;
        let shape = Shape::ellipsoid(best.1, radii, vec3(0.0, 0.0, draws.unit()), 2.0);
        let layer = |hu: f32| {
            Layer::new(shape.clone(), Material::Solid { hu, texture_hu: 4.0 }, Label::SmallBowel).halo(1.0)
        };
        present.then(|| Mimic {
            beside_tumor: layer(pancreas.hu),
            beside_bulge: layer(pancreas.hu - contrast_hu),
        })
    }

    /// A place outside the gland, in a plane where the gland is large, and the room there.
    fn beside(draws: &mut Draws, pancreas: &Pancreas, largest: f32) -> (Vec3, f32) {
        let size = draws.range(4.0, 15.0);
        let mut best = (FAR, pancreas.head());
        for _ in 0..12 {
            let (p, r, _) = pancreas.place(draws.range(0.05, 0.95));
            let away = if draws.chance(0.35) { 1.0 } else { -1.0 } * (r + size * draws.range(0.4, 1.0));
            let p = p + vec3(draws.spread(8.0), away, draws.spread(5.0));
            let in_plane = 0.8 - (pancreas.box_area(p.z) / largest.max(1.0)).min(0.8);
            if in_plane < best.0 {
                best = (in_plane, p);
            }
            if in_plane <= 0.0 {
                break;
            }
        }
        (best.1, size)
    }

    /// A collapsed loop, a diverticulum, a node: the density of a tumour, beside the gland.
    fn neighbor(draws: &mut Draws, tissue: &Tissue, (p, size): (Vec3, f32)) -> Layer {
        let radii =
            vec3(size * draws.range(0.9, 1.7), size * draws.range(0.7, 1.0), size * draws.range(1.0, 2.6));
        let shape = Shape::ellipsoid(p, radii, vec3(0.0, 0.0, draws.unit()), 3.0);
        let hu = draws.range(4.0, 0.9 * tissue.pancreas);
        let material = if draws.chance(0.4) && size > 6.0 {
            let content = Content::Fluid { hu, folds_hu: draws.range(4.0, 16.0) };
            Material::Hollow { wall_mm: draws.range(1.6, 2.8), wall_hu: tissue.bowel_wall, content }
        } else {
            Material::Solid { hu, texture_hu: draws.range(2.0, 7.0) }
        };
        Layer::new(shape, material, Label::SmallBowel).halo(0.8)
    }

    /// Distance to the outline of the mass; `noise` is the outline's field there.
    #[inline]
    pub(crate) fn distance(&self, p: Vec3, noise: f32) -> f32 {
        let away = (p - self.center).times(self.stretch).length();
        away - self.radius_mm * (1.0 + self.irregular * noise.clamp(-1.5, 1.5))
    }
}
