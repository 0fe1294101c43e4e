//! Planes in HU to 8-bit images.

use std::fmt;

use ndarray::{Array2, ArrayView2};

use super::equalize::{Equalizer, PercentileClip};
use super::error::PixelError;
use super::flat::Flat;
use super::gray_table::{gray_f32, gray_f64};
use super::whole::{WholeRange, WholeTables};
use super::window::HuWindow;

/// The float type that the published code computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// `f64`: MSD and AbdomenCT-1K, read from NIfTI.
    F64,
    /// `f32` in numpy 1.x arithmetic: NIH, read from DICOM.
    F32,
}

/// How HU become gray.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rendering {
    /// Fixed limits, the same for every slice ([`HuWindow::to_byte`]).
    FixedWindow(HuWindow),
    /// Era H/M: -150..250 HU, then each slice stretched to its own range, through a table that is one
    /// off at 24 places (SPEC 1.7, D39).
    Code2025 {
        /// By dataset.
        precision: Precision,
    },
    /// Era P: clip to the 2nd and 98th percentile of the slice, equalize, then as above (SPEC 1.7).
    Paper2024,
}

/// Turns planes into images; keeps its tables from one plane to the next, so use one per thread.
pub struct Renderer {
    tables: WholeTables,
    counts: Vec<u32>,
    sorted: Vec<f32>,
    levels: Vec<f64>,
    grays: Vec<u8>,
}

/// Turns one plane into an image. See [`Renderer::render`]; a loop over slices is faster with one
/// [`Renderer`].
///
/// # Errors
/// [`PixelError::Size`] if the plane is empty.
pub fn render(plane: ArrayView2<'_, f32>, rendering: &Rendering) -> Result<Array2<u8>, PixelError> {
    Renderer::new().render(plane, rendering)
}

/// The published image writer: stretches numbers from their own least to their own greatest value, and
/// takes them through the gray table. All 0 if they are all equal; NaN is left out and becomes 0.
///
/// # Shapes
/// - `levels`: `[row, col]`
/// - returns `[row, col]`, standard layout
///
/// # Source
/// SPEC 1.7, step 4: matplotlib's `imsave` with the "gray" color map, in `f64`.
#[must_use]
pub fn stretch_to_gray(levels: ArrayView2<'_, f64>) -> Array2<u8> {
    let span = Span::of(levels.iter().copied());
    Array2::from_shape_fn(levels.dim(), |pixel| span.gray(levels[pixel]))
}

impl Renderer {
    /// A renderer with empty tables.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tables: WholeTables::new(),
            counts: Vec::new(),
            sorted: Vec::new(),
            levels: Vec::new(),
            grays: Vec::new(),
        }
    }

    /// Turns one plane into an image.
    ///
    /// A constant plane is 0 everywhere except under a fixed window. NaN becomes 0 and is left out of
    /// the slice's statistics (the published writer would have left the whole slice blank); infinities
    /// count as the largest floats.
    ///
    /// # Shapes
    /// - `plane`: `[row, col]`, any strides; quickest if contiguous in memory in some axis order
    /// - returns `[row, col]`, standard layout
    ///
    /// # Units
    /// HU in, gray 0..255 out.
    ///
    /// # Errors
    /// [`PixelError::Size`] if the plane is empty.
    ///
    /// # Source
    /// SPEC 1.7: numpy, scikit-image's `exposure` and matplotlib's image writer.
    pub fn render(
        &mut self,
        plane: ArrayView2<'_, f32>,
        rendering: &Rendering,
    ) -> Result<Array2<u8>, PixelError> {
        self.render_as(plane, rendering, WholeRange::of)
    }

    fn render_as(
        &mut self,
        plane: ArrayView2<'_, f32>,
        rendering: &Rendering,
        whole_range: impl Fn(&[f32]) -> Option<WholeRange>,
    ) -> Result<Array2<u8>, PixelError> {
        let (height_px, width_px) = plane.dim();
        if plane.is_empty() {
            return Err(PixelError::Size { width_px, height_px, max_px: usize::MAX });
        }
        let flat = Flat::new(plane);
        self.grays.clear();
        match whole_range(&flat.values) {
            Some(range) => self.whole(&flat.values, range, rendering),
            None => self.general(&flat.values, rendering),
        }
        Ok(flat.image(&self.grays))
    }

    /// Whole numbers: gray per value, then a look-up per pixel.
    fn whole(&mut self, values: &[f32], range: WholeRange, rendering: &Rendering) {
        match rendering {
            Rendering::FixedWindow(window) => {
                let limits = (window.low_hu(), window.high_hu());
                fill(self.tables.grays_mut(range), range, limits, |hu| window.to_byte(hu));
            }
            Rendering::Code2025 { precision } => {
                let stretch = Stretch::new(*precision, f64::from(range.min), f64::from(range.max));
                let limits = (HuWindow::PANCREAS.low_hu(), HuWindow::PANCREAS.high_hu());
                fill(self.tables.grays_mut(range), range, limits, |hu| stretch.gray(hu));
            }
            Rendering::Paper2024 => {
                self.tables.count(values, range, &mut self.counts);
                let clip = percentiles_of_counts(range, &self.counts, values.len());
                self.levels.clear();
                self.levels.extend(range.values().map(|value| clip.rescale(f64::from(value))));
                let counted = self.levels.iter().copied().zip(self.counts.iter().copied());
                let equalizer = Equalizer::fit(counted);
                // numbers that do not occur must not widen the span
                for (level, &count) in self.levels.iter_mut().zip(&self.counts) {
                    *level = if count > 0 { equalizer.apply(*level) } else { f64::NAN };
                }
                let span = Span::of(self.levels.iter().copied());
                for (gray, &level) in self.tables.grays_mut(range).iter_mut().zip(&self.levels) {
                    *gray = span.gray(level);
                }
            }
        }
        self.tables.map(values, range, &mut self.grays);
    }

    /// Any numbers: the same arithmetic per pixel.
    fn general(&mut self, values: &[f32], rendering: &Rendering) {
        let hu = values.iter().map(|&value| finite(value));
        match rendering {
            Rendering::FixedWindow(window) => self.grays.extend(hu.map(|hu| window.to_byte(hu))),
            Rendering::Code2025 { precision } => {
                let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
                for hu in hu.clone() {
                    min = min.min(hu);
                    max = max.max(hu);
                }
                let stretch = Stretch::new(*precision, min, max);
                self.grays.extend(hu.map(|hu| stretch.gray(hu)));
            }
            Rendering::Paper2024 => {
                let Some(clip) = self.percentiles_of(values) else {
                    return self.grays.resize(values.len(), 0); // nothing but NaN
                };
                self.levels.clear();
                self.levels.extend(hu.map(|hu| if hu.is_nan() { hu } else { clip.rescale(hu) }));
                let counted = self.levels.iter().filter(|level| !level.is_nan()).map(|&level| (level, 1));
                let equalizer = Equalizer::fit(counted);
                for level in self.levels.iter_mut().filter(|level| !level.is_nan()) {
                    *level = equalizer.apply(*level);
                }
                let span = Span::of(self.levels.iter().copied());
                self.grays.extend(self.levels.iter().map(|&level| span.gray(level)));
            }
        }
    }

    /// Percentiles of the numbers that are not NaN, if there are any.
    fn percentiles_of(&mut self, values: &[f32]) -> Option<PercentileClip> {
        self.sorted.clear();
        self.sorted.extend(values.iter().filter(|value| !value.is_nan()));
        if self.sorted.is_empty() {
            return None;
        }
        let n = self.sorted.len();
        let sorted = &mut self.sorted;
        let at_rank = |rank| finite(*sorted.select_nth_unstable_by(rank, f32::total_cmp).1);
        Some(PercentileClip::from_ranked(n, at_rank))
    }
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}

/// A voxel in `f64`, with infinities as the largest floats.
fn finite(value: f32) -> f64 {
    if value.is_infinite() { f64::from(f32::MAX.copysign(value)) } else { f64::from(value) }
}

/// Fills a table with the gray of each value, working out those between the limits, beyond which the
/// gray is constant.
fn fill(grays: &mut [u8], range: WholeRange, limits: (f64, f64), gray: impl Fn(f64) -> u8) {
    let (below, above) = (gray(limits.0), gray(limits.1));
    for (entry, value) in grays.iter_mut().zip(range.values()) {
        let hu = f64::from(value);
        *entry = if hu <= limits.0 {
            below
        } else if hu >= limits.1 {
            above
        } else {
            gray(hu)
        };
    }
}

fn percentiles_of_counts(range: WholeRange, counts: &[u32], n: usize) -> PercentileClip {
    PercentileClip::from_ranked(n, |rank| {
        let mut below = 0;
        let found = counts.iter().zip(range.values()).find(|(count, _)| {
            below += **count as usize;
            below > rank
        });
        f64::from(found.map_or(range.max, |(_, value)| value))
    })
}

/// Era H/M: the window, then the stretch of one slice.
#[derive(Clone, Copy, Debug)]
enum Stretch {
    F64 { low: f64, width: f64 },
    F32 { low: f32, width: f32 },
}

impl Stretch {
    /// For a slice with these extremes.
    fn new(precision: Precision, min_hu: f64, max_hu: f64) -> Self {
        match precision {
            Precision::F64 => {
                let (low, high) = (HuWindow::PANCREAS.to_unit(min_hu), HuWindow::PANCREAS.to_unit(max_hu));
                Self::F64 { low, width: high - low }
            }
            Precision::F32 => {
                let (low, high) = (unit_f32(min_hu), unit_f32(max_hu));
                Self::F32 { low, width: high - low }
            }
        }
    }

    fn gray(self, hu: f64) -> u8 {
        match self {
            Self::F64 { low, width } if width > 0.0 => {
                gray_f64((HuWindow::PANCREAS.to_unit(hu) - low) / width)
            }
            Self::F32 { low, width } if width > 0.0 => gray_f32((unit_f32(hu) - low) / width),
            Self::F64 { .. } | Self::F32 { .. } => 0,
        }
    }
}

/// Position in the window -150..250, in `f32`.
#[expect(clippy::cast_possible_truncation, reason = "voxels are f32; this takes them back")]
fn unit_f32(hu: f64) -> f32 {
    ((hu as f32).clamp(-150.0, 250.0) + 150.0) / 400.0
}

/// Least and greatest level of a slice, which the image writer stretches to 0..255.
#[derive(Clone, Copy, Debug)]
struct Span {
    low: f64,
    high: f64,
}

impl Span {
    /// Of the levels that are not NaN.
    fn of(levels: impl Iterator<Item = f64>) -> Self {
        levels.fold(Self { low: f64::INFINITY, high: f64::NEG_INFINITY }, |span, level| Self {
            low: span.low.min(level),
            high: span.high.max(level),
        })
    }

    fn gray(&self, level: f64) -> u8 {
        if self.low < self.high { gray_f64((level - self.low) / (self.high - self.low)) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    const ALL: [Rendering; 5] = [
        Rendering::FixedWindow(HuWindow::PANCREAS),
        Rendering::FixedWindow(HuWindow::LIVER),
        Rendering::Code2025 { precision: Precision::F64 },
        Rendering::Code2025 { precision: Precision::F32 },
        Rendering::Paper2024,
    ];

    proptest! {
        #[test]
        fn whole_numbers_render_as_any_numbers_do(
            shape in (1_usize..9, 1_usize..9),
            center in -20_000_i16..20_000,
            spread in prop_oneof![1_i16..5, 1_i16..400, 1_i16..4000, 1_i16..12_000],
            values in prop::collection::vec(any::<i16>(), 64),
        ) {
            let plane = Array2::from_shape_fn(shape, |(row, column)| {
                let wobble = i32::from(values[row * 8 + column]).rem_euclid(i32::from(spread));
                (i32::from(if spread < 5000 { center % 1000 } else { center }) + wobble) as f32
            });
            let mut renderer = Renderer::new();
            for rendering in ALL {
                let by_value = renderer.render(plane.view(), &rendering).unwrap();
                let by_pixel = renderer.render_as(plane.view(), &rendering, |_| None).unwrap();
                prop_assert_eq!(by_value, by_pixel, "{:?} of {}", rendering, plane);
            }
        }

        #[test]
        fn brighter_never_becomes_darker(values in prop::collection::vec(-2000_f32..4000.0, 2..40)) {
            let mut plane = Array2::from_shape_vec((1, values.len()), values).unwrap();
            plane.as_slice_mut().unwrap().sort_by(f32::total_cmp);
            for rendering in ALL {
                let image = render(plane.view(), &rendering).unwrap();
                prop_assert!(image.as_slice().unwrap().is_sorted(), "{:?}: {}", rendering, image);
            }
        }
    }

    #[test]
    fn nan_is_black_and_changes_nothing_else() {
        let clean = array![[-1000.5_f32, 40.0, 100.0, 150.0, 200.0, 30.25]];
        let spoilt = array![[-1000.5_f32, 40.0, f32::NAN, 100.0, 150.0, 200.0, f32::NAN, 30.25]];
        for rendering in ALL {
            let mut expected = render(clean.view(), &rendering).unwrap().into_raw_vec_and_offset().0;
            expected.insert(2, 0);
            expected.insert(6, 0);
            let image = render(spoilt.view(), &rendering).unwrap();
            assert_eq!(image.into_raw_vec_and_offset().0, expected, "{rendering:?}");
            let nothing = array![[f32::NAN, f32::NAN]];
            assert_eq!(render(nothing.view(), &rendering).unwrap(), array![[0, 0]], "{rendering:?}");
        }
    }

    #[test]
    fn infinities_are_the_ends() {
        let plane = array![[f32::NEG_INFINITY, -20.0, 90.0, f32::INFINITY]];
        for rendering in ALL {
            let image = render(plane.view(), &rendering).unwrap();
            assert_eq!((image[[0, 0]], image[[0, 3]]), (0, 255), "{rendering:?}");
        }
    }

    #[test]
    fn an_empty_plane_is_refused() {
        for rendering in ALL {
            assert!(render(Array2::zeros((0, 5)).view(), &rendering).is_err());
        }
    }
}
