//! What a check found.

use serde::{Deserialize, Serialize};

/// One comparison with a golden value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The golden group's folder, relative to the folder that was checked.
    pub group: String,
    /// What was compared.
    pub name: String,
    /// Largest difference; [`f64::MAX`] where there is no number to give (see `note`).
    pub worst: f64,
    /// Largest difference allowed.
    pub tolerance: f64,
    /// Whether the difference is allowed.
    pub pass: bool,
    /// Which of several tensors is the worst; or why there is no difference to give: other shapes,
    /// values that are not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Something that was found and not checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The folder, or the folder and the case.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// All comparisons of a golden folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The comparisons, in the order made.
    pub cases: Vec<Case>,
    /// What was not compared.
    pub skipped: Vec<Skipped>,
}

impl Report {
    /// Whether there are cases and all of them passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.cases.is_empty() && self.cases.iter().all(|case| case.pass)
    }

    /// The cases that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| !case.pass)
    }
}
