//! What is trained on: questions with images and answers, from any source.
//!
//! ```text
//! SampleSource --item(index, draw)--> TrainingItem --SampleEncoder--> EncodedSample
//! ```

mod conversation;
mod encode;
mod item;
mod source;

pub use conversation::{ConversationLimits, ConversationSource};
pub use encode::{EncodedSample, SampleEncoder};
pub use item::{ImageId, TrainingItem, TrainingTurn};
pub use source::{FixedSource, SampleSource};
