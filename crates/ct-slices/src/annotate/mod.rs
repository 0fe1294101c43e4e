//! What a mask says about each slice of its volume.

mod kidney;
mod midline;
mod ratio;
mod scan;
mod volume;

pub use kidney::{KidneyRule, RightKidney, right_kidney};
pub use midline::body_midline_col;
pub use ratio::{is_selected, round_ratio};
pub use volume::{
    AnnotateError, AnnotateRules, MaxZero, OrganMaxima, OrganSlice, SliceAnnotation, VolumeAnnotation,
    annotate_volume,
};
