//! Slices of phantoms in memory.

use std::sync::atomic::{AtomicBool, Ordering};

use ct_phantom::{Layout, Phantom, PhantomSpec, Tumors, generate_patient};
use ct_slices::pixels::{Filter, HuWindow, resize_gray};
use ndarray::{Array2, Axis};
use rayon::prelude::*;

use crate::{PhantomRecipe, PretrainError};

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
        let first = self.patients.last().map_or(0, |last| last + 1);
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

/// Draws the patients of a recipe, in threads, and renders every slice at `size` px.
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
            render(&generate_patient(&spec, patient)?, size)
        })
        .collect::<Result<_, _>>()?;
    let mut slices = PhantomSlices::empty(size);
    for (patient, (images, labels)) in (0..).zip(parts) {
        slices.patients.extend(std::iter::repeat_n(patient, images.len() / (size * size)));
        slices.images.extend(images);
        slices.labels.extend(labels);
    }
    Ok(slices)
}

/// Images and labels of all slices of a patient.
fn render(phantom: &Phantom, size: usize) -> Result<(Vec<u8>, Vec<u8>), PretrainError> {
    let window = HuWindow::from_limits(-150.0, 250.0)?;
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let volumes = phantom.volume.hu().axis_iter(Axis(2)).zip(phantom.organs.labels().axis_iter(Axis(2)));
    for (plane, organs) in volumes {
        // axes are columns, rows
        let gray: Array2<u8> = plane.t().mapv(|hu| window.to_byte(f64::from(hu)));
        images.extend(resize_gray(gray.view(), size, size, Filter::Bicubic)?);
        let (n_cols, n_rows) = organs.dim();
        let nearest = |at: usize, n: usize| (2 * at + 1) * n / (2 * size);
        for r in 0..size {
            for c in 0..size {
                let value = organs[[nearest(c, n_cols), nearest(r, n_rows)]];
                labels.push(u8::try_from(value).unwrap_or(0));
            }
        }
    }
    Ok((images, labels))
}
