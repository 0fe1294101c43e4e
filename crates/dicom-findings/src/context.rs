//! What both objects share: checked input, UIDs, and the modules that every object has.

use std::borrow::Cow;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use findings::{Findings, RESEARCH_NOTE, StudyGeometry};

use crate::data_set::DataSet;
use crate::error::DicomFindingsError;
use crate::identity::{check, put_deidentification, put_patient_and_study, shown_time, shown_uid};
use crate::options::{ExportOptions, Identity, Timestamp};
use crate::source::{SourceSeries, SourceSlice};
use crate::uid::{derived, hash};

/// How far corners of the findings' grid and of the series may be apart.
const SAME_GRID_MM: f64 = 0.01;

/// Findings with the series that they are about.
pub(crate) struct Context<'a> {
    pub(crate) findings: &'a Findings,
    pub(crate) source: &'a SourceSeries,
    pub(crate) options: &'a ExportOptions,
    pub(crate) geometry: StudyGeometry,
    /// When, as the object says.
    created: Timestamp,
    /// Hash of everything that goes into an object.
    digest: [u8; 32],
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        findings: &'a Findings,
        source: &'a SourceSeries,
        options: &'a ExportOptions,
    ) -> Result<Self, DicomFindingsError> {
        let geometry = findings.geometry()?;
        geometry
            .source()
            .check_same_grid(&source.geometry, SAME_GRID_MM)
            .map_err(DicomFindingsError::Grid)?;
        check(findings, source, options)?;
        let json = findings.to_json();
        let software = &options.software;
        let created = shown_time(options);
        let series = shown_uid(&options.identity, &source.series_uid);
        let mut parts: Vec<Vec<u8>> = vec![json, series.as_bytes().to_vec()];
        parts.extend(
            source.slices.iter().map(|s| shown_uid(&options.identity, &s.instance_uid).as_bytes().to_vec()),
        );
        for text in
            [software.manufacturer(), software.name(), software.version(), created.date(), created.time()]
        {
            parts.push(text.as_bytes().to_vec());
        }
        parts.push(options.series_number.to_le_bytes().to_vec());
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Ok(Self { findings, source, options, geometry, created, digest: hash("findings objects", &parts) })
    }

    /// A new UID of this content.
    pub(crate) fn new_uid(&self, purpose: &str) -> String {
        derived(purpose, &[&self.digest])
    }

    /// A UID of the source as the object has it.
    pub(crate) fn shown_uid<'u>(&self, uid: &'u str) -> Cow<'u, str> {
        shown_uid(&self.options.identity, uid)
    }

    /// What tells which weights answered: 16 hex digits.
    pub(crate) fn model_number(&self) -> String {
        let weights = &self.findings.provenance.weights_sha256;
        let parts: Vec<&[u8]> =
            weights.iter().flat_map(|(name, sha)| [name.as_bytes(), sha.as_bytes()]).collect();
        hash("weights", &parts)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A reference to the image of a slice of the series, with its frame number if it has one.
    pub(crate) fn reference(&self, slice: &SourceSlice, with_frame: bool) -> DataSet {
        let mut item = DataSet::new();
        item.text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, &slice.class_uid);
        item.text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, &self.shown_uid(&slice.instance_uid));
        if let Some(number) = slice.frame_number.filter(|_| with_frame) {
            item.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &number.to_string());
        }
        item
    }

    /// References to instances, each once.
    pub(crate) fn references<'s>(&self, slices: impl Iterator<Item = &'s SourceSlice>) -> Vec<DataSet> {
        let mut seen = std::collections::BTreeSet::new();
        slices
            .filter(|slice| seen.insert(slice.instance_uid.as_str()))
            .map(|slice| self.reference(slice, false))
            .collect()
    }

    /// Patient, study, series, equipment and SOP common modules.
    pub(crate) fn object(&self, modality: &str, series_number: u16) -> DataSet {
        let Self { source, options, created, .. } = self;
        let software = &options.software;
        let mut object = DataSet::new();
        put_patient_and_study(&mut object, source, &options.identity);
        put_deidentification(&mut object, &options.identity);
        object.text(tags::MODALITY, VR::CS, modality);
        object.text(tags::SERIES_INSTANCE_UID, VR::UI, &self.new_uid(&format!("{modality} series")));
        object.text(tags::SERIES_NUMBER, VR::IS, &series_number.to_string());
        object.text(tags::SERIES_DESCRIPTION, VR::LO, &format!("Findings: {RESEARCH_NOTE}"));
        object.text(tags::MANUFACTURER, VR::LO, software.manufacturer());
        object.text(tags::MANUFACTURER_MODEL_NAME, VR::LO, software.name());
        object.text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &self.model_number());
        object.text(tags::SOFTWARE_VERSIONS, VR::LO, software.version());
        object.text(tags::INSTANCE_NUMBER, VR::IS, "1");
        object.text(tags::CONTENT_DATE, VR::DA, created.date());
        object.text(tags::CONTENT_TIME, VR::TM, created.time());
        if options.identity == Identity::Keep {
            object.text(tags::INSTANCE_CREATION_DATE, VR::DA, created.date());
            object.text(tags::INSTANCE_CREATION_TIME, VR::TM, created.time());
        }
        object
    }
}
