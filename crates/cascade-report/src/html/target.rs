//! What a number has to reach, and whether it does.

use serde::{Deserialize, Serialize};

/// Which end of a scale is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Scores.
    #[default]
    HigherIsBetter,
    /// Errors, and controls that should fall to chance.
    LowerIsBetter,
}

/// What a number has to reach. A value equal to a bound reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Target {
    /// The least that is acceptable.
    pub floor: Option<f64>,
    /// The aim.
    pub goal: Option<f64>,
    /// Which end is good.
    pub direction: Direction,
}

/// How a number stands to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The goal is reached, or the floor where there is no goal.
    Ok,
    /// The floor is reached, the goal is not.
    BelowGoal,
    /// The floor is missed, or the goal where there is no floor, or there is no number.
    Missed,
}

impl Target {
    /// Judges a value; `None` where there is nothing to reach. A value that is not finite misses.
    pub fn judge(&self, value: f64) -> Option<Mark> {
        let reaches = |bound: f64| match self.direction {
            Direction::HigherIsBetter => value >= bound,
            Direction::LowerIsBetter => value <= bound,
        };
        let mark = match (self.floor, self.goal) {
            (None, None) => return None,
            _ if !value.is_finite() => Mark::Missed,
            (Some(floor), _) if !reaches(floor) => Mark::Missed,
            (_, Some(goal)) if reaches(goal) => Mark::Ok,
            (Some(_), Some(_)) => Mark::BelowGoal,
            (None, Some(_)) => Mark::Missed,
            (Some(_), None) => Mark::Ok,
        };
        Some(mark)
    }
}

impl Mark {
    /// Class, sign and words: color is never the only difference.
    pub(super) fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Ok => ("ok", "\u{2713}", "ok"),
            Self::BelowGoal => ("near", "\u{25d0}", "below goal"),
            Self::Missed => ("missed", "\u{2717}", "below"),
        }
    }

    /// The words for a value whose low end is the good one.
    pub(super) fn words(self, direction: Direction) -> &'static str {
        match (direction, self) {
            (Direction::LowerIsBetter, Self::BelowGoal) => "above goal",
            (Direction::LowerIsBetter, Self::Missed) => "above",
            _ => self.parts().2,
        }
    }
}

/// A number of the strip at the top of the report.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KeyFigure {
    /// What it is.
    pub label: String,
    /// Its value; not finite where it was not measured.
    pub value: f64,
    /// Decimal places shown.
    pub decimals: usize,
    /// Its 95 % interval.
    pub ci95: Option<(f64, f64)>,
    /// What it has to reach.
    pub target: Target,
    /// A few words more, such as `n = 240 slices of 12 patients`.
    pub note: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_by_floor_and_goal() {
        use Direction::{HigherIsBetter, LowerIsBetter};
        let rows = [
            (None, None, HigherIsBetter, 0.5, None),
            (Some(0.595), Some(0.75), HigherIsBetter, 0.75, Some(Mark::Ok)),
            (Some(0.595), Some(0.75), HigherIsBetter, 0.7, Some(Mark::BelowGoal)),
            (Some(0.595), Some(0.75), HigherIsBetter, 0.594, Some(Mark::Missed)),
            (Some(0.595), None, HigherIsBetter, 0.595, Some(Mark::Ok)),
            (None, Some(0.75), HigherIsBetter, 0.7, Some(Mark::Missed)),
            (None, Some(0.65), LowerIsBetter, 0.6, Some(Mark::Ok)),
            (None, Some(0.65), LowerIsBetter, 0.7, Some(Mark::Missed)),
            (Some(0.7), Some(0.65), LowerIsBetter, 0.68, Some(Mark::BelowGoal)),
            (Some(0.1), None, HigherIsBetter, f64::NAN, Some(Mark::Missed)),
            (Some(0.1), None, LowerIsBetter, f64::NEG_INFINITY, Some(Mark::Missed)),
        ];
        for (floor, goal, direction, value, expected) in rows {
            let target = Target { floor, goal, direction };
            assert_eq!(target.judge(value), expected, "{target:?} {value}");
        }
    }
}
