//! RLE Lossless (PS3.5, Annex G): one PackBits segment a byte plane, most significant first.

use super::broken;
use crate::dicom::error::DicomError;
use crate::dicom::header::PixelFormat;

const CODEC: &str = "RLE";
/// Number of segments and 15 offsets, of 32 bits each.
const HEADER_BYTES: usize = 64;

pub(super) fn decode(encoded: &[u8], format: &PixelFormat, raw: &mut Vec<u32>) -> Result<(), DicomError> {
    let n_planes = format.bytes_per_sample();
    let header = encoded.get(..HEADER_BYTES).ok_or_else(|| broken(CODEC, "no header"))?;
    let words: Vec<u32> =
        header.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if usize::try_from(words[0]) != Ok(n_planes) {
        return Err(broken(CODEC, format!("{} segments for {n_planes} bytes a sample", words[0])));
    }
    // Two bytes give at most 128.
    if format.n_pixels() > 64 * encoded.len() {
        return Err(broken(CODEC, format!("{} bytes for {} pixels", encoded.len(), format.n_pixels())));
    }
    raw.resize(format.n_pixels(), 0);
    for plane in 0..n_planes {
        let offset = |n: usize| usize::try_from(words[1 + n]).unwrap_or(usize::MAX);
        let end = if plane + 1 < n_planes { offset(plane + 1) } else { encoded.len() };
        let segment = encoded
            .get(offset(plane)..end)
            .filter(|_| offset(plane) >= HEADER_BYTES)
            .ok_or_else(|| broken(CODEC, format!("segment {plane} lies outside the frame")))?;
        unpack(segment, raw).map_err(|n| {
            broken(CODEC, format!("segment {plane} holds {n} bytes for {} pixels", format.n_pixels()))
        })?;
    }
    Ok(())
}

/// Shifts one byte into every sample; gives the number of bytes if there are too few. A segment may
/// be padded, and what a last run gives too much is dropped.
fn unpack(segment: &[u8], raw: &mut [u32]) -> Result<(), usize> {
    let mut filled = 0;
    let mut rest = segment;
    while filled < raw.len() {
        let Some((&control, after)) = rest.split_first() else { return Err(filled) };
        rest = after;
        match control.cast_signed() {
            literal @ 0.. => {
                let n = usize::from(literal.unsigned_abs()) + 1;
                let Some((bytes, after)) = rest.split_at_checked(n) else { return Err(filled) };
                for (sample, &byte) in raw[filled..].iter_mut().zip(bytes) {
                    *sample = *sample << 8 | u32::from(byte);
                }
                filled += n;
                rest = after;
            }
            // Does nothing.
            i8::MIN => {}
            repeat => {
                let n = usize::from(repeat.unsigned_abs()) + 1;
                let Some((&byte, after)) = rest.split_first() else { return Err(filled) };
                for sample in raw[filled..].iter_mut().take(n) {
                    *sample = *sample << 8 | u32::from(byte);
                }
                filled += n;
                rest = after;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packbits_example() {
        // The example of Apple's TN1023.
        let packed =
            [0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7, 0xAA];
        let mut raw = vec![0; 24];
        unpack(&packed, &mut raw).unwrap();
        let mut expected = vec![0xAA; 3];
        expected.extend([0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22]);
        expected.extend([0xAA; 10]);
        assert_eq!(raw, expected);
        assert_eq!(unpack(&packed, &mut [0; 25]), Err(24));
        assert_eq!(unpack(&[0x02, 0x01], &mut [0; 3]), Err(0));
    }
}
