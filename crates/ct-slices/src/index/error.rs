//! The error of everything that reads or writes an index.

use std::io;
use std::path::PathBuf;

use ct_volume::{LimitExceeded, VolumeError};

use super::check::RecordProblem;
use crate::pixels::PixelError;

/// Why an index could not be read or written; names the file and, where there is one, the line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The operating system would not read it.
    #[error("cannot read index `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The whole file is above a limit.
    #[error("index `{}` asks for too much", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// Which limit.
        source: LimitExceeded,
    },
    /// A line that is no usable record.
    #[error("index `{}`, line {line}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        source: Box<LineProblem>,
    },
    /// A table whose columns are not the expected ones.
    #[error("table `{}` has columns `{got}`, expected `{expected}` in any order", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// What it has, joined by commas.
        got: String,
        /// What it must have.
        expected: &'static str,
    },
    /// An image of a table that does not tell its size.
    #[error("table `{}`, line {line}: cannot read the size of image `{image}`", path.display())]
    Image {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The image, as the table names it.
        image: String,
        /// Why.
        source: Box<ImageSizeError>,
    },
    /// The operating system would not write it.
    #[error("cannot write index")]
    Write(#[source] Box<VolumeError>),
}

/// Why an image does not tell its size.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageSizeError {
    /// The file cannot be read.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// The file is no PNG, or one of an absurd size.
    #[error("not a usable PNG")]
    Png(#[source] PixelError),
}

/// What is wrong with one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// Above the limit for a line.
    #[error("the line is longer than {limit} bytes")]
    TooLong {
        /// What is allowed.
        limit: u64,
    },
    /// Nothing on it.
    #[error("the line is empty")]
    Blank,
    /// Not JSON, or not the JSON of a record.
    #[error("not a record")]
    Json(#[source] serde_json::Error),
    /// Not a row of the table.
    #[error("not a row of the table")]
    Csv(#[source] csv::Error),
    /// A column of the table holds what it must not.
    #[error("column `{column}` holds `{got}`, expected {expected}")]
    Cell {
        /// The column.
        column: &'static str,
        /// What it holds, shortened.
        got: String,
        /// What it must hold.
        expected: &'static str,
    },
    /// Well formed, with a value that cannot be.
    #[error(transparent)]
    Record(#[from] RecordProblem),
}
