//! What to make.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The folder layout and label numbers of a public data set (SPEC 1.1 and 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// MSD Task07: `imagesTr`, `labelsTr`; pancreas and tumour.
    Msd,
    /// NIH Pancreas-CT: DICOM series and NIfTI labels; pancreas only.
    Nih,
    /// AbdomenCT-1K: three image folders and `Masks`; liver, kidneys, spleen, pancreas.
    Abd,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Msd, Self::Nih, Self::Abd];

    /// The short name, as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Msd => "msd",
            Self::Nih => "nih",
            Self::Abd => "abd",
        }
    }

    /// Part of the random key: must never change, or published phantoms change.
    pub(crate) fn stream_tag(self) -> u8 {
        match self {
            Self::Msd => 1,
            Self::Nih => 2,
            Self::Abd => 3,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that names no [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of msd, nih, abd")]
pub struct ParseLayoutError(pub String);

impl FromStr for Layout {
    type Err = ParseLayoutError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|layout| layout.name() == text);
        found.ok_or_else(|| ParseLayoutError(text.to_owned()))
    }
}

/// Which patients have a tumour. Nothing else about a patient depends on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tumors {
    /// One of each pair (0 and 1, 2 and 3, …), drawn by the seed: exactly half of an even number.
    Half,
    /// Nobody.
    None,
    /// Everybody.
    All,
}

/// What to make: the bytes of patient `p` follow from this and `p` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhantomSpec {
    /// Chooses the patients.
    pub seed: u64,
    /// How many. Does not change what any one patient looks like.
    pub patients: u32,
    /// Layout written by [`write_dataset`](crate::write_dataset). Part of the random key, so that
    /// data sets of two layouts hold different patients under one seed.
    pub layout: Layout,
    /// Rows and columns of a slice. The field of view does not depend on it, so that a small matrix
    /// gives a coarse picture of the whole abdomen. Default 512, which gives 0.6 to 0.9 mm.
    pub matrix: u32,
    /// Fewest and most slices. A narrow range shortens the scan around the pancreas. Default 36..=180.
    pub slices: (u32, u32),
    /// Which patients have a tumour. Default half; nobody in the NIH layout, whose labels have no
    /// tumour and whose patients are healthy.
    pub tumors: Tumors,
}

impl PhantomSpec {
    /// Full-size studies (512x512, whole upper abdomen).
    #[must_use]
    pub fn new(layout: Layout, seed: u64, patients: u32) -> Self {
        let tumors = if layout == Layout::Nih { Tumors::None } else { Tumors::Half };
        Self { seed, patients, layout, matrix: 512, slices: (36, 180), tumors }
    }

    /// Small studies (96x96x24) for tests: coarse pixels, the same anatomy.
    #[must_use]
    pub fn quick(layout: Layout, seed: u64, patients: u32) -> Self {
        Self::new(layout, seed, patients).with_matrix(96).with_slices(24..=24)
    }

    /// Sets rows and columns.
    #[must_use]
    pub fn with_matrix(mut self, matrix: u32) -> Self {
        self.matrix = matrix;
        self
    }

    /// Sets the fewest and most slices.
    #[must_use]
    pub fn with_slices(mut self, slices: RangeInclusive<u32>) -> Self {
        self.slices = (*slices.start(), *slices.end());
        self
    }

    /// Sets which patients have a tumour.
    #[must_use]
    pub fn with_tumors(mut self, tumors: Tumors) -> Self {
        self.tumors = tumors;
        self
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// A [`SpecError`] with the first number that cannot be used.
    pub fn check(&self) -> Result<(), SpecError> {
        if !(Self::MATRIX.0..=Self::MATRIX.1).contains(&self.matrix) {
            return Err(SpecError::Matrix { got: self.matrix });
        }
        let (fewest, most) = self.slices;
        if fewest > most || fewest < Self::SLICES.0 || most > Self::SLICES.1 {
            return Err(SpecError::Slices { fewest, most });
        }
        let limit = match self.layout {
            // Case numbers have four or five digits; MSD's have three, and four sort after them.
            Layout::Msd | Layout::Nih => 9_999,
            Layout::Abd => 1_200,
        };
        if self.patients > limit {
            return Err(SpecError::Patients { got: self.patients, limit });
        }
        Ok(())
    }

    const MATRIX: (u32, u32) = (32, 1024);
    /// 24 slices of at most 5 mm hold the pancreas with every labelled organ; fewer would not.
    const SLICES: (u32, u32) = (24, 600);
}

/// A number of a [`PhantomSpec`] that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The matrix is too small to show an organ, or too large.
    #[error("matrix {got} is outside 32..=1024")]
    Matrix {
        /// The matrix asked for.
        got: u32,
    },
    /// The slice range is empty or cannot hold the organs.
    #[error("slice range {fewest}..={most} is empty or outside 24..=600")]
    Slices {
        /// Fewest slices asked for.
        fewest: u32,
        /// Most slices asked for.
        most: u32,
    },
    /// More patients than the layout has case numbers for.
    #[error("{got} patients are more than the {limit} case numbers of the layout")]
    Patients {
        /// Patients asked for.
        got: u32,
        /// Case numbers there are.
        limit: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_checked() {
        let spec = |matrix, slices| {
            PhantomSpec::quick(Layout::Msd, 0, 2).with_matrix(matrix).with_slices(slices).check()
        };
        assert_eq!(spec(96, 24..=24), Ok(()));
        assert_eq!(spec(8, 24..=24), Err(SpecError::Matrix { got: 8 }));
        assert_eq!(spec(96, 10..=24), Err(SpecError::Slices { fewest: 10, most: 24 }));
        #[expect(clippy::reversed_empty_ranges, reason = "an empty range is the point")]
        let reversed = spec(96, 40..=30);
        assert_eq!(reversed, Err(SpecError::Slices { fewest: 40, most: 30 }));
        let many = PhantomSpec::quick(Layout::Abd, 0, 1201).check();
        assert_eq!(many, Err(SpecError::Patients { got: 1201, limit: 1200 }));
    }

    #[test]
    fn layouts_have_names() {
        for layout in Layout::ALL {
            assert_eq!(layout.to_string().parse::<Layout>(), Ok(layout));
        }
        assert!("MSD".parse::<Layout>().is_err());
    }
}
