//! Samples, optimizer, training loop, checkpoints and logs of a vision-language model.
//!
//! Start at [`train`]: one visible loop over batches from a [`Mixture`] of [`SampleSource`]s, with
//! images from an [`ImageProvider`]. It writes checkpoints from which a run goes on bit for bit,
//! and a log. [`train_step`] is one update for those who bring their own loop: [`TrainingBatch`]
//! lays sequences out as the published code does, [`optimizer`] has the published groups, and
//! [`Schedule`] gives the learning rate.
//!
//! What it refuses to do: read medical images (its caller hands pixels or features), print, and
//! choose anything by clock.
//!
//! # Features
//! - `flex` (default): the CPU backend
//! - `cuda`: NVIDIA GPUs; kernels are compiled when first used
//! - `cuda-fusion`: `cuda` with kernel fusion

#![forbid(unsafe_code)]

mod adamw;
mod atomic;
mod batch;
mod checkpoint;
mod config;
mod draws;
mod error;
mod gradient_norm;
mod hex;
mod images;
mod log;
mod mixture;
mod optimizer;
mod optimizer_state;
mod parameters;
mod pending;
mod run;
mod samples;
mod schedule;
mod step;
mod sync;
mod weight_mean;

pub use batch::{BatchImages, TrainingBatch, TrainingSample};
pub use checkpoint::{
    Best, CHECKPOINTS_FOLDER, checkpoint_folder, checkpoint_steps, latest_checkpoint, load_trained_weights,
    verify_checkpoint,
};
pub use config::{Accumulation, AccumulationMode, EarlyStopping, TrainableParts, TrainingConfig};
pub use error::{CallerError, TrainError};
pub use gradient_norm::{clip_global_norm, global_norm};
pub use images::{FeatureTable, ImageProvider, NoImages};
pub use log::{EVENTS_FILE, METRICS_FILE, ScalarEvent, TIMINGS_FILE, read_events};
pub use mixture::{MixMode, Mixture, MixtureEntry, MixturePosition, RankOf, SampleDraw, SourcePosition};
pub use optimizer::{Moments, OptimizerConfig, moments, optimizer};
pub use run::{
    BestCheckpoint, Ending, Provenance, TrainingEvent, TrainingOutcome, TrainingRun, Validate, train,
};
pub use samples::{
    ConversationLimits, ConversationSource, EncodedSample, FixedSource, ImageId, SampleEncoder, SampleSource,
    TrainingItem, TrainingTurn,
};
pub use schedule::{Schedule, ScheduleMode};
pub use step::{StepOptions, StepReport, train_step};
pub use sync::{FlatGradients, GradientSync, Single, check_same, flat_gradients};
