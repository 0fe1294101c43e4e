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
    pub(crate) fn draw(spec: &PhantomSpec, index: u32) -> Self {
        let draws = |purpose| Draws::new(spec.seed, spec.layout, u64::from(index), purpose);
        let scan = Acquisition::draw(&mut draws(Purpose::Acquisition), spec);
        let anatomy = Anatomy::draw(&mut draws(Purpose::Anatomy), &mut draws(Purpose::Lattice), &scan);
        let mass = Mass::draw(&mut draws(Purpose::Mass), &anatomy);
        Self { scan, anatomy, mass }
    }
}
