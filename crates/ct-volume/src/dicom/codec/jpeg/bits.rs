//! Bits of an entropy-coded segment (T.81, F.2.2.5).

use super::{CODEC, broken};
use crate::dicom::error::DicomError;

/// Reads bits, most significant first; drops stuffed zeros and stops at markers.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
    /// The next bits, left-aligned.
    window: u64,
    /// How many of them are there.
    filled: u32,
    /// How many of those stand for data beyond the end.
    invented: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, window: 0, filled: 0, invented: 0 }
    }

    /// How many codes there can be at most: one a bit.
    pub(super) fn max_codes(&self) -> usize {
        self.bytes.len().saturating_mul(8)
    }

    /// At least 16 bits, of which those beyond the end are zero.
    fn fill(&mut self) {
        while self.filled <= 48 {
            let byte = match (self.bytes.get(self.position), self.bytes.get(self.position + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.position += 2;
                    0xFF
                }
                (Some(0xFF), _) | (None, _) => {
                    self.invented += 8;
                    0
                }
                (Some(&byte), _) => {
                    self.position += 1;
                    byte
                }
            };
            self.window |= u64::from(byte) << (56 - self.filled);
            self.filled += 8;
        }
    }

    /// The next 16 bits, which stay.
    pub(super) fn peek_16(&mut self) -> u16 {
        if self.filled < 16 {
            self.fill();
        }
        u16::try_from(self.window >> 48).expect("16 bits")
    }

    /// Drops up to 16 bits that were peeked at.
    pub(super) fn consume(&mut self, n: u32) -> Result<(), DicomError> {
        if self.filled < n + self.invented {
            return Err(broken(CODEC, "the stream ends early"));
        }
        self.window <<= n;
        self.filled -= n;
        Ok(())
    }

    /// Up to 16 bits as a number whose first bit 0 stands for negative (T.81, F.2.2.1, EXTEND).
    pub(super) fn receive_extended(&mut self, n: u32) -> Result<i32, DicomError> {
        if n == 0 {
            return Ok(0);
        }
        let bits = i32::from(self.peek_16() >> (16 - n));
        self.consume(n)?;
        let half = 1 << (n - 1);
        Ok(if bits < half { bits - 2 * half + 1 } else { bits })
    }

    /// Drops what is left of the byte and takes restart marker `n`, counted modulo 8.
    pub(super) fn restart(&mut self, n: u32) -> Result<(), DicomError> {
        // The window never reaches beyond a marker, so the reader stands at it if only a part of a
        // byte is left.
        if self.filled - self.invented >= 8 {
            return Err(broken(CODEC, "data before a restart marker"));
        }
        (self.window, self.filled, self.invented) = (0, 0, 0);
        while let [0xFF, 0xFF, ..] = self.bytes[self.position..] {
            self.position += 1;
        }
        match self.bytes[self.position..] {
            [0xFF, marker, ..] if u32::from(marker) == 0xD0 + n % 8 => {
                self.position += 2;
                Ok(())
            }
            _ => Err(broken(CODEC, "a restart marker is missing")),
        }
    }
}
