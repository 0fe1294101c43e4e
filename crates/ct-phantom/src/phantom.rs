//! One patient in memory.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use ct_volume::{Affine, LabelVolume, Orientation, Volume};
use ndarray::{Array3, ShapeBuilder};

use crate::acquisition::Acquisition;
use crate::assignment::has_tumor;
use crate::draws::{Draws, Purpose};
use crate::error::PhantomError;
use crate::facts::{PatientFacts, TumorFacts};
use crate::label::PhantomLabel;
use crate::patient::Patient;
use crate::render::{Grid, Scene, render};
use crate::spec::PhantomSpec;
use crate::vector::{index_below, vec3};

/// A synthetic study: what was scanned, what each voxel is, and what is true of the patient.
#[derive(Clone, Debug)]
pub struct Phantom {
    /// HU, whole numbers; axes LPS (columns to the patient's left, rows to the back, slices up).
    pub volume: Volume,
    /// [`PhantomLabel`] values on the same grid.
    pub organs: LabelVolume,
    /// What was drawn.
    pub facts: PatientFacts,
}

/// Makes one patient of a data set, on the calling thread.
///
/// # Units
/// HU after noise, rounded to whole numbers, within -1024..=3071.
///
/// # Errors
/// [`PhantomError::Spec`] if the numbers of `spec` cannot be used;
/// [`PhantomError::NoSuchPatient`] if `index` is not below `spec.patients`.
pub fn generate_patient(spec: &PhantomSpec, index: u32) -> Result<Phantom, PhantomError> {
    spec.check()?;
    check_index(spec, index)?;
    generate_oriented(spec, index, has_tumor(spec, index), Orientation::LPS, &AtomicBool::new(false))
}

/// Planes of a patient with a mass that is a tumor, and the same planes where it is none.
#[derive(Clone, Debug)]
pub struct MassPair {
    /// The lowest of the planes, as counted in the patient's whole study.
    pub first_plane: usize,
    /// The mass is a tumor.
    pub with_tumor: Phantom,
    /// It is an ordinary bulge of parenchyma; all else, noise too, is the same.
    pub without: Phantom,
}

/// Makes the planes through a mass of a patient twice: as a tumor and as the bulge that the healthy have.
///
/// What differs between the two is what a tumor is, and nothing else; so a model that tells them apart
/// looks at it. `mass` 0 is the patient's own: its planes are those of [`generate_patient`]. Higher numbers
/// are masses elsewhere in the same patient, with the ducts, cysts and neighbors that are drawn with them.
/// Who of a spec's patients has a tumor does not matter here.
///
/// # Units
/// HU as in [`generate_patient`]; the affine maps the planes to where they lie in the study.
///
/// # Errors
/// As [`generate_patient`].
pub fn generate_mass_pair(spec: &PhantomSpec, index: u32, mass: u32) -> Result<MassPair, PhantomError> {
    spec.check()?;
    check_index(spec, index)?;
    let study = Study::draw(spec, index, mass);
    let Patient { scan, mass, .. } = &study.patient;
    let slice_mm = Grid::new(scan).slice;
    let reach = index_below(mass.radius_mm / mass.stretch.z / slice_mm, scan.n_slices);
    let middle = study.center[2];
    let planes = middle.saturating_sub(reach)..(middle + reach + 1).min(scan.n_slices);
    let first_plane = planes.start;
    let make = |tumor| study.render(tumor, planes.clone(), Orientation::LPS, &AtomicBool::new(false));
    Ok(MassPair { first_plane, with_tumor: make(true)?, without: make(false)? })
}

fn check_index(spec: &PhantomSpec, index: u32) -> Result<(), PhantomError> {
    if index >= spec.patients {
        return Err(PhantomError::NoSuchPatient { index, patients: spec.patients });
    }
    Ok(())
}

/// The same for a checked spec, with other axes (right-left first, slices last), and a way to stop.
pub(crate) fn generate_oriented(
    spec: &PhantomSpec,
    index: u32,
    tumor: bool,
    orientation: Orientation,
    cancel: &AtomicBool,
) -> Result<Phantom, PhantomError> {
    let study = Study::draw(spec, index, 0);
    study.render(tumor, 0..study.patient.scan.n_slices, orientation, cancel)
}

/// A patient whose mass lies in the middle of a voxel.
struct Study<'a> {
    spec: &'a PhantomSpec,
    index: u32,
    patient: Patient,
    center: [usize; 3],
}

impl<'a> Study<'a> {
    fn draw(spec: &'a PhantomSpec, index: u32, mass: u32) -> Self {
        let mut patient = Patient::draw(spec, index, mass);
        let center = snap(&mut patient);
        Self { spec, index, patient, center }
    }

    /// Some planes, with the mass as a tumor or as none.
    fn render(
        &self,
        tumor: bool,
        planes: Range<usize>,
        orientation: Orientation,
        cancel: &AtomicBool,
    ) -> Result<Phantom, PhantomError> {
        let Self { spec, index, patient, center } = self;
        let Patient { scan, anatomy, mass } = patient;
        let first = planes.start;
        let shape = [scan.matrix, scan.matrix, planes.len()];
        let steps = Orientation::LPS.transform_to(orientation);
        let mut hu = Array3::<f32>::zeros((shape[0], shape[1], shape[2]).f());
        let mut organs = Array3::<u16>::zeros((shape[0], shape[1], shape[2]).f());
        let scene = Scene { patient, tumor };
        let mut noise = Draws::new(spec.seed, spec.layout, u64::from(*index), Purpose::Quantum);
        let place = |i: usize, j: usize, k: usize| {
            let turned = |n: usize, at: usize| if steps.flip[n] { shape[n] - 1 - at } else { at };
            [turned(0, i), turned(1, j), turned(2, k - first)]
        };
        let done = render(&scene, &mut noise, planes, cancel, |k, j, line, labels| {
            for (i, (&value, label)) in line.iter().zip(labels).enumerate() {
                let at = place(i, j, k);
                hu[at] = value;
                organs[at] = label.value();
            }
        });
        if !done {
            return Err(PhantomError::Cancelled);
        }

        let affine = steps.affine(&lps_affine(scan, first), shape);
        let facts = PatientFacts {
            index: *index,
            tumor: tumor.then(|| TumorFacts {
                diameter_mm: 2.0 * mass.radius_mm,
                contrast_hu: mass.contrast_hu,
                location: mass.location,
                center_voxel: place(center[0], center[1], center[2]),
            }),
            phase: scan.phase,
            kernel: scan.kernel,
            shape,
            spacing_mm: [scan.pixel_mm, scan.pixel_mm, scan.slice_mm],
            slice_thickness_mm: scan.thickness_mm,
            noise_hu: scan.noise_hu,
            pancreas_hu: anatomy.pancreas.hu,
            body_half_width_mm: scan.half_width_mm,
        };
        let volume = Volume::new(hu, affine)?;
        let organs = LabelVolume::new(organs, affine)?;
        Ok(Phantom { volume, organs, facts })
    }
}

/// Moves the middle of the mass to the middle of a voxel, so that the smallest mass is seen in the
/// coarsest grid; returns that voxel.
fn snap(patient: &mut Patient) -> [usize; 3] {
    let Patient { scan, anatomy, mass } = patient;
    let grid = Grid::new(scan);
    // The picture shows bent space: look for the point that bends to the middle.
    let mut p = mass.center;
    for _ in 0..8 {
        p = p + (mass.center - anatomy.bent(p));
    }
    let nearest = |at: f32, start: f32, step: f32, n: usize| index_below((at - start) / step + 0.5, n - 1);
    let voxel = [
        nearest(p.x, grid.x_start, grid.pixel, scan.matrix),
        nearest(p.y, grid.y_start, grid.pixel, scan.matrix),
        nearest(p.z, grid.z_start, grid.slice, scan.n_slices),
    ];
    mass.center = anatomy.bent(vec3(
        grid.x_start + voxel[0] as f32 * grid.pixel,
        grid.y_start + voxel[1] as f32 * grid.pixel,
        grid.z_start + voxel[2] as f32 * grid.slice,
    ));
    voxel
}

/// Columns to the left, rows to the back, slices up from the plane `lowest`, in RAS+ mm.
#[expect(clippy::cast_precision_loss, reason = "numbers of planes")]
fn lps_affine(scan: &Acquisition, lowest: usize) -> Affine {
    let half = scan.pixel_mm * (scan.matrix as f64 - 1.0) / 2.0;
    let first = [
        half - scan.center_mm[0] + scan.origin_shift_mm[0],
        half - scan.center_mm[1] + scan.origin_shift_mm[1],
        scan.z_start_mm + scan.origin_shift_mm[2] + lowest as f64 * scan.slice_mm,
    ]
    // Four decimals, which DICOM's text numbers and NIfTI's floats both hold.
    .map(|mm| (mm * 1e4).round() / 1e4);
    Affine::from_columns(
        [[-scan.pixel_mm, 0.0, 0.0], [0.0, -scan.pixel_mm, 0.0], [0.0, 0.0, scan.slice_mm]],
        first,
    )
}

impl Phantom {
    /// Number of voxels of a label.
    #[must_use]
    pub fn count(&self, label: PhantomLabel) -> usize {
        self.organs.labels().iter().filter(|&&value| value == label.value()).count()
    }
}
