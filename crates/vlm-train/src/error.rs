//! What can go wrong in training.

use vlm_model::ModelError;

/// An error of the training library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The model cannot compute a batch.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A setting of the schedule or the optimizer is impossible.
    #[error("`{field}` is `{value}`: {reason}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        reason: &'static str,
    },
    /// The optimizer's state is not of the form that this crate knows.
    #[error("cannot read the optimizer's state: {0}")]
    OptimizerState(String),
}

/// Fails unless `value` is finite and not negative.
pub(crate) fn check_not_negative(field: &'static str, value: f64) -> Result<(), TrainError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(TrainError::Setting {
        field,
        value: value.to_string(),
        reason: "expected a finite number, 0 or more",
    })
}
