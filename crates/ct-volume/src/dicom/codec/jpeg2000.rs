//! JPEG 2000 Part 1 through `hayro-jpeg2000`.
//!
//! It decodes to `f32`, which holds the whole numbers of the reversible 5/3 transform exactly (16
//! bits grow to 19, `f32` has 24), and adds the level shift to signed components too; that is taken
//! back here.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::{broken, check_size, guarded};
use crate::dicom::error::DicomError;
use crate::dicom::header::PixelFormat;

const CODEC: &str = "JPEG 2000";

pub(super) fn decode(encoded: &[u8], format: &PixelFormat, raw: &mut Vec<u32>) -> Result<(), DicomError> {
    let siz = check_header(encoded, format)?;
    // Lenient decoding would fill up a stream that ends early.
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let failed = |error: hayro_jpeg2000::DecodeError| broken(CODEC, error.to_string());
    let offset = if siz.signed { f64::from(1_u32 << (siz.precision - 1)) } else { 0.0 };
    let top = f64::from((1_u32 << siz.precision) - 1);
    guarded(CODEC, || {
        let image = Image::new(encoded, &settings).map_err(failed)?;
        let mut context = DecoderContext::default();
        let decoded = image.decode(&mut context).map_err(failed)?;
        let [component] = decoded.components() else {
            return Err(broken(CODEC, "not one component"));
        };
        raw.extend(component.samples().iter().map(|&sample| {
            // Irreversible transforms overshoot the range.
            let value = f64::from(sample).round().clamp(0.0, top) - offset;
            to_bits(value)
        }));
        Ok(())
    })
}

/// What SIZ says of the one component.
struct Siz {
    precision: u32,
    signed: bool,
}

/// Checks SIZ, the first segment (T.800, A.5.1), and takes depth and sign from it.
fn check_header(encoded: &[u8], format: &PixelFormat) -> Result<Siz, DicomError> {
    let siz = encoded
        .strip_prefix(&[0xFF, 0x4F, 0xFF, 0x51])
        .and_then(|rest| rest.get(..41))
        .ok_or_else(|| broken(CODEC, "no codestream header"))?;
    let long = |at: usize| u32::from_be_bytes([siz[at], siz[at + 1], siz[at + 2], siz[at + 3]]);
    let [width, height, x_offset, y_offset] = [4, 8, 12, 16].map(long);
    let [tile_width, tile_height, tile_x, tile_y] = [20, 24, 28, 32].map(long);
    let n_components = u16::from_be_bytes([siz[36], siz[37]]);
    let [depth, x_step, y_step] = [siz[38], siz[39], siz[40]];
    if n_components != 1 || x_step != 1 || y_step != 1 {
        return Err(broken(CODEC, "not one component at full resolution"));
    }
    let size = [width.checked_sub(x_offset), height.checked_sub(y_offset)];
    let [Some(columns), Some(rows)] = size else {
        return Err(broken(CODEC, "the image begins beyond its end"));
    };
    let precision = u32::from(depth & 0x7F) + 1;
    if precision > 16 {
        return Err(broken(CODEC, format!("a precision of {precision} bits")));
    }
    check_size(CODEC, [columns, rows], precision, format)?;
    // Each tile costs a header of 14 bytes.
    let across = |length: u32, start: u32, tile: u32| length.saturating_sub(start).div_ceil(tile.max(1));
    let n_tiles =
        u64::from(across(width, tile_x, tile_width)) * u64::from(across(height, tile_y, tile_height));
    if tile_width == 0 || tile_height == 0 || n_tiles > encoded.len() as u64 / 14 {
        return Err(broken(CODEC, format!("{n_tiles} tiles in {} bytes", encoded.len())));
    }
    Ok(Siz { precision, signed: depth & 0x80 != 0 })
}

/// The two's complement of a whole number within 17 bits.
#[expect(clippy::cast_possible_truncation, reason = "clamped to at most 17 bits, and NaN gives 0")]
fn to_bits(value: f64) -> u32 {
    (value as i32).cast_unsigned()
}
