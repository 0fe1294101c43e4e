//! HU of tissues by contrast phase.

use crate::acquisition::Phase;
use crate::draws::Draws;

/// Mean HU of each tissue in one patient and phase.
#[derive(Clone, Debug)]
pub(crate) struct Tissue {
    pub(crate) fat: f32,
    pub(crate) muscle: f32,
    pub(crate) liver: f32,
    pub(crate) spleen: f32,
    pub(crate) cortex: f32,
    pub(crate) medulla: f32,
    pub(crate) renal_pelvis: f32,
    pub(crate) pancreas: f32,
    pub(crate) artery: f32,
    pub(crate) portal: f32,
    pub(crate) hepatic_vein: f32,
    pub(crate) vena_cava: f32,
    pub(crate) bowel_wall: f32,
    pub(crate) bile: f32,
    pub(crate) trabecular: f32,
    pub(crate) cortical: f32,
}

impl Tissue {
    pub(crate) fn draw(draws: &mut Draws, phase: Phase) -> Self {
        // (low, high) per phase: arterial, portal, delayed.
        let mut by_phase = |arterial: (f32, f32), portal: (f32, f32), delayed: (f32, f32)| {
            let (low, high) = match phase {
                Phase::Arterial => arterial,
                Phase::Portal => portal,
                Phase::Delayed => delayed,
            };
            draws.range(low, high)
        };
        let artery = by_phase((240.0, 330.0), (150.0, 190.0), (108.0, 130.0));
        let portal = by_phase((105.0, 150.0), (155.0, 195.0), (106.0, 128.0));
        let mut tissue = Self {
            artery,
            portal,
            hepatic_vein: by_phase((60.0, 80.0), (145.0, 180.0), (104.0, 126.0)),
            vena_cava: by_phase((75.0, 125.0), (115.0, 155.0), (100.0, 124.0)),
            liver: by_phase((68.0, 88.0), (94.0, 118.0), (82.0, 98.0)),
            spleen: by_phase((105.0, 135.0), (108.0, 130.0), (86.0, 102.0)),
            cortex: by_phase((165.0, 215.0), (168.0, 205.0), (150.0, 172.0)),
            medulla: by_phase((75.0, 105.0), (140.0, 180.0), (150.0, 172.0)),
            renal_pelvis: by_phase((5.0, 20.0), (8.0, 25.0), (220.0, 420.0)),
            // Wide on purpose: age, fat and timing spread it more than a tumour lowers it.
            pancreas: by_phase((68.0, 120.0), (62.0, 116.0), (60.0, 98.0)),
            bowel_wall: by_phase((82.0, 118.0), (70.0, 108.0), (60.0, 88.0)),
            fat: 0.0,
            muscle: 0.0,
            bile: 0.0,
            trabecular: 0.0,
            cortical: 0.0,
        };
        tissue.fat = draws.range(-112.0, -98.0);
        tissue.muscle = draws.range(48.0, 64.0);
        tissue.bile = draws.range(2.0, 18.0);
        tissue.trabecular = draws.range(130.0, 250.0);
        tissue.cortical = draws.range(480.0, 820.0);
        if draws.chance(0.15) {
            tissue.liver -= draws.range(12.0, 30.0); // fatty liver
        }
        tissue
    }
}
