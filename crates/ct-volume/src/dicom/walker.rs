//! Steps through the elements of a data set and keeps the attributes that are read.
//!
//! Element headers are decoded by dicom-rs; lengths are checked here before anything is read or
//! taken, because its object reader takes a value's memory on the header's word and descends as
//! deep as a file likes.

use std::io::{self, Read};

use dicom_core::header::{DataElementHeader, HasLength, Header, SequenceItemHeader};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::decode::explicit_be::ExplicitVRBigEndianDecoder;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use dicom_encoding::decode::implicit_le::ImplicitVRLittleEndianDecoder;
use dicom_encoding::decode::{self, Decode};
use dicom_object::InMemDicomObject;

use super::attributes::{put_items, put_value, wanted};
use super::error::DicomError;
use super::syntax::Encoding;
use crate::limits::LimitExceeded;

/// Sequences within sequences; real files have about six.
const MAX_DEPTH: usize = 16;
/// Longest value that is kept: a LUT of 65,536 16-bit entries is 128 KiB.
const MAX_VALUE_BYTES: u64 = 1 << 18;
/// All kept values and items together; the functional groups of 4,000 frames are about 4 MiB.
const MAX_KEPT_BYTES: u64 = 1 << 26;
/// What an item costs beyond its values, about.
const ITEM_COST: u64 = 512;

/// What `end` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The file's length: nothing can lie beyond.
    File,
    /// A bound on what a compressed stream may give.
    Limit,
}

/// The element that holds the pixels; the reader stands at its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelElement {
    pub(super) vr: VR,
    /// `None` for encapsulated pixels.
    pub(super) length: Option<u32>,
}

/// A reader with its place.
pub(super) struct Walker<'a> {
    reader: Box<dyn Read + 'a>,
    position: u64,
    end: u64,
    end_is: End,
    encoding: Encoding,
    kept: u64,
    raw_tags: &'a [Tag],
    raw: Vec<(Tag, Vec<u8>)>,
}

impl<'a> Walker<'a> {
    /// `position` is that of the reader, `end` what it may give.
    pub(super) fn new(
        reader: Box<dyn Read + 'a>,
        position: u64,
        end: u64,
        end_is: End,
        encoding: Encoding,
    ) -> Self {
        Self { reader, position, end, end_is, encoding, kept: 0, raw_tags: &[], raw: Vec::new() }
    }

    /// Keeps the bytes of these top-level elements beside the attributes that are read.
    pub(super) fn keeping_raw(mut self, tags: &'a [Tag]) -> Self {
        self.raw_tags = tags;
        self
    }

    /// The bytes that were kept, in the order of the file.
    pub(super) fn take_raw(&mut self) -> Vec<(Tag, Vec<u8>)> {
        std::mem::take(&mut self.raw)
    }

    /// Bytes from the start of the file, or of the inflated stream.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Gives the reader back, with its position.
    pub(super) fn into_reader(self) -> (Box<dyn Read + 'a>, u64) {
        (self.reader, self.position)
    }

    /// Reads up to PixelData or the end.
    pub(super) fn data_set(&mut self) -> Result<(InMemDicomObject, Option<PixelElement>), DicomError> {
        let mut object = InMemDicomObject::new_empty();
        loop {
            if self.end_is == End::File && self.position >= self.end {
                return Ok((object, None));
            }
            let header = match self.header(self.encoding) {
                Ok(header) => header,
                // The end of a deflated data set shows only when it is reached.
                Err(DicomError::Truncated { what: TAG }) => return Ok((object, None)),
                Err(error) => return Err(error),
            };
            match header.tag() {
                tags::PIXEL_DATA => {
                    let pixels = PixelElement { vr: header.vr(), length: header.length().get() };
                    return Ok((object, Some(pixels)));
                }
                // Zeros after the last element.
                Tag(0, 0) => return Ok((object, None)),
                _ => self.element(&mut object, header, self.end, self.encoding, 0, true)?,
            }
        }
    }

    /// Takes the element of `header`, at its value: keeps the value if it is wanted.
    pub(super) fn element_into(
        &mut self,
        object: &mut InMemDicomObject,
        header: DataElementHeader,
    ) -> Result<(), DicomError> {
        self.element(object, header, self.end, self.encoding, 0, true)
    }

    /// Takes one element: keeps its value if it is wanted, else steps over it.
    fn element(
        &mut self,
        object: &mut InMemDicomObject,
        header: DataElementHeader,
        bound: u64,
        encoding: Encoding,
        depth: usize,
        keep: bool,
    ) -> Result<(), DicomError> {
        if header.tag().group() == 0xFFFE {
            return Err(DicomError::Structure { reason: "an item outside a sequence" });
        }
        let attribute = wanted(header.tag()).filter(|_| keep);
        // Within a value of unknown VR the encoding is implicit little endian (PS3.5, 6.2.2 note 2).
        let inner = if header.vr() == VR::UN { Encoding::ImplicitLittle } else { encoding };
        let Some(length) = header.length().get() else {
            if matches!(header.vr(), VR::OB | VR::OW | VR::OD | VR::OF | VR::OL | VR::OV)
                && encoding != Encoding::ImplicitLittle
                || header.tag() == tags::PIXEL_DATA
            {
                return self.skip_fragments(bound, encoding);
            }
            let sequence = attribute.filter(|attribute| attribute.vr == VR::SQ);
            let items = self.sequence(None, bound, inner, depth + 1, sequence.is_some())?;
            if let Some(attribute) = sequence {
                put_items(object, attribute, items);
            }
            return Ok(());
        };
        let length = u64::from(length);
        self.check(length, bound)?;
        let is_raw = depth == 0 && self.raw_tags.contains(&header.tag());
        match attribute {
            Some(attribute) if attribute.vr == VR::SQ => {
                let end = self.position + length;
                let items = self.sequence(Some(end), bound, inner, depth + 1, true)?;
                put_items(object, attribute, items);
                Ok(())
            }
            Some(attribute) => {
                let bytes = self.value(attribute.name, length)?;
                put_value(object, attribute, &bytes, encoding == Encoding::ExplicitBig);
                if is_raw {
                    self.raw.push((header.tag(), bytes));
                }
                Ok(())
            }
            None if is_raw => {
                let bytes = self.value("an attribute to be copied", length)?;
                self.raw.push((header.tag(), bytes));
                Ok(())
            }
            None => self.skip(length),
        }
    }

    /// Reads the items of a sequence up to `end`, or to its delimiter.
    fn sequence(
        &mut self,
        end: Option<u64>,
        bound: u64,
        encoding: Encoding,
        depth: usize,
        keep: bool,
    ) -> Result<Vec<InMemDicomObject>, DicomError> {
        if depth > MAX_DEPTH {
            return Err(DicomError::Structure { reason: "sequences are nested too deep" });
        }
        let bound = end.unwrap_or(bound);
        let mut items = Vec::new();
        while end.is_none_or(|end| self.position < end) {
            let length = match self.item_header(encoding)? {
                SequenceItemHeader::Item { len } => len.get(),
                SequenceItemHeader::SequenceDelimiter => break,
                SequenceItemHeader::ItemDelimiter => {
                    return Err(DicomError::Structure { reason: "an item delimiter between items" });
                }
            };
            let item_end = match length {
                Some(length) => {
                    self.check(u64::from(length), bound)?;
                    Some(self.position + u64::from(length))
                }
                None => None,
            };
            if keep {
                self.count_kept(ITEM_COST)?;
            }
            let item = self.item(item_end, bound, encoding, depth, keep)?;
            if keep {
                items.push(item);
            }
        }
        Ok(items)
    }

    /// Reads the elements of an item up to `end`, or to its delimiter.
    fn item(
        &mut self,
        end: Option<u64>,
        bound: u64,
        encoding: Encoding,
        depth: usize,
        keep: bool,
    ) -> Result<InMemDicomObject, DicomError> {
        let mut object = InMemDicomObject::new_empty();
        if let Some(end) = end.filter(|_| !keep) {
            self.skip(end - self.position)?;
            return Ok(object);
        }
        let bound = end.unwrap_or(bound);
        while end.is_none_or(|end| self.position < end) {
            let header = self.header(encoding)?;
            if header.tag() == ITEM_DELIMITER {
                break;
            }
            self.element(&mut object, header, bound, encoding, depth, keep)?;
        }
        Ok(object)
    }

    /// Steps over the fragments of encapsulated pixels, such as an icon's.
    fn skip_fragments(&mut self, bound: u64, encoding: Encoding) -> Result<(), DicomError> {
        loop {
            match self.item_header(encoding)? {
                SequenceItemHeader::Item { len } => {
                    let length = len.get().ok_or(DicomError::Structure {
                        reason: "a fragment of pixel data without a length",
                    })?;
                    self.check(u64::from(length), bound)?;
                    self.skip(u64::from(length))?;
                }
                SequenceItemHeader::SequenceDelimiter => return Ok(()),
                SequenceItemHeader::ItemDelimiter => {
                    return Err(DicomError::Structure { reason: "an item delimiter between fragments" });
                }
            }
        }
    }

    /// Reads one element header.
    pub(super) fn header(&mut self, encoding: Encoding) -> Result<DataElementHeader, DicomError> {
        let source = &mut self.reader;
        let decoded = match encoding {
            Encoding::ImplicitLittle => ImplicitVRLittleEndianDecoder::new().decode_header(source),
            Encoding::ExplicitLittle => ExplicitVRLittleEndianDecoder::default().decode_header(source),
            Encoding::ExplicitBig => ExplicitVRBigEndianDecoder::default().decode_header(source),
        };
        let (header, bytes) = decoded.map_err(header_error)?;
        self.position += bytes as u64;
        Ok(header)
    }

    fn item_header(&mut self, encoding: Encoding) -> Result<SequenceItemHeader, DicomError> {
        let source = &mut self.reader;
        let decoded = match encoding {
            Encoding::ImplicitLittle => ImplicitVRLittleEndianDecoder::new().decode_item_header(source),
            Encoding::ExplicitLittle => ExplicitVRLittleEndianDecoder::default().decode_item_header(source),
            Encoding::ExplicitBig => ExplicitVRBigEndianDecoder::default().decode_item_header(source),
        };
        let header = decoded.map_err(header_error)?;
        self.position += 8;
        Ok(header)
    }

    /// Checks that `length` bytes lie within `bound`.
    fn check(&self, length: u64, bound: u64) -> Result<(), DicomError> {
        let got = self.position.saturating_add(length);
        if got <= bound {
            return Ok(());
        }
        if self.end_is == End::Limit && bound == self.end {
            let what = "size of the attributes before the pixels in bytes";
            return Err(LimitExceeded { what, got, limit: self.end }.into());
        }
        Err(DicomError::Truncated { what: "a value" })
    }

    fn count_kept(&mut self, bytes: u64) -> Result<(), DicomError> {
        self.kept += bytes;
        let (what, limit) = ("size of the attributes in bytes", MAX_KEPT_BYTES);
        if self.kept > limit {
            return Err(LimitExceeded { what, got: self.kept, limit }.into());
        }
        Ok(())
    }

    fn value(&mut self, name: &'static str, length: u64) -> Result<Vec<u8>, DicomError> {
        if length > MAX_VALUE_BYTES {
            return Err(DicomError::BadAttribute {
                name,
                value: format!("{length} bytes"),
                expected: "a value of at most 256 KiB",
            });
        }
        self.count_kept(length)?;
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(length).read_to_end(&mut bytes).map_err(read_error)?;
        if (read as u64) < length {
            return Err(DicomError::Truncated { what: "a value" });
        }
        self.position += length;
        Ok(bytes)
    }

    fn skip(&mut self, length: u64) -> Result<(), DicomError> {
        let skipped =
            io::copy(&mut self.reader.by_ref().take(length), &mut io::sink()).map_err(read_error)?;
        if skipped < length {
            return Err(DicomError::Truncated { what: "a value" });
        }
        self.position += length;
        Ok(())
    }
}

const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);
/// What a header that is cut off in its first bytes is truncated in.
const TAG: &str = "an element's tag";

fn header_error(error: decode::Error) -> DicomError {
    match error {
        decode::Error::ReadHeaderTag { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
            DicomError::Truncated { what: TAG }
        }
        decode::Error::ReadHeaderTag { source, .. }
        | decode::Error::ReadItemHeader { source, .. }
        | decode::Error::ReadItemLength { source, .. }
        | decode::Error::ReadTag { source, .. }
        | decode::Error::ReadReserved { source, .. }
        | decode::Error::ReadLength { source, .. }
        | decode::Error::ReadVr { source, .. } => read_error(source),
        _ => DicomError::Structure { reason: "something else than an item in a sequence" },
    }
}

/// Tells an early end and a broken deflate stream from what the operating system would not read.
pub(super) fn read_error(source: io::Error) -> DicomError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => DicomError::Truncated { what: "an element" },
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            DicomError::Structure { reason: "the deflate stream is broken" }
        }
        _ => DicomError::Read(source),
    }
}
