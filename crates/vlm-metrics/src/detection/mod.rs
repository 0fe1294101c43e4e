//! Boxes against boxes.

mod case;
mod eras;
mod scores;

pub use case::{DetectionCase, case_iou};
pub use eras::{
    EraHReading, EraHScores, EraPScores, PublishedAnswer, PublishedSample, score_era_h, score_era_p,
    weighted_mean,
};
pub use scores::{DetectionIntervals, DetectionScores, detection_scores};
