//! Synthetic CT series with identifiers in every place that a real one has them.

#![allow(dead_code, clippy::unwrap_used, reason = "each test needs a part, and stops at what fails")]

use ct_phantom::{Layout, PhantomSpec, Tumors, generate_patient};
use ct_volume::dicom::{SeriesTags, write_series};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;

/// A series with what was planted in it.
pub(crate) struct Planted {
    /// Names and bytes of its files.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// What objects that belong to the study must repeat: the UIDs that they point to, and the patient and
    /// study attributes of type 1 and 2.
    pub(crate) repeated: Vec<String>,
    /// What nothing may repeat.
    pub(crate) secret: Vec<String>,
}

impl Planted {
    pub(crate) fn all(&self) -> impl Iterator<Item = &String> {
        self.repeated.iter().chain(&self.secret)
    }
}

/// The `series`-th series, of so many slices.
pub(crate) fn plant(series: usize, n_slices: u32) -> Planted {
    let spec = PhantomSpec::new(Layout::Msd, 400 + series as u64, 1)
        .with_matrix(64)
        .with_slices(n_slices..=n_slices)
        .with_tumors(Tumors::All);
    let volume = generate_patient(&spec, 0).unwrap().volume;
    let folder = tempfile::tempdir().unwrap();
    let root = format!("2.25.88{series}17");
    let tags = SeriesTags { patient: "P".to_owned(), uid_root: root.clone(), slice_thickness_mm: 5.0 };
    let written = write_series(folder.path(), &volume, &tags).unwrap();
    let of_series = |what: &str| format!("ZZ{what}{series}QX");
    let shared = [
        (tags::PATIENT_NAME, VR::PN, format!("{}^GIVEN{series}", of_series("NAME"))),
        (tags::PATIENT_ID, VR::LO, of_series("MRN")),
        (tags::PATIENT_BIRTH_DATE, VR::DA, format!("19{}0419", 31 + series)),
        (tags::STUDY_DATE, VR::DA, format!("20{}1123", 11 + series)),
        (tags::STUDY_TIME, VR::TM, format!("1{}4142.123456", series % 10)),
        (tags::ACCESSION_NUMBER, VR::SH, of_series("ACC")),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, of_series("REF")),
        (tags::STUDY_ID, VR::SH, of_series("SID")),
        (tags::STUDY_INSTANCE_UID, VR::UI, format!("{root}.7001")),
        (tags::SERIES_INSTANCE_UID, VR::UI, format!("{root}.7002")),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, format!("{root}.7003")),
    ];
    let mut planted = Planted { files: Vec::new(), repeated: Vec::new(), secret: Vec::new() };
    planted.repeated.extend(shared.iter().map(|(.., value)| value.clone()));
    for (n, path) in written.iter().enumerate() {
        let of_slice = |what: &str| format!("ZZ{what}{series}Q{n}X");
        let instance = format!("{root}.8000{n}");
        let own = [
            (tags::INSTITUTION_NAME, VR::LO, of_slice("INST")),
            (tags::INSTITUTION_ADDRESS, VR::ST, of_slice("ADDR")),
            (tags::OPERATORS_NAME, VR::PN, of_slice("OPER")),
            (tags::PERFORMING_PHYSICIAN_NAME, VR::PN, of_slice("PERF")),
            (tags::STATION_NAME, VR::SH, of_slice("STAT")),
            (tags::DEVICE_SERIAL_NUMBER, VR::LO, of_slice("SER")),
            (tags::STUDY_DESCRIPTION, VR::LO, of_slice("DESC")),
            (tags::SERIES_DESCRIPTION, VR::LO, of_slice("SDESC")),
            (tags::PROTOCOL_NAME, VR::LO, of_slice("PROT")),
            (tags::PATIENT_ADDRESS, VR::LO, of_slice("HOME")),
            (tags::OTHER_PATIENT_NAMES, VR::PN, of_slice("OTHER")),
            (tags::PATIENT_COMMENTS, VR::LT, of_slice("COMM")),
            (tags::IMAGE_COMMENTS, VR::LT, of_slice("ICOMM")),
            (tags::REQUESTING_PHYSICIAN, VR::PN, of_slice("REQ")),
            (Tag(0x0009, 0x0010), VR::LO, of_slice("PRIV")),
            (Tag(0x0009, 0x1001), VR::LO, of_slice("PVAL")),
            (Tag(0x0009, 0x1002), VR::UI, format!("{root}.9000{n}")),
        ];
        let mut object = dicom_object::open_file(path).unwrap();
        object.update_meta(|meta| meta.media_storage_sop_instance_uid.clone_from(&instance));
        object.put(DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, instance.as_str()));
        for (tag, vr, value) in shared.iter().chain(&own) {
            object.put(DataElement::new(*tag, *vr, PrimitiveValue::from(value.as_str())));
        }
        let mut bytes = Vec::new();
        object.write_all(&mut bytes).unwrap();
        planted.repeated.push(instance);
        planted.secret.extend(own.into_iter().map(|(.., value)| value));
        planted.secret.push(of_slice("FILE"));
        planted.files.push((format!("{}.dcm", of_slice("FILE")), bytes));
    }
    planted
}

/// The first of these values that is in the bytes.
pub(crate) fn leaked<'a>(bytes: &[u8], values: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    // One pass for all: values are told by their first four bytes.
    let mut by_start: std::collections::HashMap<[u8; 4], Vec<&'a String>> = Default::default();
    for value in values {
        let start: [u8; 4] = value.as_bytes()[..4].try_into().unwrap();
        by_start.entry(start).or_default().push(value);
    }
    (0..bytes.len().saturating_sub(3)).find_map(|at| {
        let start: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
        by_start.get(&start)?.iter().copied().find(|value| bytes[at..].starts_with(value.as_bytes()))
    })
}
