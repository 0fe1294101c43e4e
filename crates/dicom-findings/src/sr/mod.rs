//! The structured report.

mod content;
mod group;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use findings::Findings;

use content::{CONTAINS, HAS_CONCEPT_MOD, HAS_OBS_CONTEXT, Item};

use crate::codes::Code;
use crate::context::Context;
use crate::data_set::DataSet;
use crate::error::DicomFindingsError;
use crate::options::ExportOptions;
use crate::source::SourceSeries;
use crate::uid::derived;

const COMPREHENSIVE_SR: &str = "1.2.840.10008.5.1.4.1.1.88.33";

/// The bytes of a Comprehensive SR with template TID 1500: a volumetric measurement group (TID 1411) for
/// each finding, and one (TID 1501) for the study's tumor score.
///
/// A finding's boxes are closed polylines in px of the source images (PS3.3, C.18.6: the corner of the first
/// pixel is 0\0), one for each slice; sizes are in mm, volumes in cm³, confidences in percent
/// (111012, DCM, "Certainty of Finding"). The weights' hashes are the algorithm's parameters. Every instance
/// of the series is evidence.
///
/// # Errors
/// [`DicomFindingsError::Grid`], [`DicomFindingsError::NotAxial`]; [`DicomFindingsError::Key`] and
/// [`DicomFindingsError::Identifier`] for an anonymous report; [`DicomFindingsError::Encode`].
pub fn measurement_report(
    findings: &Findings,
    source: &SourceSeries,
    options: &ExportOptions,
) -> Result<Vec<u8>, DicomFindingsError> {
    let context = Context::new(findings, source, options)?;
    let (axis, _) = context.geometry.source_plane(0);
    if axis != 2 {
        return Err(DicomFindingsError::NotAxial { axis });
    }
    let mut object = context.object("SR", options.series_number);
    object.items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    object.items(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    object.text(tags::COMPLETION_FLAG, VR::CS, "COMPLETE");
    object.text(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED");
    object.text(tags::PRELIMINARY_FLAG, VR::CS, "PRELIMINARY");
    object.items(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, vec![evidence(&context)]);
    report(&context).put_root(&mut object);
    object.into_file(COMPREHENSIVE_SR, &context.new_uid("SR instance"))
}

/// All instances of the series.
fn evidence(context: &Context<'_>) -> DataSet {
    let mut series = DataSet::new();
    series.items(tags::REFERENCED_SOP_SEQUENCE, context.references(context.source.slices.iter()));
    series.text(tags::SERIES_INSTANCE_UID, VR::UI, &context.shown_uid(&context.source.series_uid));
    let mut study = DataSet::new();
    study.items(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    study.text(tags::STUDY_INSTANCE_UID, VR::UI, &context.shown_uid(&context.source.study_uid));
    study
}

/// The content tree, from its root.
fn report(context: &Context<'_>) -> Item {
    let software = &context.options.software;
    let device_uid = derived(
        "device observer",
        &[software.manufacturer().as_bytes(), software.name().as_bytes(), software.version().as_bytes()],
    );
    let observer = |code, meaning| Code::dcm(code, meaning);
    let mut root =
        Item::container(CONTAINS, &Code::dcm("126000", "Imaging Measurement Report")).with_template("1500");
    root.push(Item::code(
        HAS_CONCEPT_MOD,
        &Code::dcm("121049", "Language of Content Item and Descendants"),
        &Code::new("en-US", "RFC5646", "English (United States)"),
    ));
    root.push(Item::code(
        HAS_OBS_CONTEXT,
        &observer("121005", "Observer Type"),
        &Code::dcm("121007", "Device"),
    ));
    root.push(Item::uid(HAS_OBS_CONTEXT, &observer("121012", "Device Observer UID"), &device_uid));
    for (code, meaning, text) in [
        ("121013", "Device Observer Name", software.name()),
        ("121014", "Device Observer Manufacturer", software.manufacturer()),
        ("121015", "Device Observer Model Name", software.name()),
        ("121016", "Device Observer Serial Number", &context.model_number()),
    ] {
        root.push(Item::text(HAS_OBS_CONTEXT, &observer(code, meaning), text));
    }
    root.push(Item::code(
        HAS_CONCEPT_MOD,
        &Code::dcm("121058", "Procedure reported"),
        &Code::new("25045-6", "LN", "CT unspecified body region"),
    ));
    let mut measurements = Item::container(CONTAINS, &Code::dcm("126010", "Imaging Measurements"));
    for finding in &context.findings.findings {
        measurements.push(group::of_finding(context, finding));
    }
    if let Some(score) = &context.findings.case_tumor_score {
        measurements.push(group::of_case(context, score));
    }
    root.push(measurements);
    root
}
