//! Figures and one self-contained HTML report of a run.
//!
//! Plain numbers in, SVG and HTML out. This crate computes no score and knows none of the cascade's
//! types: whoever measures hands over the numbers. It draws no interactive page: a [`Report`] has
//! no script, asks for nothing over the network, follows the reader's light or dark setting, and
//! prints. The same input gives the same bytes.
//!
//! Start at [`training_curves`] or any other figure, and at [`Report`]. Figures leave out what is
//! not finite and say so, draw empty axes where nothing remains, thin what is too long (a figure
//! stays under 300 KB), and refuse what contradicts itself with a [`ReportError`].
//!
//! The SVG is written here rather than by a plotting library: its marks carry classes, so that one
//! drawing serves light, dark and print, and its text is sized by this crate alone.
//!
//! ```
//! use cascade_report::{Figure, IouHistogram, KeyFigure, Report, Section, Target, iou_histogram};
//!
//! let input = IouHistogram {
//!     title: "Pancreas boxes".to_owned(),
//!     values: vec![0.62, 0.71, 0.83],
//!     n_bins: 20,
//!     floor: Some(0.595),
//!     goal: Some(0.75),
//! };
//! let figure = Figure::new(iou_histogram(&input)?, "IoU of n = 3 boxes.", "Histogram, mean 0.72.");
//! let report = Report {
//!     title: "Cascade".to_owned(),
//!     key_figures: vec![KeyFigure {
//!         label: "Pancreas IoU".to_owned(),
//!         value: 0.72,
//!         decimals: 3,
//!         target: Target { floor: Some(0.595), goal: Some(0.75), ..Target::default() },
//!         ..KeyFigure::default()
//!     }],
//!     sections: vec![Section::new("Pancreas").figure(figure)],
//!     ..Report::default()
//! };
//! assert!(report.to_html().contains("not for diagnosis"));
//! # Ok::<(), cascade_report::ReportError>(())
//! ```

#![forbid(unsafe_code)]

mod atomic;
mod canvas;
mod error;
mod figures;
mod html;
mod panel;
mod raster;
mod scale;
mod style;
mod svg;
mod text;
mod thinning;

pub use error::ReportError;
pub use figures::curves::{
    BestPoint, CurveRole, CurveSeries, LearningRateCurve, TrainingCurves, learning_rate_curve,
    training_curves,
};
pub use figures::examples::{Example, ExampleGrid, example_grid};
pub use figures::forest::{ForestPlot, ForestRow, forest_plot};
pub use figures::heat_map::{HeatMaps, heat_maps};
pub use figures::histogram::{IouHistogram, iou_histogram};
pub use figures::operating::{OperatingCurve, OperatingCurves, precision_recall_curve, roc_curve};
pub use figures::reliability::{ReliabilityBin, ReliabilityCurve, reliability_curve};
pub use figures::scatter::{ConfidenceScatter, SizeScatter, confidence_scatter, size_scatter};
pub use figures::score_bars::{ScoreBar, ScoreBars, ScoreKind, score_bars};
pub use figures::threshold::{ThresholdRow, ThresholdSweep, threshold_sweep, threshold_table};
pub use html::{
    Align, Block, Cell, Column, Direction, Figure, KeyFigure, Mark, Report, Row, Section, Table, Target,
};
pub use svg::Svg;

/// What every page for people carries.
pub const RESEARCH_NOTE: &str = "Research use only, not for diagnosis.";
