//! The attributes that are read, and typed access to them.
//!
//! Everything else in a file is stepped over: names, dates and identifiers are never decoded.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::error::DicomError;

/// An attribute with the value representation that PS3.6 gives it; a file's own claim (which is
/// `UN` or absent in many) is not needed then. For "US or SS" the bits are kept as `US`, and their
/// sign is that of PixelRepresentation.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) tag: Tag,
    pub(super) vr: VR,
    pub(super) name: &'static str,
}

macro_rules! attributes {
    ($($constant:ident $vr:ident $name:literal;)*) => {
        $(pub(super) const $constant: Attribute =
            Attribute { tag: tags::$constant, vr: VR::$vr, name: $name };)*

        /// All that are read.
        const WANTED: &[Attribute] = &[$($constant),*];
    };
}

attributes! {
    TRANSFER_SYNTAX_UID UI "TransferSyntaxUID";
    MEDIA_STORAGE_SOP_CLASS_UID UI "MediaStorageSOPClassUID";
    FILE_META_INFORMATION_GROUP_LENGTH UL "FileMetaInformationGroupLength";
    SOP_CLASS_UID UI "SOPClassUID";
    SERIES_INSTANCE_UID UI "SeriesInstanceUID";
    MODALITY CS "Modality";
    IMAGE_TYPE CS "ImageType";
    CONVERSION_TYPE CS "ConversionType";
    BURNED_IN_ANNOTATION CS "BurnedInAnnotation";
    RECOGNIZABLE_VISUAL_FEATURES CS "RecognizableVisualFeatures";
    INSTANCE_NUMBER IS "InstanceNumber";
    SAMPLES_PER_PIXEL US "SamplesPerPixel";
    PHOTOMETRIC_INTERPRETATION CS "PhotometricInterpretation";
    NUMBER_OF_FRAMES IS "NumberOfFrames";
    ROWS US "Rows";
    COLUMNS US "Columns";
    BITS_ALLOCATED US "BitsAllocated";
    BITS_STORED US "BitsStored";
    HIGH_BIT US "HighBit";
    PIXEL_REPRESENTATION US "PixelRepresentation";
    PIXEL_PADDING_VALUE US "PixelPaddingValue";
    PIXEL_PADDING_RANGE_LIMIT US "PixelPaddingRangeLimit";
    LOSSY_IMAGE_COMPRESSION CS "LossyImageCompression";
    IMAGE_POSITION_PATIENT DS "ImagePositionPatient";
    IMAGE_ORIENTATION_PATIENT DS "ImageOrientationPatient";
    PIXEL_SPACING DS "PixelSpacing";
    SLICE_THICKNESS DS "SliceThickness";
    SPACING_BETWEEN_SLICES DS "SpacingBetweenSlices";
    RESCALE_SLOPE DS "RescaleSlope";
    RESCALE_INTERCEPT DS "RescaleIntercept";
    RESCALE_TYPE LO "RescaleType";
    MODALITY_LUT_SEQUENCE SQ "ModalityLUTSequence";
    LUT_DESCRIPTOR US "LUTDescriptor";
    LUT_DATA US "LUTData";
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE SQ "SharedFunctionalGroupsSequence";
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE SQ "PerFrameFunctionalGroupsSequence";
    PLANE_POSITION_SEQUENCE SQ "PlanePositionSequence";
    PLANE_ORIENTATION_SEQUENCE SQ "PlaneOrientationSequence";
    PIXEL_MEASURES_SEQUENCE SQ "PixelMeasuresSequence";
    PIXEL_VALUE_TRANSFORMATION_SEQUENCE SQ "PixelValueTransformationSequence";
}

/// The entry of `tag`, if it is read.
pub(super) fn wanted(tag: Tag) -> Option<&'static Attribute> {
    WANTED.iter().find(|attribute| attribute.tag == tag)
}

/// Stores the bytes of a value; `big_endian` is the file's byte order.
pub(super) fn put_value(
    object: &mut InMemDicomObject,
    attribute: &Attribute,
    bytes: &[u8],
    big_endian: bool,
) {
    let value = match attribute.vr {
        VR::US => {
            let order = if big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
            PrimitiveValue::U16(bytes.chunks_exact(2).map(|pair| order([pair[0], pair[1]])).collect())
        }
        VR::UL => {
            let order = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
            let words = bytes.chunks_exact(4).map(|b| order([b[0], b[1], b[2], b[3]]));
            PrimitiveValue::U32(words.collect())
        }
        _ => {
            let text = String::from_utf8_lossy(bytes);
            let values = text.split('\\').map(|part| part.trim_matches([' ', '\0']).to_owned());
            PrimitiveValue::Strs(values.collect())
        }
    };
    object.put(DataElement::new(attribute.tag, attribute.vr, value));
}

/// Stores the items of a sequence.
pub(super) fn put_items(object: &mut InMemDicomObject, attribute: &Attribute, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(attribute.tag, attribute.vr, DataSetSequence::from(items)));
}

/// The attributes of a file or of an item of a sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a InMemDicomObject);

impl<'a> Attributes<'a> {
    fn primitive(self, attribute: &Attribute) -> Option<&'a PrimitiveValue> {
        self.0.get(attribute.tag).and_then(|element| element.value().primitive())
    }

    /// The first text value, `None` if absent or empty.
    pub(super) fn text(self, attribute: &Attribute) -> Option<&'a str> {
        self.texts(attribute).first().map(String::as_str).filter(|text| !text.is_empty())
    }

    /// All text values.
    pub(super) fn texts(self, attribute: &Attribute) -> &'a [String] {
        match self.primitive(attribute) {
            Some(PrimitiveValue::Strs(values)) => values,
            _ => &[],
        }
    }

    /// All 16-bit values.
    pub(super) fn words(self, attribute: &Attribute) -> &'a [u16] {
        match self.primitive(attribute) {
            Some(PrimitiveValue::U16(values)) => values,
            _ => &[],
        }
    }

    /// The first 32-bit value.
    pub(super) fn long(self, attribute: &Attribute) -> Option<u32> {
        match self.primitive(attribute) {
            Some(PrimitiveValue::U32(values)) => values.first().copied(),
            _ => None,
        }
    }

    /// The first 16-bit value.
    pub(super) fn word(self, attribute: &Attribute) -> Option<u16> {
        self.words(attribute).first().copied()
    }

    /// The first 16-bit value, which must be there.
    pub(super) fn need_word(self, attribute: &Attribute) -> Result<u16, DicomError> {
        self.word(attribute).ok_or(DicomError::MissingAttribute { name: attribute.name })
    }

    /// `N` decimal numbers, `None` if absent or empty.
    pub(super) fn decimals<const N: usize>(
        self,
        attribute: &Attribute,
    ) -> Result<Option<[f64; N]>, DicomError> {
        let texts = self.texts(attribute);
        if texts.iter().all(String::is_empty) {
            return Ok(None);
        }
        let bad = || DicomError::BadAttribute {
            name: attribute.name,
            value: printable(&texts.join("\\")),
            expected: "finite decimal numbers, as many as the attribute has",
        };
        if texts.len() != N {
            return Err(bad());
        }
        let mut values = [0.0; N];
        for (value, text) in values.iter_mut().zip(texts) {
            *value = text.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(bad)?;
        }
        Ok(Some(values))
    }

    /// `N` decimal numbers, which must be there.
    pub(super) fn need_decimals<const N: usize>(self, attribute: &Attribute) -> Result<[f64; N], DicomError> {
        self.decimals(attribute)?.ok_or(DicomError::MissingAttribute { name: attribute.name })
    }

    /// One decimal number, `None` if absent or empty.
    pub(super) fn decimal(self, attribute: &Attribute) -> Result<Option<f64>, DicomError> {
        Ok(self.decimals::<1>(attribute)?.map(|[value]| value))
    }

    /// A whole number, `None` if absent or empty.
    pub(super) fn integer(self, attribute: &Attribute) -> Result<Option<i64>, DicomError> {
        let Some(text) = self.text(attribute) else { return Ok(None) };
        let bad = |_| DicomError::BadAttribute {
            name: attribute.name,
            value: printable(text),
            expected: "a whole number",
        };
        text.parse().map(Some).map_err(bad)
    }

    /// The items of a sequence, none if it is absent.
    pub(super) fn items(self, attribute: &Attribute) -> &'a [InMemDicomObject] {
        self.0.get(attribute.tag).and_then(|element| element.items()).unwrap_or(&[])
    }

    /// The first item of a sequence.
    pub(super) fn item(self, attribute: &Attribute) -> Option<Attributes<'a>> {
        self.items(attribute).first().map(Attributes)
    }
}

/// A number's text as far as it can be shown: digits, signs and separators, at most 64 of them.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_ascii_digit() || " +-.\\eE".contains(c) { c } else { '?' };
    text.chars().take(64).map(shown).collect()
}
