//! CT volumes and masks in; windowed slices, boxes, records, splits, an index and its audit out.
//!
//! What the published system does is kept, bit for bit, under the presets
//! [`Preset::Paper2024`] and [`Preset::Code2025`]; [`Preset::Fixed`], the default, repairs its
//! defects. Section numbers in these docs ("SPEC 1.4") are those of the behavioural specification
//! summarised in `docs/DATA.md`.

mod annotate;
pub mod audit;
mod bbox;
mod codes;
pub mod dataset;
mod hex;
pub mod index;
mod organ;
pub mod pixels;
mod plane;
pub mod prepare;
mod preset;
pub mod python;
pub mod records;
pub mod select;

pub use annotate::{
    AnnotateError, AnnotateRules, KidneyRule, MaxZero, OrganMaxima, OrganSlice, RightKidney, SliceAnnotation,
    VolumeAnnotation, annotate_volume, body_midline_col, is_selected, right_kidney, round_ratio,
};
pub use bbox::BoxPx;
pub use index::{IndexRecord, Neighbors, OrganRecord, SplitPart, Task, YesNo};
pub use organ::{LabelMap, Organ, ParseOrganError};
pub use plane::{PlaneMap, VoxelBox};
pub use preset::{ParsePresetError, Preset};
