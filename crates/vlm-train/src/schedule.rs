//! The learning rate: a linear warm-up, then a cosine.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::error::check_not_negative;

/// Which of two readings of "linear warm-up, then cosine" is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleMode {
    /// The warm-up happens once, and the cosine begins where it ends: the rate has no jump.
    #[default]
    Corrected,
    /// As published: the warm-up counts steps inside the epoch, so that it starts again with
    /// every epoch it covers, and the cosine counts from the run's first step, so that the rate
    /// drops where it takes over.
    Published,
}

/// A learning rate for every step of a run.
///
/// # Source
/// SPEC 4.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Rate of the first step; none: no ramp, the full rate from the start.
    pub warmup_lr: Option<f64>,
    /// Rate after the warm-up.
    pub init_lr: f64,
    /// Rate at the end of the run.
    pub min_lr: f64,
    /// Steps of the warm-up.
    pub warmup_steps: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// Epochs of the run.
    pub n_epochs: u64,
    /// The reading.
    #[serde(default)]
    pub mode: ScheduleMode,
}

impl Schedule {
    /// The published run: 50 epochs of 1000 steps, 1e-6 to 1e-5 in 1000 steps, down to 1e-6.
    #[must_use]
    pub fn published() -> Self {
        Self {
            warmup_lr: Some(1e-6),
            init_lr: 1e-5,
            min_lr: 1e-6,
            warmup_steps: 1000,
            steps_per_epoch: 1000,
            n_epochs: 50,
            mode: ScheduleMode::Published,
        }
    }

    /// Steps of the whole run.
    #[must_use]
    pub fn n_steps(&self) -> u64 {
        self.steps_per_epoch.saturating_mul(self.n_epochs)
    }

    /// Checks that the run has steps and its rates are possible.
    ///
    /// # Errors
    /// [`TrainError::Setting`] naming the first impossible setting.
    pub fn validate(&self) -> Result<(), TrainError> {
        check_not_negative("warmup_lr", self.warmup_lr.unwrap_or(0.0))?;
        check_not_negative("init_lr", self.init_lr)?;
        check_not_negative("min_lr", self.min_lr)?;
        if self.n_steps() == 0 {
            let value = format!("{} epochs of {} steps", self.n_epochs, self.steps_per_epoch);
            return Err(TrainError::Setting {
                field: "schedule",
                value,
                reason: "expected at least one step",
            });
        }
        Ok(())
    }

    /// The rate of a step, counted from 0 over the whole run. Past the run's end it stays at the
    /// last value.
    ///
    /// # Panics
    /// If an epoch has no steps, which [`Schedule::validate`] refuses.
    #[must_use]
    pub fn lr(&self, step: u64) -> f64 {
        let (ramp_step, cosine_from) = match self.mode {
            ScheduleMode::Published => (step % self.steps_per_epoch, 0),
            ScheduleMode::Corrected => (step, self.warmup_steps),
        };
        // The published code compares the run's step and ramps by the epoch's.
        if step < self.warmup_steps {
            let start = self.warmup_lr.unwrap_or(self.init_lr);
            let ramp = start + (self.init_lr - start) * as_f64(ramp_step) / as_f64(self.warmup_steps.max(1));
            return self.init_lr.min(ramp);
        }
        let last = self.n_steps();
        let done = as_f64(step.min(last).saturating_sub(cosine_from));
        let share = done / as_f64(last.saturating_sub(cosine_from).max(1));
        (self.init_lr - self.min_lr) * 0.5 * (1.0 + (PI * share).cos()) + self.min_lr
    }
}

#[expect(clippy::cast_precision_loss, reason = "runs have far fewer than 2^53 steps")]
fn as_f64(steps: u64) -> f64 {
    steps as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(schedule: &Schedule, rows: &[(u64, u64, f64)]) {
        for (epoch, inside, expected) in rows {
            let lr = schedule.lr(epoch * schedule.steps_per_epoch + inside);
            assert!((lr - expected).abs() <= 1e-14 * expected.max(1e-3), "({epoch}, {inside}): {lr:e}");
        }
    }

    #[test]
    fn worked_vectors_of_the_published_reading() {
        let shipped = Schedule::published();
        check(
            &shipped,
            &[
                (0, 0, 1e-6),
                (0, 1, 1.009e-6),
                (0, 500, 5.5e-6),
                (0, 999, 9.991e-6),
                (1, 0, 9.991120277927222e-6),
                (9, 999, 9.140742659865688e-6),
                (21, 0, 6.619104492241848e-6),
                (25, 0, 5.5e-6),
                (33, 0, 3.3321084665422805e-6),
                (49, 0, 1.008879722072778e-6),
                (49, 999, 1.000000008882644e-6),
            ],
        );
        let ten = Schedule { n_epochs: 10, ..shipped.clone() };
        check(&ten, &[(1, 0, 9.779754323328192e-6), (5, 0, 5.5e-6)]);
        let restarting = Schedule { warmup_steps: 2500, ..shipped };
        check(
            &restarting,
            &[(0, 999, 4.5964e-6), (1, 0, 1e-6), (2, 499, 2.7964e-6), (2, 500, 9.94459753267812e-6)],
        );
    }

    #[test]
    fn the_corrected_reading_has_one_ramp_and_no_jump() {
        let schedule =
            Schedule { warmup_steps: 2500, mode: ScheduleMode::Corrected, ..Schedule::published() };
        check(
            &schedule,
            &[
                (0, 0, 1e-6),
                (1, 250, 5.5e-6),
                (2, 500, 1e-5),
                (26, 250, 5.5e-6),
                (50, 0, 1e-6),
                (60, 0, 1e-6),
            ],
        );
        for step in 0..schedule.n_steps() {
            let jump = (schedule.lr(step + 1) - schedule.lr(step)).abs();
            assert!(jump < 4e-9, "step {step}: {jump:e}");
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let ok = Schedule::published();
        assert!(ok.validate().is_ok());
        for wrong in [
            Schedule { n_epochs: 0, ..ok.clone() },
            Schedule { init_lr: f64::NAN, ..ok.clone() },
            Schedule { min_lr: -1.0, ..ok.clone() },
            Schedule { warmup_lr: Some(f64::INFINITY), ..ok },
        ] {
            assert!(wrong.validate().is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn rates_stay_between_their_ends(
            warmup in 0_u64..50, steps in 1_u64..20, epochs in 1_u64..20, step in 0_u64..1000, corrected: bool,
        ) {
            let mode = if corrected { ScheduleMode::Corrected } else { ScheduleMode::Published };
            let schedule = Schedule {
                warmup_lr: Some(1e-6), init_lr: 1e-3, min_lr: 1e-4, warmup_steps: warmup,
                steps_per_epoch: steps, n_epochs: epochs, mode,
            };
            let lr = schedule.lr(step);
            prop_assert!((1e-6..=1e-3).contains(&lr), "{lr}");
        }
    }
}
