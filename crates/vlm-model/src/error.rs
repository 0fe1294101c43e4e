//! What can be wrong with a model's configuration, inputs or device.

use std::path::PathBuf;

/// An error of the model library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A number of a configuration is outside what the model can be built with.
    #[error("`{field}` is `{value}`: {reason}")]
    Config {
        /// The configuration's field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it must hold.
        reason: String,
    },
    /// A configuration file is not JSON of the expected form.
    #[error("cannot parse configuration `{}`", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A configuration text is not JSON of the expected form.
    #[error("cannot parse the configuration")]
    ConfigText(#[source] serde_json::Error),
    /// A device was asked for that is not there.
    #[error("device `{asked}` is not available: {reason}")]
    Device {
        /// What was asked for.
        asked: String,
        /// Why it cannot be had.
        reason: String,
    },
    /// An input has the wrong size for the model.
    #[error("{what} is `{got}`, expected `{expected}`")]
    Input {
        /// Which input.
        what: &'static str,
        /// Its size.
        got: String,
        /// The size that the model takes.
        expected: String,
    },
    /// A sequence is longer than the model's positions.
    #[error("{got} positions, but the model has {limit}")]
    TooLong {
        /// Positions asked for.
        got: usize,
        /// Positions that the model has.
        limit: usize,
    },
    /// Values could not be read back from the device.
    #[error("cannot read values back from the device: {0}")]
    ReadBack(String),
}
