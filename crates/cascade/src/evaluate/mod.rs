//! From answers to scores, controls beside them, and files.

mod cases;
mod control;
mod evaluation;
mod files;
mod probe;
mod score;

pub use cases::Prediction;
pub use control::{ControlScore, Controls};
pub use evaluation::{BoxEvaluation, Evaluation, PublishedScore, StageScores, TargetScore, YesNoEvaluation};
pub use files::write_predictions;
pub(crate) use files::{detection_case, write_json};
pub(crate) use score::yes_probabilities;
pub use score::{EvaluationInput, evaluate_samples, validation_score};

pub(crate) use control::evenly_drawn;
