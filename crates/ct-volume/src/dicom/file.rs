//! Opens one DICOM file: preamble, file meta information, attributes, up to the pixels.

use std::io::{Cursor, Read};

use dicom_core::Tag;
use dicom_object::InMemDicomObject;
use flate2::read::DeflateDecoder;

use super::attributes::{
    Attributes, FILE_META_INFORMATION_GROUP_LENGTH, MEDIA_STORAGE_SOP_CLASS_UID, TRANSFER_SYNTAX_UID,
};
use super::error::DicomError;
use super::source::{PREAMBLE, PREFIX, Source, has_prefix};
use super::syntax::{Encoding, Syntax};
use super::walker::{End, PixelElement, Walker};
use crate::limits::Limits;

/// What a deflated data set may give before its pixels: a bomb that only inflates ends here.
const MAX_DEFLATED_HEADER: u64 = 1 << 26;
/// The preamble and the file meta information lie within this; usually they take 350 bytes.
const MAX_META_BYTES: u64 = 1 << 14;
/// First bytes of an element of group 2.
const META_GROUP: [u8; 2] = [2, 0];

/// A file whose attributes are read; the reader stands at the first byte of the pixels.
pub(super) struct OpenFile<'a> {
    pub(super) syntax: Syntax,
    /// From the file meta information, which a DICOMDIR has instead of a SOPClassUID.
    pub(super) media_class: String,
    pub(super) object: InMemDicomObject,
    /// Bytes of the elements that were asked for.
    pub(super) raw: Vec<(Tag, Vec<u8>)>,
    pub(super) pixels: Option<PixelElement>,
    pub(super) reader: Box<dyn Read + 'a>,
    /// Bytes that can follow; `None` where only inflating tells.
    pub(super) left: Option<u64>,
}

impl<'a> OpenFile<'a> {
    /// Opens and reads up to the pixels.
    pub(super) fn open(source: Source<'a>, limits: &Limits) -> Result<Self, DicomError> {
        Self::open_with_raw(source, limits, &[])
    }

    /// The same, and keeps the bytes of these top-level elements.
    pub(super) fn open_with_raw(
        source: Source<'a>,
        limits: &Limits,
        tags: &'a [Tag],
    ) -> Result<Self, DicomError> {
        let (mut reader, file_length) = source.open(limits)?;
        let mut start = Vec::new();
        reader.by_ref().take(MAX_META_BYTES).read_to_end(&mut start).map_err(DicomError::Read)?;
        if !has_prefix(&start) {
            return Err(DicomError::NotDicom);
        }
        let start_of_meta = PREAMBLE + PREFIX.len();
        let (meta, meta_bytes, mut raw) = read_meta(&start[start_of_meta..], tags)?;
        let position = start_of_meta + meta_bytes;
        let mut rest = Cursor::new(start);
        rest.set_position(position as u64);
        let (reader, position) = (rest.chain(reader), position as u64);
        let meta = Attributes(&meta);
        let missing = DicomError::MissingAttribute { name: TRANSFER_SYNTAX_UID.name };
        let syntax = Syntax::from_uid(meta.text(&TRANSFER_SYNTAX_UID).ok_or(missing)?)?;
        let media_class = meta.text(&MEDIA_STORAGE_SOP_CLASS_UID).unwrap_or_default().to_owned();
        let walker = if syntax.deflated {
            let inflated = Box::new(DeflateDecoder::new(reader));
            Walker::new(inflated, 0, MAX_DEFLATED_HEADER, End::Limit, syntax.encoding)
        } else {
            Walker::new(Box::new(reader), position, file_length, End::File, syntax.encoding)
        };
        let mut walker = walker.keeping_raw(tags);
        let (object, pixels) = walker.data_set()?;
        raw.extend(walker.take_raw());
        let (reader, position) = walker.into_reader();
        let left = (!syntax.deflated).then(|| file_length.saturating_sub(position));
        Ok(Self { syntax, media_class, object, raw, pixels, reader, left })
    }
}

/// Attributes of group 2, its length, and the bytes of the elements that were asked for.
type Meta = (InMemDicomObject, usize, Vec<(Tag, Vec<u8>)>);

/// Reads group 2, which is explicit little endian in every file (PS3.10, 7.1), from the file's first
/// bytes; gives it with its length. The next group ends it, so that a wrong group length does no harm.
fn read_meta(start: &[u8], tags: &[Tag]) -> Result<Meta, DicomError> {
    let mut meta = InMemDicomObject::new_empty();
    let walker = Walker::new(Box::new(start), 0, start.len() as u64, End::File, Encoding::ExplicitLittle);
    let mut walker = walker.keeping_raw(tags);
    loop {
        let position = walker.position();
        let rest = usize::try_from(position).ok().and_then(|position| start.get(position..)).unwrap_or(&[]);
        if !rest.starts_with(&META_GROUP) || end_of_group(&meta).is_some_and(|end| position >= end) {
            return Ok((meta, start.len() - rest.len(), walker.take_raw()));
        }
        let header = walker.header(Encoding::ExplicitLittle)?;
        walker.element_into(&mut meta, header)?;
    }
}

/// Where the group length says that group 2 ends. A deflated data set begins there, and its first
/// bytes may be anything.
fn end_of_group(meta: &InMemDicomObject) -> Option<u64> {
    // Tag, value representation, length and value of the group length itself.
    const OWN_BYTES: u64 = 12;
    let length = Attributes(meta).long(&FILE_META_INFORMATION_GROUP_LENGTH)?;
    Some(OWN_BYTES + u64::from(length))
}
