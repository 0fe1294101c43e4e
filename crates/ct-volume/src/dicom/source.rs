//! Where the bytes of one DICOM file come from.

use std::io::{self, BufReader, Read};
use std::path::Path;

use super::error::DicomError;
use crate::error::VolumeError;
use crate::limits::Limits;

/// Length of the preamble before `DICM` (PS3.10, 7.1).
pub(super) const PREAMBLE: usize = 128;
pub(super) const PREFIX: &[u8] = b"DICM";

/// One DICOM file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// On disk.
    File(&'a Path),
    /// In memory.
    Bytes(&'a [u8]),
}

impl<'a> Source<'a> {
    /// A reader from the file's first byte, and the file's length.
    pub(super) fn open(self, limits: &Limits) -> Result<(Box<dyn Read + 'a>, u64), DicomError> {
        let (reader, length): (Box<dyn Read + 'a>, u64) = match self {
            Self::File(path) => {
                let file = fs_err::File::open(path).map_err(DicomError::Read)?;
                let length = file.metadata().map_err(DicomError::Read)?.len();
                (Box::new(BufReader::with_capacity(1 << 14, file)), length)
            }
            Self::Bytes(bytes) => (Box::new(bytes), bytes.len() as u64),
        };
        limits.check_file(length)?;
        Ok((reader, length))
    }
}

/// True if `start`, the first bytes of a file, has the prefix after the preamble.
pub(super) fn has_prefix(start: &[u8]) -> bool {
    start.get(PREAMBLE..PREAMBLE + PREFIX.len()) == Some(PREFIX)
}

/// True if the file looks like DICOM: `DICM` after a 128-byte preamble.
///
/// # Errors
/// [`VolumeError::Read`].
pub fn is_dicom(path: &Path) -> Result<bool, VolumeError> {
    let read = |source| VolumeError::Read { path: path.to_owned(), source };
    let mut file = fs_err::File::open(path).map_err(read)?;
    let mut start = [0_u8; PREAMBLE + PREFIX.len()];
    match file.read_exact(&mut start) {
        Ok(()) => Ok(has_prefix(&start)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(read(error)),
    }
}
