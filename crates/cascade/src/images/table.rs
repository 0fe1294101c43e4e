//! Image files by number, decoded when they are needed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use ct_slices::BoxPx;
use ct_slices::pixels::{Filter, Normalization, PixelError, PngLimits, decode_png, letterbox, resize};
use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis, s};
use serde::{Deserialize, Serialize};

use super::augment::{Augmentation, Change};
use super::id::{BLANK, View};
use crate::{CascadeError, Stage};

/// How an image becomes the model's square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFit {
    /// Both sides are scaled to the square, as published (SPEC 1.8).
    #[default]
    Stretch,
    /// The shape is kept and the rest is black, as the published `slices_same_size` (SPEC 1.9).
    /// For yes/no alone: boxes are written as shares of the image.
    Letterbox,
    /// One pixel of the file is one of the square, with black around: shape, size and texture are
    /// kept. Images larger than the square are letterboxed. For yes/no alone.
    Native,
    /// Both sides are first scaled to 48 px, then to the square: neither the shape of a crop nor
    /// its size, which blur tells, remains to be seen.
    HideSize,
}

impl ImageFit {
    /// Its name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stretch => "stretch",
            Self::Letterbox => "letterbox",
            Self::Native => "native",
            Self::HideSize => "hide_size",
        }
    }

    /// An image, or a part of one, as the model's square. Letterboxes are gray, as all slices are; colors are
    /// stretched.
    ///
    /// # Shapes
    /// - `shown`: `[height, width, 1 or 3]`
    /// - returns `[size, size, 1 or 3]`
    ///
    /// # Errors
    /// [`PixelError`] for an image without pixels.
    pub fn square(self, shown: ArrayView3<'_, u8>, size: usize) -> Result<Array3<u8>, PixelError> {
        let gray = (shown.len_of(Axis(2)) == 1).then(|| shown.index_axis(Axis(2), 0));
        match (self, gray) {
            (Self::Native, Some(gray)) if gray.nrows().max(gray.ncols()) <= size => {
                Ok(centered(gray, size).insert_axis(Axis(2)))
            }
            (Self::Letterbox | Self::Native, Some(gray)) => Ok(letterbox(gray, size)?.insert_axis(Axis(2))),
            (Self::HideSize, _) => {
                let small = resize(shown, HIDDEN_SIZE_PX, HIDDEN_SIZE_PX, Filter::Bicubic)?;
                resize(small.view(), size, size, Filter::Bicubic)
            }
            _ => resize(shown, size, size, Filter::Bicubic),
        }
    }
}

/// Side that [`ImageFit::HideSize`] goes through.
const HIDDEN_SIZE_PX: usize = 48;
/// Largest image file that is read.
const MAX_FILE_BYTES: u64 = 128 << 20;
/// Bytes of decoded squares that are kept; others are decoded again each time.
const KEPT_BYTES: usize = 768 << 20;

/// A square of bytes at the model's size.
#[derive(Debug)]
struct Square {
    /// `[size, size, channels]`
    bytes: Vec<u8>,
    channels: usize,
}

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    /// Of an image that is in memory.
    bytes: Option<Arc<[u8]>>,
    fit: ImageFit,
    /// What of the image is shown; all of it if unset.
    region: OnceLock<BoxPx>,
    square: OnceLock<Arc<Square>>,
}

impl Entry {
    fn new(path: PathBuf, bytes: Option<Arc<[u8]>>, fit: ImageFit) -> Self {
        Self { path, bytes, fit, region: OnceLock::new(), square: OnceLock::new() }
    }
}

/// The images of a run, each known by its number. Decoding may go on in several threads.
#[derive(Debug)]
pub struct ImageTable {
    size_px: usize,
    /// By stage.
    augmentations: [(Augmentation, u64); Stage::ALL.len()],
    entries: Vec<Entry>,
    places: HashMap<(PathBuf, ImageFit), u32>,
    kept_bytes: AtomicUsize,
}

impl ImageTable {
    /// An empty table for squares of this size.
    #[must_use]
    pub fn new(size_px: usize) -> Self {
        Self {
            size_px,
            augmentations: [(Augmentation::default(), 0); Stage::ALL.len()],
            entries: Vec::new(),
            places: HashMap::new(),
            kept_bytes: AtomicUsize::new(0),
        }
    }

    /// Sets how a stage changes its training images, and the seed of its draws.
    pub fn set_augmentation(&mut self, stage: Stage, augmentation: Augmentation, seed: u64) {
        self.augmentations[stage as usize] = (augmentation, seed);
    }

    pub(crate) fn augmentation(&self, stage: Stage) -> (Augmentation, u64) {
        self.augmentations[stage as usize]
    }

    /// The change of a view, and what decides it.
    pub(crate) fn change(&self, view: View) -> Change {
        if let Some(number) = view.look_number() {
            return Change::look(number);
        }
        match self.augmentations.get(view.stage_place()) {
            Some((augmentation, seed)) => augmentation.draw(*seed, view),
            None => Change::default(),
        }
    }

    /// Side of the squares.
    #[must_use]
    pub fn size_px(&self) -> usize {
        self.size_px
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of a file as it becomes a square, a new one where it is not known. It is not
    /// opened.
    ///
    /// # Panics
    /// With 2^32 images.
    pub fn add(&mut self, path: &Path, fit: ImageFit) -> u32 {
        let key = (path.to_owned(), fit);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.add_apart(path, fit);
        self.places.insert(key, place);
        place
    }

    /// A new number for a file, known or not: numbers that are given one after the other follow on
    /// each other.
    pub(crate) fn add_apart(&mut self, path: &Path, fit: ImageFit) -> u32 {
        let place = u32::try_from(self.entries.len()).expect("fewer than 2^32 images");
        self.entries.push(Entry::new(path.to_owned(), None, fit));
        place
    }

    /// The number of a PNG in memory; `name` is what errors call it.
    ///
    /// # Panics
    /// With 2^32 images.
    pub(crate) fn add_png(&mut self, name: &str, bytes: Arc<[u8]>, fit: ImageFit) -> u32 {
        let place = u32::try_from(self.entries.len()).expect("fewer than 2^32 images");
        self.entries.push(Entry::new(name.into(), Some(bytes), fit));
        place
    }

    /// Says what of an image is shown, once and before it is first decoded: its number should be
    /// its own ([`ImageTable::add_apart`]).
    ///
    /// # Errors
    /// [`CascadeError::Setting`] if something else is shown already.
    pub(crate) fn set_region(&self, image: u32, region: BoxPx) -> Result<(), CascadeError> {
        let entry = &self.entries[image as usize];
        if (entry.square.get().is_none() && entry.region.set(region).is_ok())
            || entry.region.get() == Some(&region)
        {
            return Ok(());
        }
        Err(CascadeError::setting("region", image, "the image is shown otherwise already"))
    }

    /// The bytes of an image's PNG.
    ///
    /// # Errors
    /// [`CascadeError::Io`], naming the file.
    pub(crate) fn png_bytes(&self, image: u32) -> Result<Arc<[u8]>, CascadeError> {
        let entry = &self.entries[image as usize];
        match &entry.bytes {
            Some(bytes) => Ok(Arc::clone(bytes)),
            None => Ok(read_file(&entry.path)?.into()),
        }
    }

    /// The file of an image, or the name of one in memory.
    #[must_use]
    pub fn path(&self, image: u32) -> Option<&Path> {
        self.entries.get(image as usize).map(|entry| entry.path.as_path())
    }

    /// How an image becomes a square, and what of it.
    pub(super) fn fit(&self, image: u32) -> Option<(ImageFit, Option<BoxPx>)> {
        self.entries.get(image as usize).map(|entry| (entry.fit, entry.region.get().copied()))
    }

    /// Normalized pixels of a view.
    ///
    /// # Shapes
    /// - returns `[3 · size · size]`, channel by channel
    ///
    /// # Errors
    /// [`CascadeError::Io`] or [`CascadeError::Image`], naming the file.
    pub(crate) fn pixels(&self, view: View) -> Result<Vec<f32>, CascadeError> {
        let (size, normalization) = (self.size_px, Normalization::CLIP);
        if view.image == BLANK {
            // Mid-gray: where the window's middle lies.
            let gray = ndarray::Array2::from_elem((size, size), 128);
            return Ok(normalization.gray(gray.view()).into_raw_vec_and_offset().0);
        }
        let square = self.square(view.image)?;
        let change = self.change(view);
        let changed;
        let bytes = if change.is_identity() {
            &square.bytes
        } else {
            changed = change.apply(&square.bytes, size, square.channels);
            &changed
        };
        let shaped = ArrayView3::from_shape((size, size, square.channels), bytes).expect("made of this size");
        let normalized = match square.channels {
            1 => normalization.gray(shaped.index_axis(Axis(2), 0)),
            _ => normalization.rgb(shaped).map_err(|source| self.image_error(view.image, source))?,
        };
        Ok(normalized.into_raw_vec_and_offset().0)
    }

    fn image_error(&self, image: u32, source: PixelError) -> CascadeError {
        CascadeError::Image { path: self.path(image).map(Path::to_owned).unwrap_or_default(), source }
    }

    fn square(&self, image: u32) -> Result<Arc<Square>, CascadeError> {
        let entry = &self.entries[image as usize];
        if let Some(square) = entry.square.get() {
            return Ok(square.clone());
        }
        let square = Arc::new(self.decode(image)?);
        let n_bytes = square.bytes.len();
        if self.kept_bytes.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes <= KEPT_BYTES {
            // Another thread may have been quicker; the bytes are the same.
            let _ = entry.square.set(square.clone());
        }
        Ok(square)
    }

    /// What is shown of an image: gray levels, or three colors (2.5-D).
    ///
    /// # Shapes
    /// - returns `[height, width, 1 or 3]`
    ///
    /// # Errors
    /// [`CascadeError::Io`] or [`CascadeError::Image`], naming the file; also for a region that is
    /// not inside the image.
    pub(crate) fn shown(&self, image: u32) -> Result<Array3<u8>, CascadeError> {
        let bytes = self.png_bytes(image)?;
        let decoded =
            decode_png(&bytes, &PngLimits::default()).map_err(|source| self.image_error(image, source))?;
        let color = decoded.to_rgb();
        let whole = decoded.into_gray().map_or(color, |gray| gray.insert_axis(Axis(2)));
        let Some(region) = self.entries[image as usize].region.get() else { return Ok(whole) };
        let (height, width, _) = whole.dim();
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        if !region.is_inside(side(width), side(height)) {
            let reason = format!("not inside {width} x {height} px");
            return Err(CascadeError::setting("region", format!("{:?}", <[u32; 4]>::from(*region)), reason));
        }
        let [x_min, y_min, x_max, y_max] = <[u32; 4]>::from(*region).map(|edge| edge as usize);
        Ok(whole.slice(s![y_min..=y_max, x_min..=x_max, ..]).to_owned())
    }

    fn decode(&self, image: u32) -> Result<Square, CascadeError> {
        let fit = self.entries[image as usize].fit;
        let refused = |source| self.image_error(image, source);
        let size = self.size_px;
        let shown = self.shown(image)?;
        let squared = fit.square(shown.view(), size).map_err(refused)?;
        let channels = squared.len_of(Axis(2));
        let bytes = squared.as_standard_layout().iter().copied().collect();
        Ok(Square { bytes, channels })
    }
}

/// An image of at most `size` pixels a side, as it is, in the middle of a black square.
fn centered(image: ArrayView2<'_, u8>, size: usize) -> Array2<u8> {
    let (height, width) = image.dim();
    let (top, left) = ((size - height) / 2, (size - width) / 2);
    let mut square = Array2::zeros((size, size));
    square.slice_mut(s![top..top + height, left..left + width]).assign(&image);
    square
}

fn read_file(path: &Path) -> Result<Vec<u8>, CascadeError> {
    use std::io::Read;
    let file = fs_err::File::open(path).map_err(CascadeError::io(path))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(CascadeError::io(path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ct_slices::pixels::encode_gray;
    use ndarray::Array2;
    use vlm_infer::{ImageSource, image_pixels};

    use super::*;

    #[test]
    fn stretched_pixels_are_those_of_inference() {
        let folder = tempfile::tempdir().unwrap();
        let plane = Array2::from_shape_fn((30, 47), |(row, column)| {
            u8::try_from((row * 7 + column * 3) % 256).unwrap()
        });
        let path = folder.path().join("a.png");
        fs_err::write(&path, encode_gray(plane.view()).unwrap()).unwrap();
        let mut table = ImageTable::new(28);
        let image = table.add(&path, ImageFit::Stretch);
        assert_eq!((image, table.add(&path, ImageFit::Stretch), table.len()), (0, 0, 1));
        assert_eq!(table.add(&path, ImageFit::HideSize), 1);
        let got = table.pixels(View::plain(image)).unwrap();
        let expected = image_pixels(&ImageSource::File(path), 28).unwrap().pixels;
        assert_eq!(got, expected.try_to_vec::<f32>().unwrap());
    }

    #[test]
    fn fits_differ_and_blank_is_flat() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wide.png");
        fs_err::write(&path, encode_gray(Array2::from_elem((10, 40), 200).view()).unwrap()).unwrap();
        let of = |fit| {
            let mut table = ImageTable::new(16);
            let image = table.add(&path, fit);
            table.pixels(View::plain(image)).unwrap()
        };
        let stretched = of(ImageFit::Stretch);
        assert!(stretched[..256].iter().all(|value| *value == stretched[0]));
        let boxed = of(ImageFit::Letterbox);
        let n_black = boxed[..256].iter().filter(|value| **value < 0.0).count();
        assert_eq!(n_black, 16 * 12, "rows above and below a strip of 4");
        assert_eq!(of(ImageFit::HideSize), stretched);
        assert_eq!(of(ImageFit::Native), boxed, "40 px do not fit");
        fs_err::write(&path, encode_gray(Array2::from_elem((3, 9), 200).view()).unwrap()).unwrap();
        let native = of(ImageFit::Native);
        for (at, value) in native[..256].iter().enumerate() {
            let is_inside = (6..9).contains(&(at / 16)) && (3..12).contains(&(at % 16));
            assert_eq!(*value > 0.0, is_inside, "{at}");
        }
        let blank = ImageTable::new(16).pixels(View::plain(BLANK)).unwrap();
        assert!((blank[0] - 0.076_336_1).abs() < 1e-6);
    }

    #[test]
    fn a_region_is_what_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let plane = Array2::from_shape_fn((40, 30), |(row, column)| {
            u8::try_from(if row >= 20 { 200 + column } else { column }).unwrap()
        });
        fs_err::write(&path, encode_gray(plane.view()).unwrap()).unwrap();
        let mut table = ImageTable::new(10);
        let image = table.add_apart(&path, ImageFit::Stretch);
        table.set_region(image, [5, 20, 14, 29].into()).unwrap();
        let shown = table.shown(image).unwrap();
        assert_eq!(shown.dim(), (10, 10, 1));
        assert_eq!((shown[[0, 0, 0]], shown[[9, 9, 0]]), (205, 214));
        // ten pixels become ten: nothing is blurred
        let expected = Normalization::CLIP.gray(shown.index_axis(Axis(2), 0)).into_raw_vec_and_offset().0;
        assert_eq!(table.pixels(View::plain(image)).unwrap(), expected);
        table.set_region(image, [5, 20, 14, 29].into()).unwrap();
        assert!(table.set_region(image, [5, 20, 14, 28].into()).is_err());
        let whole = table.add(&path, ImageFit::Stretch);
        assert_eq!(table.shown(whole).unwrap().dim(), (40, 30, 1));
        table.pixels(View::plain(whole)).unwrap();
        assert!(table.set_region(whole, [5, 20, 14, 29].into()).is_err(), "decoded already");
        let outside = table.add_apart(&path, ImageFit::Stretch);
        table.set_region(outside, [5, 20, 30, 29].into()).unwrap();
        assert!(table.pixels(View::plain(outside)).unwrap_err().to_string().contains("[5, 20, 30, 29]"));
    }

    #[test]
    fn errors_name_the_file() {
        let mut table = ImageTable::new(16);
        let image = table.add(Path::new("no/such.png"), ImageFit::Stretch);
        assert!(table.pixels(View::plain(image)).unwrap_err().to_string().contains("no/such.png"));
    }
}
