//! The series that findings were made from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ct_volume::dicom::{DicomOptions, SliceInstance, list_instances, read_raw_elements};
use ct_volume::{Geometry, Limits};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::error::DicomFindingsError;
use crate::uid::is_uid;

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

/// UIDs that are read of each instance.
const UIDS: [(Tag, &str); 5] = [
    (tags::SOP_CLASS_UID, "SOPClassUID"),
    (tags::SOP_INSTANCE_UID, "SOPInstanceUID"),
    (tags::STUDY_INSTANCE_UID, "StudyInstanceUID"),
    (tags::SERIES_INSTANCE_UID, "SeriesInstanceUID"),
    (tags::FRAME_OF_REFERENCE_UID, "FrameOfReferenceUID"),
];

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
    ) -> Result<Self, DicomFindingsError> {
        let instances = list_instances(paths, limits, options)?;
        let mut wanted: Vec<Tag> = UIDS.iter().map(|(tag, _)| *tag).collect();
        wanted.extend(PATIENT_AND_STUDY.iter().map(|copied| copied.tag));
        wanted.extend(OTHERS);
        let mut slices = Vec::with_capacity(instances.slices.len());
        let mut first: Option<Header> = None;
        // Frames of one file follow each other, but for interleaved ones.
        let mut last: Option<(&Path, [String; 5])> = None;
        for (slice_idx, slice) in instances.slices.iter().enumerate() {
            let uids = match &last {
                Some((path, uids)) if *path == slice.path => uids.clone(),
                _ => {
                    let header = Header::read(slice, slice_idx, &wanted, limits)?;
                    let uids = header.uids.clone();
                    match &first {
                        Some(first) => first.check_same(&header, slice_idx)?,
                        None => first = Some(header),
                    }
                    uids
                }
            };
            last = Some((&slice.path, uids.clone()));
            let [class_uid, instance_uid, ..] = uids;
            let number = u32::try_from(slice.frame_idx + 1).ok();
            slices.push(SourceSlice {
                class_uid,
                instance_uid,
                frame_number: number.filter(|_| slice.n_frames > 1),
                position_lps_mm: slice.position_lps_mm,
            });
        }
        let missing = DicomFindingsError::Uid { slice_idx: 0, name: UIDS[1].1 };
        let Header { uids: [_, _, study_uid, series_uid, frame_of_reference_uid], copied } =
            first.ok_or(missing)?;
        let is_lossy = instances.slices.iter().any(|slice| slice.is_lossy);
        let geometry = instances.geometry;
        Ok(Self { geometry, slices, study_uid, series_uid, frame_of_reference_uid, is_lossy, copied })
    }

    /// Shape and affine of the series as a volume.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }
}

/// What is read of a file.
struct Header {
    uids: [String; 5],
    copied: BTreeMap<Tag, Vec<u8>>,
}

impl Header {
    fn read(
        slice: &SliceInstance,
        slice_idx: usize,
        wanted: &[Tag],
        limits: &Limits,
    ) -> Result<Self, DicomFindingsError> {
        let copied: BTreeMap<Tag, Vec<u8>> =
            read_raw_elements(&slice.path, wanted, limits)?.into_iter().collect();
        let mut uids: [String; 5] = Default::default();
        for (uid, (tag, name)) in uids.iter_mut().zip(UIDS) {
            let bytes = copied.get(&tag).map_or(&[][..], Vec::as_slice);
            let text = std::str::from_utf8(bytes).unwrap_or_default().trim_matches([' ', '\0']);
            if !is_uid(text) {
                return Err(DicomFindingsError::Uid { slice_idx, name });
            }
            text.clone_into(uid);
        }
        Ok(Self { uids, copied })
    }

    /// Study, series and frame of reference are those of the first slice, and so is the patient.
    fn check_same(&self, other: &Self, slice_idx: usize) -> Result<(), DicomFindingsError> {
        for (place, (_, name)) in UIDS.into_iter().enumerate().skip(2) {
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
