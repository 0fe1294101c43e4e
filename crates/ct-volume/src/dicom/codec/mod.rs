//! Encoded frames to raw samples.
//!
//! RLE and JPEG are decoded here: dicom-rs's adapter for RLE indexes and allocates on the stream's
//! word and refuses nearly empty slices as suspicious, and the decoder behind its adapter for JPEG
//! has no 12-bit DCT. JPEG-LS and JPEG 2000 go to pure-Rust decoders, behind checks of their headers.

mod jpeg;
mod jpeg2000;
mod jpegls;
mod rle;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::DicomError;
use super::header::PixelFormat;
use super::syntax::Compression;

/// Decodes one frame to raw samples of `bits_allocated` bits, row by row.
///
/// # Errors
/// [`DicomError::Codec`]; [`DicomError::Truncated`].
pub(super) fn decode_frame(
    compression: Compression,
    encoded: &[u8],
    format: &PixelFormat,
    raw: &mut Vec<u32>,
) -> Result<(), DicomError> {
    raw.clear();
    match compression {
        Compression::Native => native(encoded, format, raw),
        Compression::Rle => rle::decode(encoded, format, raw)?,
        Compression::Jpeg => jpeg::decode(encoded, format, raw)?,
        Compression::JpegLs => jpegls::decode(encoded, format, raw)?,
        Compression::Jpeg2000 => jpeg2000::decode(encoded, format, raw)?,
        Compression::Unsupported => return Err(broken(compression.name(), "it is not supported")),
    }
    if raw.len() == format.n_pixels() {
        Ok(())
    } else {
        let reason = format!("{} samples for {} pixels", raw.len(), format.n_pixels());
        Err(broken(compression.name(), reason))
    }
}

/// Little-endian samples of 1, 2 or 4 bytes.
fn native(encoded: &[u8], format: &PixelFormat, raw: &mut Vec<u32>) {
    match format.bytes_per_sample() {
        1 => raw.extend(encoded.iter().map(|&byte| u32::from(byte))),
        2 => raw.extend(encoded.chunks_exact(2).map(|b| u32::from(u16::from_le_bytes([b[0], b[1]])))),
        _ => raw.extend(encoded.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
    }
}

/// Runs a decoder of another crate. Their arithmetic is meant for streams that are well formed, and
/// headers cannot tell all that are not: a panic inside is an error about the stream. The decoders
/// keep no state between calls, so nothing half-done is seen afterwards.
fn guarded<T>(codec: &'static str, decode: impl FnOnce() -> Result<T, DicomError>) -> Result<T, DicomError> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(broken(codec, "the decoder gave up on a broken stream")))
}

fn broken(codec: &'static str, reason: impl Into<String>) -> DicomError {
    DicomError::Codec { codec, reason: reason.into() }
}

/// Checks the size and depth that a stream states against the header of the file.
fn check_size(
    codec: &'static str,
    [columns, rows]: [u32; 2],
    precision: u32,
    format: &PixelFormat,
) -> Result<(), DicomError> {
    if [columns, rows] != [u32::from(format.columns), u32::from(format.rows)] {
        let [want_columns, want_rows] = [format.columns, format.rows];
        let reason = format!("the stream is {columns}x{rows}, the header says {want_columns}x{want_rows}");
        return Err(broken(codec, reason));
    }
    if precision == 0 || precision > u32::from(format.bits_allocated) {
        let allocated = format.bits_allocated;
        let reason = format!("the stream has {precision} bits, BitsAllocated is {allocated}");
        return Err(broken(codec, reason));
    }
    Ok(())
}
