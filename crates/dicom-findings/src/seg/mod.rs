//! The segmentation.

mod frames;

use std::collections::BTreeSet;

use ct_volume::Limits;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use findings::{Entity, Findings, RESEARCH_NOTE};

use frames::{Frame, frames_of, packed};

use crate::codes::{Code, EntityCodes};
use crate::context::Context;
use crate::data_set::DataSet;
use crate::error::DicomFindingsError;
use crate::options::{ExportOptions, Identity};
use crate::source::SourceSeries;

const SEGMENTATION_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.66.4";
/// Defined terms of LossyImageCompressionMethod (PS3.3, C.7.6.1.1.5.1).
const LOSSY_METHODS: [&str; 7] = [
    "ISO_10918_1",
    "ISO_14495_1",
    "ISO_15444_1",
    "ISO_18181_1",
    "ISO_13818_2",
    "ISO_14496_10",
    "ISO_23008_2",
];

/// The bytes of a binary Segmentation with a segment for each entity, in the order of their labels: the
/// voxels of its boxes ([`findings::PlaneBox::pixels`]), on the grid of the series. None if there are no
/// findings: a Segmentation has at least one segment.
///
/// A frame is a plane of the series on which a segment is not empty; it has the position and refers to the
/// instance (and frame) of that plane.
///
/// # Errors
/// [`DicomFindingsError::Grid`]; [`DicomFindingsError::Limit`]; [`DicomFindingsError::Key`] and
/// [`DicomFindingsError::Identifier`] for an anonymous object; [`DicomFindingsError::Encode`].
pub fn segmentation(
    findings: &Findings,
    source: &SourceSeries,
    options: &ExportOptions,
) -> Result<Option<Vec<u8>>, DicomFindingsError> {
    let context = Context::new(findings, source, options)?;
    let mut entities: Vec<(u16, Entity)> =
        findings.labels().into_iter().map(|(entity, label)| (label, entity)).collect();
    entities.sort();
    let frames = frames_of(&context, entities.iter().map(|(_, entity)| entity));
    let [columns, rows, _] = source.geometry.shape();
    let size = u16::try_from(columns).ok().zip(u16::try_from(rows).ok());
    let (Some((columns, rows)), false) = (size, frames.is_empty()) else { return Ok(None) };
    // The bits as bytes: eight times what is taken, and within DICOM's 32-bit lengths.
    let sides = [usize::from(columns), usize::from(rows), frames.len()].map(|side| side as u64);
    Limits::default().check_array(&sides, 1)?;

    let series_number = options.series_number.saturating_add(1);
    let mut object = context.object("SEG", series_number);
    put_frame_of_reference(&mut object, &context);
    put_image(&mut object, &context, [columns, rows], frames.len());
    object.items(
        tags::SEGMENT_SEQUENCE,
        (1..).zip(&entities).map(|(number, (_, entity))| segment(&context, number, entity)).collect(),
    );
    put_dimensions(&mut object, &context);
    object.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared_groups(source)]);
    let planes: BTreeSet<usize> = frames.iter().map(|frame| frame.plane).collect();
    object.items(
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        frames.iter().map(|frame| frame_groups(&context, frame, &planes)).collect(),
    );
    let mut series = DataSet::new();
    let referenced = context.references(planes.iter().map(|&plane| &source.slices[plane]));
    series.items(tags::REFERENCED_INSTANCE_SEQUENCE, referenced);
    series.text(tags::SERIES_INSTANCE_UID, VR::UI, &context.shown_uid(&source.series_uid));
    object.items(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    object.raw(tags::PIXEL_DATA, VR::OB, &packed(&frames, usize::from(columns), usize::from(rows)));
    object.into_file(SEGMENTATION_STORAGE, &context.new_uid("SEG instance")).map(Some)
}

fn put_frame_of_reference(object: &mut DataSet, context: &Context<'_>) {
    let source = context.source;
    let uid = context.shown_uid(&source.frame_of_reference_uid);
    object.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &uid);
    match source.copied.get(&tags::POSITION_REFERENCE_INDICATOR) {
        Some(bytes) if uid == source.frame_of_reference_uid => {
            object.raw(tags::POSITION_REFERENCE_INDICATOR, VR::LO, bytes);
        }
        _ => object.empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO),
    }
}

/// Image pixel and segmentation image modules, without the pixels.
fn put_image(object: &mut DataSet, context: &Context<'_>, [columns, rows]: [u16; 2], n_frames: usize) {
    object.text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY");
    // The pixels are boxes, whatever the source's show.
    object.text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO");
    object.text(tags::RECOGNIZABLE_VISUAL_FEATURES, VR::CS, "NO");
    object.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 1),
        (tags::BITS_STORED, 1),
        (tags::HIGH_BIT, 0),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.word(tag, value);
    }
    object.text(tags::NUMBER_OF_FRAMES, VR::IS, &n_frames.to_string());
    let source = context.source;
    object.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, if source.is_lossy { "01" } else { "00" });
    if source.is_lossy {
        let copied =
            [(tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS), (tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS)];
        for (tag, vr) in copied {
            let text = source.copied.get(&tag).and_then(|bytes| std::str::from_utf8(bytes).ok());
            let text = text.map(|text| text.trim_end_matches([' ', '\0']));
            // Anonymous objects repeat what can only be what it should.
            let is_kept = |text: &&str| {
                context.options.identity == Identity::Keep
                    || text.split('\\').all(|value| match vr {
                        VR::CS => LOSSY_METHODS.contains(&value),
                        _ => value.len() <= 5 && value.parse::<f32>().is_ok_and(f32::is_finite),
                    })
            };
            if let Some(text) = text.filter(is_kept) {
                object.text(tag, vr, text);
            }
        }
    }
    object.text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY");
    object.text(tags::SEGMENTS_OVERLAP, VR::CS, "UNDEFINED");
    object.text(tags::CONTENT_LABEL, VR::CS, "FINDINGS");
    object.text(tags::CONTENT_DESCRIPTION, VR::LO, &format!("Boxes of findings: {RESEARCH_NOTE}"));
    object.empty(tags::CONTENT_CREATOR_NAME, VR::PN);
}

fn segment(context: &Context<'_>, number: u16, entity: &Entity) -> DataSet {
    let codes = EntityCodes::of(entity);
    let software = &context.options.software;
    let mut segment = DataSet::new();
    segment.word(tags::SEGMENT_NUMBER, number);
    segment.text(tags::SEGMENT_LABEL, VR::LO, entity.name());
    segment.text(tags::SEGMENT_DESCRIPTION, VR::ST, &format!("boxes, not outlines; {RESEARCH_NOTE}"));
    segment.text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC");
    segment.text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, software.name());
    let mut algorithm = DataSet::new();
    algorithm.text(tags::ALGORITHM_NAME, VR::LO, software.name());
    algorithm.text(tags::ALGORITHM_VERSION, VR::LO, software.version());
    algorithm.code(tags::ALGORITHM_FAMILY_CODE_SEQUENCE, &Code::dcm("123110", "Artificial Intelligence"));
    segment.items(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, vec![algorithm]);
    segment.code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, &codes.category);
    let mut property = codes.property.item();
    if let Some(laterality) = &codes.laterality {
        property.code(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, laterality);
    }
    segment.items(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![property]);
    if let Some(site) = codes.site.filter(|site| *site != codes.property) {
        segment.code(tags::ANATOMIC_REGION_SEQUENCE, &site);
    }
    segment.text(tags::TRACKING_ID, VR::UT, entity.name());
    segment.text(tags::TRACKING_UID, VR::UI, &context.new_uid(&format!("tracking of segment {entity}")));
    segment
}

/// Frames are indexed by segment, then by position.
fn put_dimensions(object: &mut DataSet, context: &Context<'_>) {
    let uid = context.new_uid("dimension organization");
    let mut organization = DataSet::new();
    organization.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &uid);
    object.items(tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![organization]);
    let index = |pointer: Tag, group: Tag, label: &str| {
        let mut item = DataSet::new();
        item.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &uid);
        item.tag(tags::DIMENSION_INDEX_POINTER, pointer);
        item.tag(tags::FUNCTIONAL_GROUP_POINTER, group);
        item.text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label);
        item
    };
    let (segment, position) = (tags::SEGMENT_IDENTIFICATION_SEQUENCE, tags::PLANE_POSITION_SEQUENCE);
    object.items(
        tags::DIMENSION_INDEX_SEQUENCE,
        vec![
            index(tags::REFERENCED_SEGMENT_NUMBER, segment, "Segment"),
            index(tags::IMAGE_POSITION_PATIENT, position, "Position"),
        ],
    );
}

/// Pixel measures and orientation, which all frames share.
fn shared_groups(source: &SourceSeries) -> DataSet {
    let affine = source.geometry.affine();
    let [column_mm, row_mm, _] = source.geometry.spacing_mm();
    let lps = |axis: usize, length: f64| {
        let [x, y, z] = affine.column(axis);
        [-x / length + 0.0, -y / length + 0.0, z / length]
    };
    let (along_row, along_column) = (lps(0, column_mm), lps(1, row_mm));
    let [a, b] = [along_row, along_column];
    let normal = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let step = lps(2, 1.0);
    let between = (0..3).map(|n| normal[n] * step[n]).sum::<f64>().abs();
    let mut measures = DataSet::new();
    measures.decimals(tags::PIXEL_SPACING, &[row_mm, column_mm]);
    measures.decimals(tags::SLICE_THICKNESS, &[between]);
    measures.decimals(tags::SPACING_BETWEEN_SLICES, &[between]);
    let mut orientation = DataSet::new();
    orientation.decimals(tags::IMAGE_ORIENTATION_PATIENT, &[along_row, along_column].concat());
    let mut shared = DataSet::new();
    shared.items(tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    shared.items(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
    shared
}

/// Content, place, source and segment of a frame.
fn frame_groups(context: &Context<'_>, frame: &Frame, planes: &BTreeSet<usize>) -> DataSet {
    let slice = &context.source.slices[frame.plane];
    // Frames and planes are few enough for 32 bits: rows and columns of one would be more.
    let place = u32::try_from(planes.range(..frame.plane).count() + 1).unwrap_or(u32::MAX);
    let mut content = DataSet::new();
    content.longs(tags::DIMENSION_INDEX_VALUES, &[u32::from(frame.segment), place]);
    let mut position = DataSet::new();
    position.decimals(tags::IMAGE_POSITION_PATIENT, &slice.position_lps_mm);
    let mut image = context.reference(slice, true);
    image.code(
        tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
        &Code::dcm("121322", "Source image for image processing operation"),
    );
    image.text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES");
    let mut derivation = DataSet::new();
    derivation.items(tags::SOURCE_IMAGE_SEQUENCE, vec![image]);
    derivation.code(tags::DERIVATION_CODE_SEQUENCE, &Code::dcm("113076", "Segmentation"));
    let mut segment = DataSet::new();
    segment.word(tags::REFERENCED_SEGMENT_NUMBER, frame.segment);
    let mut groups = DataSet::new();
    groups.items(tags::FRAME_CONTENT_SEQUENCE, vec![content]);
    groups.items(tags::PLANE_POSITION_SEQUENCE, vec![position]);
    groups.items(tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation]);
    groups.items(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![segment]);
    groups
}
