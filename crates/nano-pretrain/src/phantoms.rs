//! Slices of phantoms in memory, whole and enlarged around the pancreas.

use std::sync::atomic::{AtomicBool, Ordering};

use ct_phantom::{Layout, Phantom, PhantomSpec, Tumors, generate_patient};
use ct_slices::BoxPx;
use ct_slices::pixels::{Filter, HuWindow, resize_gray};
use ndarray::{Array2, Axis, s};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::augment::{sample_rng, uniform};
use crate::targets::LabelBoxes;
use crate::{PhantomRecipe, PretrainError, Structure};

/// Slices of many patients: gray images as prepared slices show them, and what each pixel is.
#[derive(Debug, Clone)]
pub struct PhantomSlices {
    /// Rows and columns of every image.
    pub size: usize,
    /// `[n, size, size]`, window -150..250 HU.
    pub images: Vec<u8>,
    /// `[n, size, size]`, values of [`ct_phantom::PhantomLabel`].
    pub labels: Vec<u8>,
    /// The patient of each slice.
    pub patients: Vec<u32>,
}

impl PhantomSlices {
    /// No slices.
    #[must_use]
    pub fn empty(size: usize) -> Self {
        Self { size, images: Vec::new(), labels: Vec::new(), patients: Vec::new() }
    }

    /// Adds the slices of other patients, numbered on.
    ///
    /// # Panics
    /// If they have another size.
    pub fn append(&mut self, others: Self) {
        assert_eq!(self.size, others.size, "slices of one size");
        let first = self.patients.iter().max().map_or(0, |last| last + 1);
        self.images.extend(others.images);
        self.labels.extend(others.labels);
        self.patients.extend(others.patients.iter().map(|patient| first + patient));
    }

    /// Slices.
    #[must_use]
    pub fn len(&self) -> usize {
        self.patients.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patients.is_empty()
    }

    /// The image of a slice, row by row.
    ///
    /// # Panics
    /// If there is no such slice.
    #[must_use]
    pub fn image(&self, slice: usize) -> &[u8] {
        let n = self.size * self.size;
        &self.images[slice * n..(slice + 1) * n]
    }

    /// The labels of a slice, row by row.
    ///
    /// # Panics
    /// If there is no such slice.
    #[must_use]
    pub fn label(&self, slice: usize) -> &[u8] {
        let n = self.size * self.size;
        &self.labels[slice * n..(slice + 1) * n]
    }
}

/// Draws the patients of a recipe, in threads, and renders every slice at `size` px: first all whole
/// slices, then the recipe's regions around the pancreas.
///
/// # Errors
/// [`PretrainError::Phantom`] for impossible numbers, [`PretrainError::Stopped`].
pub fn make_phantoms(
    recipe: &PhantomRecipe,
    size: usize,
    stop: &AtomicBool,
) -> Result<PhantomSlices, PretrainError> {
    let [fewest, most] = recipe.slices;
    let spec = PhantomSpec::new(Layout::Msd, recipe.seed, recipe.patients)
        .with_matrix(recipe.matrix)
        .with_slices(fewest..=most)
        .with_tumors(if recipe.all_tumors { Tumors::All } else { Tumors::Half });
    let parts: Vec<_> = (0..recipe.patients)
        .into_par_iter()
        .map(|patient| {
            if stop.load(Ordering::Relaxed) {
                return Err(PretrainError::Stopped);
            }
            render(&generate_patient(&spec, patient)?, size, recipe, patient)
        })
        .collect::<Result<_, _>>()?;
    let mut slices = PhantomSlices::empty(size);
    let (whole, regions): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    for parts in [whole, regions] {
        for (patient, Pictures { images, labels }) in (0..).zip(parts) {
            slices.patients.extend(std::iter::repeat_n(patient, images.len() / (size * size)));
            slices.images.extend(images);
            slices.labels.extend(labels);
        }
    }
    Ok(slices)
}

/// Squares of a patient, each `size` by `size`.
#[derive(Default)]
struct Pictures {
    images: Vec<u8>,
    labels: Vec<u8>,
}

impl Pictures {
    /// Adds a part of a slice, scaled to the square.
    fn add(
        &mut self,
        gray: &Array2<u8>,
        labels: &Array2<u8>,
        part: BoxPx,
        size: usize,
    ) -> Result<(), PretrainError> {
        let [x_min, y_min, x_max, y_max] = <[u32; 4]>::from(part).map(|edge| edge as usize);
        let shown = s![y_min..=y_max, x_min..=x_max];
        self.images.extend(resize_gray(gray.slice(shown), size, size, Filter::Bicubic)?);
        let labels = labels.slice(shown);
        let nearest = |at: usize, n: usize| (2 * at + 1) * n / (2 * size);
        for r in 0..size {
            for c in 0..size {
                self.labels.push(labels[[nearest(r, labels.nrows()), nearest(c, labels.ncols())]]);
            }
        }
        Ok(())
    }
}

/// All slices of a patient, and the regions around the pancreas.
fn render(
    phantom: &Phantom,
    size: usize,
    recipe: &PhantomRecipe,
    patient: u32,
) -> Result<(Pictures, Pictures), PretrainError> {
    let window = HuWindow::from_limits(-150.0, 250.0)?;
    let (mut whole, mut regions) = (Pictures::default(), Pictures::default());
    let volumes = phantom.volume.hu().axis_iter(Axis(2)).zip(phantom.organs.labels().axis_iter(Axis(2)));
    for (slice, (plane, organs)) in (0_u64..).zip(volumes) {
        // axes are columns, rows
        let gray: Array2<u8> = plane.t().mapv(|hu| window.to_byte(f64::from(hu)));
        let labels: Array2<u8> = organs.t().mapv(|value| u8::try_from(value).unwrap_or(0));
        let size_px = [recipe.matrix; 2];
        whole.add(&gray, &labels, BoxPx::whole(size_px), size)?;
        let flat = labels.as_standard_layout();
        let found = LabelBoxes::of(flat.as_slice().unwrap_or_default(), recipe.matrix as usize);
        let Some(pancreas) = Structure::ALL[Structure::PANCREAS].place(&found) else { continue };
        for place in 0..recipe.regions {
            let mut rng =
                sample_rng(recipe.seed ^ REGION_STREAM, u64::from(patient) << 20 | slice, u64::from(place));
            regions.add(&gray, &labels, region(pancreas, size_px, &mut rng), size)?;
        }
    }
    Ok((whole, regions))
}

/// Keeps the draws of regions apart from others of the same seed.
const REGION_STREAM: u64 = 0x7265_6769_6f6e;

/// A square around the pancreas, larger and beside its middle by chance: more various than those around
/// boxes that a model finds.
fn region(pancreas: [usize; 4], size_px: [u32; 2], rng: &mut ChaCha8Rng) -> BoxPx {
    #[expect(clippy::cast_precision_loss, reason = "images are small")]
    let [x_min, y_min, x_max, y_max] = pancreas.map(|edge| edge as f64);
    let longer = (x_max - x_min).max(y_max - y_min) * f64::from(uniform(rng, 1.2, 1.8));
    let least = 0.25 * f64::from(size_px[0]) * f64::from(uniform(rng, 0.85, 1.15));
    let side = longer.max(least);
    let x = f64::midpoint(x_min, x_max) + side * f64::from(uniform(rng, -0.1, 0.1));
    let y = f64::midpoint(y_min, y_max) + side * f64::from(uniform(rng, -0.1, 0.1));
    BoxPx::square_around([x, y], side, size_px)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_enlarge_the_pancreas() {
        let recipe = |regions| PhantomRecipe {
            seed: 5,
            patients: 2,
            matrix: 96,
            slices: [24, 24],
            all_tumors: false,
            regions,
        };
        let make = |regions| make_phantoms(&recipe(regions), 48, &AtomicBool::new(false)).unwrap();
        let (plain, both) = (make(0), make(2));
        assert_eq!((plain.len(), plain.patients.clone()), (48, [vec![0; 24], vec![1; 24]].concat()));
        assert_eq!(both.images[..plain.images.len()], plain.images);
        assert_eq!(both.labels, make(2).labels);
        let area = |slices: &PhantomSlices, slice| {
            slices.label(slice).iter().filter(|v| [5, 6].contains(*v)).count()
        };
        let of_whole: usize = (0..48).map(|slice| area(&both, slice)).sum();
        let of_regions: usize = (48..both.len()).map(|slice| area(&both, slice)).sum();
        assert!(both.len() > 60 && both.patients.contains(&1));
        // Two of each, about twice as large a side.
        assert!(of_regions > 4 * of_whole, "{of_regions} of {of_whole}");
    }
}
