//! From prepared folders, or images with a table of labels, to the samples of a stage.

mod answer_text;
mod conversations;
mod image_csv;
mod prepared;
mod run_data;
mod sample;
mod source;
mod split;

pub use answer_text::AnswerStyle;
pub use conversations::Conversations;
pub use run_data::RunData;
pub use sample::{SampleRegion, Samples, StageSample, Truth};
pub use source::StageSource;

pub(crate) use sample::patient_key;
pub(crate) use split::{cut_validation, strata_of, stratified_folds, stratified_split};
