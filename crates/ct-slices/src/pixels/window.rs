//! HU windows.

use super::error::PixelError;

/// A HU window: level and width in HU, mapped to `[0, 1]`.
///
/// Hounsfield units are kept as `f64` here, so that limits such as -150 and 250 are met exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HuWindow {
    level_hu: f64,
    width_hu: f64,
}

impl HuWindow {
    /// -150..250 HU, the window of the published code (SPEC 1.7).
    pub const PANCREAS: Self = Self { level_hu: 50.0, width_hu: 400.0 };
    /// -160..240 HU, the customary abdominal soft-tissue window.
    pub const SOFT_TISSUE: Self = Self { level_hu: 40.0, width_hu: 400.0 };
    /// -45..105 HU, narrow, for lesions of the liver.
    pub const LIVER: Self = Self { level_hu: 30.0, width_hu: 150.0 };
    /// -500..1300 HU.
    pub const BONE: Self = Self { level_hu: 400.0, width_hu: 1800.0 };
    /// -1350..150 HU.
    pub const LUNG: Self = Self { level_hu: -600.0, width_hu: 1500.0 };

    /// The windows that have a name.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("pancreas", Self::PANCREAS),
        ("soft-tissue", Self::SOFT_TISSUE),
        ("liver", Self::LIVER),
        ("bone", Self::BONE),
        ("lung", Self::LUNG),
    ];

    /// A window around `level_hu`.
    ///
    /// # Errors
    /// [`PixelError::Window`] unless both are finite and the width is above 0.
    pub fn new(level_hu: f64, width_hu: f64) -> Result<Self, PixelError> {
        let window = Self { level_hu, width_hu };
        let is_usable = width_hu > 0.0 && window.low_hu().is_finite() && window.high_hu().is_finite();
        if is_usable { Ok(window) } else { Err(PixelError::Window { level_hu, width_hu }) }
    }

    /// The window from `low_hu` (0) to `high_hu` (1).
    ///
    /// # Errors
    /// [`PixelError::Window`] unless both are finite and in order.
    pub fn from_limits(low_hu: f64, high_hu: f64) -> Result<Self, PixelError> {
        let width_hu = high_hu - low_hu;
        Self::new(low_hu + width_hu / 2.0, width_hu)
    }

    /// One of [`HuWindow::NAMED`].
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(n, _)| *n == name).map(|(_, window)| window)
    }

    /// The center.
    #[must_use]
    pub fn level_hu(&self) -> f64 {
        self.level_hu
    }

    /// The width.
    #[must_use]
    pub fn width_hu(&self) -> f64 {
        self.width_hu
    }

    /// What becomes 0.
    #[must_use]
    pub fn low_hu(&self) -> f64 {
        self.level_hu - self.width_hu / 2.0
    }

    /// What becomes 1.
    #[must_use]
    pub fn high_hu(&self) -> f64 {
        self.level_hu + self.width_hu / 2.0
    }

    /// Position in the window: 0 at and below its low end, 1 at and above its high end, NaN for NaN.
    #[must_use]
    pub fn to_unit(&self, hu: f64) -> f64 {
        (hu.clamp(self.low_hu(), self.high_hu()) - self.low_hu()) / self.width_hu
    }

    /// The gray of a value: `to_unit` times 255, rounded to nearest with halves up; 0 for NaN.
    ///
    /// The product is formed before the division, so that whole numbers of HU meet their halves
    /// exactly: -30 HU in -150..250 is 76.5 and becomes 77.
    #[must_use]
    pub fn to_byte(&self, hu: f64) -> u8 {
        let scaled = (hu.clamp(self.low_hu(), self.high_hu()) - self.low_hu()) * 255.0 / self.width_hu;
        truncate(scaled + 0.5)
    }
}

/// The whole part of a number in `[0, 256)`; 0 for NaN.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, and this one is meant to truncate"
)]
pub(super) fn truncate(value: f64) -> u8 {
    value as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_windows_that_map_nothing() {
        for (level, width) in [
            (0.0, 0.0),
            (0.0, -1.0),
            (f64::NAN, 1.0),
            (0.0, f64::NAN),
            (0.0, f64::INFINITY),
            (f64::MAX, f64::MAX),
        ] {
            assert!(HuWindow::new(level, width).is_err(), "{level} {width}");
        }
        assert!(HuWindow::from_limits(250.0, -150.0).is_err());
        assert_eq!(HuWindow::from_limits(-150.0, 250.0).unwrap(), HuWindow::PANCREAS);
    }

    #[test]
    fn bytes_round_halves_up() {
        let check = |hu: f64, expected: u8| assert_eq!(HuWindow::PANCREAS.to_byte(hu), expected, "{hu}");
        check(-150.0, 0);
        check(-110.0, 26); // 25.5
        check(-30.0, 77); // 76.5
        check(50.0, 128); // 127.5
        check(49.0, 127);
        check(250.0, 255);
        check(f64::NAN, 0);
        check(f64::INFINITY, 255);
        check(f64::NEG_INFINITY, 0);
    }

    #[test]
    fn names() {
        assert_eq!(HuWindow::named("pancreas"), Some(HuWindow::PANCREAS));
        assert_eq!(HuWindow::named("brain"), None);
        assert!(HuWindow::NAMED.iter().all(|(_, w)| HuWindow::new(w.level_hu, w.width_hu).is_ok()));
    }
}
