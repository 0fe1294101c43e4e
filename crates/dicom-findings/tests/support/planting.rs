//! DICOM series with a value of its own in every attribute that identifies, and the search for those values.
//!
//! "Every attribute" is Table E.1-1 of DICOM PS3.15, edition 2026c (`fixtures/ps3-15-2026c.csv`), and what
//! identifies beside it: private elements, the preamble, meta information, names of files, bytes after the
//! pixels. Values are looked for as they are and as UTF-16, base64, hex and percent-encoding, also inside gzip
//! and the compressed parts of PNG. Hashes of values and text within pixels are not looked for.

#![allow(dead_code, clippy::unwrap_used, reason = "each test needs a part, and stops at what fails")]

use std::collections::{HashMap, HashSet};
use std::io::Read;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject};

const TABLE: &str = include_str!("../fixtures/ps3-15-2026c.csv");

/// A row of the table.
pub(crate) struct Row {
    pub(crate) tag: Tag,
    pub(crate) vr: VR,
    pub(crate) action: &'static str,
    pub(crate) keyword: &'static str,
}

/// Table E.1-1.
pub(crate) fn table() -> Vec<Row> {
    let row = |line: &'static str| {
        let [tag, vr, action, keyword] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let number = u32::from_str_radix(tag, 16).unwrap();
        let [high, low] = [number >> 16, number & 0xFFFF].map(|half| u16::try_from(half).unwrap());
        Row { tag: Tag(high, low), vr: vr.parse().unwrap(), action, keyword }
    };
    TABLE.lines().skip(1).map(row).collect()
}

/// What objects that belong to the study repeat: patient and study attributes of type 1 and 2, and the UIDs that
/// they point to (docs/SECURITY.md).
pub(crate) const REPEATED: [Tag; 14] = [
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_ID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::FRAME_OF_REFERENCE_UID,
    tags::SOP_INSTANCE_UID,
    tags::POSITION_REFERENCE_INDICATOR,
];

/// Names in several character sets: the name of the set, the bytes, the text.
const NAMES: [(&str, &[u8], &str); 5] = [
    ("ISO_IR 100", b"Z\xf6rgs\xdfel", "Zörgsßel"),
    ("ISO_IR 192", "\u{5c71}\u{7530}\u{592a}\u{90ce}".as_bytes(), "\u{5c71}\u{7530}\u{592a}\u{90ce}"),
    ("ISO_IR 144", b"\xb8\xd2\xd0\xdd\xde\xd2\xe1\xda\xd8\xd9", "Ивановский"),
    ("\\ISO 2022 IR 87", b"\x1b$B;3EDB@O:\x1b(B", "\u{5c71}\u{7530}\u{592a}\u{90ce}"),
    ("GB18030", b"\xcd\xf5\xd0\xa1\xb6\xab", "\u{738b}\u{5c0f}\u{4e1c}"),
];

/// A planted value.
#[derive(Clone)]
pub(crate) struct Planted {
    /// Where it stands.
    pub(crate) place: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether objects that belong to the study repeat it.
    pub(crate) is_repeated: bool,
}

/// Plants values, each in one place of one series.
pub(crate) struct Planter {
    series: usize,
    n_dates: usize,
    pub(crate) planted: Vec<Planted>,
    /// Attributes that were planted with values too short to be looked for.
    pub(crate) too_short: HashSet<Tag>,
}

impl Planter {
    /// For the `series`-th series of the test, 0 to 9.
    pub(crate) fn new(series: usize) -> Self {
        assert!(series < 10);
        Self { series, n_dates: 0, planted: Vec::new(), too_short: HashSet::new() }
    }

    /// A name that is nowhere else.
    pub(crate) fn mark(&mut self, place: &str, number: usize) -> String {
        let mark = format!("ZQ{}{place}{number}QX", self.series);
        self.note(place.to_owned(), mark.clone().into_bytes(), false);
        mark
    }

    fn note(&mut self, place: String, bytes: Vec<u8>, is_repeated: bool) {
        self.planted.push(Planted { place, bytes, is_repeated });
    }

    /// Plants in every attribute of the table; the same values for all slices of the series.
    pub(crate) fn attributes(&mut self) -> Vec<DataElement<InMemDicomObject>> {
        let mut elements = Vec::new();
        for Row { tag, vr, keyword, .. } in table() {
            // Meta information and the instance's UID are planted for each slice.
            if tag.group() != 2 && tag != tags::SOP_INSTANCE_UID {
                elements.push(self.element(tag, vr, keyword));
            }
        }
        for (tag, vr, keyword) in [
            (tags::POSITION_REFERENCE_INDICATOR, VR::LO, "PositionReferenceIndicator"),
            (tags::MANUFACTURER, VR::LO, "Manufacturer"),
            (tags::MANUFACTURER_MODEL_NAME, VR::LO, "ManufacturerModelName"),
            (tags::SOFTWARE_VERSIONS, VR::LO, "SoftwareVersions"),
            (tags::CONVOLUTION_KERNEL, VR::SH, "ConvolutionKernel"),
            (Tag(0x0009, 0x0010), VR::LO, "private creator"),
            (Tag(0x0009, 0x1001), VR::LO, "private text"),
            (Tag(0x0009, 0x1002), VR::UI, "private UID"),
            (Tag(0x0009, 0x1003), VR::SQ, "private sequence"),
            (Tag(0x0009, 0x1004), VR::UN, "private bytes"),
            (Tag(0x6001, 0x0010), VR::LO, "private creator above the pixels' groups"),
        ] {
            elements.push(self.element(tag, vr, keyword));
        }
        let (set, name, text) = NAMES[self.series % NAMES.len()];
        let is_name = |element: &DataElement<InMemDicomObject>| element.header().tag == tags::PATIENT_NAME;
        if let Some(element) = elements.iter_mut().find(|element| is_name(element)) {
            *element = DataElement::new(tags::PATIENT_NAME, VR::PN, PrimitiveValue::U8(name.into()));
        }
        self.note("PatientName".to_owned(), name.to_vec(), true);
        self.note("PatientName, decoded".to_owned(), text.as_bytes().to_vec(), true);
        elements.push(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, PrimitiveValue::from(set)));
        elements
    }

    fn element(&mut self, tag: Tag, vr: VR, keyword: &str) -> DataElement<InMemDicomObject> {
        let series = self.series;
        let number = u32::from(tag.group()) << 16 | u32::from(tag.element());
        let is_repeated = REPEATED.contains(&tag);
        // 12 bytes that every text may have, also code strings.
        let mark = format!("ZQ{series}{number:08X}X");
        self.n_dates += 1;
        let n = self.n_dates;
        let date = format!("{}{:02}{:02}", 1801 + 2 * series + n / 336, n % 336 / 28 + 1, n % 28 + 1);
        let time = format!("1{}4{}5{}.9{n:05}", n % 10, n % 7, n % 5);
        let text = match vr {
            VR::DA => date,
            VR::TM => time,
            VR::DT => format!("{date}{time}"),
            VR::UI => format!("2.25.7{series}{number:010}5"),
            VR::DS => format!("4711{series}{n:05}.25"),
            VR::IS => format!("19{series}{n:05}77"),
            VR::AS => format!("{:03}Y", 100 + n % 800),
            _ => mark.clone(),
        };
        let place = format!("{tag} {keyword}");
        match vr {
            VR::AS | VR::US => {
                self.too_short.insert(tag);
                let value =
                    if vr == VR::US { PrimitiveValue::from(0x5A51_u16) } else { text.as_str().into() };
                DataElement::new(tag, vr, value)
            }
            VR::SQ => {
                let name = format!("{mark}N");
                let uid = format!("2.25.8{series}{number:010}5");
                let item = InMemDicomObject::from_element_iter([
                    DataElement::new(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, uid.as_str()),
                    DataElement::new(tags::CODE_MEANING, VR::LO, mark.as_str()),
                    DataElement::new(tags::PERSON_NAME, VR::PN, name.as_str()),
                ]);
                for value in [uid, mark] {
                    self.note(place.clone(), value.into_bytes(), false);
                }
                DataElement::new(tag, vr, DataSetSequence::from(vec![item]))
            }
            VR::OB | VR::UN => {
                self.note(place, mark.clone().into_bytes(), is_repeated);
                DataElement::new(tag, vr, PrimitiveValue::U8(mark.into_bytes().into()))
            }
            _ => {
                self.note(place, text.clone().into_bytes(), is_repeated);
                DataElement::new(tag, vr, PrimitiveValue::from(text.as_str()))
            }
        }
    }

    /// The bytes of a file with these attributes and its own instance UID, preamble and meta information.
    pub(crate) fn file(
        &mut self,
        mut object: DefaultDicomObject,
        attributes: &[DataElement<InMemDicomObject>],
        slice: usize,
    ) -> Vec<u8> {
        let uid = format!("2.25.9{}{slice:05}7771", self.series);
        self.note("SOPInstanceUID".to_owned(), uid.clone().into_bytes(), true);
        for element in attributes {
            object.put(element.clone());
        }
        object.put(DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, uid.as_str()));
        let comment = self.mark("ICOMMENT", slice);
        object.put(DataElement::new(tags::IMAGE_COMMENTS, VR::LT, comment.as_str()));
        let [title, private] = ["AETITLE", "METAPRIV"].map(|place| self.mark(place, slice));
        object.update_meta(|meta| {
            meta.media_storage_sop_instance_uid.clone_from(&uid);
            meta.source_application_entity_title = Some(title.clone());
            meta.private_information_creator_uid = Some("2.25.4".to_owned());
            meta.private_information = Some(private.clone().into_bytes());
        });
        let mut bytes = Vec::new();
        object.write_all(&mut bytes).unwrap();
        let preamble = self.mark("PREAMBLE", slice);
        bytes[..preamble.len()].copy_from_slice(preamble.as_bytes());
        bytes
    }

    /// Everything of several series, or what objects may not repeat.
    pub(crate) fn search<'a>(planters: impl IntoIterator<Item = &'a Planter>, with_repeated: bool) -> Search {
        let all = planters.into_iter().flat_map(|planter| &planter.planted);
        Search::new(all.filter(|planted| with_repeated || !planted.is_repeated))
    }
}

/// A file's data set compressed: Deflated Explicit VR Little Endian of an explicit one.
pub(crate) fn deflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let length = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    let (meta, data) = bytes.split_at(144 + length);
    let syntax = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0";
    let at = meta.windows(syntax.len()).position(|window| window == syntax).expect("an explicit file");
    let mut file = meta[..at].to_vec();
    file.extend_from_slice(b"\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99");
    file.extend_from_slice(&meta[at + syntax.len()..]);
    file[140..144].copy_from_slice(&u32::try_from(length + 2).unwrap().to_le_bytes());
    let mut deflate = flate2::write::DeflateEncoder::new(file, flate2::Compression::fast());
    deflate.write_all(data).unwrap();
    deflate.finish().unwrap()
}

/// The search for planted values in bytes.
pub(crate) struct Search {
    /// Forms by their first four bytes.
    forms: HashMap<[u8; 4], Vec<(Vec<u8>, String)>>,
    /// First two bytes of any form.
    starts: Vec<bool>,
}

impl Search {
    fn new<'a>(planted: impl Iterator<Item = &'a Planted>) -> Self {
        let mut search = Self { forms: HashMap::new(), starts: vec![false; 1 << 16] };
        for Planted { place, bytes, .. } in planted {
            for (form, bytes) in forms_of(bytes) {
                if bytes.len() >= 4 {
                    let start: [u8; 4] = bytes[..4].try_into().unwrap();
                    search.starts[usize::from(u16::from_le_bytes([start[0], start[1]]))] = true;
                    search.forms.entry(start).or_default().push((bytes, format!("{place}, {form}")));
                }
            }
        }
        search
    }

    pub(crate) fn n_forms(&self) -> usize {
        self.forms.values().map(Vec::len).sum()
    }

    /// The place and form of the first value in the bytes, or in what they hold compressed.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<&str> {
        if let Some(found) = self.find_plain(bytes) {
            return Some(found);
        }
        if bytes.starts_with(&[0x1F, 0x8B]) {
            let mut inner = Vec::new();
            let _ = flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut inner);
            return self.find(&inner);
        }
        if bytes.starts_with(b"\x89PNG") {
            return png_streams(bytes).iter().find_map(|stream| self.find_plain(stream));
        }
        None
    }

    fn find_plain(&self, bytes: &[u8]) -> Option<&str> {
        bytes.windows(4).enumerate().find_map(|(at, start)| {
            if !self.starts[usize::from(u16::from_le_bytes([start[0], start[1]]))] {
                return None;
            }
            let forms = self.forms.get(start)?;
            let form = forms.iter().find(|(form, _)| bytes[at..].starts_with(form))?;
            Some(form.1.as_str())
        })
    }
}

/// What is compressed within a PNG: its pixels, and texts of zTXt and iTXt chunks.
fn png_streams(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pixels = Vec::new();
    let mut streams = Vec::new();
    let mut rest = &bytes[8..];
    while let [a, b, c, d, kind @ ..] = rest
        && kind.len() >= 8
    {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(data) = kind.get(4..4 + length) else { break };
        match &kind[..4] {
            b"IDAT" => pixels.extend_from_slice(data),
            b"zTXt" | b"iTXt" | b"iCCP" => {
                streams.extend((0..data.len().min(90)).map(|at| inflated(&data[at..])));
            }
            _ => {}
        }
        rest = rest.get(12 + length..).unwrap_or_default();
    }
    streams.push(inflated(&pixels));
    streams
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut inner = Vec::new();
    let _ = flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut inner);
    inner
}

/// The spellings that are looked for.
fn forms_of(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("as it is", value.to_vec())];
    let hex = |upper: bool| {
        let digits =
            value.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        digits.collect::<String>().into_bytes()
    };
    forms.push(("hex", hex(false)));
    forms.push(("hex", hex(true)));
    if let Ok(text) = std::str::from_utf8(value) {
        forms.push(("UTF-16 LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
        forms.push(("UTF-16 BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
        forms.push(("lower case", text.to_lowercase().into_bytes()));
        if !text.is_ascii() {
            let escaped = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            forms.push(("JSON escapes", escaped.into_bytes()));
            let percent = value.iter().map(|byte| format!("%{byte:02X}")).collect::<String>();
            forms.push(("percent-encoding", percent.into_bytes()));
        }
    }
    // The characters that depend on the value alone, at each place within three bytes.
    for offset in 0..3 {
        let text = base64(&[&vec![0; offset][..], value].concat());
        let first = (offset * 8).div_ceil(6);
        let last = (offset + value.len()) * 8 / 6;
        forms.push(("base64", text[first..last].to_vec()));
    }
    forms.dedup_by(|a, b| a.1 == b.1);
    forms
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let byte = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize])
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// A search that finds nothing proves nothing unless it finds what is there, in every form.
pub(crate) fn check_search(search: &Search, value: &[u8]) {
    use std::io::Write;
    for (form, bytes) in forms_of(value) {
        if bytes.len() >= 4 {
            let within = [b"before ".as_slice(), &bytes, b" after"].concat();
            assert!(search.find(&within).is_some(), "{form}");
        }
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(value).unwrap();
    assert!(search.find(&gzip.finish().unwrap()).is_some(), "gzip");
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(value).unwrap();
    let text = [b"Comment\0\0".as_slice(), &zlib.finish().unwrap()].concat();
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &length, b"zTXt", &text, &[0; 4]].concat();
    assert!(search.find(&png).is_some(), "compressed text of a PNG");
    assert!(search.find(b"nothing of it").is_none());
}

/// A DICOM file whose data set is written in another transfer syntax, native ones alone.
pub(crate) fn in_syntax(mut object: DefaultDicomObject, uid: &str) -> DefaultDicomObject {
    object.update_meta(|meta| uid.clone_into(&mut meta.transfer_syntax));
    object
}

impl Planter {
    /// A NIfTI-1 file, not compressed, with values in its free text fields and in two extensions.
    pub(crate) fn nifti(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut header = plain[..348].to_vec();
        assert_eq!(plain[108..112], 352_f32.to_le_bytes(), "as our writer has it");
        let voxels = &plain[352..];
        for (place, at) in [("D", 4), ("DBNAME", 14), ("DESCRIP", 148), ("AUX", 228), ("INTENT", 328)] {
            let mark = self.mark(place, 0);
            header[at..at + mark.len()].copy_from_slice(mark.as_bytes());
        }
        let mut extensions = vec![1, 0, 0, 0];
        // DICOM attributes (2) and a comment (6).
        for (place, code) in [("EXTDICOM", 2_u32), ("EXTCOMMENT", 6)] {
            let mut text = self.mark(place, 0).into_bytes();
            text.resize(24, 0);
            extensions.extend(32_u32.to_le_bytes().into_iter().chain(code.to_le_bytes()).chain(text));
        }
        let offset = (348 + extensions.len()).next_multiple_of(16);
        header[108..112].copy_from_slice(&(offset as f32).to_le_bytes());
        let mut file = [header, extensions].concat();
        file.resize(offset, 0);
        file.extend_from_slice(voxels);
        file
    }

    /// An NRRD volume with values in comments, fields of free text and keys of its own.
    pub(crate) fn nrrd(&mut self, size: usize) -> Vec<u8> {
        let [comment, content, key, value, units, label] =
            ["COMMENT", "CONTENT", "KEY", "VALUE", "UNITS", "LABEL"].map(|place| self.mark(place, 0));
        let mut file = format!(
            "NRRD0005\n# {comment}\ncontent: {content}\ntype: short\ndimension: 3\n\
             space: left-posterior-superior\nsizes: {size} {size} 4\n\
             space directions: (2,0,0) (0,2,0) (0,0,5)\nspace origin: (0,0,0)\nkinds: domain domain domain\n\
             labels: \"{label}\" \"b\" \"c\"\nsample units: {units}\nendian: little\nencoding: raw\n\
             {key}:={value}\nSegment0_Name:={value}\n\n"
        )
        .into_bytes();
        let hu = (0..size * size * 4).map(|n| i16::try_from(n % 200).unwrap() - 100);
        file.extend(hu.flat_map(i16::to_le_bytes));
        file
    }

    /// Takes the values of a real file's attributes of the table for planted ones.
    pub(crate) fn note_real(&mut self, object: &InMemDicomObject) {
        let actions: HashSet<Tag> = table().iter().map(|row| row.tag).collect();
        for element in object {
            let tag = element.header().tag;
            for item in element.items().unwrap_or_default() {
                self.note_real(item);
            }
            let Ok(text) = element.to_str() else { continue };
            let is_private = tag.group() % 2 == 1;
            for value in text.split('\\').map(|value| value.trim_matches([' ', '\0'])) {
                // Shorter values, and those of one character, are anywhere.
                let tells = value.len() >= 6 && value.bytes().any(|byte| byte != value.as_bytes()[0]);
                if tells && (actions.contains(&tag) || is_private) {
                    self.note(format!("{tag} of a real file"), value.as_bytes().to_vec(), false);
                }
            }
        }
    }
}
