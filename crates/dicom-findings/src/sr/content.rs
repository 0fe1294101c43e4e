//! Content items (PS3.3, C.17.3).

use ct_volume::dicom::decimal_string;
use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::codes::Code;
use crate::data_set::DataSet;

pub(super) const CONTAINS: &str = "CONTAINS";
pub(super) const HAS_CONCEPT_MOD: &str = "HAS CONCEPT MOD";
pub(super) const HAS_OBS_CONTEXT: &str = "HAS OBS CONTEXT";
const SELECTED_FROM: &str = "SELECTED FROM";

/// A content item with its children.
pub(super) struct Item {
    relationship: &'static str,
    attributes: DataSet,
    children: Vec<Item>,
}

impl Item {
    fn new(relationship: &'static str, value_type: &str, name: Option<&Code>) -> Self {
        let mut attributes = DataSet::new();
        attributes.text(tags::VALUE_TYPE, VR::CS, value_type);
        if let Some(name) = name {
            attributes.code(tags::CONCEPT_NAME_CODE_SEQUENCE, name);
        }
        Self { relationship, attributes, children: Vec::new() }
    }

    pub(super) fn container(relationship: &'static str, name: &Code) -> Self {
        let mut item = Self::new(relationship, "CONTAINER", Some(name));
        item.attributes.text(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE");
        item
    }

    /// Names the template that the children follow.
    pub(super) fn with_template(mut self, number: &str) -> Self {
        let mut template = DataSet::new();
        template.text(tags::MAPPING_RESOURCE, VR::CS, "DCMR");
        template.text(tags::TEMPLATE_IDENTIFIER, VR::CS, number);
        self.attributes.items(tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]);
        self
    }

    pub(super) fn code(relationship: &'static str, name: &Code, value: &Code) -> Self {
        let mut item = Self::new(relationship, "CODE", Some(name));
        item.attributes.code(tags::CONCEPT_CODE_SEQUENCE, value);
        item
    }

    pub(super) fn text(relationship: &'static str, name: &Code, value: &str) -> Self {
        let mut item = Self::new(relationship, "TEXT", Some(name));
        item.attributes.text(tags::TEXT_VALUE, VR::UT, value);
        item
    }

    pub(super) fn uid(relationship: &'static str, name: &Code, value: &str) -> Self {
        let mut item = Self::new(relationship, "UIDREF", Some(name));
        item.attributes.text(tags::UID, VR::UI, value);
        item
    }

    pub(super) fn number(name: &Code, value: f64, unit: &Code) -> Self {
        let mut measured = DataSet::new();
        measured.text(tags::NUMERIC_VALUE, VR::DS, &decimal_string(value));
        measured.code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit);
        let mut item = Self::new(CONTAINS, "NUM", Some(name));
        item.attributes.items(tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
        item
    }

    /// A closed polyline on an image, whose reference is given; `[column, row]`.
    pub(super) fn polyline(name: &Code, points: &[[f64; 2]], image: DataSet) -> Self {
        let mut item = Self::new(CONTAINS, "SCOORD", Some(name));
        item.attributes.text(tags::GRAPHIC_TYPE, VR::CS, "POLYLINE");
        #[expect(clippy::cast_possible_truncation, reason = "DICOM keeps coordinates in 32-bit floats")]
        let closed: Vec<f32> = points.iter().chain(points.first()).flatten().map(|&v| v as f32).collect();
        item.attributes.floats(tags::GRAPHIC_DATA, &closed);
        let mut source = Self::new(SELECTED_FROM, "IMAGE", None);
        source.attributes.items(tags::REFERENCED_SOP_SEQUENCE, vec![image]);
        item.push(source);
        item
    }

    pub(super) fn push(&mut self, child: Item) {
        self.children.push(child);
    }

    fn into_item(self) -> DataSet {
        let mut item = self.attributes;
        item.text(tags::RELATIONSHIP_TYPE, VR::CS, self.relationship);
        if !self.children.is_empty() {
            item.items(tags::CONTENT_SEQUENCE, self.children.into_iter().map(Item::into_item).collect());
        }
        item
    }

    /// Writes the root of a tree, which has no relationship, into the object itself.
    pub(super) fn put_root(self, object: &mut DataSet) {
        object.merge(self.attributes);
        object.items(tags::CONTENT_SEQUENCE, self.children.into_iter().map(Item::into_item).collect());
    }
}
