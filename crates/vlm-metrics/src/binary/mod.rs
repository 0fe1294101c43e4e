//! Yes and no.

mod calibration;
mod case;
mod platt;
mod ranking;
mod scores;

pub use calibration::{Calibration, ReliabilityBin, brier_score, calibration};
pub use case::{BinaryCase, is_published_yes};
pub use platt::{PlattScaling, mean_probability};
pub use ranking::{auroc, average_precision, precision_recall_curve, roc_curve};
pub use scores::{BinaryIntervals, BinaryScores, binary_scores};
