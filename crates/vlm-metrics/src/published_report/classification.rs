//! The published scorer of yes/no predictions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::binary::is_published_yes;
use crate::confusion::ConfusionCounts;
use crate::error::MetricsError;

/// An entry of `TC_predictions.json`, which is a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TumorPrediction {
    /// The reply, lower-cased, without `<unk>`, stripped.
    pub answer: String,
    /// Which question.
    pub question_id: String,
}

impl TumorPrediction {
    /// From a reply.
    pub fn new(question_id: impl Into<String>, reply: &str) -> Self {
        let answer = reply.to_lowercase().replace("<unk>", "").trim().to_owned();
        Self { answer, question_id: question_id.into() }
    }
}

/// Scores rounded to 4 decimals.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RoundedScores {
    /// Share of right answers.
    pub accuracy: f64,
    /// Share of positives that were found.
    pub recall: f64,
    /// Share of right ones among answers of yes.
    pub precision: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// Scores one file of predictions against the truth by question. Anything but exactly yes counts as no; of two answers
/// to one question the later counts.
///
/// # Errors
/// [`QuestionIds`](MetricsError::QuestionIds) unless both are about the same questions.
///
/// # Source
/// SPEC 5.6.
pub fn score_predictions(
    name: &str,
    truth: &BTreeMap<String, bool>,
    predictions: &[TumorPrediction],
) -> Result<RoundedScores, MetricsError> {
    let answers: BTreeMap<&str, bool> = predictions
        .iter()
        .map(|prediction| (prediction.question_id.as_str(), is_published_yes(&prediction.answer)))
        .collect();
    let n_missing = truth.keys().filter(|id| !answers.contains_key(id.as_str())).count();
    let n_unknown = answers.keys().filter(|id| !truth.contains_key(**id)).count();
    if n_missing + n_unknown > 0 {
        return Err(MetricsError::QuestionIds { name: name.to_owned(), n_missing, n_unknown });
    }
    // Both are ordered by question.
    let counts = ConfusionCounts::of(truth.values().copied().zip(answers.into_values()));
    Ok(RoundedScores {
        accuracy: rounded(counts.accuracy()),
        recall: rounded(counts.recall()),
        precision: rounded(counts.precision()),
        f1: rounded(counts.f1()),
    })
}

/// Python's `round(value, 4)`: the decimal nearest to the value.
fn rounded(value: f64) -> f64 {
    format!("{value:.4}").parse().unwrap_or(value)
}

/// The best file per score: its name and the score.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BestFiles {
    /// By accuracy.
    pub accuracy: (String, f64),
    /// By recall.
    pub recall: (String, f64),
    /// By precision.
    pub precision: (String, f64),
    /// By F1.
    pub f1: (String, f64),
}

/// The first file with the highest score, per score; an empty name where no score is over 0.
///
/// # Source
/// SPEC 5.6.
pub fn best_files<'a>(files: impl IntoIterator<Item = (&'a str, RoundedScores)>) -> BestFiles {
    let mut best = BestFiles::default();
    for (name, scores) in files {
        for (best, value) in [
            (&mut best.accuracy, scores.accuracy),
            (&mut best.recall, scores.recall),
            (&mut best.precision, scores.precision),
            (&mut best.f1, scores.f1),
        ] {
            if value > best.1 {
                *best = (name.to_owned(), value);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> BTreeMap<String, bool> {
        [("q1", true), ("q2", true), ("q3", false), ("q4", false)]
            .map(|(id, yes)| (id.to_owned(), yes))
            .into()
    }

    fn predictions(replies: [&str; 4]) -> Vec<TumorPrediction> {
        (1..).zip(replies).map(|(id, reply)| TumorPrediction::new(format!("q{id}"), reply)).collect()
    }

    #[test]
    fn published_vector() {
        let expected = RoundedScores { accuracy: 0.75, recall: 0.5, precision: 1.0, f1: 0.6667 };
        for replies in [["yes", "no", "no", "no"], ["<unk> YES", "yes.", "maybe", ""]] {
            assert_eq!(
                score_predictions("a.json", &truth(), &predictions(replies)),
                Ok(expected),
                "{replies:?}"
            );
        }
    }

    #[test]
    fn the_questions_must_be_the_same() {
        let mut other = predictions(["yes"; 4]);
        other[0].question_id = "q9".into();
        let error = score_predictions("a.json", &truth(), &other).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`a.json` answers other questions than the ground truth: `1` missing, `1` unknown"
        );
    }

    #[test]
    fn the_first_of_equals_is_best() {
        let scores = |accuracy, recall| RoundedScores { accuracy, recall, ..RoundedScores::default() };
        let best = best_files([("a", scores(0.5, 0.2)), ("b", scores(0.5, 0.3))]);
        assert_eq!(best.accuracy, ("a".to_owned(), 0.5));
        assert_eq!(best.recall, ("b".to_owned(), 0.3));
        assert_eq!(best.f1, (String::new(), 0.0));
    }
}
