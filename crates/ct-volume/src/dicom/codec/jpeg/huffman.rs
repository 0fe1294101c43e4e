//! Huffman tables (T.81, C and F.2.2.3).

use super::bits::BitReader;
use super::{CODEC, broken};
use crate::dicom::error::DicomError;

/// Codes up to this many bits are found in one step.
const FAST_BITS: u32 = 9;

/// Codes of up to 16 bits and the symbols they stand for.
pub(super) struct Table {
    /// For each value of the next `FAST_BITS` bits: length and symbol, length 0 for longer codes.
    fast: Vec<(u8, u8)>,
    /// For each length: the first code beyond those of that length, left-aligned in 16 bits.
    limits: [u32; 17],
    /// For each length: index of the first symbol minus first code, so that the sum is the index.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// # Errors
    /// [`DicomError::Codec`] if there are more codes than bits can tell apart.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, DicomError> {
        let mut table = Self {
            fast: vec![(0, 0); 1 << FAST_BITS],
            limits: [0; 17],
            offsets: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, &count) in (1_u8..).zip(counts) {
            code <<= 1;
            let at = usize::from(length);
            table.offsets[at] = i32::try_from(index).unwrap_or(0) - code.cast_signed();
            for _ in 0..count {
                if u32::from(length) <= FAST_BITS && code < 1 << length {
                    let free = FAST_BITS - u32::from(length);
                    let first = (code << free) as usize;
                    let symbol = symbols.get(index).copied().unwrap_or(0);
                    table.fast[first..first + (1 << free)].fill((length, symbol));
                }
                code += 1;
                index += 1;
            }
            if code > 1 << length {
                return Err(broken(CODEC, "a Huffman table with more codes than there can be"));
            }
            table.limits[at] = code << (16 - u32::from(length));
        }
        Ok(table)
    }

    /// The next symbol.
    pub(super) fn decode(&self, bits: &mut BitReader<'_>) -> Result<u8, DicomError> {
        let next = bits.peek_16();
        let (length, symbol) = self.fast[usize::from(next >> (16 - FAST_BITS))];
        if length > 0 {
            bits.consume(u32::from(length))?;
            return Ok(symbol);
        }
        for length in FAST_BITS + 1..=16 {
            let at = length as usize;
            if u32::from(next) < self.limits[at] {
                let code = i32::from(next >> (16 - length));
                let symbol = usize::try_from(code + self.offsets[at]).ok().and_then(|n| self.symbols.get(n));
                bits.consume(length)?;
                return symbol.copied().ok_or_else(|| broken(CODEC, "a Huffman code without a symbol"));
            }
        }
        Err(broken(CODEC, "a Huffman code that is not in its table"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_short_and_long() {
        // One code of each length from 1 to 12: 0, 10, 110, ...
        let mut counts = [0; 16];
        counts[..12].fill(1);
        let symbols: Vec<u8> = (0..12).collect();
        let table = Table::new(&counts, &symbols).unwrap();
        // 110, 0, eleven ones and a zero.
        let mut bits = BitReader::new(&[0b1100_1111, 0b1111_1110, 0]);
        assert_eq!(table.decode(&mut bits).unwrap(), 2);
        assert_eq!(table.decode(&mut bits).unwrap(), 0);
        assert_eq!(table.decode(&mut bits).unwrap(), 11);
    }

    #[test]
    fn more_codes_than_there_can_be() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[1, 2, 3]).is_err());
    }
}
