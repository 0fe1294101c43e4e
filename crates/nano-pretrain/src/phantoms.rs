//! Slices of phantoms in memory, whole and enlarged around the pancreas.

use std::sync::atomic::{AtomicBool, Ordering};

use ct_phantom::{Layout, MassPair, Phantom, PhantomSpec, Tumors, generate_mass_pair, generate_patient};
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
    /// Slices that differ in one thing: the first shows a tumor, the second the same place without it.
    pub pairs: Vec<[u32; 2]>,
}

impl PhantomSlices {
    /// No slices.
    #[must_use]
    pub fn empty(size: usize) -> Self {
        Self { size, images: Vec::new(), labels: Vec::new(), patients: Vec::new(), pairs: Vec::new() }
    }

    /// Adds the slices of other patients, numbered on.
    ///
    /// # Panics
    /// If they have another size.
    pub fn append(&mut self, others: Self) {
        assert_eq!(self.size, others.size, "slices of one size");
        let first = self.patients.iter().max().map_or(0, |last| last + 1);
        let place = n_slices(self.patients.len());
        self.pairs.extend(others.pairs.iter().map(|pair| pair.map(|slice| place + slice)));
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

/// As patients and pairs are kept: gigabytes of slices are fewer than 2^32.
fn n_slices(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Draws the patients of a recipe, in threads, and renders every slice at `size` px: first all whole
/// slices, then the recipe's regions around the pancreas, then those of its pairs.
///
/// # Errors
/// [`PretrainError::Phantom`] and [`PretrainError::Recipe`] for impossible numbers, [`PretrainError::Stopped`].
pub fn make_phantoms(
    recipe: &PhantomRecipe,
    size: usize,
    stop: &AtomicBool,
) -> Result<PhantomSlices, PretrainError> {
    recipe.check()?;
    let [fewest, most] = recipe.slices;
    let spec = PhantomSpec::new(Layout::Msd, recipe.seed, recipe.patients)
        .with_matrix(recipe.matrix)
        .with_slices(fewest..=most)
        .with_tumors(if recipe.all_tumors { Tumors::All } else { Tumors::Half });
    // of each patient: whole slices, regions, pairs
    let mut parts: Vec<[Pictures; 3]> = (0..recipe.patients)
        .into_par_iter()
        .map(|patient| {
            if stop.load(Ordering::Relaxed) {
                return Err(PretrainError::Stopped);
            }
            let (whole, regions) = render(&generate_patient(&spec, patient)?, size, recipe, patient)?;
            let mut pairs = Pictures::default();
            for mass in 0..recipe.mass_pairs {
                let pair = generate_mass_pair(&spec, patient, mass)?;
                render_pair(&pair, size, recipe, [patient, mass], &mut pairs)?;
            }
            Ok([whole, regions, pairs])
        })
        .collect::<Result<_, _>>()?;
    let mut slices = PhantomSlices::empty(size);
    for kind in 0..3 {
        for (patient, part) in (0..).zip(&mut parts) {
            let Pictures { images, labels } = std::mem::take(&mut part[kind]);
            let (first, n) = (n_slices(slices.len()), images.len() / (size * size));
            if kind == PAIRS {
                slices.pairs.extend((first..first + n_slices(n)).step_by(2).map(|slice| [slice, slice + 1]));
            }
            slices.patients.extend(std::iter::repeat_n(patient, n));
            slices.images.extend(images);
            slices.labels.extend(labels);
        }
    }
    Ok(slices)
}

/// The place of a patient's pairs among their pictures.
const PAIRS: usize = 2;

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

/// The planes of a study from the lowest up: gray as prepared slices show it, and labels; rows, then columns.
fn planes(phantom: &Phantom) -> Result<impl Iterator<Item = (Array2<u8>, Array2<u8>)>, PretrainError> {
    let window = HuWindow::from_limits(-150.0, 250.0)?;
    let volumes = phantom.volume.hu().axis_iter(Axis(2)).zip(phantom.organs.labels().axis_iter(Axis(2)));
    Ok(volumes.map(move |(plane, organs)| {
        // axes are columns, rows
        let gray = plane.t().mapv(|hu| window.to_byte(f64::from(hu)));
        (gray, organs.t().mapv(|value| u8::try_from(value).unwrap_or(0)))
    }))
}

/// The pancreas of a slice with whatever grows in it.
fn pancreas_of(labels: &Array2<u8>, matrix: u32) -> Option<[usize; 4]> {
    let flat = labels.as_standard_layout();
    let found = LabelBoxes::of(flat.as_slice().unwrap_or_default(), matrix as usize);
    Structure::ALL[Structure::PANCREAS].place(&found)
}

/// All slices of a patient, and the regions around the pancreas.
fn render(
    phantom: &Phantom,
    size: usize,
    recipe: &PhantomRecipe,
    patient: u32,
) -> Result<(Pictures, Pictures), PretrainError> {
    let (mut whole, mut regions) = (Pictures::default(), Pictures::default());
    for (slice, (gray, labels)) in (0_u64..).zip(planes(phantom)?) {
        let size_px = [recipe.matrix; 2];
        whole.add(&gray, &labels, BoxPx::whole(size_px), size)?;
        let Some(pancreas) = pancreas_of(&labels, recipe.matrix) else { continue };
        for place in 0..recipe.regions {
            let mut rng =
                sample_rng(recipe.seed ^ REGION_STREAM, u64::from(patient) << 20 | slice, u64::from(place));
            regions.add(&gray, &labels, region(pancreas, recipe, &mut rng), size)?;
        }
    }
    Ok((whole, regions))
}

/// The regions of a mass that show it, each as a tumor and, next to it, as none.
fn render_pair(
    pair: &MassPair,
    size: usize,
    recipe: &PhantomRecipe,
    [patient, mass]: [u32; 2],
    into: &mut Pictures,
) -> Result<(), PretrainError> {
    let both = planes(&pair.with_tumor)?.zip(planes(&pair.without)?);
    for (slice, ((gray, labels), (other_gray, other_labels))) in (pair.first_plane as u64..).zip(both) {
        // outlines are the same in both
        let Some(pancreas) = pancreas_of(&labels, recipe.matrix) else { continue };
        for place in 0..recipe.regions {
            let item = u64::from(patient) << 20 | slice;
            let mut rng =
                sample_rng(recipe.seed ^ REGION_STREAM, item, u64::from(mass + 1) << 32 | u64::from(place));
            let square = region(pancreas, recipe, &mut rng);
            let mut shown = Pictures::default();
            shown.add(&gray, &labels, square, size)?;
            shown.add(&other_gray, &other_labels, square, size)?;
            let tumor = LabelBoxes::of(&shown.labels[..size * size], size);
            if Structure::ALL[Structure::TUMOR].place(&tumor).is_some() {
                into.images.append(&mut shown.images);
                into.labels.append(&mut shown.labels);
            }
        }
    }
    Ok(())
}

/// Keeps the draws of regions apart from others of the same seed.
const REGION_STREAM: u64 = 0x7265_6769_6f6e;

/// A square around the pancreas, larger and beside its middle by chance: more various than those around
/// boxes that a model finds. A smaller one lies somewhere in the box.
fn region(pancreas: [usize; 4], recipe: &PhantomRecipe, rng: &mut ChaCha8Rng) -> BoxPx {
    let [low, high] = recipe.region_sides;
    #[expect(clippy::cast_precision_loss, reason = "images are small")]
    let [x_min, y_min, x_max, y_max] = pancreas.map(|edge| edge as f64);
    let share = f64::from(uniform(rng, low, high));
    let longer = (x_max - x_min).max(y_max - y_min) * share;
    let least = 0.25 * f64::from(recipe.matrix) * f64::from(uniform(rng, 0.85, 1.15)) * share.min(1.0);
    let side = longer.max(least);
    let mut middle = |from: f64, to: f64| {
        let beside = side * f64::from(uniform(rng, -0.1, 0.1));
        let room = 0.5 * (to - from - side);
        let along = if room > 0.0 { room * f64::from(uniform(rng, -1.0, 1.0)) } else { 0.0 };
        f64::midpoint(from, to) + beside + along
    };
    let (x, y) = (middle(x_min, x_max), middle(y_min, y_max));
    BoxPx::square_around([x, y], side, [recipe.matrix; 2])
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
            region_sides: [1.2, 1.8],
            mass_pairs: 0,
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

    #[test]
    fn impossible_regions_are_named() {
        for region_sides in [[1.8, 1.2], [0.0, 1.0], [-1.0, 1.0], [1.0, f32::INFINITY], [f32::NAN, 1.0]] {
            let recipe = PhantomRecipe {
                seed: 5,
                patients: 1,
                matrix: 96,
                slices: [24, 24],
                all_tumors: false,
                regions: 1,
                region_sides,
                mass_pairs: 0,
            };
            let error = make_phantoms(&recipe, 48, &AtomicBool::new(false)).unwrap_err();
            assert!(error.to_string().contains("region_sides"), "{region_sides:?}: {error}");
        }
    }

    #[test]
    fn pairs_differ_in_the_tumor() {
        let recipe = PhantomRecipe {
            seed: 6,
            patients: 2,
            matrix: 128,
            slices: [28, 28],
            all_tumors: false,
            regions: 1,
            region_sides: [0.7, 1.8],
            mass_pairs: 3,
        };
        let make = |recipe: &PhantomRecipe| make_phantoms(recipe, 64, &AtomicBool::new(false)).unwrap();
        let (plain, with) = (make(&PhantomRecipe { mass_pairs: 0, ..recipe.clone() }), make(&recipe));
        assert!(plain.pairs.is_empty());
        assert_eq!(with.images[..plain.images.len()], plain.images);
        assert_eq!(with.len(), plain.len() + 2 * with.pairs.len());
        let mut joined = plain.clone();
        joined.append(with.clone());
        assert_eq!(joined.pairs.len(), with.pairs.len());
        for (slices, pairs) in [(&with, &with.pairs), (&joined, &joined.pairs)] {
            assert!(pairs.len() > 4);
            for &[tumor, other] in pairs {
                let [tumor, other] = [tumor, other].map(|slice| slice as usize);
                assert_eq!(slices.patients[tumor], slices.patients[other]);
                assert!(slices.label(tumor).contains(&6) && !slices.label(other).contains(&6));
                let healed = slices.label(tumor).iter().map(|value| if *value == 6 { 5 } else { *value });
                assert!(healed.eq(slices.label(other).iter().copied()));
                assert_ne!(slices.image(tumor), slices.image(other));
            }
        }
    }
}
