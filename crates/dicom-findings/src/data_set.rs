//! Data sets, element by element, and as files.

use ct_volume::dicom::decimal_string;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::meta::FileMetaTableBuilder;
use dicom_object::{FileDicomObject, InMemDicomObject};

use crate::codes::Code;
use crate::error::DicomFindingsError;

const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
/// Made from a random UUID (PS3.5, B.2); stands for this writer.
const IMPLEMENTATION_CLASS_UID: &str = "2.25.217397755020833753693344316459304874598";
const IMPLEMENTATION_VERSION: &str = "MINIGPTPANCREAS";

/// A data set or an item that is being made.
#[derive(Debug)]
pub(crate) struct DataSet(InMemDicomObject);

impl DataSet {
    pub(crate) fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    /// ASCII text; several values are parted by backslashes.
    pub(crate) fn text(&mut self, tag: Tag, vr: VR, value: &str) {
        self.0.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }

    pub(crate) fn empty(&mut self, tag: Tag, vr: VR) {
        self.0.put(DataElement::new(tag, vr, PrimitiveValue::Empty));
    }

    /// Bytes as another file has them.
    pub(crate) fn raw(&mut self, tag: Tag, vr: VR, bytes: &[u8]) {
        let value = if bytes.is_empty() { PrimitiveValue::Empty } else { PrimitiveValue::U8(bytes.into()) };
        self.0.put(DataElement::new(tag, vr, value));
    }

    pub(crate) fn word(&mut self, tag: Tag, value: u16) {
        self.0.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }

    pub(crate) fn longs(&mut self, tag: Tag, values: &[u32]) {
        self.0.put(DataElement::new(tag, VR::UL, PrimitiveValue::U32(values.into())));
    }

    pub(crate) fn floats(&mut self, tag: Tag, values: &[f32]) {
        self.0.put(DataElement::new(tag, VR::FL, PrimitiveValue::F32(values.into())));
    }

    /// Tags as values.
    pub(crate) fn tag(&mut self, tag: Tag, value: Tag) {
        self.0.put(DataElement::new(tag, VR::AT, PrimitiveValue::Tags([value].as_slice().into())));
    }

    pub(crate) fn decimals(&mut self, tag: Tag, values: &[f64]) {
        let texts: Vec<String> = values.iter().map(|&value| decimal_string(value)).collect();
        self.text(tag, VR::DS, &texts.join("\\"));
    }

    pub(crate) fn items(&mut self, tag: Tag, items: Vec<DataSet>) {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|item| item.0).collect();
        self.0.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
    }

    pub(crate) fn code(&mut self, tag: Tag, code: &Code) {
        self.items(tag, vec![code.item()]);
    }

    /// Adds all elements of another data set.
    pub(crate) fn merge(&mut self, other: DataSet) {
        for element in other.0 {
            self.0.put(element);
        }
    }

    /// The bytes of a file with this data set.
    pub(crate) fn into_file(
        mut self,
        class_uid: &str,
        instance_uid: &str,
    ) -> Result<Vec<u8>, DicomFindingsError> {
        self.text(tags::SOP_CLASS_UID, VR::UI, class_uid);
        self.text(tags::SOP_INSTANCE_UID, VR::UI, instance_uid);
        let failed = |reason: String| DicomFindingsError::Encode { reason };
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(class_uid)
            .media_storage_sop_instance_uid(instance_uid)
            .transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN)
            .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
            .implementation_version_name(IMPLEMENTATION_VERSION)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let file: FileDicomObject<InMemDicomObject> = self.0.with_exact_meta(meta);
        let mut bytes = Vec::new();
        file.write_all(&mut bytes).map_err(|error| failed(error.to_string()))?;
        Ok(bytes)
    }
}
