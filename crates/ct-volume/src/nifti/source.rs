//! Where bytes come from: a plain file, a gzip file, or memory.

use std::borrow::Cow;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::NiftiError;
use super::fields::{SIZE_1, SIZE_2};
use super::gzip;
use super::header::Span;
use super::voxels::Buffer;
use crate::limits::Limits;

/// The bytes of a voxel file, not yet read or inflated.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// A plain file of `len` bytes.
    File { file: fs_err::File, len: u64 },
    /// Plain bytes.
    Bytes(&'a [u8]),
    /// A gzip file as it is.
    Gzip(Cow<'a, [u8]>),
}

impl<'a> Source<'a> {
    /// Of bytes in memory, gzip or not.
    pub(super) fn of_bytes(bytes: &'a [u8]) -> Self {
        if bytes.starts_with(&gzip::MAGIC) { Self::Gzip(Cow::Borrowed(bytes)) } else { Self::Bytes(bytes) }
    }

    /// Of a file; a gzip file is read whole.
    pub(super) fn open(path: &Path, is_gzip: bool, limits: &Limits) -> Result<Source<'static>, NiftiError> {
        Self::open_at(path, is_gzip, 0, limits)
    }

    /// Of a file whose gzip stream, if it is one, begins at `start` and is read whole.
    pub(crate) fn open_at(
        path: &Path,
        is_gzip: bool,
        start: u64,
        limits: &Limits,
    ) -> Result<Source<'static>, NiftiError> {
        let mut file = fs_err::File::open(path).map_err(NiftiError::Read)?;
        let len = file.metadata().map_err(NiftiError::Read)?.len();
        if !is_gzip {
            return Ok(Source::File { file, len });
        }
        let len = len.saturating_sub(start);
        limits.check_file(len)?;
        file.seek(SeekFrom::Start(start)).map_err(NiftiError::Read)?;
        let mut compressed = Vec::new();
        let out_of_memory = |_| NiftiError::OutOfMemory { bytes: len };
        compressed.try_reserve_exact(usize::try_from(len).unwrap_or(usize::MAX)).map_err(out_of_memory)?;
        Read::by_ref(&mut file).take(len).read_to_end(&mut compressed).map_err(NiftiError::Read)?;
        Ok(Source::Gzip(Cow::Owned(compressed)))
    }

    /// Bytes of a plain file; 0 for gzip, where nothing knows it before the end.
    pub(crate) fn plain_len(&self) -> u64 {
        match self {
            Self::File { len, .. } => *len,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Gzip(_) => 0,
        }
    }

    /// The first bytes, enough for a header of either version if there are as many.
    pub(super) fn head(&mut self) -> Result<Vec<u8>, NiftiError> {
        match self {
            Self::File { file, .. } => {
                file.seek(SeekFrom::Start(0)).map_err(NiftiError::Read)?;
                plain_head(file).map_err(NiftiError::Read)
            }
            Self::Bytes(bytes) => Ok(bytes[..bytes.len().min(SIZE_2)].to_vec()),
            Self::Gzip(compressed) => gzip::head(&compressed[..], SIZE_2, SIZE_1),
        }
    }

    /// Reads a frame into the tail of an array with room for it as `T`, in `spare` if that is large
    /// enough, and returns that with the number of bytes after the last frame, as far as is known
    /// without reading on.
    pub(super) fn load<T>(
        self,
        span: &Span,
        limits: &Limits,
        spare: Vec<T>,
    ) -> Result<(Buffer<T>, u64), NiftiError>
    where
        T: bytemuck::Pod,
    {
        let expected = span.start + span.len as u64;
        match self {
            Self::File { mut file, len } => {
                check_length(expected, len)?;
                let mut buffer = Buffer::new(spare, span.n_voxels, 0, span.len, 0)?;
                file.seek(SeekFrom::Start(span.start)).map_err(NiftiError::Read)?;
                file.read_exact(buffer.file_bytes_mut()).map_err(NiftiError::Read)?;
                Ok((buffer, len.saturating_sub(span.end_of_frames)))
            }
            Self::Bytes(bytes) => {
                let len = bytes.len() as u64;
                check_length(expected, len)?;
                let mut buffer = Buffer::new(spare, span.n_voxels, 0, span.len, 0)?;
                let start = usize::try_from(span.start).unwrap_or(usize::MAX);
                buffer.file_bytes_mut().copy_from_slice(&bytes[start..start + span.len]);
                Ok((buffer, len.saturating_sub(span.end_of_frames)))
            }
            Self::Gzip(compressed) => load_gzip(&compressed, span, limits, spare),
        }
    }
}

/// Inflates a file of one frame and one member at once, into the array that is returned; anything
/// else piece by piece.
fn load_gzip<T>(
    compressed: &[u8],
    span: &Span,
    limits: &Limits,
    mut spare: Vec<T>,
) -> Result<(Buffer<T>, u64), NiftiError>
where
    T: bytemuck::Pod,
{
    let expected = span.start + span.len as u64;
    let len = compressed.len() as u64;
    if expected / gzip::MAX_RATIO > len {
        return Err(NiftiError::GzipTooSmall { expected, compressed: len });
    }
    // Room for a few bytes after the voxels, where the file says that there are some.
    let hint = gzip::size_hint(compressed).map_or(0, u64::from);
    let trailing = match hint.checked_sub(expected) {
        Some(more) if more <= (expected / 8).max(4096) => more,
        _ => 0,
    };
    let at_once = expected + trailing;
    if let (true, Ok(start)) = (span.is_whole && at_once <= limits.max_bytes, usize::try_from(span.start)) {
        let trailing = usize::try_from(trailing).unwrap_or(usize::MAX);
        let mut buffer = Buffer::new(spare, span.n_voxels, start, span.len, trailing)?;
        let inflated = gzip::inflate_member(compressed, buffer.file_bytes_mut()).map_or(0, |n| n as u64);
        if inflated >= expected {
            return Ok((buffer, inflated - expected));
        }
        spare = buffer.into_spare();
    }
    let mut buffer = Buffer::new(spare, span.n_voxels, 0, span.len, 0)?;
    let more = gzip::inflate_span(compressed, span.start, buffer.file_bytes_mut())?;
    Ok((buffer, if expected == span.end_of_frames { more } else { 0 }))
}

fn check_length(expected: u64, found: u64) -> Result<(), NiftiError> {
    if found < expected { Err(NiftiError::Truncated { expected, found }) } else { Ok(()) }
}

fn plain_head(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(SIZE_2);
    file.take(SIZE_2 as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The first bytes of a file, inflated if it is gzip; only as much is read as that needs.
pub(super) fn head_of(path: &Path) -> Result<Vec<u8>, NiftiError> {
    let mut file = fs_err::File::open(path).map_err(NiftiError::Read)?;
    if starts_as_gzip(&mut file)? {
        gzip::head(BufReader::new(file), SIZE_2, SIZE_1)
    } else {
        plain_head(&mut file).map_err(NiftiError::Read)
    }
}

/// True if a file begins like gzip.
pub(super) fn is_gzip(path: &Path) -> Result<bool, NiftiError> {
    starts_as_gzip(&mut fs_err::File::open(path).map_err(NiftiError::Read)?)
}

fn starts_as_gzip(file: &mut fs_err::File) -> Result<bool, NiftiError> {
    let mut first = Vec::with_capacity(2);
    Read::by_ref(file).take(2).read_to_end(&mut first).map_err(NiftiError::Read)?;
    file.seek(SeekFrom::Start(0)).map_err(NiftiError::Read)?;
    Ok(first == gzip::MAGIC)
}

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The path without `.gz` and without the extension before it.
    stem: PathBuf,
    /// That extension in lower case.
    pub(super) extension: String,
    upper_case: bool,
    pub(super) is_gzip: bool,
}

impl Name {
    pub(super) fn of(path: &Path) -> Self {
        let extension =
            |p: &Path| p.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        let is_gzip = extension(path).eq_ignore_ascii_case("gz");
        let inner = if is_gzip { path.with_extension("") } else { path.to_owned() };
        let found = extension(&inner);
        let upper_case = !found.is_empty() && found == found.to_ascii_uppercase();
        Self { stem: inner.with_extension(""), extension: found.to_ascii_lowercase(), upper_case, is_gzip }
    }

    /// True for `.hdr` and `.img`, also with `.gz`.
    pub(super) fn is_pair(&self) -> bool {
        self.extension == "hdr" || self.extension == "img"
    }

    /// The other file of the pair: compressed as this one if there is such a file, else the other
    /// way.
    pub(super) fn partner(&self) -> Result<PathBuf, NiftiError> {
        let other = if self.extension == "hdr" { "img" } else { "hdr" };
        let name = |gzip: bool| {
            let name = format!("{other}{}", if gzip { ".gz" } else { "" });
            self.stem.with_extension(if self.upper_case { name.to_ascii_uppercase() } else { name })
        };
        let candidates = [name(self.is_gzip), name(!self.is_gzip)];
        match candidates.iter().find(|path| path.is_file()) {
            Some(path) => Ok(path.clone()),
            None => Err(NiftiError::PairMissing { looked_for: candidates[0].clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (path, extension, is_gzip, is_pair) in [
            ("a/b.nii", "nii", false, false),
            ("a/b.nii.gz", "nii", true, false),
            ("a/b.x.hdr.gz", "hdr", true, true),
            ("B.IMG", "img", false, true),
            ("b", "", false, false),
            ("b.gz", "", true, false),
        ] {
            let name = Name::of(Path::new(path));
            assert_eq!(
                (&name.extension[..], name.is_gzip, name.is_pair()),
                (extension, is_gzip, is_pair),
                "{path}"
            );
        }
    }
}
