//! The series that findings were made from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ct_volume::dicom::{
    DicomError, DicomOptions, SeriesInstances, decode_instances, decode_raw_elements, list_instances,
    read_raw_elements,
};
use ct_volume::{Geometry, Limits, VolumeError};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::error::DicomFindingsError;
use crate::uid::{derived, is_uid};

/// An attribute that is copied as it is.
pub(crate) struct Copied {
    pub(crate) tag: Tag,
    pub(crate) vr: VR,
    pub(crate) name: &'static str,
}

macro_rules! copied {
    ($($tag:ident $vr:ident $name:literal;)*) => {
        &[$(Copied { tag: tags::$tag, vr: VR::$vr, name: $name }),*]
    };
}

/// The patient and study attributes of type 1 and 2 (PS3.3, C.7.1.1, C.7.2.1), which every object has,
/// and the character set of their bytes.
pub(crate) const PATIENT_AND_STUDY: &[Copied] = copied! {
    STUDY_DATE DA "StudyDate";
    STUDY_TIME TM "StudyTime";
    ACCESSION_NUMBER SH "AccessionNumber";
    REFERRING_PHYSICIAN_NAME PN "ReferringPhysicianName";
    PATIENT_NAME PN "PatientName";
    PATIENT_ID LO "PatientID";
    PATIENT_BIRTH_DATE DA "PatientBirthDate";
    PATIENT_SEX CS "PatientSex";
    STUDY_ID SH "StudyID";
};

/// What else is copied where it is there.
const OTHERS: &[Tag] = &[
    tags::SPECIFIC_CHARACTER_SET,
    tags::POSITION_REFERENCE_INDICATOR,
    tags::LOSSY_IMAGE_COMPRESSION_RATIO,
    tags::LOSSY_IMAGE_COMPRESSION_METHOD,
];

/// Elements as a file has them.
type RawElements = Vec<(Tag, Vec<u8>)>;

/// UIDs that are read of each instance; where the data set has none, those of the file's meta information,
/// which must be equal to them (PS3.10, 7.1), are taken.
const UIDS: [(Tag, Option<Tag>, &str); 5] = [
    (tags::SOP_CLASS_UID, Some(tags::MEDIA_STORAGE_SOP_CLASS_UID), "SOPClassUID"),
    (tags::SOP_INSTANCE_UID, Some(tags::MEDIA_STORAGE_SOP_INSTANCE_UID), "SOPInstanceUID"),
    (tags::STUDY_INSTANCE_UID, None, "StudyInstanceUID"),
    (tags::SERIES_INSTANCE_UID, None, "SeriesInstanceUID"),
    (tags::FRAME_OF_REFERENCE_UID, None, "FrameOfReferenceUID"),
];

/// What becomes of a series whose study, series or frame of reference has no UID, as those may have that
/// were made anonymous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingUids {
    /// It is refused: no archive can file objects beside it.
    #[default]
    Refuse,
    /// The UID is made from those of the instances; [`SourceSeries::derived_uids`] tells which.
    Derive,
}

/// One image of the series.
#[derive(Clone, PartialEq)]
pub(crate) struct SourceSlice {
    pub(crate) class_uid: String,
    pub(crate) instance_uid: String,
    /// From 1; none for an ordinary CT image.
    pub(crate) frame_number: Option<u32>,
    pub(crate) position_lps_mm: [f64; 3],
}

/// A CT series that objects refer to: UIDs and place of each slice, and the patient and study attributes
/// that every object of the study repeats.
#[derive(Clone, PartialEq)]
pub struct SourceSeries {
    pub(crate) geometry: Geometry,
    pub(crate) slices: Vec<SourceSlice>,
    pub(crate) study_uid: String,
    pub(crate) series_uid: String,
    pub(crate) frame_of_reference_uid: String,
    pub(crate) is_lossy: bool,
    derived_uids: Vec<&'static str>,
    /// Bytes as the first slice's file has them.
    pub(crate) copied: BTreeMap<Tag, Vec<u8>>,
}

impl std::fmt::Debug for SourceSeries {
    /// Without anything that identifies.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { geometry, slices, .. } = self;
        f.debug_struct("SourceSeries")
            .field("geometry", geometry)
            .field("n_slices", &slices.len())
            .finish_non_exhaustive()
    }
}

impl SourceSeries {
    /// Reads the headers of a series, chosen and ordered as
    /// [`read_series`](ct_volume::dicom::read_series) does it.
    ///
    /// # Errors
    /// [`DicomFindingsError::Source`]; [`DicomFindingsError::Uid`] and [`DicomFindingsError::Mixed`] for an
    /// instance.
    pub fn read(
        paths: &[PathBuf],
        limits: &Limits,
        options: &DicomOptions,
        missing: MissingUids,
    ) -> Result<Self, DicomFindingsError> {
        let instances = list_instances(paths, limits, options)?;
        // Frames of one file follow each other, but for interleaved ones.
        let same_file = |a: usize, b: usize| instances.slices[a].path == instances.slices[b].path;
        let raw = |slice_idx: usize| read_raw_elements(&instances.slices[slice_idx].path, &wanted(), limits);
        Self::collect(&instances, &same_file, &raw, missing)
    }

    /// As [`SourceSeries::read`], of files in memory, in any order.
    ///
    /// # Errors
    /// As [`SourceSeries::read`]; no path is named.
    pub fn read_bytes(
        files: &[&[u8]],
        limits: &Limits,
        options: &DicomOptions,
        missing: MissingUids,
    ) -> Result<Self, DicomFindingsError> {
        let unusable =
            |error: DicomError| VolumeError::Dicom { path: PathBuf::new(), source: Box::new(error) };
        let (instances, places) = decode_instances(files, limits, options).map_err(unusable)?;
        let same_file = |a: usize, b: usize| places[a] == places[b];
        let raw = |slice_idx: usize| {
            decode_raw_elements(files[places[slice_idx]], &wanted(), limits).map_err(unusable)
        };
        Self::collect(&instances, &same_file, &raw, missing)
    }

    fn collect(
        instances: &SeriesInstances,
        same_file: &dyn Fn(usize, usize) -> bool,
        raw: &dyn Fn(usize) -> Result<RawElements, VolumeError>,
        missing: MissingUids,
    ) -> Result<Self, DicomFindingsError> {
        let mut slices = Vec::with_capacity(instances.slices.len());
        let mut first: Option<Header> = None;
        let mut last: Option<[String; 5]> = None;
        for (slice_idx, slice) in instances.slices.iter().enumerate() {
            let uids = match &last {
                Some(uids) if same_file(slice_idx - 1, slice_idx) => uids.clone(),
                _ => {
                    let header = Header::new(raw(slice_idx)?, slice_idx)?;
                    let uids = header.uids.clone();
                    match &first {
                        Some(first) => first.check_same(&header, slice_idx)?,
                        None => first = Some(header),
                    }
                    uids
                }
            };
            last = Some(uids.clone());
            let [class_uid, instance_uid, ..] = uids;
            let number = u32::try_from(slice.frame_idx + 1).ok();
            slices.push(SourceSlice {
                class_uid,
                instance_uid,
                frame_number: number.filter(|_| slice.n_frames > 1),
                position_lps_mm: slice.position_lps_mm,
            });
        }
        let no_slice = DicomFindingsError::Uid { slice_idx: 0, name: UIDS[1].2 };
        let Header { mut uids, copied } = first.ok_or(no_slice)?;
        let mut derived_uids = Vec::new();
        for (uid, (.., name)) in uids.iter_mut().zip(UIDS) {
            if uid.is_empty() {
                if missing == MissingUids::Refuse {
                    return Err(DicomFindingsError::Uid { slice_idx: 0, name });
                }
                let mut instances: Vec<&[u8]> = slices.iter().map(|s| s.instance_uid.as_bytes()).collect();
                instances.sort_unstable();
                *uid = derived(name, &instances);
                derived_uids.push(name);
            }
        }
        let [_, _, study_uid, series_uid, frame_of_reference_uid] = uids;
        let is_lossy = instances.slices.iter().any(|slice| slice.is_lossy);
        Ok(Self {
            geometry: instances.geometry,
            slices,
            study_uid,
            series_uid,
            frame_of_reference_uid,
            is_lossy,
            derived_uids,
            copied,
        })
    }

    /// Keywords of the UIDs that the series lacks and that were made up; a caller should tell.
    #[must_use]
    pub fn derived_uids(&self) -> &[&'static str] {
        &self.derived_uids
    }

    /// Shape and affine of the series as a volume.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }
}

/// Elements that are read of a file.
fn wanted() -> Vec<Tag> {
    let uids = UIDS.iter().flat_map(|&(tag, meta, _)| [Some(tag), meta]).flatten();
    uids.chain(PATIENT_AND_STUDY.iter().map(|copied| copied.tag)).chain(OTHERS.iter().copied()).collect()
}

/// What is read of a file.
struct Header {
    uids: [String; 5],
    copied: BTreeMap<Tag, Vec<u8>>,
}

impl Header {
    fn new(raw: RawElements, slice_idx: usize) -> Result<Self, DicomFindingsError> {
        let copied: BTreeMap<Tag, Vec<u8>> = raw.into_iter().collect();
        let mut uids: [String; 5] = Default::default();
        let text = |tag: Tag| {
            let bytes = copied.get(&tag).map_or(&[][..], Vec::as_slice);
            std::str::from_utf8(bytes).unwrap_or("?").trim_matches([' ', '\0'])
        };
        for (uid, (tag, meta, name)) in uids.iter_mut().zip(UIDS) {
            let found = [Some(tag), meta].into_iter().flatten().map(text).find(|text| !text.is_empty());
            // What has a twin in the meta information names the instance, and cannot be made up.
            let is_usable = found.map_or(meta.is_none(), is_uid);
            if !is_usable {
                return Err(DicomFindingsError::Uid { slice_idx, name });
            }
            found.unwrap_or_default().clone_into(uid);
        }
        Ok(Self { uids, copied })
    }

    /// Study, series and frame of reference are those of the first slice, and so is the patient.
    fn check_same(&self, other: &Self, slice_idx: usize) -> Result<(), DicomFindingsError> {
        for (place, (.., name)) in UIDS.into_iter().enumerate().skip(2) {
            if self.uids[place] != other.uids[place] {
                return Err(DicomFindingsError::Mixed { slice_idx, name });
            }
        }
        if self.copied.get(&tags::PATIENT_ID) != other.copied.get(&tags::PATIENT_ID) {
            return Err(DicomFindingsError::Mixed { slice_idx, name: "PatientID" });
        }
        Ok(())
    }
}
