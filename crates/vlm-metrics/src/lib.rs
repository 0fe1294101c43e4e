//! Scores of boxes and yes/no answers, with intervals, strata and calibration.
//!
//! Cases in, numbers out: no images, no models, no files. The crate refuses to guess: a reply that could not be read
//! is counted (`n_unparsed`) and scores as wrong, a score that is not defined is `None`, and nothing here chooses a
//! threshold or a checkpoint on the cases that it scores.
//!
//! Start at [`detection_scores`] for boxes, [`binary_scores`] for yes and no, [`volume_level_scores`] for volumes
//! from slices. What the published programs compute stands beside it by name: [`score_era_p`], [`score_era_h`],
//! [`ConfusionScores`] by the published rule, [`published_report`], and the [`published`] numbers themselves.
//!
//! # Two conventions of a box
//! Ground truth stores the last pixel inside as its maximum edge; an answer is a place on the continuous axis. Our
//! scores compare the answer with the area that the truth covers, `[x_min, x_max + 1)`, see [`covered_area`]. Both
//! published eras compare the stored numbers themselves, with and without `+ 1` on every width (SPEC 5.4).
//!
//! ```
//! use vlm_metrics::{Bootstrap, DetectionCase, detection_scores};
//!
//! let case = DetectionCase {
//!     image: "slice-1".into(),
//!     patient: "patient-1".into(),
//!     target: "pancreas".into(),
//!     image_size: [512, 512],
//!     truth: Some([100, 100, 199, 199].into()),
//!     predicted: Some([100, 100, 200, 200].into()),
//!     ..DetectionCase::default()
//! };
//! let scores = detection_scores(&[case], &Bootstrap::default())?;
//! assert_eq!((scores.n, scores.n_unparsed, scores.iou_mean), (1, 0, 1.0));
//! # Ok::<(), vlm_metrics::MetricsError>(())
//! ```

#![forbid(unsafe_code)]

mod binary;
mod bootstrap;
pub mod coco;
mod confusion;
mod detection;
mod error;
mod format_ceiling;
mod heat_map;
mod iou_histogram;
mod overlap;
pub mod published;
pub mod published_report;
mod strata;
mod summary_statistics;
mod threshold_sweep;
mod volume_level;

pub use binary::{
    BinaryCase, BinaryIntervals, BinaryScores, Calibration, PlattScaling, ReliabilityBin, auroc,
    average_precision, binary_scores, brier_score, calibration, is_published_yes, mean_probability,
    precision_recall_curve, roc_curve,
};
pub use bootstrap::Bootstrap;
pub use confusion::{ConfusionCounts, ConfusionScores};
pub use detection::{
    DetectionCase, DetectionIntervals, DetectionScores, EraHReading, EraHScores, EraPScores, PublishedAnswer,
    PublishedSample, case_iou, detection_scores, score_era_h, score_era_p, weighted_mean,
};
pub use error::MetricsError;
pub use format_ceiling::{FormatCeiling, TargetEdges, format_ceiling};
pub use heat_map::HeatMap;
pub use iou_histogram::IouHistogram;
pub use overlap::{
    covered_area, dsc, dsc_inclusive, iou, iou_era_p, iou_inclusive, is_satisfactory_in_paper,
};
pub use strata::{SizeEdges, Stratum, binary_size_strata, dataset_strata, detection_size_strata, stratify};
pub use summary_statistics::{Spread, mean, median, quantile};
pub use threshold_sweep::{ThresholdSweepRow, threshold_sweep};
pub use volume_level::{
    SliceScore, VolumeLevelScores, VolumeRule, VolumeScore, volume_level_scores, volume_scores,
};
