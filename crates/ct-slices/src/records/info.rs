//! One record per slice of every volume: `*_slices_info.json` (SPEC 1.5).

use serde::{Deserialize, Serialize};

use crate::annotate::VolumeAnnotation;
use crate::bbox::BoxPx;
use crate::index::{IndexRecord, OrganRecord};
use crate::organ::Organ;
use crate::python::PyNumber;

/// Which slice a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceIdentity {
    /// File name of the volume, with its ending.
    pub volume_name: String,
    /// Number of the record in the whole dataset, from 1.
    pub slice_id: u64,
    /// Number of the slice in its volume, from 0.
    pub slice_index: u64,
    /// Slices of the volume.
    pub slice_count: u64,
    /// Columns of the image.
    pub width: u64,
    /// Rows of the image.
    pub height: u64,
}

/// A record that slices can be selected by, whatever form it has.
pub trait SliceRecord {
    /// The volume, as splits name it.
    fn volume_name(&self) -> &str;
    /// Mask pixels of an organ; `None` if this form has no such organ.
    fn pixels(&self, organ: Organ) -> Option<u64>;
    /// Rounded share of the volume's largest box area; `None` if this form has no such organ.
    fn bbox_ratio(&self, organ: Organ) -> Option<f64>;
}

/// A slice of an MSD volume, 19 keys in the published order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are the keys of SPEC 1.5, described there and in the type's docs"
)]
pub struct MsdRecord {
    pub dataset: String,
    pub volume_name: String,
    pub slice_id: u64,
    pub slice_index: u64,
    pub slice_count: u64,
    pub pixels_pancreas: u64,
    pub pancreas_pixels_ratio: f64,
    pub max_pixels_pancreas: u64,
    pub pixels_tumor: u64,
    pub tumor_pixels_ratio: f64,
    pub max_pixels_tumor: u64,
    pub bbox_pancreas: BoxPx,
    pub pancreas_bbox_ratio: f64,
    pub max_bbox_pancreas: u64,
    pub bbox_tumor: BoxPx,
    pub tumor_bbox_ratio: f64,
    pub max_bbox_tumor: u64,
    pub width: u64,
    pub height: u64,
}

/// A slice of an NIH volume: [`MsdRecord`] without the tumour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are the keys of SPEC 1.5, described there and in the type's docs"
)]
pub struct NihRecord {
    pub dataset: String,
    pub volume_name: String,
    pub slice_id: u64,
    pub slice_index: u64,
    pub slice_count: u64,
    pub pixels_pancreas: u64,
    pub pancreas_pixels_ratio: f64,
    pub max_pixels_pancreas: u64,
    pub bbox_pancreas: BoxPx,
    pub pancreas_bbox_ratio: f64,
    pub max_bbox_pancreas: u64,
    pub width: u64,
    pub height: u64,
}

/// A slice of an AbdomenCT-1K volume; `volume_name` is that of the image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are the keys of SPEC 1.5, described there and in the type's docs"
)]
pub struct AbdRecord {
    pub dataset: String,
    pub volume_name: String,
    pub slice_id: u64,
    pub slice_index: u64,
    pub slice_count: u64,
    pub width: u64,
    pub height: u64,
    pub pixels_liver: u64,
    pub bbox_liver: BoxPx,
    pub liver_pixels_ratio: PyNumber,
    pub liver_bbox_ratio: PyNumber,
    pub pixels_kidney: u64,
    pub bbox_kidney: BoxPx,
    pub kidney_pixels_ratio: PyNumber,
    pub kidney_bbox_ratio: PyNumber,
    pub pixels_spleen: u64,
    pub bbox_spleen: BoxPx,
    pub spleen_pixels_ratio: PyNumber,
    pub spleen_bbox_ratio: PyNumber,
    pub pixels_pancreas: u64,
    pub bbox_pancreas: BoxPx,
    pub pancreas_pixels_ratio: PyNumber,
    pub pancreas_bbox_ratio: PyNumber,
}

/// How AbdomenCT-1K records write the ratio of an organ that the whole volume lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbsentRatio {
    /// `0`, as published.
    Integer,
    /// `0.0`, like every other ratio.
    Float,
}

/// Which slices of a volume get a record, and so a `slice_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceFilter {
    /// Every slice (eras M and H).
    All,
    /// Slices with at least one pancreas pixel (era P).
    WithPancreas,
}

fn bbox_or_zeros(organ: &OrganRecord) -> BoxPx {
    organ.bbox.unwrap_or(BoxPx::ZEROS)
}

impl MsdRecord {
    /// Joins which slice it is and what is in it.
    #[must_use]
    pub fn new(slice: SliceIdentity, pancreas: &OrganRecord, tumor: &OrganRecord) -> Self {
        Self {
            dataset: "MSD".to_owned(),
            volume_name: slice.volume_name,
            slice_id: slice.slice_id,
            slice_index: slice.slice_index,
            slice_count: slice.slice_count,
            pixels_pancreas: pancreas.pixels,
            pancreas_pixels_ratio: pancreas.pixels_ratio,
            max_pixels_pancreas: pancreas.max_pixels,
            pixels_tumor: tumor.pixels,
            tumor_pixels_ratio: tumor.pixels_ratio,
            max_pixels_tumor: tumor.max_pixels,
            bbox_pancreas: bbox_or_zeros(pancreas),
            pancreas_bbox_ratio: pancreas.bbox_ratio,
            max_bbox_pancreas: pancreas.max_bbox_area,
            bbox_tumor: bbox_or_zeros(tumor),
            tumor_bbox_ratio: tumor.bbox_ratio,
            max_bbox_tumor: tumor.max_bbox_area,
            width: slice.width,
            height: slice.height,
        }
    }
}

impl NihRecord {
    /// Joins which slice it is and what is in it.
    #[must_use]
    pub fn new(slice: SliceIdentity, pancreas: &OrganRecord) -> Self {
        Self {
            dataset: "NIH".to_owned(),
            volume_name: slice.volume_name,
            slice_id: slice.slice_id,
            slice_index: slice.slice_index,
            slice_count: slice.slice_count,
            pixels_pancreas: pancreas.pixels,
            pancreas_pixels_ratio: pancreas.pixels_ratio,
            max_pixels_pancreas: pancreas.max_pixels,
            bbox_pancreas: bbox_or_zeros(pancreas),
            pancreas_bbox_ratio: pancreas.bbox_ratio,
            max_bbox_pancreas: pancreas.max_bbox_area,
            width: slice.width,
            height: slice.height,
        }
    }
}

impl AbdRecord {
    /// Joins which slice it is and what is in it, the organs in the order of [`Organ::ABDOMEN`].
    #[must_use]
    pub fn new(slice: SliceIdentity, organs: &[OrganRecord; 4], absent: AbsentRatio) -> Self {
        let ratio = |value: f64, max: u64| {
            if max == 0 && absent == AbsentRatio::Integer { PyNumber::Int(0) } else { PyNumber::Float(value) }
        };
        let pixels_ratio = |organ: &OrganRecord| ratio(organ.pixels_ratio, organ.max_pixels);
        let bbox_ratio = |organ: &OrganRecord| ratio(organ.bbox_ratio, organ.max_bbox_area);
        let [liver, kidney, spleen, pancreas] = organs;
        Self {
            dataset: "ABD".to_owned(),
            volume_name: slice.volume_name,
            slice_id: slice.slice_id,
            slice_index: slice.slice_index,
            slice_count: slice.slice_count,
            width: slice.width,
            height: slice.height,
            pixels_liver: liver.pixels,
            bbox_liver: bbox_or_zeros(liver),
            liver_pixels_ratio: pixels_ratio(liver),
            liver_bbox_ratio: bbox_ratio(liver),
            pixels_kidney: kidney.pixels,
            bbox_kidney: bbox_or_zeros(kidney),
            kidney_pixels_ratio: pixels_ratio(kidney),
            kidney_bbox_ratio: bbox_ratio(kidney),
            pixels_spleen: spleen.pixels,
            bbox_spleen: bbox_or_zeros(spleen),
            spleen_pixels_ratio: pixels_ratio(spleen),
            spleen_bbox_ratio: bbox_ratio(spleen),
            pixels_pancreas: pancreas.pixels,
            bbox_pancreas: bbox_or_zeros(pancreas),
            pancreas_pixels_ratio: pixels_ratio(pancreas),
            pancreas_bbox_ratio: bbox_ratio(pancreas),
        }
    }

    /// Pixels, their ratio, box, its ratio; `None` for the tumour.
    pub(super) fn organ(&self, organ: Organ) -> Option<(u64, PyNumber, BoxPx, PyNumber)> {
        match organ {
            Organ::Liver => {
                Some((self.pixels_liver, self.liver_pixels_ratio, self.bbox_liver, self.liver_bbox_ratio))
            }
            Organ::Kidney => {
                Some((self.pixels_kidney, self.kidney_pixels_ratio, self.bbox_kidney, self.kidney_bbox_ratio))
            }
            Organ::Spleen => {
                Some((self.pixels_spleen, self.spleen_pixels_ratio, self.bbox_spleen, self.spleen_bbox_ratio))
            }
            Organ::Pancreas => Some((
                self.pixels_pancreas,
                self.pancreas_pixels_ratio,
                self.bbox_pancreas,
                self.pancreas_bbox_ratio,
            )),
            Organ::Tumor => None,
        }
    }
}

impl SliceRecord for MsdRecord {
    fn volume_name(&self) -> &str {
        &self.volume_name
    }

    fn pixels(&self, organ: Organ) -> Option<u64> {
        match organ {
            Organ::Pancreas => Some(self.pixels_pancreas),
            Organ::Tumor => Some(self.pixels_tumor),
            Organ::Liver | Organ::Kidney | Organ::Spleen => None,
        }
    }

    fn bbox_ratio(&self, organ: Organ) -> Option<f64> {
        match organ {
            Organ::Pancreas => Some(self.pancreas_bbox_ratio),
            Organ::Tumor => Some(self.tumor_bbox_ratio),
            Organ::Liver | Organ::Kidney | Organ::Spleen => None,
        }
    }
}

impl SliceRecord for NihRecord {
    fn volume_name(&self) -> &str {
        &self.volume_name
    }

    fn pixels(&self, organ: Organ) -> Option<u64> {
        (organ == Organ::Pancreas).then_some(self.pixels_pancreas)
    }

    fn bbox_ratio(&self, organ: Organ) -> Option<f64> {
        (organ == Organ::Pancreas).then_some(self.pancreas_bbox_ratio)
    }
}

impl SliceRecord for AbdRecord {
    fn volume_name(&self) -> &str {
        &self.volume_name
    }

    fn pixels(&self, organ: Organ) -> Option<u64> {
        self.organ(organ).map(|(pixels, ..)| pixels)
    }

    fn bbox_ratio(&self, organ: Organ) -> Option<f64> {
        self.organ(organ).map(|(.., bbox_ratio)| bbox_ratio.as_f64())
    }
}

impl SliceRecord for IndexRecord {
    fn volume_name(&self) -> &str {
        &self.volume
    }

    fn pixels(&self, organ: Organ) -> Option<u64> {
        self.organs.get(&organ).map(|organ| organ.pixels)
    }

    fn bbox_ratio(&self, organ: Organ) -> Option<f64> {
        self.organs.get(&organ).map(|organ| organ.bbox_ratio)
    }
}

/// Records of an MSD volume; `slice_id` counts on from `first_slice_id`.
#[must_use]
pub fn msd_records(
    volume_name: &str,
    annotation: &VolumeAnnotation,
    first_slice_id: u64,
    filter: SliceFilter,
) -> Vec<MsdRecord> {
    let record = |(slice, at): (SliceIdentity, usize)| {
        let [pancreas, tumor] = [Organ::Pancreas, Organ::Tumor].map(|o| annotation.organ_record(at, o));
        MsdRecord::new(slice, &pancreas, &tumor)
    };
    identities(volume_name, annotation, first_slice_id, filter).map(record).collect()
}

/// Records of an NIH volume; `slice_id` counts on from `first_slice_id`.
#[must_use]
pub fn nih_records(
    volume_name: &str,
    annotation: &VolumeAnnotation,
    first_slice_id: u64,
    filter: SliceFilter,
) -> Vec<NihRecord> {
    let record = |(slice, at)| NihRecord::new(slice, &annotation.organ_record(at, Organ::Pancreas));
    identities(volume_name, annotation, first_slice_id, filter).map(record).collect()
}

/// Records of an AbdomenCT-1K volume; `slice_id` counts on from `first_slice_id`.
#[must_use]
pub fn abd_records(
    volume_name: &str,
    annotation: &VolumeAnnotation,
    first_slice_id: u64,
    absent: AbsentRatio,
) -> Vec<AbdRecord> {
    let record = |(slice, at): (SliceIdentity, usize)| {
        AbdRecord::new(slice, &Organ::ABDOMEN.map(|o| annotation.organ_record(at, o)), absent)
    };
    identities(volume_name, annotation, first_slice_id, SliceFilter::All).map(record).collect()
}

fn identities<'a>(
    volume_name: &'a str,
    annotation: &'a VolumeAnnotation,
    first_slice_id: u64,
    filter: SliceFilter,
) -> impl Iterator<Item = (SliceIdentity, usize)> + 'a {
    let has_pancreas = |at: &usize| annotation.organ_record(*at, Organ::Pancreas).pixels > 0;
    let kept = (0..annotation.slices.len()).filter(move |at| filter == SliceFilter::All || has_pancreas(at));
    (first_slice_id..).zip(kept).map(|(slice_id, at)| {
        let slice = SliceIdentity {
            volume_name: volume_name.to_owned(),
            slice_id,
            slice_index: annotation.slices[at].slice_index as u64,
            slice_count: annotation.slices.len() as u64,
            width: annotation.width_px as u64,
            height: annotation.height_px as u64,
        };
        (slice, at)
    })
}
