//! Checkpoints of a run: everything that decides how it goes on.
//!
//! ```text
//! checkpoints/step-0000000123/
//!   weights.safetensors    learning parameters, f32, published names
//!   moments.safetensors    AdamW's means, <name>.exp_avg and <name>.exp_avg_sq
//!   gradients.safetensors  gradients of batches that have had no update yet, of all ranks, if there are any
//!   state.json             what the run is of, and how far it came
//!   checkpoint.json        format, size and SHA-256 of these files
//! ```
//!
//! Randomness needs no state: every draw is a function of the seed and of where it is made.

mod folder;
mod read;
mod retention;
mod state;
mod write;

pub(crate) use read::{ResumePoint, load_state, manifest_bytes, resume_point};
pub(crate) use retention::remove_old;
pub(crate) use state::{RunIdentity, RunState};
pub(crate) use write::{Tensors, save};

pub use folder::{CHECKPOINTS_FOLDER, checkpoint_folder, checkpoint_steps};
pub use read::{latest_checkpoint, load_trained_weights, verify_checkpoint};
pub use state::Best;
