//! `index.jsonl`: reading and writing.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ct_volume::{LimitExceeded, write_atomic};
use fs_err::File;

use super::error::{IndexError, LineProblem};
use super::record::IndexRecord;

/// The index's name within its folder.
pub const INDEX_FILE_NAME: &str = "index.jsonl";

/// Bounds on an index, checked while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexLimits {
    /// Longest line. Default 64 KiB; a real one has about 1 KiB.
    pub max_line_bytes: u64,
    /// Largest file. Default 4 GiB.
    pub max_file_bytes: u64,
    /// Most records. Default 4,000,000.
    pub max_records: u64,
}

impl Default for IndexLimits {
    fn default() -> Self {
        Self { max_line_bytes: 64 << 10, max_file_bytes: 4 << 30, max_records: 4_000_000 }
    }
}

impl IndexLimits {
    /// Sets the limit for a line.
    #[must_use]
    pub fn with_max_line_bytes(mut self, max_line_bytes: u64) -> Self {
        self.max_line_bytes = max_line_bytes;
        self
    }

    /// Sets the limit for the file.
    #[must_use]
    pub fn with_max_file_bytes(mut self, max_file_bytes: u64) -> Self {
        self.max_file_bytes = max_file_bytes;
        self
    }

    /// Sets the limit for the number of records.
    #[must_use]
    pub fn with_max_records(mut self, max_records: u64) -> Self {
        self.max_records = max_records;
        self
    }

    pub(crate) fn check_file(&self, path: &Path, got: u64) -> Result<(), IndexError> {
        check_limit(path, "file size in bytes", got, self.max_file_bytes)
    }

    pub(crate) fn check_records(&self, path: &Path, got: u64) -> Result<(), IndexError> {
        check_limit(path, "number of records", got, self.max_records)
    }
}

fn check_limit(path: &Path, what: &'static str, got: u64, limit: u64) -> Result<(), IndexError> {
    if got <= limit {
        return Ok(());
    }
    Err(IndexError::Limit { path: path.to_owned(), source: LimitExceeded { what, got, limit } })
}

/// Records and where they came from.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceIndex {
    /// The file that was read.
    pub path: PathBuf,
    /// The folder that the records' images are relative to.
    pub root: PathBuf,
    /// In the order of the file.
    pub records: Vec<IndexRecord>,
}

impl SliceIndex {
    /// Where the image of a record is.
    #[must_use]
    pub fn image_path(&self, record: &IndexRecord) -> Option<PathBuf> {
        record.image.as_ref().map(|image| self.root.join(image))
    }
}

/// Reads an index: `path` is the file, or the folder that holds `index.jsonl`.
///
/// One record a line, the last with or without a line feed; an empty file is an index of nothing.
///
/// # Errors
/// [`IndexError::Read`] if the system does not give the file, [`IndexError::Limit`] if it is too
/// large or has too many records, [`IndexError::Line`] with the first line that is not a record or
/// fails [`IndexRecord::check`].
pub fn read_index(path: &Path, limits: &IndexLimits) -> Result<SliceIndex, IndexError> {
    read(path, limits, IndexRecord::check)
}

/// Like [`read_index`], but takes records with impossible numbers (boxes off the image, slices
/// outside the volume, ratios above 1): for an audit, which reports them all.
///
/// Versions, names, paths and hashes are checked as always, so that the result is safe to follow.
///
/// # Errors
/// Those of [`read_index`].
pub fn read_index_as_is(path: &Path, limits: &IndexLimits) -> Result<SliceIndex, IndexError> {
    read(path, limits, IndexRecord::check_form)
}

/// Reads several indices with [`read_index`], in order.
///
/// # Errors
/// Those of [`read_index`], for the first that fails.
pub fn read_indices(paths: &[PathBuf], limits: &IndexLimits) -> Result<Vec<SliceIndex>, IndexError> {
    paths.iter().map(|path| read_index(path, limits)).collect()
}

fn read(
    path: &Path,
    limits: &IndexLimits,
    check: fn(&IndexRecord) -> Result<(), super::RecordProblem>,
) -> Result<SliceIndex, IndexError> {
    let path = if path.is_dir() { path.join(INDEX_FILE_NAME) } else { path.to_owned() };
    let read_failed = |source| IndexError::Read { path: path.clone(), source };
    let file = File::open(&path).map_err(read_failed)?;
    limits.check_file(&path, file.metadata().map_err(read_failed)?.len())?;

    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut records = Vec::new();
    let mut line_bytes = Vec::new();
    let mut n_bytes = 0_u64;
    for line in 1.. {
        line_bytes.clear();
        // One more than allowed tells a line that is too long from one that just fits, with its feed.
        let mut bounded = reader.by_ref().take(limits.max_line_bytes.saturating_add(1));
        let n_read = bounded.read_until(b'\n', &mut line_bytes).map_err(read_failed)?;
        if n_read == 0 {
            break;
        }
        // The file may grow while it is read, or be a device without a size.
        n_bytes += n_read as u64;
        limits.check_file(&path, n_bytes)?;
        limits.check_records(&path, line)?;
        let record = parse_line(&line_bytes, limits)
            .and_then(|record| check(&record).map(|()| record).map_err(LineProblem::from))
            .map_err(|source| IndexError::Line { path: path.clone(), line, source: Box::new(source) })?;
        records.push(record);
    }
    let root = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    Ok(SliceIndex { root, records, path })
}

fn parse_line(bytes: &[u8], limits: &IndexLimits) -> Result<IndexRecord, LineProblem> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if text.len() as u64 > limits.max_line_bytes {
        return Err(LineProblem::TooLong { limit: limits.max_line_bytes });
    }
    if text.trim_ascii().is_empty() {
        return Err(LineProblem::Blank);
    }
    // serde_json stops at 128 nested levels, so that a line of brackets cannot exhaust the stack.
    serde_json::from_slice(text).map_err(LineProblem::Json)
}

/// The bytes of an index: one record a line, keys in the order of [`IndexRecord`]'s fields, a line
/// feed after each.
///
/// # Errors
/// [`IndexError::Line`] with the first record that fails [`IndexRecord::check`]; `path` is only
/// named in it.
pub fn index_to_bytes(path: &Path, records: &[IndexRecord]) -> Result<Vec<u8>, IndexError> {
    let mut bytes = Vec::new();
    for (line, record) in (1..).zip(records) {
        let failed = |source| IndexError::Line { path: path.to_owned(), line, source: Box::new(source) };
        record.check().map_err(|problem| failed(problem.into()))?;
        serde_json::to_writer(&mut bytes, record).map_err(|error| failed(LineProblem::Json(error)))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Writes an index in the given order, whole or not at all.
///
/// # Errors
/// Those of [`index_to_bytes`], and [`IndexError::Write`].
pub fn write_index(path: &Path, records: &[IndexRecord]) -> Result<(), IndexError> {
    write_atomic(path, &index_to_bytes(path, records)?).map_err(|error| IndexError::Write(Box::new(error)))
}
