//! Shares of a volume's largest value, and the selection by them.

/// `value / max` rounded to hundredths as numpy rounds a float64: times 100, to the nearest
/// integer with halves to even, divided by 100 (SPEC 1.4).
///
/// Decimal-correct rounding differs for some exact halves: 123/200 is 0.62 here, 0.61 there.
/// A `max` of 0 gives what the division gives: NaN, or infinity for a value above 0. Callers
/// decide what an absent organ means before they ask ([`MaxZero`](crate::MaxZero)).
#[must_use]
pub fn round_ratio(value: u64, max: u64) -> f64 {
    (value as f64 / max as f64 * 100.0).round_ties_even() / 100.0
}

/// True if a slice is selected at this threshold: **strictly** above it, on the rounded ratio.
///
/// ```
/// use ct_slices::{is_selected, round_ratio};
///
/// assert!(!is_selected(round_ratio(121, 200), 0.6)); // 0.605 rounds to 0.60
/// assert!(is_selected(round_ratio(606, 1000), 0.6));
/// ```
#[must_use]
pub fn is_selected(ratio: f64, threshold: f64) -> bool {
    ratio > threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_ratios() {
        let rows = [
            (1025, 2652, 0.39),
            (289, 306, 0.94),
            (804, 1304, 0.62),
            (258, 279, 0.92),
            (1, 8, 0.12),
            (3, 8, 0.38),
            (5, 8, 0.62),
            (121, 200, 0.60),
            (123, 200, 0.62),
            (3, 200, 0.02),
            (1, 200, 0.0),
            (119, 200, 0.60),
            (606, 1000, 0.61),
            (604, 1000, 0.60),
        ];
        for (value, max, expected) in rows {
            assert_eq!(round_ratio(value, max).to_bits(), f64::to_bits(expected), "{value}/{max}");
        }
    }

    #[test]
    fn selection_is_strict_on_the_rounded_ratio() {
        // At 0.6 the raw ratio must exceed 0.605, at 0.0 it must exceed 0.005.
        let rows = [
            (121, 200, 0.6, false),
            (123, 200, 0.6, true),
            (604, 1000, 0.6, false),
            (606, 1000, 0.6, true),
            (1, 200, 0.0, false),
            (3, 200, 0.0, true),
            (51, 10_000, 0.0, true),
        ];
        for (value, max, threshold, expected) in rows {
            assert_eq!(is_selected(round_ratio(value, max), threshold), expected, "{value}/{max}");
        }
    }

    /// The count of SPEC 1.4: numpy's rule and decimal-correct rounding part on 820 pairs, all of
    /// them exact halves, and none of them is selected by one and not by the other at 0.6.
    #[test]
    fn numpy_and_decimal_rounding_differ_for_820_pairs() {
        let mut n_different = 0;
        for max in 1..=2000_u64 {
            for value in 0..=max {
                if 2 * ((value * 100) % max) != max {
                    continue; // not a half: both rules agree
                }
                // Decimal-correct: the f64 quotient with all its digits, rounded in decimal.
                let decimal: f64 = format!("{:.2}", value as f64 / max as f64).parse().unwrap();
                let numpy = round_ratio(value, max);
                if numpy != decimal {
                    n_different += 1;
                    assert_eq!(is_selected(numpy, 0.6), is_selected(decimal, 0.6), "{value}/{max}");
                }
            }
        }
        assert_eq!(n_different, 820);
    }
}
