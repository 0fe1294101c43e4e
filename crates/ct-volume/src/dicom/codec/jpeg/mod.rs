//! JPEG (ITU-T T.81) of one component: sequential DCT of 8 and 12 bits (processes 1, 2 and 4) and
//! lossless of 2 to 16 bits (process 14, all predictors).

mod bits;
mod dct;
mod huffman;
mod lossless;

use bits::BitReader;
use huffman::Table;

use super::{broken, check_size};
use crate::dicom::error::DicomError;
use crate::dicom::header::PixelFormat;

const CODEC: &str = "JPEG";

/// What the segments before the scan have set.
#[derive(Default)]
struct Tables {
    quantization: [Option<[u16; 64]>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    /// MCUs between restart markers, 0 for none.
    restart_interval: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Process {
    Sequential,
    Lossless,
}

/// The frame header (T.81, B.2.2).
struct Frame {
    process: Process,
    precision: u8,
    columns: usize,
    rows: usize,
    quantization: usize,
}

/// The scan header (T.81, B.2.3).
struct Scan {
    dc: usize,
    ac: usize,
    /// Predictor, for lossless.
    predictor: u8,
    point_transform: u8,
}

pub(super) fn decode(encoded: &[u8], format: &PixelFormat, raw: &mut Vec<u32>) -> Result<(), DicomError> {
    let mut rest = encoded.strip_prefix(&[0xFF, 0xD8]).ok_or_else(|| broken(CODEC, "no start of image"))?;
    let mut tables = Tables::default();
    let mut frame: Option<Frame> = None;
    loop {
        let (marker, segment, after) = next_segment(rest)?;
        rest = after;
        match marker {
            0xC0 | 0xC1 | 0xC3 if frame.is_none() => frame = Some(read_frame(marker, segment, format)?),
            0xC4 => read_huffman(segment, &mut tables)?,
            0xDB => read_quantization(segment, &mut tables)?,
            0xDD => {
                let &[high, low] = segment else { return Err(short()) };
                tables.restart_interval = u32::from(u16::from_be_bytes([high, low]));
            }
            0xDA => {
                let frame = frame.ok_or_else(|| broken(CODEC, "a scan before the frame header"))?;
                let scan = read_scan(segment, &frame)?;
                let mut bits = BitReader::new(rest);
                return match frame.process {
                    Process::Sequential => dct::decode(&frame, &scan, &tables, &mut bits, raw),
                    Process::Lossless => lossless::decode(&frame, &scan, &tables, &mut bits, raw),
                };
            }
            // APPn and COM.
            0xE0..=0xEF | 0xFE => {}
            other => return Err(broken(CODEC, format!("marker FF{other:02X}, which is not decoded"))),
        }
    }
}

fn short() -> DicomError {
    broken(CODEC, "the stream ends within its header")
}

/// Marker, content and what follows.
fn next_segment(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), DicomError> {
    let fill = bytes.iter().take_while(|&&byte| byte == 0xFF).count();
    if fill == 0 {
        return Err(broken(CODEC, "no marker where one must be"));
    }
    let &[marker, high, low, ..] = &bytes[fill..] else { return Err(short()) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (start, end) = (fill + 3, fill + 1 + length);
    let segment = bytes.get(start..end).ok_or_else(short)?;
    Ok((marker, segment, &bytes[end..]))
}

fn read_frame(marker: u8, segment: &[u8], format: &PixelFormat) -> Result<Frame, DicomError> {
    let &[precision, y1, y0, x1, x0, 1, _id, _sampling, quantization] = segment else {
        return Err(broken(CODEC, "not a frame of one component"));
    };
    let process = if marker == 0xC3 { Process::Lossless } else { Process::Sequential };
    let fits = match marker {
        0xC0 => precision == 8,
        0xC1 => matches!(precision, 8 | 12),
        _ => (2..=16).contains(&precision),
    };
    if !fits {
        return Err(broken(CODEC, format!("a precision of {precision} bits")));
    }
    let size = [[x1, x0], [y1, y0]].map(|v| u32::from(u16::from_be_bytes(v)));
    check_size(CODEC, size, u32::from(precision), format)?;
    let (columns, rows) = (usize::from(format.columns), usize::from(format.rows));
    Ok(Frame { process, precision, columns, rows, quantization: usize::from(quantization) })
}

fn read_scan(segment: &[u8], frame: &Frame) -> Result<Scan, DicomError> {
    let &[1, _id, selectors, start, end, approximation] = segment else {
        return Err(broken(CODEC, "not a scan of one component"));
    };
    let point_transform = approximation & 0x0F;
    let fits = match frame.process {
        Process::Sequential => (start, end, approximation) == (0, 63, 0),
        Process::Lossless => (1..=7).contains(&start) && end == 0 && point_transform < frame.precision,
    };
    if !fits {
        return Err(broken(CODEC, "a scan of another process than the frame's"));
    }
    let [dc, ac] = [selectors >> 4, selectors & 0x0F].map(usize::from);
    Ok(Scan { dc, ac, predictor: start, point_transform })
}

fn read_huffman(mut segment: &[u8], tables: &mut Tables) -> Result<(), DicomError> {
    while let Some((&class_and_id, rest)) = segment.split_first() {
        let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let n_symbols: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let (symbols, rest) = rest.split_at_checked(n_symbols).ok_or_else(short)?;
        let class = if class_and_id >> 4 == 0 { &mut tables.dc } else { &mut tables.ac };
        let slot = class
            .get_mut(usize::from(class_and_id & 0x0F))
            .filter(|_| class_and_id >> 4 <= 1)
            .ok_or_else(|| broken(CODEC, "a Huffman table out of range"))?;
        *slot = Some(Table::new(counts, symbols)?);
        segment = rest;
    }
    Ok(())
}

fn read_quantization(mut segment: &[u8], tables: &mut Tables) -> Result<(), DicomError> {
    while let Some((&width_and_id, rest)) = segment.split_first() {
        let width = if width_and_id >> 4 == 0 { 1 } else { 2 };
        let (values, rest) = rest.split_at_checked(64 * width).ok_or_else(short)?;
        let slot = tables
            .quantization
            .get_mut(usize::from(width_and_id & 0x0F))
            .filter(|_| width_and_id >> 4 <= 1)
            .ok_or_else(|| broken(CODEC, "a quantization table out of range"))?;
        let mut table = [0; 64];
        for (entry, bytes) in table.iter_mut().zip(values.chunks_exact(width)) {
            *entry = bytes.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
        }
        *slot = Some(table);
        segment = rest;
    }
    Ok(())
}

fn table(tables: &[Option<Table>; 4], id: usize) -> Result<&Table, DicomError> {
    let table = tables.get(id).and_then(Option::as_ref);
    table.ok_or_else(|| broken(CODEC, "a Huffman table is missing"))
}
