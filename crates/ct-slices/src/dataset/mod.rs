//! Which datasets there are, and which studies a folder holds.

mod config;
mod discover;
mod nnunet;

pub use config::{
    Dataset, DatasetError, Layout, ParseLayoutError, PhantomSource, builtin_datasets, parse_datasets,
};
pub use discover::{Discovery, Study, StudyImage, discover};
