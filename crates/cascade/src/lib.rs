//! The stages of MiniGPT-Pancreas: data, prompt, model and metric together; run folders, evaluation, prediction.
//!
//! Four [`Stage`]s (pancreas box, tumor yes/no, tumor box, organs) run one after another, each from
//! the chosen checkpoint of the one before. Start at [`run_cascade`] with a [`CascadeConfig`];
//! [`train_stage`], [`evaluate_checkpoint`], [`predict`], [`cross_validate`] and [`plan_run`] are
//! its parts for other uses.
//!
//! Beside every score stand what it must be read against: the same model on blanked and on other
//! patients' images, a probe that knows no anatomy, the ceiling of the answer's format, and the
//! published number. Test patients judge and choose nothing.
//!
//! What it refuses to do: print, read clocks into results, name patients in messages, and count an
//! answer that cannot be read as anything but wrong. Research use only, not for diagnosis.
//!
//! # Features
//! - `flex` (default): the CPU backend
//! - `cuda`: NVIDIA GPUs; kernels are compiled when first used
//! - `cuda-fusion`: `cuda` with kernel fusion

mod answerer;
mod base;
mod config;
mod cross_validation;
mod data;
mod dry_run;
mod embedded;
mod error;
mod evaluate;
mod evaluate_stage;
mod events;
mod figures;
mod hex;
mod images;
mod predict;
mod region;
mod report;
mod run;
mod stage;
mod study;
#[cfg(test)]
mod test_support;
mod train_stage;

pub use answerer::{Answerer, Asked, ModelAnswerer, Reply};
pub use base::StartModel;
pub use config::{
    BaseModel, BoxFrom, CascadeConfig, ConversationData, DataConfig, Decoding, EvaluationSettings, Goal,
    ModelConfig, PhantomConfig, PromptConfig, QUICKSTART, RawDataset, StageConfig, StageStart,
    TumorMixSettings,
};
pub use cross_validation::{CrossValidation, CrossValidationOptions, FoldScores, cross_validate};
pub use ct_slices::Preset;
pub use data::{AnswerStyle, Conversations, RunData, SampleRegion, Samples, StageSample, StageSource, Truth};
pub use dry_run::{MemoryEstimate, ParameterCounts, RunPlan, StagePlan, plan_run};
pub use embedded::{has_embedded_base, has_embedded_stage, write_embedded_base, write_embedded_stage};
pub use error::CascadeError;
pub use evaluate::{
    BoxEvaluation, ControlScore, Controls, Evaluation, EvaluationInput, Prediction, PublishedScore,
    StageScores, TargetScore, YesNoEvaluation, evaluate_samples, validation_score, write_predictions,
};
pub use evaluate_stage::{
    CheckpointEvaluation, EvaluationPart, StageEvaluation, evaluate_checkpoint, evaluate_stage,
};
pub use events::{CascadeEvent, Observe};
pub use images::{Augmentation, ImageFeatures, ImageFit, ImageTable};
pub use predict::{ImagePrediction, PredictOptions, predict};
pub use region::{RegionSettings, StageRegion, region_around};
pub use run::{CascadeOutcome, Environment, EvaluatedStage, RunOptions, run_cascade, run_cascade_on_ranks};
pub use stage::{Stage, YesNoQuestion, target_name};
pub use study::{
    StudyFiles, StudyModels, StudyOptions, StudyPrediction, StudyWritten, predict_study, predict_volume,
    presence_question, write_study,
};
pub use train_stage::{
    CHECKPOINT_FOLDER, STAGE_FILE, StageOutcome, StageRecord, StageRun, TRAINING_FOLDER, train_stage,
};
pub use vlm_infer::RESEARCH_NOTE;
