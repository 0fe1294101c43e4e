//! DICOM CT series.
//!
//! A series is read in two passes, one file at a time: headers first (no pixel is touched until the
//! slices are known to form one grid), then each frame straight into the `f32` volume, so that the
//! peak is the volume plus a frame. dicom-rs decodes element headers and holds the attributes; a
//! checked walker of our own sits between it and the file and lets through only the attributes named
//! in `attributes`, so that a patient's data never leave the file and no length in a header takes
//! memory that the file does not back. Pixel data are decoded by codecs that bound themselves by the
//! header (`codec`); none of them needs more than Rust.

mod attributes;
mod codec;
mod collect;
mod decode;
mod error;
mod file;
mod frames;
mod grid;
mod header;
mod hu;
mod instances;
mod options;
mod pixel_text;
mod series;
mod source;
mod syntax;
mod walker;
mod write;

pub use error::{DicomError, Irregularity, SeriesInfo, SliceGap};
pub use instances::{SeriesInstances, SliceInstance, decode_raw_elements, read_raw_elements};
pub use options::{DicomOptions, SeriesTags};
pub use series::{decode_file_bytes, decode_instances, decode_series_bytes, list_instances, read_series};
pub use source::is_dicom;
pub use write::{decimal_string, write_series};
