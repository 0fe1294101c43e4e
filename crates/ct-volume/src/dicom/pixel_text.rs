//! What headers say of pixels that may identify a patient.
//!
//! Pixels themselves are not searched for text.

use super::attributes::{self as at, Attributes};
use crate::warning::{Warning, WarningCode};

const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

/// What one file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PixelText {
    burned_in: BurnedIn,
    shows_features: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum BurnedIn {
    /// BurnedInAnnotation is NO, or the image is that of a scanner, which draws nothing into it.
    #[default]
    No,
    /// BurnedInAnnotation is neither YES nor NO, and the image was captured or made from others.
    Unknown,
    /// BurnedInAnnotation is YES.
    Yes,
}

impl PixelText {
    pub(super) fn read(attributes: Attributes<'_>) -> Self {
        let is_captured = attributes.text(&at::CONVERSION_TYPE).is_some()
            || attributes.text(&at::SOP_CLASS_UID).is_some_and(|class| class.starts_with(SECONDARY_CAPTURE))
            || matches!(attributes.text(&at::MODALITY), Some("OT" | "SC"));
        let is_made =
            attributes.texts(&at::IMAGE_TYPE).iter().take(2).any(|v| v == "DERIVED" || v == "SECONDARY");
        let burned_in = match attributes.text(&at::BURNED_IN_ANNOTATION) {
            Some("YES") => BurnedIn::Yes,
            Some("NO") => BurnedIn::No,
            _ if is_captured || is_made => BurnedIn::Unknown,
            _ => BurnedIn::No,
        };
        let shows_features = attributes.text(&at::RECOGNIZABLE_VISUAL_FEATURES) == Some("YES");
        Self { burned_in, shows_features }
    }

    /// What a user should know of the files of a series.
    pub(super) fn warnings(files: &[Self]) -> Vec<Warning> {
        let n = files.len();
        let count = |wanted: BurnedIn| files.iter().filter(|file| file.burned_in == wanted).count();
        let (n_said, n_unknown) = (count(BurnedIn::Yes), count(BurnedIn::Unknown));
        let n_features = files.iter().filter(|file| file.shows_features).count();
        let mut warnings = Vec::new();
        let mut warn = |n_files, code, message: &str| {
            if n_files > 0 {
                warnings.push(Warning::new(code, format!("{n_files} of {n} files: {message}")));
            }
        };
        let said = "BurnedInAnnotation is YES: text in the pixels may name the patient and is not removed";
        warn(n_said, WarningCode::BurnedInAnnotation, said);
        let unknown = "captured or derived images without BurnedInAnnotation: their pixels may hold text";
        warn(n_unknown, WarningCode::PossibleBurnedInAnnotation, unknown);
        let features = "RecognizableVisualFeatures is YES: the pixels may show who the patient is";
        warn(n_features, WarningCode::RecognizableVisualFeatures, features);
        warnings
    }
}
