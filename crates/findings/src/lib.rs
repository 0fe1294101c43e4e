//! From a model's answers about single CT slices to findings in 3-D, and their files.
//!
//! A model sees one slice at a time. This crate links its boxes over the slices of one study into
//! [`Tube`]s, judges the study by the slices' tumor probabilities ([`CaseScore`]), measures every tube
//! in patient millimeters ([`Finding`]) and writes what other tools open: `findings.json` (with the
//! schema [`FINDINGS_SCHEMA`]), COCO, a box mask on the grid of the input, 3D Slicer markups, overlays
//! and a montage. It knows neither models nor tensors, has no clock, and its results do not depend on
//! the order of its inputs.
//!
//! It refuses answers that cannot be placed: slices outside the study, one slice twice, numbers that
//! are not finite, probabilities outside 0..1. No file holds an identifier of the patient.
//! **Research use only, not for diagnosis**: every file that can carry text says so.
//!
//! # Conventions
//! Slices are those of the volume in LPS axes, counted from the feet; a box is in px of such a slice
//! ([`PlaneBox`]); millimeters are DICOM's patient axes (LPS+) unless a name says otherwise.
//! [`StudyGeometry`] converts, also for oblique and sheared grids.
//!
//! ```
//! use ct_volume::{Affine, Geometry};
//! use findings::{Entity, FindingOptions, Findings, PlaneBox, Provenance, SliceAnswers, SliceBox};
//!
//! let affine = Affine::from_spacing_origin([0.8, 0.8, 5.0], [0.0; 3]);
//! let geometry = Geometry::new([64, 64, 20], affine)?;
//! let answers: Vec<SliceAnswers> = (8..12)
//!     .map(|slice_idx| SliceAnswers {
//!         slice_idx,
//!         boxes: vec![SliceBox {
//!             entity: Entity::PANCREAS,
//!             box_px: PlaneBox::from([20.0, 30.0, 40.0, 42.0]),
//!             probability: Some(0.8),
//!         }],
//!         tumor_probability: Some(0.1),
//!     })
//!     .collect();
//! let found = Findings::from_answers(&answers, &geometry, Provenance::default(), &FindingOptions::default())?;
//! assert_eq!(found.findings.len(), 1);
//! assert!((found.findings[0].size_mm.longest - 16.0).abs() < 1e-9);
//! let json = found.to_json();
//! assert_eq!(Findings::from_json(&json)?, found);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answers;
mod document;
mod entity;
mod error;
pub mod export;
mod finding;
mod geometry;
mod iou;
mod link;
mod plane_box;
mod score;
mod smooth;
mod vector;

pub use answers::{MAX_BOXES_PER_SLICE, SliceAnswers, SliceBox};
pub use document::{
    Dropped, EntityRecord, FINDINGS_SCHEMA, FindingOptions, Findings, Provenance, RESEARCH_NOTE,
    SCHEMA_VERSION, SliceScore, StudyRecord, StudyWarning,
};
pub use entity::Entity;
pub use error::FindingsError;
pub use finding::{Finding, FindingBox, SizeMm};
pub use geometry::StudyGeometry;
pub use iou::{BoxStack, mask_boxes, mask_iou, stack_iou};
pub use link::{LinkOptions, Linked, Tube, TubeSlice, link};
pub use plane_box::PlaneBox;
pub use score::{CaseScore, CaseScoreRule, case_score};
