//! Images of a run: files to numbers, numbers to pixels or vision features.

mod augment;
mod features;
mod id;
mod table;

pub use augment::Augmentation;
pub use features::ImageFeatures;
pub use table::{ImageFit, ImageTable};

pub(crate) use augment::LOOKS;
pub(crate) use id::{BLANK, View};
