//! Findings of a CT study as DICOM objects: a structured report and a segmentation.
//!
//! [`measurement_report`] writes a Comprehensive SR with the template TID 1500, "Measurement Report": a
//! group for each finding with its boxes as polylines on the source instances, finding, site, confidence
//! and sizes. [`segmentation`] writes a binary SEG with a segment for each entity, whose frames refer to
//! the source instances. Both need the [`SourceSeries`] that the findings were made from.
//!
//! What is copied from the source is what the standard asks for, so that an archive files the objects in
//! the same study: the patient and study attributes of type 1 and 2 and the UIDs that are referred to.
//! Nothing is read beyond that. With [`Identity::Anonymize`] patient and study attributes stay empty and
//! every UID is replaced, the same UID by the same one everywhere: the Basic Application Level
//! Confidentiality Profile of PS3.15, Annex E.
//!
//! # What is refused
//! - findings on another grid than the series;
//! - instances without SOP class and instance UID; a series without UIDs of study, series and frame of
//!   reference, unless [`MissingUids::Derive`] is chosen;
//! - a series whose instances belong to several studies, series or frames of reference;
//! - a report on a series whose images are not the slices of the findings, such as a sagittal one (a
//!   segmentation of it is fine);
//! - with [`Identity::Anonymize`], a key below 16 bytes, and texts of the caller (provenance, software,
//!   entity names) in which the patient's name, identifier or another copied value occurs. That is a net
//!   for mistakes, not a proof: callers write no such text to begin with.
//!
//! Results have no clock and no chance in them: the time comes from the caller, new UIDs are hashes of the
//! content, so the same input gives the same bytes. **Research use only, not for diagnosis**; the objects
//! say so, the report is marked preliminary and unverified.
//!
//! ```no_run
//! use std::path::{Path, PathBuf};
//!
//! use ct_volume::{Limits, dicom::DicomOptions, write_atomic};
//! use dicom_findings::{ExportOptions, MissingUids, Software, SourceSeries, Timestamp};
//! use dicom_findings::{measurement_report, segmentation};
//! # fn found() -> findings::Findings { panic!("of a model") }
//! let found: findings::Findings = found();
//! let series = [PathBuf::from("study")];
//! let source =
//!     SourceSeries::read(&series, &Limits::default(), &DicomOptions::default(), MissingUids::Refuse)?;
//! let software = Software::new("makers", "program", "1.0")?;
//! let options = ExportOptions::new(Timestamp::new("20260102", "030405")?, software);
//! write_atomic(Path::new("findings-sr.dcm"), &measurement_report(&found, &source, &options)?)?;
//! if let Some(bytes) = segmentation(&found, &source, &options)? {
//!     write_atomic(Path::new("findings-seg.dcm"), &bytes)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod codes;
mod context;
mod data_set;
mod error;
mod identity;
mod options;
mod seg;
mod source;
mod sr;
mod uid;

pub use error::DicomFindingsError;
pub use options::{ExportOptions, Identity, Software, Timestamp};
pub use seg::segmentation;
pub use source::{MissingUids, SourceSeries};
pub use sr::measurement_report;
