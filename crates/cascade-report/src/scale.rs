//! From values to pixels, and where the ticks stand.

use crate::text;

/// How values are spread along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Spread {
    Linear,
    Log10,
}

/// The values an axis covers, before it has a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    low: f64,
    high: f64,
    spread: Spread,
}

impl Range {
    /// From 0 to 1: shares, IoU, probabilities.
    pub(crate) const UNIT: Self = Self { low: 0.0, high: 1.0, spread: Spread::Linear };

    /// Exactly `low..high`; widened where it would be empty or is not finite.
    pub(crate) fn exact(low: f64, high: f64) -> Self {
        if !(low.is_finite() && high.is_finite()) {
            return Self::UNIT;
        }
        let (low, high) = if low <= high { (low, high) } else { (high, low) };
        // Near the largest floats, widening or subtracting would overflow.
        let (low, high) = (low.clamp(-1e150, 1e150), high.clamp(-1e150, 1e150));
        if high - low > f64::EPSILON * low.abs().max(high.abs()) && high > low {
            Self { low, high, spread: Spread::Linear }
        } else {
            let half = if low == 0.0 { 0.5 } else { low.abs() * 0.1 };
            Self { low: low - half, high: high + half, spread: Spread::Linear }
        }
    }

    /// Covers `values` and ends on ticks. `None` where no value is finite.
    pub(crate) fn covering(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = extent(values)?;
        let raw = Self::exact(low, high);
        let step = nice_step((raw.high - raw.low) / 5.0);
        Some(Self::exact((raw.low / step).floor() * step, (raw.high / step).ceil() * step))
    }

    /// Covers the positive `values` on a logarithmic axis. `None` where there is none.
    pub(crate) fn covering_log(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = extent(values.filter(|value| *value > 0.0))?;
        Some(Self { low: low.max(1e-150) / 1.15, high: high.min(1e150) * 1.15, spread: Spread::Log10 })
    }

    /// The same axis, from 0.
    pub(crate) fn down_to_zero(self) -> Self {
        Self { low: self.low.min(0.0), ..self }
    }

    /// Puts the axis between two pixel positions.
    pub(crate) fn place(self, start_px: f64, end_px: f64) -> Scale {
        Scale { range: self, start_px, end_px }
    }

    /// Tick values with their labels, about `target` of them.
    pub(crate) fn ticks(self, target: usize) -> Vec<(f64, String)> {
        match self.spread {
            Spread::Linear => self.linear_ticks(target),
            Spread::Log10 => {
                let ticks = self.log_ticks();
                // Less than a decade has no round powers to show.
                if ticks.len() >= 2 { ticks } else { self.linear_ticks(target) }
            }
        }
    }

    fn linear_ticks(self, target: usize) -> Vec<(f64, String)> {
        let step = nice_step((self.high - self.low) / target.max(1) as f64);
        let first = (self.low / step - 1e-9).ceil();
        (0..4 * target.max(1))
            .map(|place| (first + place as f64) * step)
            .take_while(|value| *value <= self.high + step * 1e-9)
            .map(|value| (value, tick_label(value, step, self.low.abs().max(self.high.abs()))))
            .collect()
    }

    fn log_ticks(self) -> Vec<(f64, String)> {
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let (mut exponent, last) = (self.low.log10().floor(), self.high.log10().ceil());
        let stride = (decades / 8.0).ceil().max(1.0);
        let mut ticks = Vec::new();
        while exponent <= last {
            for factor in factors {
                let value = factor * 10_f64.powf(exponent);
                if value >= self.low && value <= self.high {
                    ticks.push((value, tick_label(value, value, value)));
                }
            }
            exponent += stride;
        }
        ticks
    }
}

/// The least and greatest finite value.
pub(crate) fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |extent, value| match extent {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    })
}

/// 1, 2 or 5 times a power of ten, at least `raw`.
fn nice_step(raw: f64) -> f64 {
    let raw = raw.max(1e-200);
    let power = 10_f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= raw * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

fn tick_label(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 || value.abs() < step * 1e-9 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&largest) {
        let text = format!("{value:.1e}");
        return text.replace(".0e", "e").replace('-', "\u{2212}");
    }
    let decimals = (0..8).find(|places| step * 10_f64.powi(*places) >= 1.0 - 1e-9).unwrap_or(8);
    text::decimal(value, usize::try_from(decimals).unwrap_or(0))
}

/// An axis in its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    range: Range,
    start_px: f64,
    end_px: f64,
}

impl Scale {
    /// Where `value` is, in px; values outside the range lie on its edge.
    pub(crate) fn px(self, value: f64) -> f64 {
        let Range { low, high, spread } = self.range;
        let share = match spread {
            Spread::Linear => (value - low) / (high - low),
            Spread::Log10 => (value.max(low) / low).log10() / (high / low).log10(),
        };
        self.start_px + share.clamp(0.0, 1.0) * (self.end_px - self.start_px)
    }

    /// The values it covers.
    pub(crate) fn range(self) -> Range {
        self.range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(range: Range, target: usize) -> Vec<String> {
        range.ticks(target).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn values_land_where_arithmetic_says() {
        let scale = Range::exact(0.0, 10.0).place(100.0, 200.0);
        for (value, expected) in [(0.0, 100.0), (2.5, 125.0), (10.0, 200.0), (20.0, 200.0)] {
            assert!((scale.px(value) - expected).abs() < 1e-9, "{value}");
        }
        let upward = Range::UNIT.place(300.0, 100.0);
        assert!((upward.px(0.25) - 250.0).abs() < 1e-9);
        let log = Range { low: 1.0, high: 100.0, spread: Spread::Log10 }.place(0.0, 200.0);
        assert!((log.px(10.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn ticks_are_round_numbers() {
        let rows: [(Range, usize, &[&str]); 6] = [
            (Range::UNIT, 5, &["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (Range::exact(0.0, 512.0), 4, &["0", "200", "400"]),
            (Range::exact(0.0, 24_000.0), 3, &["0", "10,000", "20,000"]),
            (Range::exact(0.0, 1e-4), 2, &["0", "5e\u{2212}5", "1e\u{2212}4"]),
            (Range::exact(-1.0, 1.0), 2, &["\u{2212}1", "0", "1"]),
            (
                Range { low: 1.0, high: 100.0, spread: Spread::Log10 },
                5,
                &["1", "2", "5", "10", "20", "50", "100"],
            ),
        ];
        for (range, target, expected) in rows {
            assert_eq!(labels(range, target), expected, "{range:?}");
        }
    }

    #[test]
    fn odd_values_give_a_usable_axis() {
        for (low, high) in [(3.0, 3.0), (0.0, 0.0), (f64::NAN, 1.0), (-f64::MAX, f64::MAX), (5.0, -5.0)] {
            let range = Range::exact(low, high);
            assert!(range.low < range.high && (range.high - range.low).is_finite(), "{low} {high}");
            assert!(range.ticks(5).len() < 20 && !range.ticks(5).is_empty(), "{low} {high}");
        }
        assert!(Range::covering([f64::NAN, f64::INFINITY].into_iter()).is_none());
        assert!(Range::covering_log([-1.0, 0.0].into_iter()).is_none());
        let range = Range::covering([0.12, 2.4].into_iter()).unwrap();
        assert!((range.low - 0.0).abs() < 1e-12 && (range.high - 2.5).abs() < 1e-12, "{range:?}");
    }
}
