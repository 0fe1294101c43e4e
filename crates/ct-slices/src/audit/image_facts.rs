//! What one look at an image file gives.

use std::io::{ErrorKind, Read};
use std::path::Path;

use fs_err::File;
use ndarray::{Array2, Array3, ArrayView2, Axis, s};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::features::{Features, features, gray_counts};
use super::signature::{THUMB_SIDE, block_means};
use super::slices::{Slice, Slices};
use crate::hex::hex;
use crate::index::IndexRecord;
use crate::organ::Organ;
use crate::pixels::{DecodedImage, PngLimits, decode_png};

/// Largest image file that is opened; a 512x512 slice has about 100 KiB.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// An image as the audit found it.
#[derive(Clone, Debug)]
pub(super) enum ImageState {
    /// The record names none, or images are not opened.
    Unseen,
    /// Not on disk.
    Missing,
    /// On disk and no usable image; why.
    Unreadable(String),
    /// Seen.
    Seen(Box<ImageFacts>),
}

impl ImageState {
    pub(super) fn facts(&self) -> Option<&ImageFacts> {
        match self {
            Self::Seen(facts) => Some(facts),
            _ => None,
        }
    }
}

/// What is kept of an image.
#[derive(Clone, Debug)]
pub(super) struct ImageFacts {
    pub(super) width: usize,
    pub(super) height: usize,
    /// SHA-256 of the gray pixels (of all channels, if they differ), row by row.
    pub(super) pixels_sha256: String,
    /// True if the record's hash is one of those that its pixels have, or there is none.
    pub(super) hash_matches: bool,
    /// Gray levels and the two sides in order: the same for mirrored and turned copies.
    pub(super) turned_key: ([u8; 16], usize, usize),
    pub(super) is_constant: bool,
    pub(super) thumb: Array2<u8>,
    /// Of the whole image.
    pub(super) image_features: Features,
    /// Of the part in the pancreas box, where the image is a whole slice with such a box.
    pub(super) crop_features: Option<Features>,
}

/// Opens the images of all slices.
pub(super) fn look_at_images(slices: &Slices<'_>) -> Vec<ImageState> {
    slices.all.par_iter().map(|slice| look(slices, slice)).collect()
}

fn look(slices: &Slices<'_>, slice: &Slice<'_>) -> ImageState {
    let Some(path) = slices.image_path(slice) else { return ImageState::Unseen };
    match load(&path) {
        Ok(image) => ImageState::Seen(Box::new(facts(image, slice.record))),
        Err(LoadError::Missing) => ImageState::Missing,
        Err(LoadError::Unreadable(why)) => ImageState::Unreadable(why),
    }
}

enum LoadError {
    Missing,
    Unreadable(String),
}

fn load(path: &Path) -> Result<DecodedImage, LoadError> {
    // The text of these errors goes into reports, so it names no path.
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => LoadError::Missing,
        kind => LoadError::Unreadable(kind.to_string()),
    };
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(LoadError::Unreadable("not a file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(LoadError::Unreadable(format!("the file is larger than {MAX_FILE_BYTES} bytes")));
    }
    decode_png(&bytes, &PngLimits::default()).map_err(|error| LoadError::Unreadable(error.to_string()))
}

/// The image as one plane, for a second look at a file that was seen before; none if it has changed
/// so that it cannot be read.
///
/// An image whose channels differ shows the slices around its own; the middle one is its own.
pub(super) fn load_gray(path: &Path) -> Option<Array2<u8>> {
    load(path).ok().map(|image| to_plane(image).0)
}

/// The plane, and the three channels where they differ.
fn to_plane(image: DecodedImage) -> (Array2<u8>, Option<Array3<u8>>) {
    const MIDDLE: usize = 1;
    let channels = match &image {
        DecodedImage::Gray(_) => None,
        DecodedImage::Rgb(_) | DecodedImage::Rgba(_) => Some(image.to_rgb()),
    };
    match (image.into_gray(), channels) {
        (Some(plane), _) => (plane, None),
        (None, Some(channels)) => {
            (channels.index_axis(Axis(2), MIDDLE).as_standard_layout().into_owned(), Some(channels))
        }
        (None, None) => unreachable!("an image of one channel is gray"),
    }
}

fn facts(image: DecodedImage, record: &IndexRecord) -> ImageFacts {
    let (plane, channels) = to_plane(image);
    let counts = gray_counts(plane.view());
    let sha256 = |pixels: Option<&[u8]>| hex(&Sha256::digest(pixels.expect("decoded in standard layout")));
    let plane_sha256 = sha256(plane.as_slice());
    let pixels_sha256 = channels.map_or_else(|| plane_sha256.clone(), |channels| sha256(channels.as_slice()));
    let hash_matches =
        record.pixels_sha256.as_ref().is_none_or(|hash| [&plane_sha256, &pixels_sha256].contains(&hash));
    let (height, width) = plane.dim();
    ImageFacts {
        width,
        height,
        hash_matches,
        pixels_sha256,
        turned_key: (counts_key(&counts), width.min(height), width.max(height)),
        is_constant: counts.iter().filter(|count| **count > 0).count() < 2,
        thumb: block_means(plane.view(), THUMB_SIDE, THUMB_SIDE),
        image_features: features(plane.view(), &counts),
        crop_features: pancreas_crop(plane.view(), record).map(|crop| features(crop, &gray_counts(crop))),
    }
}

fn counts_key(counts: &[u32; 256]) -> [u8; 16] {
    let mut hash = Sha256::new();
    counts.iter().for_each(|count| hash.update(count.to_le_bytes()));
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

/// The pixels in the pancreas box, if the image is a whole slice and the box is on it.
fn pancreas_crop<'a>(plane: ArrayView2<'a, u8>, record: &IndexRecord) -> Option<ArrayView2<'a, u8>> {
    let bbox = record.organs.get(&Organ::Pancreas)?.bbox?;
    let (height, width) = plane.dim();
    let is_on = bbox.is_inside(u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    if record.crop.is_some() || !is_on {
        return None;
    }
    let [left, top, right, bottom] = <[u32; 4]>::from(bbox).map(|edge| edge as usize);
    Some(plane.slice_move(s![top..=bottom, left..=right]))
}
