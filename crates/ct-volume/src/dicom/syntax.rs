//! Transfer syntaxes: how elements and pixels are encoded (PS3.5, 10 and A).

use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::error::DicomError;

/// How element headers are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Implicit VR little endian.
    ImplicitLittle,
    /// Explicit VR little endian.
    ExplicitLittle,
    /// Explicit VR big endian (retired).
    ExplicitBig,
}

/// How pixels are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// Not at all.
    Native,
    /// RLE Lossless (PS3.5, G).
    Rle,
    /// JPEG (ITU-T T.81): sequential DCT or lossless.
    Jpeg,
    /// JPEG-LS (ITU-T T.87).
    JpegLs,
    /// JPEG 2000 Part 1 (ITU-T T.800).
    Jpeg2000,
    /// Something that is not decoded.
    Unsupported,
}

impl Compression {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Rle => "RLE",
            Self::Jpeg => "JPEG",
            Self::JpegLs => "JPEG-LS",
            Self::Jpeg2000 => "JPEG 2000",
            Self::Unsupported => "unsupported",
        }
    }
}

/// A transfer syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) uid: String,
    pub(super) name: &'static str,
    pub(super) encoding: Encoding,
    pub(super) deflated: bool,
    pub(super) compression: Compression,
    /// Always lossy, whatever LossyImageCompression says.
    pub(super) lossy: bool,
}

/// UID, name, compression, lossy; all of them explicit VR little endian (PS3.5, A.4).
const ENCAPSULATED: &[(&str, &str, Compression, bool)] = &[
    ("1.2.840.10008.1.2.5", "RLE Lossless", Compression::Rle, false),
    ("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", Compression::Jpeg, true),
    ("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 and 4)", Compression::Jpeg, true),
    // Retired; named so that the error tells what the file is.
    ("1.2.840.10008.1.2.4.53", "JPEG Spectral Selection (Process 6 and 8)", Compression::Unsupported, true),
    ("1.2.840.10008.1.2.4.55", "JPEG Full Progression (Process 10 and 12)", Compression::Unsupported, true),
    ("1.2.840.10008.1.2.4.57", "JPEG Lossless (Process 14)", Compression::Jpeg, false),
    ("1.2.840.10008.1.2.4.70", "JPEG Lossless (Process 14, first-order)", Compression::Jpeg, false),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", Compression::JpegLs, false),
    ("1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless", Compression::JpegLs, true),
    ("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", Compression::Jpeg2000, false),
    // May be lossless too; LossyImageCompression tells.
    ("1.2.840.10008.1.2.4.91", "JPEG 2000", Compression::Jpeg2000, false),
];

impl Syntax {
    /// The syntax of a UID.
    ///
    /// # Errors
    /// [`DicomError::UnsupportedSyntax`] where not even the elements can be read.
    pub(super) fn from_uid(uid: &str) -> Result<Self, DicomError> {
        let native = |name, encoding, deflated| Self {
            uid: uid.to_owned(),
            name,
            encoding,
            deflated,
            compression: Compression::Native,
            lossy: false,
        };
        let syntax = match uid {
            "1.2.840.10008.1.2" => native("Implicit VR Little Endian", Encoding::ImplicitLittle, false),
            "1.2.840.10008.1.2.1" => native("Explicit VR Little Endian", Encoding::ExplicitLittle, false),
            "1.2.840.10008.1.2.2" => native("Explicit VR Big Endian", Encoding::ExplicitBig, false),
            "1.2.840.10008.1.2.1.99" => {
                native("Deflated Explicit VR Little Endian", Encoding::ExplicitLittle, true)
            }
            _ => return Self::encapsulated(uid),
        };
        Ok(syntax)
    }

    fn encapsulated(uid: &str) -> Result<Self, DicomError> {
        let known = ENCAPSULATED.iter().find(|(known, ..)| *known == uid);
        let (name, compression, lossy) = match known {
            Some((_, name, compression, lossy)) => (*name, *compression, *lossy),
            // Videos and new codecs: their elements can be read, which tells what kind of file it is.
            None => match TransferSyntaxRegistry.get(uid) {
                Some(syntax) if syntax.is_encapsulated_pixel_data() => {
                    (syntax.name(), Compression::Unsupported, false)
                }
                Some(syntax) => return Err(unsupported(uid, syntax.name())),
                None => return Err(unsupported(uid, "unknown")),
            },
        };
        let encoding = Encoding::ExplicitLittle;
        Ok(Self { uid: uid.to_owned(), name, encoding, deflated: false, compression, lossy })
    }

    /// The error for pixels that are not decoded.
    pub(super) fn unsupported(&self) -> DicomError {
        unsupported(&self.uid, self.name)
    }
}

/// A UID is digits and dots of at most 64 characters; whatever else a file holds is not repeated.
fn unsupported(uid: &str, name: &'static str) -> DicomError {
    let is_uid = uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let uid = if is_uid { uid.to_owned() } else { "not a UID".to_owned() };
    DicomError::UnsupportedSyntax { name, uid }
}
