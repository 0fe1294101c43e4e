//! Weight files in: which files there are, what their tensors are called, and how they become a
//! model.
//!
//! ```text
//! folder --discover--> MiniGptConfig + ModelFiles
//!   --TensorSet--> every tensor under its published name, nothing read yet
//!   --load--> one tensor at a time: shape checked, read, cast, uploaded, dropped
//! ```
//!
//! burn-store's readers do the parsing; they execute nothing that a pickle asks for.

mod adapter_config;
mod compare;
mod discover;
mod error;
mod file_names;
mod fit;
mod inspect;
mod load;
mod manifest;
mod names;
mod plan;
mod published;
mod report;
mod shards;
mod tensor_file;
mod tensor_set;

pub use adapter_config::AdapterConfig;
pub use compare::{Comparison, TensorDifference, compare};
pub use discover::{discover, published_files_config};
pub use error::WeightsError;
pub use inspect::{FileSummary, TensorSummary, inspect};
pub use load::{load, load_checkpoint, load_parts};
pub use manifest::{CHECKPOINT_FORMAT, CheckpointFiles, CheckpointManifest, MANIFEST_FILE};
pub use names::{Part, published_name};
pub use plan::{PlannedTensor, tensor_plan};
pub use report::{Ignored, LoadReport, Mismatch, UnknownTensor};
pub use tensor_file::{TensorFile, TensorInfo};
pub use tensor_set::ModelFiles;

pub(crate) use names::{LLAMA_PREFIX, VISION_PREFIX};
