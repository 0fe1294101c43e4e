//! What a run is made of: the file's form, and the checked form that the library takes.

mod checked;
mod data;
mod file;
mod model;
mod training;

pub use checked::{
    BoxFrom, CascadeConfig, Decoding, EvaluationSettings, Goal, PromptConfig, StageConfig, StageStart,
};
pub use data::{ConversationData, DataConfig, PhantomConfig, RawDataset, TumorMixSettings};
pub use file::QUICKSTART;
pub use model::{BaseModel, ModelConfig};
