//! Files and bytes to volumes and masks.

use std::path::{Path, PathBuf};

use super::error::NiftiError;
use super::fields;
use super::frame::Frame;
use super::header::{Header, Layout};
use super::source::{self, Name, Source};
use super::voxels::Stored;
use crate::error::VolumeError;
use crate::limits::Limits;
use crate::volume::{LabelVolume, Volume};

/// True if the file holds NIfTI: by its magic (inside gzip too, and in the `.hdr` of an `.img`), or
/// by its name where it is not DICOM, so that a damaged `.nii` is called a damaged NIfTI file.
///
/// # Errors
/// [`VolumeError::Read`].
pub fn is_nifti(path: &Path) -> Result<bool, VolumeError> {
    let name = Name::of(path);
    // A damaged gzip stream has no magic, and no DICOM prefix either.
    let head = match source::head_of(path) {
        Err(error @ NiftiError::Read(_)) => return Err(error.at(path)),
        head => head.unwrap_or_default(),
    };
    if fields::has_magic(&head) && name.extension != "img" {
        return Ok(true);
    }
    let is_dicom = head.get(128..132) == Some(b"DICM");
    Ok(!is_dicom && (name.extension == "nii" || name.is_pair()))
}

/// Reads and checks a header; given either file of a pair.
///
/// # Errors
/// As [`read_volume`], but for what only the voxels can show.
pub fn read_header(path: &Path, limits: &Limits) -> Result<Header, VolumeError> {
    let name = Name::of(path);
    let (header_path, layout) = header_of(path, &name).map_err(|error| error.at(path))?;
    let read = || {
        let header = Header::parse(&source::head_of(&header_path)?, layout)?;
        header.check_limits(limits, 0)?;
        Ok(header)
    };
    read().map_err(|error: NiftiError| error.at(&header_path))
}

/// Reads one frame as HU: `frame`, counted from 0, or the only one.
///
/// Values are `stored * scl_slope + scl_inter` in `f64`, rounded to `f32`; NaN and infinite voxels
/// become -1024 HU, with a warning.
///
/// # Errors
/// [`VolumeError::Read`], [`VolumeError::Limit`], [`VolumeError::Geometry`], or
/// [`VolumeError::Nifti`] with a [`NiftiError`].
pub fn read_volume(path: &Path, limits: &Limits, frame: Option<usize>) -> Result<Volume, VolumeError> {
    read_volume_into(Vec::new(), path, limits, frame)
}

/// As [`read_volume`], with the voxels in `spare` if that is large enough: the array of a volume that
/// is no longer needed. A third of the time of reading goes to the system making fresh memory, so
/// that this pays where many volumes are read one after the other.
///
/// # Errors
/// As [`read_volume`].
pub fn read_volume_into(
    spare: Vec<f32>,
    path: &Path,
    limits: &Limits,
    frame: Option<usize>,
) -> Result<Volume, VolumeError> {
    let opened = Opened::open(path, limits)?;
    volume(opened.header, opened.voxels, limits, frame, spare).map_err(|error| error.at(&opened.voxel_path))
}

/// Reads one frame as labels, as [`read_volume`] does.
///
/// Values that are not whole are rounded, with a warning.
///
/// # Errors
/// As [`read_volume`]; [`NiftiError::LabelRange`] for a label below 0 or above 65,535.
pub fn read_labels(path: &Path, limits: &Limits, frame: Option<usize>) -> Result<LabelVolume, VolumeError> {
    let opened = Opened::open(path, limits)?;
    labels(opened.header, opened.voxels, limits, frame).map_err(|error| error.at(&opened.voxel_path))
}

/// Reads a volume from the bytes of a `.nii` or `.nii.gz` file.
///
/// # Errors
/// A [`NiftiError`].
pub fn decode_volume(bytes: &[u8], limits: &Limits, frame: Option<usize>) -> Result<Volume, NiftiError> {
    decode_volume_into(Vec::new(), bytes, limits, frame)
}

/// As [`decode_volume`], with the voxels in `spare` if that is large enough.
///
/// # Errors
/// A [`NiftiError`].
pub fn decode_volume_into(
    spare: Vec<f32>,
    bytes: &[u8],
    limits: &Limits,
    frame: Option<usize>,
) -> Result<Volume, NiftiError> {
    let (header, source) = of_bytes(bytes)?;
    volume(header, source, limits, frame, spare)
}

/// Reads a mask from the bytes of a `.nii` or `.nii.gz` file.
///
/// # Errors
/// A [`NiftiError`].
pub fn decode_labels(bytes: &[u8], limits: &Limits, frame: Option<usize>) -> Result<LabelVolume, NiftiError> {
    let (header, source) = of_bytes(bytes)?;
    labels(header, source, limits, frame)
}

fn of_bytes(bytes: &[u8]) -> Result<(Header, Source<'_>), NiftiError> {
    let mut source = Source::of_bytes(bytes);
    let header = Header::parse(&source.head()?, Layout::Single)?;
    Ok((header, source))
}

/// A header, and the file with its voxels.
struct Opened {
    header: Header,
    voxels: Source<'static>,
    voxel_path: PathBuf,
}

impl Opened {
    fn open(path: &Path, limits: &Limits) -> Result<Self, VolumeError> {
        let name = Name::of(path);
        if !name.is_pair() {
            let open = || {
                let mut voxels = Source::open(path, source::is_gzip(path)?, limits)?;
                let header = Header::parse(&voxels.head()?, Layout::Single)?;
                Ok(Self { header, voxels, voxel_path: path.to_owned() })
            };
            return open().map_err(|error: NiftiError| error.at(path));
        }
        let header = read_header(path, limits)?;
        let voxel_path = if name.extension == "img" { Ok(path.to_owned()) } else { name.partner() }
            .map_err(|error| error.at(path))?;
        // Voxels may begin with any bytes, so that only the name can tell that they are gzip.
        let is_gzip = Name::of(&voxel_path).is_gzip;
        let voxels = Source::open(&voxel_path, is_gzip, limits).map_err(|error| error.at(&voxel_path))?;
        Ok(Self { header, voxels, voxel_path })
    }
}

/// The file that holds the header.
fn header_of(path: &Path, name: &Name) -> Result<(PathBuf, Layout), NiftiError> {
    match &name.extension[..] {
        "hdr" => Ok((path.to_owned(), Layout::Pair)),
        "img" => Ok((name.partner()?, Layout::Pair)),
        _ => Ok((path.to_owned(), Layout::Single)),
    }
}

fn volume(
    header: Header,
    source: Source<'_>,
    limits: &Limits,
    frame: Option<usize>,
    spare: Vec<f32>,
) -> Result<Volume, NiftiError> {
    frame_of::<f32>(&header, source, limits, frame)?.into_volume(limits, spare)
}

fn labels(
    header: Header,
    source: Source<'_>,
    limits: &Limits,
    frame: Option<usize>,
) -> Result<LabelVolume, NiftiError> {
    frame_of::<u16>(&header, source, limits, frame)?.into_labels(limits)
}

/// Where a frame is that is to be read as an array of `T`.
fn frame_of<'a, T>(
    header: &Header,
    source: Source<'a>,
    limits: &Limits,
    frame: Option<usize>,
) -> Result<Frame<'a>, NiftiError> {
    header.check_limits(limits, size_of::<T>())?;
    let span = header.span(frame)?;
    let stored = Stored {
        n: span.n_voxels,
        datatype: header.datatype(),
        order: header.byte_order(),
        scaling: header.scaling(),
    };
    Ok(Frame { geometry: *header.geometry(), source, span, stored, warnings: header.warnings().to_vec() })
}
