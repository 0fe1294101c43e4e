//! Why a study cannot be used.

use std::error::Error;

use ct_slices::pixels::PixelError;
use ct_volume::dicom::DicomError;
use ct_volume::nifti::NiftiError;

use crate::budget::BudgetSpent;
use crate::images::ImageError;

/// Why a study cannot be used. Messages hold kinds, counts and geometry; no names of files and nothing that
/// tells a patient.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// No file was sent, or only empty ones.
    #[error("no file came with the upload")]
    Empty,
    /// Nothing that can be read.
    #[error("none of the {n_files} files is a DICOM, NIfTI, PNG or JPEG file")]
    Unknown {
        /// Files looked at.
        n_files: usize,
    },
    /// Several NIfTI files.
    #[error("{n_files} NIfTI files were sent, one at a time can be opened")]
    SeveralVolumes {
        /// How many.
        n_files: usize,
    },
    /// Above a limit.
    #[error("{what} is {got}, above the limit of {limit}")]
    Limit {
        /// What was measured.
        what: &'static str,
        /// The size.
        got: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The server's memory for studies is spent.
    #[error("the server holds as much as it may; close a study or try again later")]
    Full,
    /// A zip file that cannot be unpacked.
    #[error("the zip file cannot be unpacked: {reason}")]
    Archive {
        /// Why, in words of this program.
        reason: &'static str,
    },
    /// A DICOM series that cannot be used.
    #[error("the DICOM files cannot be used")]
    Dicom(#[source] Box<DicomError>),
    /// A NIfTI file that cannot be used.
    #[error("the NIfTI file cannot be used")]
    Nifti(#[source] Box<NiftiError>),
    /// A picture that cannot be used.
    #[error("the picture cannot be used")]
    Image(#[from] ImageError),
    /// No such slice.
    #[error("there is no slice {got}, the last one is {last}")]
    NoSuchSlice {
        /// Asked for.
        got: usize,
        /// The last.
        last: usize,
    },
    /// A slice could not be drawn.
    #[error("the slice cannot be drawn")]
    Render(#[source] PixelError),
    /// The example could not be made.
    #[error("the example study cannot be made")]
    Example(#[from] ct_phantom::PhantomError),
}

impl From<BudgetSpent> for StudyError {
    fn from(_: BudgetSpent) -> Self {
        Self::Full
    }
}

impl StudyError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty_upload",
            Self::Unknown { .. } => "unknown_format",
            Self::SeveralVolumes { .. } => "several_volumes",
            Self::Limit { .. } => "too_large",
            Self::Full => "memory_full",
            Self::Archive { .. } => "bad_archive",
            Self::Dicom(error) => match **error {
                DicomError::SeveralSeries { .. } => "several_series",
                DicomError::Limit(_) => "too_large",
                _ => "bad_dicom",
            },
            Self::Nifti(error) => match **error {
                NiftiError::Limit(_) => "too_large",
                _ => "bad_nifti",
            },
            Self::Image(ImageError::Limit { .. }) => "too_large",
            Self::Image(_) => "bad_image",
            Self::NoSuchSlice { .. } => "no_such_slice",
            Self::Render(_) => "cannot_draw",
            Self::Example(_) => "no_example",
        }
    }

    /// The message with its causes.
    pub(crate) fn words(&self) -> String {
        let mut words = self.to_string();
        let mut cause: Option<&(dyn Error + 'static)> = self.source();
        while let Some(error) = cause {
            words.push_str(": ");
            words.push_str(&error.to_string());
            cause = error.source();
        }
        words
    }
}
