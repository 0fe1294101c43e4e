//! One volume: mask to records, selected slices to images.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use ct_volume::{Geometry, LabelVolume, read_labels, write_atomic};
use ndarray::{Array2, Axis};
use sha2::{Digest, Sha256};

use super::config::PrepareConfig;
use super::error::PrepareError;
use super::options::RunOptions;
use super::part::{PartImage, PartWarning, SLICES_FOLDER, VolumePart};
use super::planes::{Planes, label_view, oriented, read_options};
use super::source_hash::sha256_of_path;
use crate::annotate::{VolumeAnnotation, annotate_volume};
use crate::dataset::Study;
use crate::hex::hex;
use crate::index::{IndexRecord, Neighbors};
use crate::organ::Organ;
use crate::pixels::{DecodedImage, Renderer, Rendering, encode_gray, encode_rgb, encode_rgba};
use crate::preset::Preset;
use crate::records::png_name;

/// What all volumes of a run share.
pub(super) struct VolumeJob<'a> {
    pub(super) config: &'a PrepareConfig,
    pub(super) config_sha256: &'a str,
    pub(super) out: &'a Path,
    pub(super) options: &'a RunOptions<'a>,
    pub(super) n_volumes: usize,
    pub(super) n_without_mask: usize,
    /// Voxel arrays of finished studies, at most one a thread.
    pub(super) spares: Mutex<Vec<Vec<f32>>>,
}

impl VolumeJob<'_> {
    fn open(&self, study: &Study) -> Result<Planes, PrepareError> {
        let spare = self.spares.lock().ok().and_then(|mut spares| spares.pop()).unwrap_or_default();
        Planes::open(study, self.config, &self.options.limits, spare)
    }

    /// Does one volume and writes its part last.
    pub(super) fn run(&self, position: usize, study: &Study) -> Result<VolumePart, PrepareError> {
        let source_sha256 = sha256_of_path(study.image.path())?;
        let mask_sha256 = sha256_of_path(&study.mask)?;
        let mut planes = None;
        let mut midline_col = None;
        if self.config.needs_midline() {
            let opened = self.open(study)?;
            midline_col = opened.midline_col(self.config.image_map());
            planes = Some(opened);
        }
        let Annotated { annotation, mask_geometry, check_plane, mut warnings } =
            self.annotate(study, midline_col)?;
        let mut records = self.records(study, &annotation, &mask_geometry);
        for record in &mut records {
            record.source_sha256 = Some(source_sha256.clone());
            record.mask_sha256 = Some(mask_sha256.clone());
        }
        let wanted = self.slices_to_write(&records);
        let mut images = Vec::new();
        if !wanted.is_empty() {
            let planes = match planes.take() {
                Some(planes) => planes,
                None => self.open(study)?,
            };
            warnings
                .extend(planes.warnings().into_iter().map(|w| part_warning(&w.code.to_string(), w.message)));
            let grid = planes.check_grid(&mask_geometry, self.config);
            let note = grid.map_err(|source| PrepareError::Grid { study: study.stem.clone(), source })?;
            warnings.extend(note.map(|message| part_warning("mask-position-ignored", message)));
            if let Some(check) = check_plane {
                warnings.extend(self.check_mask_hu(&planes, &check)?);
            }
            images = self.write_images(study, &planes, &wanted, &mut records, &mut warnings)?;
            if let Ok(mut spares) = self.spares.lock() {
                spares.push(planes.into_spare());
            }
        }
        warnings.dedup();
        let part = VolumePart {
            config_sha256: self.config_sha256.to_owned(),
            position,
            n_volumes: self.n_volumes,
            n_without_mask: self.n_without_mask,
            record_name: study.record_name.clone(),
            stem: study.stem.clone(),
            records,
            images,
            warnings,
        };
        part.write(self.out)?;
        Ok(part)
    }

    /// Reads the mask, annotates it and lets it go again, but for one plane.
    fn annotate(&self, study: &Study, midline_col: Option<f64>) -> Result<Annotated, PrepareError> {
        let options = read_options(self.options.limits, false, self.config.allow_irregular);
        let labels: LabelVolume = read_labels(&study.mask, &options)?;
        let view = label_view(&labels, self.config.axes());
        let rules = self.config.annotate_rules(midline_col);
        let annotation = annotate_volume(view, &self.config.label_map, self.config.mask_map(), &rules)
            .map_err(|source| PrepareError::Annotate { study: study.stem.clone(), source })?;
        let mut warnings: Vec<PartWarning> =
            labels.warnings().iter().map(|w| part_warning(&w.code.to_string(), w.message.clone())).collect();
        if let Some(text) = outside_map(&annotation.labels_outside_map) {
            warnings.push(part_warning("labels-outside-map", text));
        }
        for (organ, maxima) in &annotation.maxima {
            if maxima.pixels == 0 && *organ != Organ::Tumor {
                warnings.push(part_warning("organ-absent", format!("the mask holds no {organ}")));
            }
        }
        let check_plane = fullest_slice(&annotation).map(|slice_index| {
            let pancreas = &self.config.label_map.0[&Organ::Pancreas];
            let plane = self.config.image_map().view(view.index_axis(Axis(2), slice_index));
            CheckPlane { slice_index, inside: plane.map(|label| pancreas.contains(label)) }
        });
        let mask_geometry = *labels.geometry();
        Ok(Annotated { annotation, mask_geometry, check_plane, warnings })
    }

    fn records(&self, study: &Study, annotation: &VolumeAnnotation, mask: &Geometry) -> Vec<IndexRecord> {
        let spacing_mm = oriented(mask, self.config.axes()).spacing_mm();
        let slice_count = annotation.slices.len();
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let record = |slice: &crate::annotate::SliceAnnotation| {
            let index = slice.slice_index;
            IndexRecord {
                schema_version: 1,
                dataset: self.config.tag.clone(),
                patient: study.patient.clone(),
                volume: study.stem.clone(),
                slice_index: small(index),
                slice_count: small(slice_count),
                width: small(annotation.width_px),
                height: small(annotation.height_px),
                spacing_mm: Some(spacing_mm),
                image: None,
                pixels_sha256: None,
                source_sha256: None,
                mask_sha256: None,
                neighbors: Neighbors {
                    previous: index.checked_sub(1).map(small),
                    next: (index + 1 < slice_count).then(|| small(index + 1)),
                    ..Neighbors::default()
                },
                organs: slice
                    .organs
                    .keys()
                    .map(|&organ| (organ, annotation.organ_record(slice.slice_index, organ)))
                    .collect(),
                split: None,
                tasks: Vec::new(),
                answer: None,
                crop: None,
            }
        };
        annotation.slices.iter().map(record).collect()
    }

    /// Slices whose images are needed: selected ones, candidates of a balanced draw (what is not
    /// drawn is removed at the end, since the draw needs all volumes), and neighbours.
    fn slices_to_write(&self, records: &[IndexRecord]) -> BTreeSet<usize> {
        let mut wanted = BTreeSet::new();
        let selected = |record: &IndexRecord| {
            self.config.detection_organs().any(|o| record.organs[&o].bbox_ratio > self.config.threshold)
        };
        let any_selected = records.iter().any(selected);
        for (n, record) in records.iter().enumerate() {
            let candidate = self.config.balanced
                && any_selected
                && record.organs.iter().any(|(organ, found)| is_balanced_organ(*organ) && found.pixels == 0);
            if selected(record) || candidate {
                wanted.insert(n);
                if self.config.context_images {
                    wanted.extend([n.saturating_sub(1), (n + 1).min(records.len() - 1)]);
                }
            }
        }
        wanted
    }

    fn write_images(
        &self,
        study: &Study,
        planes: &Planes,
        wanted: &BTreeSet<usize>,
        records: &mut [IndexRecord],
        warnings: &mut Vec<PartWarning>,
    ) -> Result<Vec<PartImage>, PrepareError> {
        let writer = SliceWriter::new(self.config)?;
        let folder = self.out.join(SLICES_FOLDER);
        let mut missing = 0_usize;
        let mut images = Vec::with_capacity(wanted.len());
        for &slice_index in wanted {
            if self.options.cancel.load(Ordering::Relaxed) {
                return Err(PrepareError::Cancelled);
            }
            let image = writer.image(&study.stem, planes, slice_index, records.len())?;
            let Some(SliceImage { png, pixels_sha256, .. }) = image else {
                missing += 1;
                continue;
            };
            let name = png_name(&study.stem, slice_index);
            write_atomic(&folder.join(&name), &png)?;
            let record = &mut records[slice_index];
            record.image = Some(format!("{SLICES_FOLDER}/{name}"));
            record.pixels_sha256 = Some(pixels_sha256);
            images.push(PartImage {
                slice_index,
                bytes: png.len() as u64,
                sha256: hex(&Sha256::digest(&png)),
            });
        }
        if missing > 0 {
            warnings
                .push(part_warning("missing-dicom-file", format!("{missing} slices have no file 1-NNN.dcm")));
        }
        Ok(images)
    }

    /// Median HU inside the pancreas of its largest slice, against what tissue can have (SPEC D1).
    fn check_mask_hu(
        &self,
        planes: &Planes,
        check: &CheckPlane,
    ) -> Result<Option<PartWarning>, PrepareError> {
        const PLAUSIBLE_HU: std::ops::RangeInclusive<f32> = -50.0..=250.0;
        let median = planes.with_plane(check.slice_index, self.config.image_map(), |plane| {
            let inside = plane.iter().zip(&check.inside).filter_map(|(&hu, &inside)| inside.then_some(hu));
            let mut values: Vec<f32> = inside.collect();
            let middle = values.len() / 2;
            (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f32::total_cmp).1)
        })?;
        let implausible = median.flatten().filter(|hu| !PLAUSIBLE_HU.contains(hu));
        Ok(implausible.map(|hu| {
            let text = format!(
                "median inside the pancreas of slice {} is {hu} HU, not between -50 and 250: \
                 mask and study may not belong together, or the values are not HU",
                check.slice_index
            );
            part_warning("implausible-mask-hu", text)
        }))
    }
}

/// The organs that balanced mode draws negatives for (SPEC 1.6).
pub(super) fn is_balanced_organ(organ: Organ) -> bool {
    matches!(organ, Organ::Pancreas | Organ::Tumor)
}

struct Annotated {
    annotation: VolumeAnnotation,
    mask_geometry: Geometry,
    check_plane: Option<CheckPlane>,
    warnings: Vec<PartWarning>,
}

/// The mask of one slice, kept after the mask volume is gone.
struct CheckPlane {
    slice_index: usize,
    inside: Array2<bool>,
}

fn fullest_slice(annotation: &VolumeAnnotation) -> Option<usize> {
    let pixels =
        |slice: &crate::annotate::SliceAnnotation| slice.organs.get(&Organ::Pancreas).map_or(0, |o| o.pixels);
    let fullest = annotation.slices.iter().max_by_key(|slice| pixels(slice))?;
    (pixels(fullest) > 0).then_some(fullest.slice_index)
}

/// What to say of labels that the label map does not name: another data set's map may be meant.
fn outside_map(voxels: &BTreeMap<u16, u64>) -> Option<String> {
    const SHOWN: usize = 8;
    let all: u64 = voxels.values().sum();
    let first: Vec<String> = voxels.keys().take(SHOWN).map(ToString::to_string).collect();
    let more = if voxels.len() > SHOWN { ", …" } else { "" };
    (all > 0).then(|| {
        format!("{all} voxels have labels that the label map gives to no organ: {}{more}", first.join(", "))
    })
}

fn part_warning(code: &str, message: String) -> PartWarning {
    PartWarning { code: code.to_owned(), message }
}

/// A finished image.
pub(super) struct SliceImage {
    /// File bytes.
    pub(super) png: Vec<u8>,
    /// SHA-256 of the gray pixels of the middle slice, row by row.
    pub(super) pixels_sha256: String,
    /// Width and height.
    pub(super) size: (usize, usize),
}

/// Renders planes as the configuration says.
pub(super) struct SliceWriter<'a> {
    config: &'a PrepareConfig,
    rendering: Rendering,
    /// Tables that are made once a writer; a writer serves one thread.
    renderer: RefCell<Renderer>,
}

impl<'a> SliceWriter<'a> {
    pub(super) fn new(config: &'a PrepareConfig) -> Result<Self, PrepareError> {
        Ok(Self { config, rendering: config.rendering()?, renderer: RefCell::new(Renderer::new()) })
    }

    /// The PNG of one slice; `None` where a numbered file is missing.
    pub(super) fn image(
        &self,
        study: &str,
        planes: &Planes,
        slice_index: usize,
        n_slices: usize,
    ) -> Result<Option<SliceImage>, PrepareError> {
        let Some(gray) = self.gray(study, planes, slice_index)? else { return Ok(None) };
        let failed = |source| PrepareError::Pixels { study: study.to_owned(), slice_index, source };
        let pixels_sha256 = hash_pixels(&gray);
        let (height, width) = gray.dim();
        let png = if self.config.neighbors_rgb {
            let neighbor = |index: usize| self.gray(study, planes, index);
            let below = neighbor(slice_index.saturating_sub(1))?.unwrap_or_else(|| gray.clone());
            let above = neighbor((slice_index + 1).min(n_slices.max(1) - 1))?.unwrap_or_else(|| gray.clone());
            encode_rgb([below.view(), gray.view(), above.view()])
        } else if self.config.preset == Preset::Fixed {
            encode_gray(gray.view())
        } else {
            encode_rgba(gray.view())
        };
        Ok(Some(SliceImage { png: png.map_err(failed)?, pixels_sha256, size: (width, height) }))
    }

    fn gray(
        &self,
        study: &str,
        planes: &Planes,
        slice_index: usize,
    ) -> Result<Option<Array2<u8>>, PrepareError> {
        let map = self.config.image_map();
        let mut renderer = self.renderer.borrow_mut();
        let gray = planes.with_plane(slice_index, map, |plane| renderer.render(plane, &self.rendering))?;
        gray.transpose().map_err(|source| PrepareError::Pixels {
            study: study.to_owned(),
            slice_index,
            source,
        })
    }
}

/// SHA-256 of gray pixels, row by row.
pub(super) fn hash_pixels(gray: &Array2<u8>) -> String {
    match gray.as_slice() {
        Some(bytes) => hex(&Sha256::digest(bytes)),
        None => hex(&Sha256::digest(gray.iter().copied().collect::<Vec<u8>>())),
    }
}

/// The gray pixels of an image that [`SliceWriter`] made: its only channel, any of three equal ones,
/// or the green one, which is the middle slice where neighbours are red and blue.
pub(super) fn middle_slice(image: DecodedImage) -> Array2<u8> {
    match image {
        DecodedImage::Gray(gray) => gray,
        DecodedImage::Rgb(image) | DecodedImage::Rgba(image) => {
            image.index_axis_move(Axis(2), 1).as_standard_layout().into_owned()
        }
    }
}
