//! The published JSON files: their records, their names, and the names of what they speak of.

mod files;
mod info;
mod names;
mod question;

pub use files::{INFO_FILE_PAPER, InfoFile, QuestionFile, threshold_file_name};
pub use info::{
    AbdRecord, AbsentRatio, MsdRecord, NihRecord, SliceFilter, SliceIdentity, SliceRecord, abd_records,
    msd_records, nih_records,
};
pub use names::{
    ParsePublishedDatasetError, PublishedDataset, abdomen_mask_name, abdomen_part, is_volume_name,
    nih_loader_name, nih_volume_name, png_name, published_stem, sorted_volume_names, volume_stem,
    without_modality,
};
pub use question::{AbdSplitRecord, SplitRecord, TcRecord, with_question_ids};
