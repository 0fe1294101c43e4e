//! The three ways of preparing slices.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which behaviour to follow (SPEC 0.2 and 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Era P, of the preprint: 2 % histogram cropping, equalisation, images as stored.
    #[serde(rename = "paper-2024")]
    Paper2024,
    /// Era M/H, of the published code: HU window -150..250, per-slice stretch, file orientation.
    #[serde(rename = "code-2025")]
    Code2025,
    /// The repaired default: affine-normalised orientation, fixed HU window, one split for all.
    #[default]
    Fixed,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 3] = [Self::Paper2024, Self::Code2025, Self::Fixed];

    /// The name used on the command line and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper2024 => "paper-2024",
            Self::Code2025 => "code-2025",
            Self::Fixed => "fixed",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no [`Preset`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of paper-2024, code-2025, fixed")]
pub struct ParsePresetError(pub String);

impl FromStr for Preset {
    type Err = ParsePresetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|p| p.name() == text);
        found.ok_or_else(|| ParsePresetError(text.to_owned()))
    }
}
