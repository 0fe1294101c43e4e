//! One slice of one study, for a look or a test.

use std::path::Path;

use ct_volume::{Limits, StudyKind, detect_kind, read_study};

use super::config::PrepareConfig;
use super::error::PrepareError;
use super::planes::{Planes, numbered_folder, read_options};
use super::volume::SliceWriter;

/// Which slice, and how to read the study.
#[derive(Clone, Debug)]
pub struct SliceOptions {
    /// Slice number from 0, in the order of the preset.
    pub index: usize,
    /// Frame of a 4-D file.
    pub frame: Option<usize>,
    /// Series of a folder that holds several.
    pub series: Option<usize>,
    /// Bounds checked before memory is taken.
    pub limits: Limits,
}

/// The PNG of one slice, as [`run`](super::run()) would write it, with its width and height.
///
/// # Errors
/// A [`PrepareError`]; [`PrepareError::NoSuchSlice`] for an index past the end.
pub fn render_slice(
    study: &Path,
    config: &PrepareConfig,
    options: &SliceOptions,
) -> Result<(Vec<u8>, (usize, usize)), PrepareError> {
    let is_dicom = detect_kind(study)? == StudyKind::Dicom;
    let numbered =
        if config.reads_numbered_dicom() && study.is_dir() { numbered_folder(study) } else { None };
    let planes = match numbered {
        Some(folder) => Planes::Numbered { folder, limits: options.limits },
        None => {
            let stored_values = is_dicom && config.reads_numbered_dicom();
            let mut read = read_options(options.limits, stored_values, config.allow_irregular);
            read.frame = options.frame;
            read.dicom.series = options.series;
            Planes::Volume { volume: Box::new(read_study(study, &read)?), axes: config.axes() }
        }
    };
    let no_such = |n_slices| PrepareError::NoSuchSlice { index: options.index, n_slices };
    let n_slices = planes.n_slices().unwrap_or(usize::MAX);
    if options.index >= n_slices {
        return Err(no_such(n_slices));
    }
    let writer = SliceWriter::new(config)?;
    let image = writer.image(&study.display().to_string(), &planes, options.index, n_slices)?;
    let image = image.ok_or_else(|| no_such(options.index.max(1)))?;
    Ok((image.png, image.size))
}
