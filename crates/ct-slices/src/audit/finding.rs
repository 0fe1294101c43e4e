//! Findings: stable codes, how grave they are, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Results on these data would be wrong, or mean something else than they seem to.
    Error,
    /// Likely a mistake; a person should look.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The name used in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! finding_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $severity:ident;)*) => {
        /// Kinds of findings; the names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum FindingCode {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl FindingCode {
            /// All codes, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name used in reports and files.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How grave findings of this kind are.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

finding_codes! {
    /// A patient of a training part is in a test part.
    LeakPatient = "leak-patient", Error;
    /// A volume of one dataset is in a training and a test part, under different patients.
    LeakVolume = "leak-volume", Error;
    /// Studies with the same bytes are in a training and a test part, under different patients.
    LeakSource = "leak-source", Error;
    /// Masks with the same bytes, and something in them, are in a training and a test part, under
    /// different patients.
    LeakMask = "leak-mask", Error;
    /// A training and a test record of different patients name the same image file.
    LeakImageFile = "leak-image-file", Error;
    /// A training and a test image of different patients have the same pixels.
    LeakPixels = "leak-pixels", Error;
    /// A test image is a mirrored or turned training image of another patient.
    LeakMirrored = "leak-mirrored", Error;
    /// A test image is a training image of another patient with other gray levels or another size.
    LeakAltered = "leak-altered", Error;
    /// Patients of a training and a test part have one name in different datasets.
    PatientNameShared = "patient-name-shared", Warning;
    /// Studies with the same bytes have different patients, within one part.
    SourceShared = "source-shared", Warning;
    /// Images with the same pixels have different patients, within one part.
    PixelsShared = "pixels-shared", Warning;
    /// The answer follows from the dataset that a slice comes from.
    LabelEqualsSource = "label-equals-source", Error;
    /// The answer can partly be guessed from the dataset that a slice comes from.
    LabelFollowsSource = "label-follows-source", Warning;
    /// Size and gray levels, without the anatomy, predict the answer.
    ShortcutProbe = "shortcut-probe", Error;
    /// The probe is above its threshold, but with so few patients that chance explains it.
    ShortcutProbeUnsure = "shortcut-probe-unsure", Info;
    /// The probe could not run.
    ProbeSkipped = "probe-skipped", Info;
    /// Few answers of one kind.
    ClassImbalance = "class-imbalance", Info;
    /// A record with a value that cannot be.
    InvalidRecord = "invalid-record", Error;
    /// A box that is off its image, or not in order.
    BoxOutside = "box-outside", Error;
    /// An organ with pixels and no box, or a box and no pixels.
    BoxWithoutPixels = "box-without-pixels", Error;
    /// Two records of one slice.
    DuplicateRecord = "duplicate-record", Error;
    /// An image that is not on disk.
    ImageMissing = "image-missing", Error;
    /// An image that cannot be decoded.
    ImageUnreadable = "image-unreadable", Error;
    /// An image of another size than its record says.
    ImageSize = "image-size", Error;
    /// An image with other pixels than its record says.
    ImageHash = "image-hash", Error;
    /// An image of one gray level.
    ConstantImage = "constant-image", Error;
    /// A spacing that no CT study has.
    SpacingImplausible = "spacing-implausible", Warning;
    /// Patients with slices in the index, none of which was selected for a task.
    PatientWithoutSlices = "patient-without-slices", Info;
    /// A split file that cannot be read or contradicts itself.
    SplitFile = "split-file", Error;
    /// Records that are not in the part that the split file puts their patient in.
    SplitMismatch = "split-mismatch", Error;
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One kind of finding in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What kind.
    pub code: FindingCode,
    /// How grave.
    pub severity: Severity,
    /// Names of the inputs concerned; for a leak, the training side first.
    pub inputs: Vec<String>,
    /// How many patients, volumes, slices or records (the message says what).
    pub count: u64,
    /// The finding in a sentence, with the values that matter.
    pub message: String,
    /// Some of them.
    pub examples: Vec<String>,
}
