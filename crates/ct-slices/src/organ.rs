//! What a mask can hold, and which label numbers mean it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A structure that slices are annotated with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Organ {
    /// The liver.
    Liver,
    /// The kidneys; detection uses the right one (SPEC 1.10).
    Kidney,
    /// The spleen.
    Spleen,
    /// The pancreas with its tumour, if any.
    Pancreas,
    /// A pancreatic tumour.
    Tumor,
}

impl Organ {
    /// All of them, in the order of the published multi-organ records, the tumour last.
    pub const ALL: [Self; 5] = [Self::Liver, Self::Kidney, Self::Spleen, Self::Pancreas, Self::Tumor];

    /// The four that AbdomenCT-1K labels, in the order of its records.
    pub const ABDOMEN: [Self; 4] = [Self::Liver, Self::Kidney, Self::Spleen, Self::Pancreas];

    /// The lower-case English name, as in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Liver => "liver",
            Self::Kidney => "kidney",
            Self::Spleen => "spleen",
            Self::Pancreas => "pancreas",
            Self::Tumor => "tumor",
        }
    }
}

impl fmt::Display for Organ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no [`Organ`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of liver, kidney, spleen, pancreas, tumor")]
pub struct ParseOrganError(pub String);

impl FromStr for Organ {
    type Err = ParseOrganError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|o| o.name() == text);
        found.ok_or_else(|| ParseOrganError(text.to_owned()))
    }
}

/// Which label numbers mean which organ. A number may mean two: MSD's 2 is tumour and pancreas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelMap(pub BTreeMap<Organ, Vec<u16>>);

impl LabelMap {
    /// MSD Task07: 1 pancreas, 2 tumour; the tumour belongs to the pancreas (SPEC 1.3).
    #[must_use]
    pub fn msd() -> Self {
        Self(BTreeMap::from([(Organ::Pancreas, vec![1, 2]), (Organ::Tumor, vec![2])]))
    }

    /// NIH Pancreas-CT: 1 pancreas, and 2 accepted as the published code does.
    #[must_use]
    pub fn nih() -> Self {
        Self(BTreeMap::from([(Organ::Pancreas, vec![1, 2])]))
    }

    /// AbdomenCT-1K: 1 liver, 2 kidneys, 3 spleen, 4 pancreas.
    #[must_use]
    pub fn abdomen() -> Self {
        Self(BTreeMap::from([
            (Organ::Liver, vec![1]),
            (Organ::Kidney, vec![2]),
            (Organ::Spleen, vec![3]),
            (Organ::Pancreas, vec![4]),
        ]))
    }

    /// The organs of the map, in order.
    pub fn organs(&self) -> impl Iterator<Item = Organ> + '_ {
        self.0.keys().copied()
    }
}
