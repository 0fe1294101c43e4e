//! Optimizer, schedule and training step of a vision-language model.
//!
//! [`TrainingBatch`] lays sequences out as the published code does, [`train_step`] makes one
//! update, [`optimizer`] has the published groups, and [`Schedule`] gives the learning rate.
//!
//! # Features
//! - `flex` (default): the CPU backend
//! - `cuda`: NVIDIA GPUs; kernels are compiled when first used
//! - `cuda-fusion`: `cuda` with kernel fusion

mod batch;
mod error;
mod gradient_norm;
mod optimizer;
mod schedule;
mod step;

pub use batch::{BatchImages, TrainingBatch, TrainingSample};
pub use error::TrainError;
pub use gradient_norm::{clip_global_norm, global_norm};
pub use optimizer::{Moments, OptimizerConfig, moments, optimizer};
pub use schedule::{Schedule, ScheduleMode};
pub use step::{StepOptions, StepReport, train_step};
