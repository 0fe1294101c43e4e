//! Planes of whole numbers in a small range, which CT almost always has.
//!
//! Such a plane holds at most a few thousand different values, so whatever is done to a pixel by its
//! value alone is worked out once per value, and statistics come from counts instead of a sort.

/// Added to a float of magnitude up to 2^22 this leaves its whole part, rounded, in the low bits: the
/// sum lies in `[2^23, 2^24)`, where neighboring floats are 1 apart.
const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23
const MAGIC_BITS: i32 = 0x4B40_0000;

/// Different values that the tables hold.
const MAX_VALUES: usize = 1 << 16;

/// Magnitude up to which the trick works.
const BOUND: i32 = 1 << 22;

/// Whole numbers of a plane, all of them from `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WholeRange {
    pub(super) min: i32,
    pub(super) max: i32,
}

impl WholeRange {
    /// The range, if all values are whole numbers and the range is at most 65,536 values wide.
    pub(super) fn of(values: &[f32]) -> Option<Self> {
        let (mut min, mut max) = (i32::MAX, i32::MIN);
        // in blocks, to give up early on fractions
        for block in values.chunks(4096) {
            let mut n_others = 0_u32;
            for &value in block {
                let sum = value + MAGIC;
                let bits = sum.to_bits().cast_signed();
                min = min.min(bits);
                max = max.max(bits);
                n_others += u32::from(sum - MAGIC != value);
            }
            if n_others > 0 {
                return None;
            }
        }
        // Values beyond 2^22 pass the test above if even, but leave the range where bits count units;
        // infinities likewise; NaN differs from itself.
        let (min, max) = (min.checked_sub(MAGIC_BITS)?, max.checked_sub(MAGIC_BITS)?);
        let is_small = min >= -BOUND && max < BOUND && max - min <= i32::from(u16::MAX);
        is_small.then_some(Self { min, max })
    }

    /// How many values there are from `min` to `max`.
    pub(super) fn len(self) -> usize {
        usize::from(self.index_of_whole(self.max)) + 1
    }

    /// All values, in order.
    pub(super) fn values(self) -> impl Iterator<Item = i32> {
        self.min..=self.max
    }

    fn index_of_whole(self, value: i32) -> u16 {
        low_bits(value.wrapping_sub(self.min))
    }

    fn index(self, value: f32) -> u16 {
        let bits = (value + MAGIC).to_bits().cast_signed();
        low_bits(bits.wrapping_sub(MAGIC_BITS.wrapping_add(self.min)))
    }
}

/// A difference of two values of one range.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a range has at most 65,536 values"
)]
fn low_bits(difference: i32) -> u16 {
    difference as u16
}

/// Tables over the values of a [`WholeRange`], kept from one plane to the next.
pub(super) struct WholeTables {
    /// Four counts per value: neighboring pixels are often equal, and a processor that adds to the
    /// same word four times in a row waits for itself.
    lanes: Box<[[u32; 4]; MAX_VALUES]>,
    /// Gray per value.
    grays: Box<[u8; MAX_VALUES]>,
}

impl WholeTables {
    pub(super) fn new() -> Self {
        Self { lanes: boxed([0; 4]), grays: boxed(0) }
    }

    /// Counts each value of the range, in order.
    pub(super) fn count(&mut self, values: &[f32], range: WholeRange, counts: &mut Vec<u32>) {
        let used = range.len();
        self.lanes[..used].fill([0; 4]);
        let (quads, rest) = values.as_chunks::<4>();
        for quad in quads {
            for (lane, &value) in quad.iter().enumerate() {
                self.lanes[usize::from(range.index(value))][lane] += 1;
            }
        }
        for &value in rest {
            self.lanes[usize::from(range.index(value))][0] += 1;
        }
        counts.clear();
        counts.extend(self.lanes[..used].iter().map(|lanes| lanes.iter().sum::<u32>()));
    }

    /// The gray of each value of a range, to be filled in before [`WholeTables::map`].
    pub(super) fn grays_mut(&mut self, range: WholeRange) -> &mut [u8] {
        &mut self.grays[..range.len()]
    }

    /// Appends the gray of each value.
    pub(super) fn map(&self, values: &[f32], range: WholeRange, grays: &mut Vec<u8>) {
        grays.extend(values.iter().map(|&value| self.grays[usize::from(range.index(value))]));
    }
}

fn boxed<T: Clone>(value: T) -> Box<[T; MAX_VALUES]> {
    let table: Result<Box<[T; MAX_VALUES]>, _> = vec![value; MAX_VALUES].into_boxed_slice().try_into();
    table.unwrap_or_else(|_| unreachable!("the vector has this length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |values: &[f32], expected: Option<(i32, i32)>| {
            let range = WholeRange::of(values).map(|r| (r.min, r.max));
            assert_eq!(range, expected, "{values:?}");
        };
        check(&[-1024.0, 0.0, -0.0, 3071.0], Some((-1024, 3071)));
        check(&[7.0], Some((7, 7)));
        check(&[-32768.0, 32767.0], Some((-32768, 32767)));
        check(&[-32768.0, 32768.0], None);
        check(&[4_190_000.0, 4_194_303.0], Some((4_190_000, 4_194_303)));
        check(&[4_194_304.0], None);
        check(&[-4_194_304.0, -4_194_300.0], Some((-4_194_304, -4_194_300)));
        check(&[-4_194_305.0], None);
        check(&[8_388_608.0, 8_388_610.0], None);
        check(&[16_777_216.0], None);
        check(&[-1e9], None);
        check(&[0.5], None);
        check(&[1.0, 1e-30], None);
        check(&[f32::NAN], None);
        check(&[f32::INFINITY], None);
        check(&[f32::NEG_INFINITY], None);
        check(&[f32::MAX, f32::MIN], None);
    }

    #[test]
    fn counts_and_maps() {
        let values = [5.0, -2.0, 5.0, 5.0, 0.0, -2.0, 1.0];
        let range = WholeRange::of(&values).unwrap();
        let mut tables = WholeTables::new();
        let mut counts = Vec::new();
        for _ in 0..2 {
            tables.count(&values, range, &mut counts);
            assert_eq!(counts, [2, 0, 1, 1, 0, 0, 0, 3]);
        }
        for (gray, value) in tables.grays_mut(range).iter_mut().zip(range.values()) {
            *gray = u8::try_from(value + 10).unwrap();
        }
        let mut grays = Vec::new();
        tables.map(&values, range, &mut grays);
        assert_eq!(grays, [15, 8, 15, 15, 10, 8, 11]);
    }
}
