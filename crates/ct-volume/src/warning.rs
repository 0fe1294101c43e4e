//! What a reader noticed that is no error but that a user should know.

use std::fmt;

use serde::Serialize;

/// A remark of a reader: a stable code for programs and a sentence for people.
///
/// Messages hold geometry and counts, never a patient's identifiers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What kind of remark this is.
    pub code: WarningCode,
    /// The sentence, with the values that matter.
    pub message: String,
}

impl Warning {
    /// Joins code and sentence.
    #[must_use]
    pub fn new(code: WarningCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// Kinds of remarks; the text form (kebab case) is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WarningCode {
    /// NIfTI: sform and qform both claim to be valid and disagree.
    SformQformDisagree,
    /// The voxel axes are not at right angles.
    ShearedAffine,
    /// NIfTI: neither sform nor qform is set; NRRD: no space directions. The orientation is a guess.
    NoOrientation,
    /// NIfTI: pixdim and the affine's column lengths disagree.
    SpacingMismatch,
    /// NIfTI, NRRD: the spatial unit is not the millimeter; it was taken as that.
    SpatialUnits,
    /// A header field has a value that the format forbids and that was replaced.
    HeaderRepaired,
    /// Voxels that are NaN or infinite were replaced by air.
    NonFiniteVoxels,
    /// Labels were rounded to whole numbers.
    LabelsRounded,
    /// Bytes follow the voxels and were ignored.
    TrailingBytes,
    /// DICOM: padding or out-of-circle fill was set to air.
    PaddingToAir,
    /// DICOM: SliceThickness differs from the distance of slice positions.
    ThicknessIsNotSpacing,
    /// DICOM: slices are missing (the reader was told to go on).
    MissingSlices,
    /// DICOM: two or more slices at one position (the reader was told to go on).
    DuplicateSlices,
    /// DICOM: uneven gaps between slices (the reader was told to go on).
    UnevenSpacing,
    /// DICOM: the gantry was tilted; the affine is sheared.
    GantryTilt,
    /// DICOM: slices of other orientations were left out (the reader was told to go on).
    MixedOrientation,
    /// DICOM: files without an image, or of another kind, were left out.
    StrayFiles,
    /// DICOM: the folder holds further series.
    OtherSeries,
    /// DICOM: a lossy transfer syntax; HU are approximate.
    LossyCompression,
    /// DICOM: BurnedInAnnotation is YES; text in the pixels may name the patient.
    BurnedInAnnotation,
    /// DICOM: captured or derived images that do not say whether text is burned in.
    PossibleBurnedInAnnotation,
    /// DICOM: RecognizableVisualFeatures is YES; the pixels may show who the patient is.
    RecognizableVisualFeatures,
    /// DICOM: no rescale slope and intercept; stored values were taken as HU.
    NoRescale,
    /// DICOM: one slice only, so that the slice spacing is SliceThickness or a guess.
    SingleSlice,
    /// Values look unlike Hounsfield units.
    SuspiciousHu,
}

impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The debug name in kebab case is the serde name; a test holds the two together.
        let mut text = String::new();
        for (n, c) in format!("{self:?}").chars().enumerate() {
            if c.is_ascii_uppercase() && n > 0 {
                text.push('-');
            }
            text.push(c.to_ascii_lowercase());
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_the_serde_name() {
        for code in [WarningCode::SformQformDisagree, WarningCode::GantryTilt, WarningCode::SuspiciousHu] {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
        }
    }
}
