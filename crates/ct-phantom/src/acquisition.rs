//! How a patient is scanned: grid, contrast phase, dose, reconstruction kernel.

use serde::{Deserialize, Serialize};

use crate::draws::Draws;
use crate::spec::PhantomSpec;

/// When the scan was taken after contrast was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Late arterial (pancreatic), about 40 s.
    Arterial,
    /// Portal venous, about 70 s.
    Portal,
    /// Delayed, some minutes: the renal pelvis is bright.
    Delayed,
}

/// Reconstruction kernel: how sharp edges are and how fine the noise is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// Smooth.
    Soft,
    /// The usual abdominal kernel.
    Standard,
    /// Sharp, with finer and stronger noise.
    Sharp,
}

impl Kernel {
    /// Width of a sharp edge, in mm.
    pub(crate) fn edge_mm(self) -> f32 {
        match self {
            Self::Soft => 1.5,
            Self::Standard => 1.2,
            Self::Sharp => 0.9,
        }
    }

    /// Deviations in mm of the two Gaussians whose difference shapes the noise. The standard kernel
    /// has the neighbour correlation measured in the liver of a real scan (about 0.4 at 1 mm).
    pub(crate) fn noise_sigmas_mm(self) -> (f32, f32) {
        match self {
            Self::Soft => (0.66, 1.9),
            Self::Standard => (0.54, 1.6),
            Self::Sharp => (0.42, 1.2),
        }
    }
}

/// One scan: what the patient's anatomy does not decide.
#[derive(Clone, Debug)]
pub(crate) struct Acquisition {
    /// Rows and columns.
    pub(crate) matrix: usize,
    pub(crate) n_slices: usize,
    pub(crate) pixel_mm: f64,
    pub(crate) slice_mm: f64,
    pub(crate) thickness_mm: f64,
    /// Height of the lowest slice above the middle of the pancreas region, in mm.
    pub(crate) z_start_mm: f64,
    /// Middle of the picture relative to the middle of the body, in mm to the left and back.
    pub(crate) center_mm: [f64; 2],
    pub(crate) phase: Phase,
    pub(crate) kernel: Kernel,
    /// Deviation of the noise in the middle of the body, in HU.
    pub(crate) noise_hu: f32,
    /// The same before slice thickness counts.
    pub(crate) dose_noise_hu: f32,
    /// Body size of the patient as a half width in mm; drawn here because the field of view is set
    /// to the patient.
    pub(crate) half_width_mm: f32,
    /// Arbitrary position of the scanner's origin, in mm (RAS+).
    pub(crate) origin_shift_mm: [f64; 3],
}

/// Slice spacings met in practice, in mm.
const SLICE_MM: [f64; 8] = [1.5, 2.0, 2.5, 2.5, 2.5, 3.0, 4.0, 5.0];

impl Acquisition {
    pub(crate) fn draw(draws: &mut Draws, spec: &PhantomSpec) -> Self {
        let matrix = spec.matrix as usize;
        let half_width_mm = draws.range(142.0, 184.0);
        let field_of_view =
            (2.0 * f64::from(half_width_mm) * f64::from(draws.range(1.04, 1.24))).clamp(308.0, 459.0);
        // At 512 this is 0.6 to 0.9 mm; four decimals, so that text in DICOM holds it exactly.
        let pixel_mm = (field_of_view / matrix as f64 * 1e4).round() / 1e4;
        let slack = (field_of_view / 2.0 - f64::from(half_width_mm)).max(0.0);
        let center_mm = [slack * f64::from(draws.spread(0.5)), slack * f64::from(draws.spread(0.6)) + 8.0];

        let (top_mm, bottom_mm) =
            (f64::from(draws.range(84.0, 112.0)), f64::from(draws.range(-130.0, -92.0)));
        let (slice_mm, n_slices) = slice_grid(draws.pick(&SLICE_MM), top_mm - bottom_mm, spec.slices);
        let length_mm = slice_mm * n_slices as f64;
        // A shortened scan keeps to the middle of the organs, which lies below the pancreas' middle.
        let middle_mm = if length_mm < 180.0 { -6.0 } else { (top_mm + bottom_mm) / 2.0 };
        let z_start_mm = middle_mm - (length_mm - slice_mm) / 2.0;
        let thickness_mm = slice_mm * f64::from(draws.pick(&[1.0_f32, 1.0, 1.25, 1.5]));

        let phase =
            draws.pick(&[Phase::Arterial, Phase::Portal, Phase::Portal, Phase::Portal, Phase::Delayed]);
        let kernel = draws.pick(&[Kernel::Soft, Kernel::Standard, Kernel::Standard, Kernel::Sharp]);
        let dose = draws.range(0.75, 1.35);
        // Thin slices and sharp kernels are noisier, but a site gives thin slices more dose: exponent 1/4.
        let thin = (2.5 / thickness_mm).sqrt().sqrt();
        let kernel_noise = match kernel {
            Kernel::Soft => 8.5,
            Kernel::Standard => 11.0,
            Kernel::Sharp => 14.5,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a ratio near 1")]
        let noise_hu = kernel_noise * dose * thin as f32;
        let dose_noise_hu = kernel_noise * dose;
        let mut shift = |half: f32| f64::from(draws.spread(half).round());
        let origin_shift_mm = [shift(20.0), shift(20.0), shift(400.0)];
        Self {
            matrix,
            n_slices,
            pixel_mm,
            slice_mm,
            thickness_mm,
            z_start_mm,
            center_mm,
            phase,
            kernel,
            noise_hu,
            dose_noise_hu,
            half_width_mm,
            origin_shift_mm,
        }
    }

    /// Planes rendered and averaged per slice: thick slices mix what lies above and below.
    pub(crate) fn sub_planes(&self) -> usize {
        if self.thickness_mm > 2.2 { 3 } else { 1 }
    }
}

/// Spacing and count of slices for a scan of about `length_mm`.
fn slice_grid(wanted_mm: f64, length_mm: f64, (fewest, most): (u32, u32)) -> (f64, usize) {
    // Shorter than this, an organ may be missed.
    const SHORTEST_MM: f64 = 118.0;
    let needed_mm = SHORTEST_MM / f64::from(most);
    let slice_mm = if wanted_mm >= needed_mm {
        wanted_mm
    } else {
        SLICE_MM.into_iter().find(|&s| s >= needed_mm).unwrap_or(5.0)
    };
    let mut n_slices = fewest;
    while n_slices < most && f64::from(n_slices) * slice_mm < length_mm {
        n_slices += 1;
    }
    (slice_mm, n_slices as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Purpose;
    use crate::spec::Layout;

    #[test]
    fn grids_stay_in_the_clinical_range() {
        for layout in Layout::ALL {
            let spec = PhantomSpec::new(layout, 5, 300);
            let mut spacings = Vec::new();
            for index in 0..300 {
                let mut draws = Draws::new(5, layout, index, Purpose::Acquisition);
                let scan = Acquisition::draw(&mut draws, &spec);
                assert!((0.6..=0.9).contains(&scan.pixel_mm), "{}", scan.pixel_mm);
                assert!((1.5..=5.0).contains(&scan.slice_mm), "{}", scan.slice_mm);
                assert!((36..=180).contains(&scan.n_slices), "{}", scan.n_slices);
                assert!(scan.n_slices as f64 * scan.slice_mm > 170.0);
                spacings.push(scan.pixel_mm);
            }
            let low = spacings.iter().copied().fold(f64::INFINITY, f64::min);
            let high = spacings.iter().copied().fold(0.0, f64::max);
            assert!(low < 0.65 && high > 0.85, "{low} to {high}");
        }
    }

    #[test]
    fn few_slices_are_spread_over_the_organs() {
        for wanted in SLICE_MM {
            let (slice_mm, n_slices) = slice_grid(wanted, 220.0, (24, 24));
            assert_eq!((slice_mm, n_slices), (5.0, 24));
            let (slice_mm, n_slices) = slice_grid(wanted, 220.0, (24, 400));
            assert_eq!(slice_mm, wanted);
            assert!(n_slices as f64 * slice_mm >= 220.0 - 1e-9);
        }
    }
}
