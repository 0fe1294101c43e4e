//! Files in memory to a study.

use std::sync::Arc;

use bytes::Bytes;
use ct_volume::dicom::{DicomOptions, decode_series_bytes};
use ct_volume::nifti::decode_volume;
use ct_volume::{Limits, Volume};

use super::archive::unpack;
use super::kind::{FileKind, file_kind};
use super::{Study, StudyError, StudyKind};
use crate::budget::{ByteBudget, Share};
use crate::config::ServerLimits;
use crate::images::{ImageLimits, decode};
use crate::model::{Files, StudyInput, StudySource};

/// Bounds of opening a study.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenLimits {
    pub(crate) max_files: usize,
    pub(crate) max_unpacked_bytes: u64,
    pub(crate) max_volume_bytes: u64,
    pub(crate) image: ImageLimits,
}

/// What a user chooses.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OpenOptions {
    /// Which DICOM series, where there are several.
    pub(crate) series: Option<usize>,
    /// Which frame of a NIfTI file with more than three axes.
    pub(crate) frame: Option<usize>,
    /// Go on where slices are missing or uneven.
    pub(crate) allow_irregular: bool,
}

impl From<&ServerLimits> for OpenLimits {
    fn from(limits: &ServerLimits) -> Self {
        Self {
            max_files: limits.max_study_files,
            max_unpacked_bytes: limits.max_study_bytes,
            max_volume_bytes: limits.max_volume_bytes,
            image: ImageLimits { max_bytes: limits.max_image_bytes, max_pixels: limits.max_image_pixels },
        }
    }
}

/// Opens a study from files in memory: DICOM files of one series, one NIfTI file, PNG or JPEG pictures, or zip
/// files with such. Files are told by their content.
///
/// # Errors
/// A [`StudyError`].
pub fn open_study(files: Vec<Bytes>, limits: &ServerLimits) -> Result<Study, StudyError> {
    let mut share = ByteBudget::new(limits.max_memory_bytes).share();
    open(files, &limits.into(), OpenOptions::default(), &mut share)
}

/// Opens a study; what it takes is counted in `share`, which then holds its size.
pub(crate) fn open(
    files: Vec<Bytes>,
    limits: &OpenLimits,
    options: OpenOptions,
    share: &mut Share,
) -> Result<Study, StudyError> {
    let mut files: Vec<Bytes> = files.into_iter().filter(|file| !file.is_empty()).collect();
    if files.is_empty() {
        return Err(StudyError::Empty);
    }
    let mut unpacked = 0;
    let mut all = Vec::new();
    for file in files.drain(..) {
        if file_kind(&file) == FileKind::Zip {
            all.extend(unpack(&file, limits, share, &mut unpacked)?);
        } else {
            all.push(file);
        }
    }
    if all.len() > limits.max_files {
        let (got, limit) = (all.len() as u64, limits.max_files as u64);
        return Err(StudyError::Limit { what: "number of files", got, limit });
    }
    let n_files = all.len();
    let of_kind = |kind| -> Vec<Bytes> {
        all.iter().filter(|file| file_kind(file) == FileKind::Study(kind)).cloned().collect()
    };
    let [dicom, nifti, images] = [StudyKind::Dicom, StudyKind::Nifti, StudyKind::Images].map(of_kind);
    drop(all);
    let study = if !dicom.is_empty() {
        let volume = read_dicom(&dicom, limits, options, share)?;
        volume_study(StudyKind::Dicom, volume, dicom)
    } else if let [file] = &nifti[..] {
        let volume = read_nifti(file, limits, options, share)?;
        volume_study(StudyKind::Nifti, volume, nifti)
    } else if !nifti.is_empty() {
        return Err(StudyError::SeveralVolumes { n_files: nifti.len() });
    } else if !images.is_empty() {
        images_study(&images, limits, share)?
    } else {
        return Err(StudyError::Unknown { n_files });
    };
    share.shrink_to(study.memory_bytes());
    Ok(study)
}

/// Bounds of a volume: its own, and what is left of the memory.
fn volume_limits(limits: &OpenLimits, share: &Share) -> Limits {
    let mut bounds = Limits::default().with_max_bytes(limits.max_volume_bytes.min(share.left()));
    bounds.max_files = limits.max_files as u64;
    bounds
}

fn read_dicom(
    files: &[Bytes],
    limits: &OpenLimits,
    options: OpenOptions,
    share: &mut Share,
) -> Result<Volume, StudyError> {
    let bytes: Vec<&[u8]> = files.iter().map(AsRef::as_ref).collect();
    let mut dicom = DicomOptions::default();
    dicom.series = options.series;
    dicom.allow_irregular = options.allow_irregular;
    let volume = decode_series_bytes(&bytes, &volume_limits(limits, share), &dicom)
        .map_err(|error| StudyError::Dicom(Box::new(error)))?;
    counted(volume, share)
}

fn read_nifti(
    file: &Bytes,
    limits: &OpenLimits,
    options: OpenOptions,
    share: &mut Share,
) -> Result<Volume, StudyError> {
    let volume = decode_volume(file, &volume_limits(limits, share), options.frame)
        .map_err(|error| StudyError::Nifti(Box::new(error)))?;
    counted(volume, share)
}

fn counted(volume: Volume, share: &mut Share) -> Result<Volume, StudyError> {
    share.grow(4 * volume.hu().len() as u64)?;
    Ok(volume)
}

fn volume_study(kind: StudyKind, volume: Volume, files: Vec<Bytes>) -> Study {
    let source = StudySource::Volume(Arc::new(volume));
    Study::new(kind, StudyInput { source, files: Files(files) })
}

fn images_study(files: &[Bytes], limits: &OpenLimits, share: &mut Share) -> Result<Study, StudyError> {
    let mut images = Vec::with_capacity(files.len());
    let mut n_pixels: u64 = 0;
    for file in files {
        let image = decode(file, &limits.image)?;
        n_pixels += image.pixels().len() as u64;
        if n_pixels > limits.max_volume_bytes {
            let limit = limits.max_volume_bytes;
            return Err(StudyError::Limit { what: "size of all pictures in bytes", got: n_pixels, limit });
        }
        share.grow(image.pixels().len() as u64)?;
        images.push(image);
    }
    let source = StudySource::Images(images);
    // Pictures may hold words about a patient in their own headers; nobody needs those.
    Ok(Study::new(StudyKind::Images, StudyInput { source, files: Files::default() }))
}
