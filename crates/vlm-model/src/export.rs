//! Weights out: files in the published forms, and seeded first weights.
//!
//! ```text
//! model or seed --Source--> one tensor at a time --write_safetensors--> temporary file
//!   --sync, rename--> vision_tower.safetensors, llama/, adapter/ --> minigpt.json
//! ```

mod atomic;
mod checkpoint;
mod draws;
mod error;
mod initial;
mod parts;
mod safetensors;
mod source;

pub(crate) use atomic::write_file;
pub(crate) use initial::rounded;
pub(crate) use source::{dims, module_sources};

pub use atomic::WrittenFile;
pub use checkpoint::{CheckpointOptions, write_checkpoint};
pub use error::ExportError;
pub use initial::{init_checkpoint, initialized_model, with_new_adapters};
pub use parts::{write_adapter_folder, write_llama_folder, write_vision_tower};
pub use safetensors::{TensorHeader, write_safetensors, write_safetensors_shards};
