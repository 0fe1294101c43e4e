//! The slice index on disk: `index.jsonl`, one [`IndexRecord`] a line, and the split file beside it.
//!
//! [`write_index`] writes it, whole or not at all and the same bytes for the same records;
//! [`read_index`] reads it back and refuses what it would not have written. Images that come with a
//! table instead of an index are read by [`read_image_csv`]. [`SplitFile`] says which patients are
//! for training and which are held out.
//!
//! It opens no image beyond the header that tells its size, and follows no path out of the index's
//! folder.

mod check;
mod error;
mod file;
mod image_csv;
mod record;
mod split_file;

pub use check::{PathProblem, RecordProblem};
pub use error::{ImageSizeError, IndexError, LineProblem};
pub use file::{
    INDEX_FILE_NAME, IndexLimits, SliceIndex, index_to_bytes, read_index, read_index_as_is, read_indices,
    write_index,
};
pub use image_csv::read_image_csv;
pub use record::{IndexRecord, Neighbors, OrganRecord, SplitPart, Task, YesNo};
pub use split_file::{SPLIT_FILE_NAME, SplitFile, SplitFileError, SplitProblem};
