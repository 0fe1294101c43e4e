//! Everything drawn about one patient, without knowing who has a tumour.

use crate::acquisition::Acquisition;
use crate::anatomy::{Anatomy, Mass};
use crate::draws::{Draws, Purpose};
use crate::spec::PhantomSpec;

pub(crate) struct Patient {
    pub(crate) scan: Acquisition,
    pub(crate) anatomy: Anatomy,
    pub(crate) mass: Mass,
}

impl Patient {
    /// The patient with a mass and what is drawn with it; mass 0 is the patient's own.
    pub(crate) fn draw(spec: &PhantomSpec, index: u32, mass: u32) -> Self {
        let draws = |purpose| Draws::new(spec.seed, spec.layout, u64::from(index), purpose);
        let scan = Acquisition::draw(&mut draws(Purpose::Acquisition), spec);
        let anatomy = Anatomy::draw(&mut draws(Purpose::Anatomy), &mut draws(Purpose::Lattice), &scan);
        let mut of_mass = draws(Purpose::Mass);
        of_mass.set_stream(u64::from(mass));
        let mass = Mass::draw(&mut of_mass, &anatomy);
        Self { scan, anatomy, mass }
    }
}
