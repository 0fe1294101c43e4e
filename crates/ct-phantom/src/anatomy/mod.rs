//! What is where in one patient, before anything is rendered.

mod frame;
mod hollow;
mod pancreas;
mod solid;
mod tissue;
mod vessels;

pub(crate) use frame::Frame;
pub(crate) use pancreas::{Mass, Pancreas};
pub(crate) use tissue::Tissue;

use crate::acquisition::Acquisition;
use crate::draws::Draws;
use crate::label::PhantomLabel;
use crate::lattice::{Field, Lattice};
use crate::shape::Shape;
use crate::vector::{Vec3, vec3};

/// What fills a shape.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Material {
    /// One tissue with a fine texture of the given amplitude.
    Solid { hu: f32, texture_hu: f32 },
    /// Muscle with streaks of fat.
    Muscle { hu: f32 },
    /// Renal cortex over medulla.
    Kidney { cortex_hu: f32, medulla_hu: f32, cortex_mm: f32 },
    /// Fat, without a surface of its own.
    Fat,
    /// A wall around a content.
    Hollow { wall_mm: f32, wall_hu: f32, content: Content },
}

/// What is in a hollow organ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// Water-like or contrast; `folds_hu` is the amplitude of mucosal folds.
    Fluid { hu: f32, folds_hu: f32 },
    /// Gas in front of `level_y` mm, fluid behind: the patient lies on the back.
    GasOverFluid { level_y: f32, hu: f32 },
    /// Food residue, stool: mottled with bubbles; gas in front of `level_y` mm.
    Mottled { level_y: f32, hu: f32 },
}

/// One organ, painted over what was painted before it.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) shape: Shape,
    pub(crate) material: Material,
    pub(crate) label: PhantomLabel,
    /// Rim of fat that keeps it apart from what lies under it, in mm.
    pub(crate) halo_mm: f32,
    /// Painted only where this label is (vessels inside the liver).
    pub(crate) only_on: Option<PhantomLabel>,
}

impl Layer {
    fn new(shape: Shape, material: Material, label: PhantomLabel) -> Self {
        Self { shape, material, label, halo_mm: 0.0, only_on: None }
    }

    fn halo(mut self, halo_mm: f32) -> Self {
        self.halo_mm = halo_mm;
        self
    }

    fn only_on(mut self, label: PhantomLabel) -> Self {
        self.only_on = Some(label);
        self
    }
}

/// The noise fields of a patient.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    /// Large bends of space: x, y, z.
    pub(crate) bend: [Field; 3],
    /// Small bends of space.
    pub(crate) ripple: [Field; 3],
    /// Tissue grain.
    pub(crate) grain: Field,
    /// Mottle of several mm.
    pub(crate) mottle: Field,
    /// Slow drift of HU through an organ.
    pub(crate) drift: Field,
    /// Zero crossings are strands in fat.
    pub(crate) strands: Field,
    /// Peaks are flecks of fat in muscle.
    pub(crate) streaks: Field,
    /// Lobules of the pancreas.
    pub(crate) lobules: Field,
    /// Outline of the mass.
    pub(crate) mass: Field,
}

impl Fields {
    fn draw(draws: &mut Draws) -> Self {
        let three = |draws: &mut Draws, cell: f32| {
            [Field::isotropic(draws, cell), Field::isotropic(draws, cell), Field::isotropic(draws, cell)]
        };
        Self {
            bend: three(draws, 46.0),
            ripple: three(draws, 15.0),
            grain: Field::isotropic(draws, 2.4),
            mottle: Field::isotropic(draws, 6.0),
            drift: Field::isotropic(draws, 38.0),
            strands: Field::new(draws, vec3(12.0, 12.0, 16.0)),
            streaks: Field::new(draws, vec3(4.5, 3.0, 22.0)),
            lobules: Field::isotropic(draws, 5.5),
            mass: Field::isotropic(draws, 8.0),
        }
    }
}

/// Everything about one patient that is rendered.
pub(crate) struct Anatomy {
    pub(crate) frame: Frame,
    pub(crate) tissue: Tissue,
    pub(crate) lattice: Lattice,
    pub(crate) fields: Fields,
    /// Behind and around the organs: back muscles, crura, heart.
    pub(crate) deep: Vec<Layer>,
    /// Liver, spleen, bowel: abdominal organs, in painting order. Loops beside the gland follow.
    pub(crate) organs: Vec<Layer>,
    /// What may cover those loops: kidneys, great vessels, stomach, duodenum.
    pub(crate) central: Vec<Layer>,
    pub(crate) pancreas: Pancreas,
    /// Vessels around the pancreas and in the mesentery, painted last.
    pub(crate) vessels: Vec<Layer>,
    pub(crate) spine: SpineForm,
    pub(crate) table: Option<Table>,
}

/// Proportions of the spine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpineForm {
    pub(crate) half_width: f32,
    pub(crate) half_depth: f32,
    /// Height of one vertebra with its disc.
    pub(crate) pitch_mm: f32,
    /// Height of some disc's middle.
    pub(crate) disc_z: f32,
    /// Curvature towards the front, per mm² of height (lordosis).
    pub(crate) curve: f32,
    /// Head of the twelfth rib, and slope of the ribs.
    pub(crate) rib12_z: f32,
    pub(crate) rib_slope: f32,
}

/// The scanner table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// Upper surface in the middle.
    pub(crate) top_y: f32,
    pub(crate) radius_mm: f32,
    pub(crate) shell_hu: f32,
}

/// Bending at a point: `(large, small)` amplitudes in mm.
pub(crate) const BEND_MM: f32 = 4.2;
pub(crate) const RIPPLE_MM: f32 = 0.9;

impl Anatomy {
    pub(crate) fn draw(draws: &mut Draws, lattice_draws: &mut Draws, scan: &Acquisition) -> Self {
        let lattice = Lattice::new(lattice_draws);
        let fields = Fields::draw(lattice_draws);
        let frame = Frame::draw(draws, scan.half_width_mm);
        let tissue = Tissue::draw(draws, scan.phase);
        let spine = SpineForm {
            half_width: draws.range(20.0, 24.5),
            half_depth: draws.range(15.5, 18.5),
            pitch_mm: draws.range(33.0, 37.0),
            disc_z: draws.range(-18.0, 18.0),
            curve: draws.range(0.0, 0.0009),
            rib12_z: draws.range(26.0, 48.0),
            rib_slope: draws.range(0.45, 0.62),
        };
        let table = draws.chance(0.8).then(|| Table {
            top_y: frame.skin.back + draws.range(1.0, 6.0),
            radius_mm: draws.range(480.0, 700.0),
            shell_hu: draws.range(-250.0, 150.0),
        });
        let pancreas = Pancreas::draw(draws, &frame, &tissue);
        let (deep, mut organs) = (solid::muscles(draws, &frame, &tissue), Vec::new());
        solid::push_upper_organs(draws, &frame, &tissue, &mut organs);
        hollow::push_bowel(draws, &frame, &tissue, &mut organs);
        let (mut central, mut vessels) = (Vec::new(), Vec::new());
        solid::push_kidneys(draws, &frame, &tissue, &mut central);
        vessels::push_trunks(draws, &frame, &tissue, &mut central);
        hollow::push_stomach_and_duodenum(draws, &frame, &tissue, &pancreas, &mut central);
        vessels::push_branches(draws, &frame, &tissue, &pancreas, &mut vessels);
        Self { frame, tissue, lattice, fields, deep, organs, central, pancreas, vessels, spine, table }
    }

    /// How strongly space is bent at a point, 0 to 1: not at the spine, so that bone keeps its form
    /// and its neighbours keep their distance.
    #[inline]
    pub(crate) fn bend_weight(&self, x: f32, y: f32) -> f32 {
        let dy = y - self.frame.spine_y;
        let r2 = x * x + dy * dy;
        r2 / (r2 + 40.0 * 40.0)
    }

    /// Where a point of the picture lies in the unbent anatomy.
    pub(crate) fn bent(&self, p: Vec3) -> Vec3 {
        let weight = self.bend_weight(p.x, p.y);
        let along = |n: usize| {
            let large = BEND_MM * self.lattice.at(&self.fields.bend[n], p);
            weight * (large + RIPPLE_MM * self.lattice.at(&self.fields.ripple[n], p))
        };
        p + vec3(along(0), along(1), along(2))
    }
}
