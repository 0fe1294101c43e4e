//! Slice planes of a study, in the axes of the preset.

use std::path::{Path, PathBuf};

use ct_volume::dicom::DicomOptions;
use ct_volume::{
    Geometry, GeometryError, LabelVolume, Limits, Orientation, ReadOptions, StudyKind, Volume, Warning,
    detect_kind, nifti, read_study,
};
use ndarray::{ArrayView2, ArrayView3, Axis};

use super::config::PrepareConfig;
use super::error::PrepareError;
use crate::annotate::body_midline_col;
use crate::dataset::{Study, StudyImage};
use crate::plane::PlaneMap;

/// Where the planes of a study come from.
pub(super) enum Planes {
    /// A volume in memory.
    Volume {
        /// The voxels.
        volume: Box<Volume>,
        /// Axes to bring them to.
        axes: Option<Orientation>,
    },
    /// DICOM files `1-NNN.dcm`, one a slice, read one by one as the published program does.
    Numbered {
        /// Their folder.
        folder: PathBuf,
        /// Bounds.
        limits: Limits,
    },
}

impl Planes {
    /// Opens the study of a run. `spare` is the array of an earlier study, whose memory a NIfTI study
    /// takes over: fresh memory costs a third of the decoding time in page faults.
    pub(super) fn open(
        study: &Study,
        config: &PrepareConfig,
        limits: &Limits,
        spare: Vec<f32>,
    ) -> Result<Self, PrepareError> {
        if config.reads_numbered_dicom()
            && let StudyImage::Folder(folder) = &study.image
            && let Some(folder) = numbered_folder(folder)
        {
            return Ok(Self::Numbered { folder, limits: *limits });
        }
        let stored_values = config.reads_numbered_dicom();
        let options = read_options(*limits, stored_values, config.allow_irregular);
        let path = study.image.path();
        let volume = match detect_kind(path)? {
            StudyKind::Nifti => nifti::read_volume_into(spare, path, limits, None)?,
            StudyKind::Dicom | StudyKind::Nrrd => read_study(path, &options)?,
        };
        Ok(Self::Volume { volume: Box::new(volume), axes: config.axes() })
    }

    /// The memory of the voxels, for the next study.
    pub(super) fn into_spare(self) -> Vec<f32> {
        match self {
            Self::Volume { volume, .. } => volume.into_array().into_raw_vec_and_offset().0,
            Self::Numbered { .. } => Vec::new(),
        }
    }

    /// Slices, if known.
    pub(super) fn n_slices(&self) -> Option<usize> {
        match self {
            Self::Volume { volume, axes } => Some(oriented(volume.geometry(), *axes).shape()[2]),
            Self::Numbered { .. } => None,
        }
    }

    /// Column of the body's midline.
    pub(super) fn midline_col(&self, map: PlaneMap) -> Option<f64> {
        match self {
            Self::Volume { volume, axes } => body_midline_col(volume_view(volume, *axes), map),
            Self::Numbered { .. } => None,
        }
    }

    /// What the reader noticed.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        match self {
            Self::Volume { volume, .. } => volume.warnings().to_vec(),
            Self::Numbered { .. } => Vec::new(),
        }
    }

    /// Checks that the planes lie where the mask does. In file order, as published, only sizes count.
    pub(super) fn check_grid(
        &self,
        mask: &Geometry,
        config: &PrepareConfig,
    ) -> Result<Option<String>, GeometryError> {
        let Self::Volume { volume, axes } = self else { return Ok(None) };
        let (image, mask) = (oriented(volume.geometry(), *axes), oriented(mask, *axes));
        if axes.is_none() {
            let (left, right) = (image.shape(), mask.shape());
            return if left == right { Ok(None) } else { Err(GeometryError::ShapeMismatch { left, right }) };
        }
        // Half a voxel: farther off, a mask pixel lies on the wrong voxel.
        let tolerance_mm = 0.5 * image.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
        match image.check_same_grid(&mask, tolerance_mm) {
            Err(GeometryError::PositionMismatch { distance_mm, .. }) if config.ignore_mask_position => {
                Ok(Some(format!(
                    "the mask lies up to {distance_mm:.1} mm from the study; its position was ignored"
                )))
            }
            other => other.map(|()| None),
        }
    }

    /// Gives one plane, `[row, col]`, to `use_plane`; `None` where a numbered file is missing.
    pub(super) fn with_plane<T>(
        &self,
        slice_index: usize,
        map: PlaneMap,
        use_plane: impl FnOnce(ArrayView2<'_, f32>) -> T,
    ) -> Result<Option<T>, PrepareError> {
        match self {
            Self::Volume { volume, axes } => {
                let view = volume_view(volume, *axes);
                Ok(Some(use_plane(map.view(view.index_axis(Axis(2), slice_index)))))
            }
            Self::Numbered { folder, limits } => {
                let Some(file) = numbered_file(folder, slice_index) else { return Ok(None) };
                let volume = read_study(&file, &read_options(*limits, true, true))?;
                Ok(Some(use_plane(map.view(volume.hu().index_axis(Axis(2), 0)))))
            }
        }
    }
}

fn volume_view(volume: &Volume, axes: Option<Orientation>) -> ArrayView3<'_, f32> {
    match axes {
        Some(axes) => volume.view_as(axes),
        None => volume.hu().view(),
    }
}

pub(super) fn read_options(limits: Limits, stored_values: bool, allow_irregular: bool) -> ReadOptions {
    let mut dicom = DicomOptions::default();
    dicom.stored_values = stored_values;
    dicom.allow_irregular = allow_irregular;
    let mut options = ReadOptions::default();
    options.limits = limits;
    options.dicom = dicom;
    options
}

/// The geometry in the axes of the preset.
pub(super) fn oriented(geometry: &Geometry, axes: Option<Orientation>) -> Geometry {
    axes.map_or(*geometry, |axes| geometry.reoriented(axes))
}

/// The labels in the axes of the preset.
pub(super) fn label_view(labels: &LabelVolume, axes: Option<Orientation>) -> ArrayView3<'_, u16> {
    match axes {
        Some(axes) => labels.view_as(axes),
        None => labels.labels().view(),
    }
}

/// The folder with `1-NNN.dcm` files: this one, or the first sub-folder at each of two levels
/// (SPEC 1.1), in sorted order since the published listing order is the system's.
pub(super) fn numbered_folder(folder: &Path) -> Option<PathBuf> {
    let mut folder = folder.to_owned();
    for _ in 0..3 {
        if numbered_file(&folder, 0).is_some() {
            return Some(folder);
        }
        let entries = fs_err::read_dir(&folder).ok()?;
        let mut folders: Vec<PathBuf> =
            entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_dir()).collect();
        folders.sort_unstable();
        folder = folders.into_iter().next()?;
    }
    None
}

fn numbered_file(folder: &Path, slice_index: usize) -> Option<PathBuf> {
    let number = slice_index + 1;
    // The archive pads to the width of the largest number of the series.
    let names = [format!("1-{number:03}.dcm"), format!("1-{number:02}.dcm"), format!("1-{number}.dcm")];
    names.into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
}
