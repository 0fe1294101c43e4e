//! Sequential DCT (T.81, F.2).

use std::f32::consts::PI;

use super::bits::BitReader;
use super::huffman::Table;
use super::{CODEC, Frame, Scan, Tables, broken, table};
use crate::dicom::error::DicomError;

/// Row-major place of each coefficient in the order of the stream (T.81, figure 5).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

pub(super) fn decode(
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    bits: &mut BitReader<'_>,
    raw: &mut Vec<u32>,
) -> Result<(), DicomError> {
    let (dc, ac) = (table(&tables.dc, scan.dc)?, table(&tables.ac, scan.ac)?);
    let quantization = tables.quantization.get(frame.quantization).and_then(Option::as_ref);
    let quantization = quantization.ok_or_else(|| broken(CODEC, "a quantization table is missing"))?;
    let (columns, rows) = (frame.columns, frame.rows);
    let basis = basis();
    let middle = f32::from(1_u16 << (frame.precision - 1));
    let top = f32::from((1_u16 << frame.precision) - 1);
    // A block takes two bits at least, one to say that nothing changes and one to end.
    if columns.div_ceil(8) * rows.div_ceil(8) > bits.max_codes() / 2 {
        return Err(broken(CODEC, "the stream ends early"));
    }
    raw.resize(columns * rows, 0);
    let (mut last_dc, mut restarts, mut until_restart) = (0, 0, tables.restart_interval);
    for y in (0..rows).step_by(8) {
        for x in (0..columns).step_by(8) {
            if tables.restart_interval > 0 {
                if until_restart == 0 {
                    bits.restart(restarts)?;
                    restarts += 1;
                    (last_dc, until_restart) = (0, tables.restart_interval);
                }
                until_restart -= 1;
            }
            let coefficients = decode_block(dc, ac, quantization, &mut last_dc, bits)?;
            let samples = inverse(&coefficients, &basis);
            let (width, height) = ((columns - x).min(8), (rows - y).min(8));
            for (line, samples) in samples.chunks_exact(8).take(height).enumerate() {
                let start = (y + line) * columns + x;
                for (out, &sample) in raw[start..start + width].iter_mut().zip(samples) {
                    *out = to_sample((sample + middle).clamp(0.0, top));
                }
            }
        }
    }
    Ok(())
}

/// The coefficients of a block, dequantized, row by row.
fn decode_block(
    dc: &Table,
    ac: &Table,
    quantization: &[u16; 64],
    last_dc: &mut i32,
    bits: &mut BitReader<'_>,
) -> Result<[f32; 64], DicomError> {
    let mut block = [0.0; 64];
    let size = dc.decode(bits)?;
    if size > 15 {
        return Err(broken(CODEC, format!("a DC difference of {size} bits")));
    }
    *last_dc = last_dc.wrapping_add(bits.receive_extended(u32::from(size))?);
    let scaled = |value: i32, n: usize| value as f32 * f32::from(quantization[n]);
    block[0] = scaled(*last_dc, 0);
    let mut n = 1;
    while n < 64 {
        let symbol = ac.decode(bits)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 0x0F));
        match (run, size) {
            (15, 0) => n += 16,
            // End of block.
            (_, 0) => break,
            _ => {
                n += run;
                let value = bits.receive_extended(size)?;
                let place = ZIGZAG.get(n).ok_or_else(|| broken(CODEC, "a block of more than 64 values"))?;
                block[usize::from(*place)] = scaled(value, n);
                n += 1;
            }
        }
    }
    Ok(block)
}

/// `basis[u][x]` = C(u)/2 cos((2x + 1) u pi / 16) (T.81, A.3.3).
fn basis() -> [[f32; 8]; 8] {
    std::array::from_fn(|u| {
        let scale = if u == 0 { 0.5_f32.sqrt() } else { 1.0 } / 2.0;
        std::array::from_fn(|x| scale * ((2 * x + 1) as f32 * u as f32 * PI / 16.0).cos())
    })
}

/// The inverse DCT: columns, then rows.
fn inverse(block: &[f32; 64], basis: &[[f32; 8]; 8]) -> [f32; 64] {
    let mut half = [0.0; 64];
    for v in 0..8 {
        let row = &block[8 * v..8 * v + 8];
        if row.iter().all(|&c| c == 0.0) {
            continue;
        }
        for y in 0..8 {
            for u in 0..8 {
                half[8 * y + u] += basis[v][y] * row[u];
            }
        }
    }
    let mut out = [0.0; 64];
    for (out, half) in out.chunks_exact_mut(8).zip(half.chunks_exact(8)) {
        for (u, &c) in half.iter().enumerate() {
            for (out, &b) in out.iter_mut().zip(&basis[u]) {
                *out += b * c;
            }
        }
    }
    out
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..4096")]
fn to_sample(value: f32) -> u32 {
    value.round() as u32
}
