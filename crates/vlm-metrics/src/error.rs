//! What can be wrong with cases.

/// Errors of scoring.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// There is nothing to score.
    #[error("no cases to score")]
    NoCases,
    /// Box scores need at least one case with a true box.
    #[error("none of `{n}` cases has a true box")]
    NoTruth {
        /// Number of cases.
        n: usize,
    },
    /// A probability outside `[0, 1]`.
    #[error("case `{case}` has probability `{value}`, expected 0 to 1")]
    NotAProbability {
        /// The case.
        case: String,
        /// What it has.
        value: f64,
    },
    /// A number that cannot be ranked or compared.
    #[error("case `{case}` has {what} `{value}`, expected a finite number")]
    NotFinite {
        /// The case.
        case: String,
        /// Which number.
        what: &'static str,
        /// What it has.
        value: f64,
    },
    /// A setting outside of what it can be.
    #[error("{what} is `{value}`, expected {expected}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What it is.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// A detection of an image that the ground truth does not list.
    #[error("detection `{detection_idx}` is of image `{image_id}`, which the ground truth does not list")]
    UnknownImage {
        /// Its place in the results.
        detection_idx: usize,
        /// The image.
        image_id: u64,
    },
    /// Predictions and ground truth are not about the same questions.
    #[error(
        "`{name}` answers other questions than the ground truth: `{n_missing}` missing, `{n_unknown}` unknown"
    )]
    QuestionIds {
        /// The predictions.
        name: String,
        /// Questions without an answer.
        n_missing: usize,
        /// Answers without a question.
        n_unknown: usize,
    },
    /// The image has no pixels.
    #[error("box `{box_idx}` cannot be written")]
    Box {
        /// Its place in the list.
        box_idx: usize,
        /// Why.
        source: vlm_prompt::BoxError,
    },
}
