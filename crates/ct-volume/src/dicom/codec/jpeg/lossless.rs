//! Lossless JPEG (T.81, H): each sample is predicted from its neighbors and the difference coded.

use super::bits::BitReader;
use super::{CODEC, Frame, Scan, Tables, broken, table};
use crate::dicom::error::DicomError;

pub(super) fn decode(
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    bits: &mut BitReader<'_>,
    raw: &mut Vec<u32>,
) -> Result<(), DicomError> {
    let table = table(&tables.dc, scan.dc)?;
    let columns = frame.columns;
    let interval = usize::try_from(tables.restart_interval).unwrap_or(usize::MAX);
    // Restarts must be at the start of a line (T.81, H.1.1), which makes it a first line.
    if interval > 0 && !interval.is_multiple_of(columns) {
        return Err(broken(CODEC, "restarts within a line"));
    }
    let start = 1_i32 << (frame.precision - scan.point_transform - 1);
    // Modulo 65,536 (T.81, H.1.2.1).
    let mut line = vec![0_u16; columns];
    let mut above = vec![0_u16; columns];
    let mut restarts = 0;
    let mut is_first_line = true;
    for row in 0..frame.rows {
        if interval > 0 && row > 0 && (row * columns).is_multiple_of(interval) {
            bits.restart(restarts)?;
            restarts += 1;
            is_first_line = true;
        }
        for column in 0..columns {
            let up = i32::from(above[column]);
            let prediction = match (is_first_line, column) {
                (true, 0) => start,
                (true, _) => i32::from(line[column - 1]),
                (false, 0) => up,
                (false, _) => {
                    predict(scan.predictor, i32::from(line[column - 1]), up, i32::from(above[column - 1]))
                }
            };
            let difference = match table.decode(bits)? {
                // The one difference without further bits (T.81, H.1.2.2).
                16 => 32_768,
                size @ 0..16 => bits.receive_extended(u32::from(size))?,
                size => return Err(broken(CODEC, format!("a difference of {size} bits"))),
            };
            line[column] = low_word(prediction + difference);
        }
        raw.extend(line.iter().map(|&sample| u32::from(sample) << scan.point_transform));
        std::mem::swap(&mut line, &mut above);
        is_first_line = false;
    }
    Ok(())
}

/// T.81, table H.1; `a` is to the left, `b` above, `c` above left.
fn predict(predictor: u8, a: i32, b: i32, c: i32) -> i32 {
    match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    }
}

fn low_word(value: i32) -> u16 {
    let [low, high, ..] = value.to_le_bytes();
    u16::from_le_bytes([low, high])
}
