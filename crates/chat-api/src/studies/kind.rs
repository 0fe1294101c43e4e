//! What a file is, by its first bytes; names are not looked at.

use crate::images::is_image;

/// What a study was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudyKind {
    /// A DICOM series.
    Dicom,
    /// A NIfTI file.
    Nifti,
    /// PNG or JPEG pictures.
    Images,
}

impl StudyKind {
    /// Its name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dicom => "dicom",
            Self::Nifti => "nifti",
            Self::Images => "images",
        }
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Zip,
    Study(StudyKind),
    Other,
}

pub(super) fn file_kind(bytes: &[u8]) -> FileKind {
    let word = bytes.get(..4).and_then(|b| <[u8; 4]>::try_from(b).ok());
    // NIfTI-1 and -2 begin with the size of their header, in either byte order.
    let is_header = |b: [u8; 4]| {
        [348, 540].contains(&i32::from_le_bytes(b)) || [348, 540].contains(&i32::from_be_bytes(b))
    };
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        FileKind::Zip
    } else if bytes.get(128..132) == Some(b"DICM") {
        FileKind::Study(StudyKind::Dicom)
    } else if is_image(bytes) {
        FileKind::Study(StudyKind::Images)
    } else if bytes.starts_with(&[0x1f, 0x8b]) || word.is_some_and(is_header) {
        FileKind::Study(StudyKind::Nifti)
    } else {
        FileKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let mut dicom = vec![0; 132];
        dicom[128..].copy_from_slice(b"DICM");
        assert_eq!(file_kind(&dicom), FileKind::Study(StudyKind::Dicom));
        assert_eq!(file_kind(b"PK\x03\x04"), FileKind::Zip);
        assert_eq!(file_kind(&348_i32.to_be_bytes()), FileKind::Study(StudyKind::Nifti));
        assert_eq!(file_kind(&[0x1f, 0x8b, 8]), FileKind::Study(StudyKind::Nifti));
        assert_eq!(file_kind(b"\xff\xd8\xff\xe0"), FileKind::Study(StudyKind::Images));
        assert_eq!(file_kind(b"hello"), FileKind::Other);
        assert_eq!(file_kind(b""), FileKind::Other);
    }
}
