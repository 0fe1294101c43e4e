//! Who an object is about: as the source says, or nobody.

use std::borrow::Cow;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use findings::Findings;

use crate::codes::Code;
use crate::data_set::DataSet;
use crate::error::DicomFindingsError;
use crate::options::{ExportOptions, Identity, MIN_KEY_BYTES, Timestamp};
use crate::source::{PATIENT_AND_STUDY, SourceSeries};
use crate::uid::derived;

/// Shortest value of the source that is looked for anywhere in texts; shorter ones must be a word of them.
const MIN_VALUE: usize = 5;
/// Shortest part of a name that is looked for among the words of texts.
const MIN_WORD: usize = 3;
/// Words that objects hold whoever the patient is: structures, and what the parts of a model are called. Data sets
/// name their patients by them (`PANCREAS_0001`), and they tell nobody.
const OWN_WORDS: [&str; 9] =
    ["pancreas", "pancreatic", "tumor", "liver", "right", "kidney", "spleen", "study", "box"];

/// A UID of the source as the object has it.
pub(crate) fn shown_uid<'a>(identity: &Identity, uid: &'a str) -> Cow<'a, str> {
    match identity {
        Identity::Keep => Cow::Borrowed(uid),
        Identity::Anonymize { key } => Cow::Owned(derived("anonymous uid", &[key, uid.as_bytes()])),
    }
}

/// Writes the patient and study modules.
pub(crate) fn put_patient_and_study(object: &mut DataSet, source: &SourceSeries, identity: &Identity) {
    for copied in PATIENT_AND_STUDY {
        match (identity, source.copied.get(&copied.tag)) {
            (Identity::Keep, Some(bytes)) => object.raw(copied.tag, copied.vr, bytes),
            _ => object.empty(copied.tag, copied.vr),
        }
    }
    match (identity, source.copied.get(&tags::SPECIFIC_CHARACTER_SET)) {
        // The copied bytes are in this set; all other text is ASCII, which is the same in every set.
        (Identity::Keep, Some(bytes)) => object.raw(tags::SPECIFIC_CHARACTER_SET, VR::CS, bytes),
        (Identity::Keep, None) => {}
        (Identity::Anonymize { .. }, _) => object.text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
    }
    object.text(tags::STUDY_INSTANCE_UID, VR::UI, &shown_uid(identity, &source.study_uid));
}

/// Says how an anonymous object became one (PS3.15, E.1.1 and E.2; PS3.3, C.7.1.1 and C.12.1).
pub(crate) fn put_deidentification(object: &mut DataSet, identity: &Identity) {
    if *identity == Identity::Keep {
        return;
    }
    object.text(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES");
    object.text(tags::DEIDENTIFICATION_METHOD, VR::LO, "attributes left empty, UIDs replaced, dates removed");
    // What descriptions and content say are constants and codes of this crate, numbers, and names of entities
    // and weights, which `check` looks through.
    let methods = [
        Code::dcm("113100", "Basic Application Confidentiality Profile"),
        Code::dcm("113104", "Clean Structured Content Option"),
        Code::dcm("113105", "Clean Descriptors Option"),
    ];
    object.items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, methods.iter().map(Code::item).collect());
    object.text(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, VR::CS, "REMOVED");
}

/// When an object was made, as it says: ContentDate and ContentTime must be there, and are dummies of anonymous
/// objects.
pub(crate) fn shown_time(options: &ExportOptions) -> Timestamp {
    match options.identity {
        Identity::Keep => options.created.clone(),
        Identity::Anonymize { .. } => Timestamp::dummy(),
    }
}

/// Refuses what would make an anonymous object tell whose it is.
pub(crate) fn check(
    findings: &Findings,
    source: &SourceSeries,
    options: &ExportOptions,
) -> Result<(), DicomFindingsError> {
    let Identity::Anonymize { key } = &options.identity else { return Ok(()) };
    if key.len() < MIN_KEY_BYTES {
        return Err(DicomFindingsError::Key { got: key.len(), least: MIN_KEY_BYTES });
    }
    let provenance = &findings.provenance;
    let config = provenance.config.as_ref().map(ToString::to_string).unwrap_or_default();
    let versions = provenance.versions.iter().flat_map(|(name, version)| [name.as_str(), version]);
    let weights = provenance.weights_sha256.keys().map(String::as_str);
    let entities = findings.findings.iter().map(|finding| finding.entity.name());
    let software = [options.software.manufacturer(), options.software.name(), options.software.version()];
    let texts: Vec<(&'static str, &str)> = versions
        .chain(weights)
        .chain([config.as_str()])
        .map(|text| ("provenance", text))
        .chain(entities.map(|text| ("an entity's name", text)))
        .chain(software.map(|text| ("software", text)))
        .collect();
    let uids = [
        ("StudyInstanceUID", source.study_uid.as_str()),
        ("SeriesInstanceUID", source.series_uid.as_str()),
        ("FrameOfReferenceUID", source.frame_of_reference_uid.as_str()),
    ];
    let instances = source.slices.iter().map(|slice| ("SOPInstanceUID", slice.instance_uid.as_str()));
    for (name, uid) in uids.into_iter().chain(instances) {
        if let Some((what, _)) = texts.iter().find(|(_, text)| text.contains(uid)) {
            return Err(DicomFindingsError::Identifier { what, name });
        }
    }
    for copied in PATIENT_AND_STUDY.iter().filter(|copied| copied.tag != tags::PATIENT_SEX) {
        let bytes = source.copied.get(&copied.tag).map_or(&[][..], Vec::as_slice);
        let value = decoded(bytes, source).trim_matches([' ', '\0']).to_lowercase();
        let is_held = |text: &str| {
            let text = text.to_lowercase();
            let same_word = |part: &str| words(&text).any(|word| word == part);
            let whole = if value.len() >= MIN_VALUE { text.contains(&value) } else { same_word(&value) };
            whole
                || (copied.vr == VR::PN
                    && words(&value).filter(|word| !OWN_WORDS.contains(word)).any(same_word))
        };
        if let Some((what, _)) = texts.iter().find(|(_, text)| is_held(text)) {
            return Err(DicomFindingsError::Identifier { what, name: copied.name });
        }
    }
    Ok(())
}

/// Text in the character set that the source names, the last of several.
fn decoded(bytes: &[u8], source: &SourceSeries) -> String {
    let names = source.copied.get(&tags::SPECIFIC_CHARACTER_SET).map_or(&[][..], Vec::as_slice);
    let names = String::from_utf8_lossy(names);
    let name = names.rsplit('\\').next().unwrap_or_default().trim_matches([' ', '\0']);
    let character_set = SpecificCharacterSet::from_code(name).unwrap_or_default();
    let text = character_set.decode(bytes);
    text.unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() >= MIN_WORD)
}
