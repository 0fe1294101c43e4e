//! Whether values can be Hounsfield units at all.

use crate::warning::{Warning, WarningCode};

/// Beyond this nothing is HU: 16 stored bits with a slope of 1 end before it, and lead is at about 30,000 HU.
pub(crate) const LARGEST_HU: f64 = 100_000.0;

/// The remark where values lie beyond what HU can be. To be asked where a header lets them be so large: it goes
/// over all voxels.
pub(crate) fn implausible(hu: &[f32]) -> Option<Warning> {
    let largest = hu.iter().fold(0.0_f32, |largest, hu| largest.max(hu.abs()));
    (f64::from(largest) > LARGEST_HU).then(|| {
        let text = format!("values reach {largest:e} HU in size; nothing in a CT is beyond {LARGEST_HU}");
        Warning::new(WarningCode::SuspiciousHu, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metal_is_plausible_and_a_wrong_slope_is_not() {
        for (hu, expected) in [
            (&[][..], false),
            (&[-1024.0, 31_743.0], false),
            (&[1e5], false),
            (&[0.0, -1e6], true),
            (&[3e38], true),
        ] {
            assert_eq!(implausible(hu).is_some(), expected, "{hu:?}");
        }
    }
}
