//! Inflating no more than is wanted.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::error::NiftiError;

/// Most bytes that one byte of deflate can become: a match of 258 bytes in 2 bits.
pub(super) const MAX_RATIO: u64 = 1032;
/// First bytes of every gzip member.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// How far past the wanted bytes a stream is followed to reach its checksum.
const PROBE: u64 = 64 * 1024;

/// Reads gzip members one after the other, and ends where no further member begins: bytes after the
/// last member, such as padding, are no error.
struct Members<R> {
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(input: R) -> Self {
        Self { decoder: Some(GzDecoder::new(input)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while let Some(decoder) = &mut self.decoder {
            let n = decoder.read(out)?;
            if n > 0 {
                return Ok(n);
            }
            let Some(finished) = self.decoder.take() else { break };
            let mut input = finished.into_inner();
            if input.fill_buf()?.starts_with(&MAGIC) {
                self.decoder = Some(GzDecoder::new(input));
            }
        }
        Ok(0)
    }
}

/// The first `n` bytes, or fewer where the stream ends or is damaged after `enough`.
pub(super) fn head(input: impl BufRead, n: usize, enough: usize) -> Result<Vec<u8>, NiftiError> {
    let mut bytes = Vec::with_capacity(n);
    match Members::new(input).take(n as u64).read_to_end(&mut bytes) {
        Err(source) if source.kind() != io::ErrorKind::UnexpectedEof && bytes.len() < enough => {
            Err(NiftiError::Gzip { inflated: bytes.len() as u64, source })
        }
        _ => Ok(bytes),
    }
}

/// What the last four bytes say about the inflated size: its low 32 bits, for a file of one member.
pub(super) fn size_hint(compressed: &[u8]) -> Option<u32> {
    compressed.last_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Inflates the first member at once with libdeflate. `None` if it is damaged or does not fit; else
/// how many bytes it gave.
pub(super) fn inflate_member(compressed: &[u8], out: &mut [u8]) -> Option<usize> {
    libdeflater::Decompressor::new().gzip_decompress(compressed, out).ok()
}

/// Inflates bytes `start..start + out.len()` piece by piece, over any number of members, and returns
/// how many more bytes follow, at most 64 KiB being looked at.
///
/// Slower than [`inflate_member`], but needs no memory for what is skipped, and tells truncation
/// from damage.
pub(super) fn inflate_span(compressed: &[u8], start: u64, out: &mut [u8]) -> Result<u64, NiftiError> {
    let expected = start + out.len() as u64;
    let mut stream = Members::new(compressed);
    let mut found = 0;
    let mut scratch = [0; 16 * 1024];
    while found < start {
        let wanted = usize::try_from(start - found).unwrap_or(usize::MAX).min(scratch.len());
        found += read_some(&mut stream, &mut scratch[..wanted], expected, found)?;
    }
    while found < expected {
        let at = usize::try_from(found - start).unwrap_or(usize::MAX);
        found += read_some(&mut stream, &mut out[at..], expected, found)?;
    }
    let mut more = 0;
    while more < PROBE {
        match stream.read(&mut scratch) {
            Ok(0) => break,
            Ok(n) => more += n as u64,
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            // A stream cut after the voxels holds all that is wanted.
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(source) => return Err(NiftiError::Gzip { inflated: found + more, source }),
        }
    }
    Ok(more)
}

/// At least one byte, or the error for a stream that ends or is damaged at `found`.
fn read_some(stream: &mut impl Read, out: &mut [u8], expected: u64, found: u64) -> Result<u64, NiftiError> {
    loop {
        match stream.read(out) {
            Ok(0) => return Err(NiftiError::Truncated { expected, found }),
            Ok(n) => return Ok(n as u64),
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(NiftiError::Truncated { expected, found });
            }
            Err(source) => return Err(NiftiError::Gzip { inflated: found, source }),
        }
    }
}
