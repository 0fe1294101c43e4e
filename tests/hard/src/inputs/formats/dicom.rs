//! DICOM, one format a transfer syntax, with damage to elements as well as to bytes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use ct_volume::Limits;
use ct_volume::dicom::{DicomOptions, decode_file_bytes, decode_series_bytes};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rand::RngExt;

use super::in_repository;
use crate::inputs::format::{Format, outcome};
use crate::inputs::mutate::{Random, damage_bytes, extreme, one_of};

/// Before the transfer syntax in a format's name.
pub(super) const PREFIX: &str = "dicom ";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
/// The preamble, which nobody reads, and `DICM`.
const PREAMBLE: usize = 132;

/// The transfer syntaxes of the good files.
pub(super) fn names() -> anyhow::Result<Vec<String>> {
    Ok(by_syntax()?.into_keys().map(|syntax| format!("{PREFIX}{syntax}")).collect())
}

/// Files of the volume crate's tests that are read, by transfer syntax.
fn by_syntax() -> anyhow::Result<BTreeMap<String, Vec<Vec<u8>>>> {
    let files = good_files(&in_repository("crates/ct-volume/tests/fixtures/dicom"))?;
    anyhow::ensure!(files.len() > 10, "files of {} transfer syntaxes", files.len());
    Ok(files)
}

/// Real files, where the folder beside the checkout is there; now and then one of them is damaged.
fn shared() -> anyhow::Result<BTreeMap<String, Vec<Vec<u8>>>> {
    let folder = std::env::var_os("MINIGPT_PANCREAS_SHARED")
        .map_or_else(|| in_repository("../shared"), Into::into)
        .join("data/cornerstone-ct-transfer-syntaxes");
    if folder.is_dir() { good_files(&folder) } else { Ok(BTreeMap::new()) }
}

fn good_files(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<Vec<u8>>>> {
    let entries: Result<Vec<_>, _> = fs_err::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect();
    let mut paths = entries?;
    paths.sort();
    let mut files: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "dcm")) {
        let bytes = fs_err::read(path)?;
        if decode_file_bytes(&bytes, &Limits::default(), &DicomOptions::default()).is_ok() {
            let syntax = transfer_syntax(&bytes)
                .with_context(|| format!("no transfer syntax in `{}`", path.display()))?;
            files.entry(syntax).or_default().push(bytes);
        }
    }
    Ok(files)
}

/// The value of (0002,0010).
fn transfer_syntax(bytes: &[u8]) -> Option<String> {
    let at = bytes.windows(6).position(|window| window == [2, 0, 0x10, 0, b'U', b'I'])?;
    let length = usize::from(u16::from_le_bytes(bytes.get(at + 6..at + 8)?.try_into().ok()?));
    let value = bytes.get(at + 8..at + 8 + length)?;
    Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned())
}

pub(super) struct Dicom {
    syntax: String,
    seeds: Vec<Vec<u8>>,
    real: Vec<Vec<u8>>,
}

impl Dicom {
    pub(super) fn new(syntax: &str) -> anyhow::Result<Self> {
        let seeds = by_syntax()?.remove(syntax).with_context(|| format!("no files of `{syntax}`"))?;
        let real = shared()?.remove(syntax).unwrap_or_default();
        Ok(Self { syntax: syntax.to_owned(), seeds, real })
    }
}

/// An element at the top level: where it begins, where its value is.
#[derive(Clone, Debug)]
struct Element {
    start: usize,
    length_at: usize,
    length_width: usize,
    value: Range<usize>,
}

/// Walks the top level of a data set up to the first length that is undefined.
fn elements(bytes: &[u8], mut at: usize, implicit: bool, big: bool) -> Vec<Element> {
    let number = |bytes: &[u8]| -> usize {
        let fold = |n: usize, byte: &u8| n << 8 | usize::from(*byte);
        if big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
    };
    let mut found = Vec::new();
    while let Some(head) = bytes.get(at..at + 8) {
        // The file's own group is always explicit and little endian.
        let is_meta = head[..2] == [2, 0];
        let vr = &head[4..6];
        let is_long = [b"OB", b"OW", b"OF", b"OD", b"OL", b"SQ", b"UC", b"UN", b"UR", b"UT"]
            .iter()
            .any(|l| vr == &l[..]);
        let (length_at, length_width) = match (implicit && !is_meta, is_long) {
            (true, _) => (at + 4, 4),
            (false, true) => (at + 8, 4),
            (false, false) => (at + 6, 2),
        };
        let Some(length) = bytes.get(length_at..length_at + length_width) else { break };
        let length = if is_meta {
            length.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b))
        } else {
            number(length)
        };
        let start = length_at + length_width;
        if length == 0xffff_ffff || start + length > bytes.len() {
            found.push(Element { start: at, length_at, length_width, value: start..bytes.len() });
            break;
        }
        found.push(Element { start: at, length_at, length_width, value: start..start + length });
        at = start + length;
    }
    found
}

/// Changes one element: its length, its value, or whether it is there.
fn damage_element(random: &mut Random, bytes: &mut Vec<u8>, start: usize, implicit: bool, big: bool) {
    const TEXTS: [&str; 18] = [
        "NaN ",
        "inf ",
        "-1",
        "0 ",
        "0\\0 ",
        "-0.5\\-0.5 ",
        "1e400 ",
        "1e-320",
        "99999999999999999999",
        "1\\0\\0\\1\\0\\0 ",
        "0\\0\\0\\0\\0\\0 ",
        "1\\0\\0\\0\\1\\0 ",
        "\\\\\\\\",
        "",
        "    ",
        "\u{0}\u{0}",
        "LOCALIZER ",
        "1.2.840.10008.1.2.4.90",
    ];
    let all = elements(bytes, start, implicit, big);
    if all.is_empty() {
        return;
    }
    let element = all[random.random_range(0..all.len())].clone();
    match random.random_range(0..8) {
        0 => {
            let number = extreme(random, element.length_width, big);
            bytes[element.length_at..element.length_at + element.length_width].copy_from_slice(&number);
        }
        1 => drop(bytes.drain(element.start..element.value.end)),
        2 => {
            let copy = bytes[element.start..element.value.end].to_vec();
            let to = all[random.random_range(0..all.len())].start;
            drop(bytes.splice(to..to, copy));
        }
        3 => {
            // Binary values: rows, columns, bits.
            let width = element.value.len().min(4);
            let number = extreme(random, width, big);
            let to = element.value.start;
            bytes[to..to + number.len().min(element.value.len())]
                .copy_from_slice(&number[..number.len().min(element.value.len())]);
        }
        4 => {
            if let Some(byte) = bytes.get_mut(element.start + 4) {
                *byte = random.random();
            }
        }
        _ => {
            let text = one_of(random, &TEXTS).as_bytes();
            if element.length_width == 2 {
                let mut length = u16::try_from(text.len()).unwrap_or(0).to_le_bytes().to_vec();
                if big {
                    length.reverse();
                }
                drop(bytes.splice(element.value.clone(), text.iter().copied()));
                bytes[element.length_at..element.length_at + 2].copy_from_slice(&length);
            } else if element.value.len() < 4096 {
                let n = text.len().min(element.value.len());
                bytes[element.value.start..element.value.start + n].copy_from_slice(&text[..n]);
            }
        }
    }
}

fn damage(random: &mut Random, bytes: &mut Vec<u8>, start: usize, implicit: bool, big: bool) {
    for _ in 0..random.random_range(1..=3) {
        // The pixels' element, whose compressed stream is the larger part.
        let needle: &[u8] = if big { &[0x7f, 0xe0, 0, 0x10] } else { &[0xe0, 0x7f, 0x10, 0] };
        let pixels = bytes.windows(4).rposition(|window| window == needle);
        match (random.random_range(0..4), pixels) {
            (0 | 1, Some(at)) => {
                let mut stream = bytes.split_off(at + 4);
                damage_bytes(random, &mut stream, 64);
                bytes.extend(stream);
            }
            (2, _) => damage_element(random, bytes, start, implicit, big),
            _ => {
                let mut rest = bytes.split_off(start.min(bytes.len()));
                let header = rest.len();
                damage_bytes(random, &mut rest, header);
                bytes.extend(rest);
            }
        }
    }
}

impl Format for Dicom {
    fn name(&self) -> String {
        format!("{PREFIX}{}", self.syntax)
    }

    fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    fn damaged(&self, random: &mut Random, seed: usize) -> Vec<u8> {
        let mut bytes = self.seeds[seed].clone();
        if random.random_bool(0.03) && !self.real.is_empty() {
            bytes = self.real[random.random_range(0..self.real.len())].clone();
        }
        if self.syntax == DEFLATED && random.random_bool(0.6) {
            // Damage to what is deflated, which damage to the stream never reaches.
            let start = meta_end(&bytes).unwrap_or(PREAMBLE);
            let mut inner = Vec::new();
            if DeflateDecoder::new(&bytes[start..]).read_to_end(&mut inner).is_ok() {
                damage(random, &mut inner, 0, false, false);
                bytes.truncate(start);
                let mut encoder = DeflateEncoder::new(&mut bytes, Compression::fast());
                encoder
                    .write_all(&inner)
                    .and_then(|()| encoder.finish().map(drop))
                    .expect("a vector takes every byte");
            }
            return bytes;
        }
        damage(random, &mut bytes, PREAMBLE, self.syntax == IMPLICIT, self.syntax == BIG_ENDIAN);
        bytes
    }

    fn read(&mut self, bytes: &[u8], variant: u64) -> Result<String, String> {
        let mut options = DicomOptions::default();
        options.stored_values = variant % 4 == 1;
        options.allow_irregular = variant % 3 == 1;
        let limits = Limits::default();
        let volume = if variant == 11 {
            // Beside a good file, as one of a series.
            decode_series_bytes(&[&self.seeds[0], bytes], &limits, &options)
        } else {
            decode_file_bytes(bytes, &limits, &options)
        };
        if let Ok(volume) = &volume
            && !volume.hu().iter().all(|hu| hu.is_finite())
        {
            return Err("a voxel is not finite".to_owned());
        }
        Ok(outcome(&volume))
    }
}

/// Where the file's own group ends: (0002,0000) holds its length.
fn meta_end(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(PREAMBLE..PREAMBLE + 12).filter(|head| head.starts_with(&[2, 0, 0, 0]))?;
    let length = u32::from_le_bytes(length[8..12].try_into().ok()?);
    Some(PREAMBLE + 12 + usize::try_from(length).ok()?).filter(|end| *end <= bytes.len())
}
