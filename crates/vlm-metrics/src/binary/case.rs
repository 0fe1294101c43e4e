//! One question for yes or no and its answer.

use serde::{Deserialize, Serialize};
use vlm_prompt::{YesNoRule, parse_yes_no};

use crate::error::MetricsError;

/// One image, one question, one answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BinaryCase {
    /// Name of the image.
    pub image: String,
    /// Pseudonymous patient: what the bootstrap draws.
    pub patient: String,
    /// Dataset the image comes from.
    pub dataset: String,
    /// Whether yes is right.
    pub truth: bool,
    /// The answer; `None` when the reply could not be read.
    pub answer: Option<bool>,
    /// The reply, for the published rule; `None` takes `answer` as the reply.
    pub reply: Option<String>,
    /// Probability of yes, in `[0, 1]`.
    pub probability: Option<f64>,
    /// Size of the lesion in mm, for strata.
    pub lesion_mm: Option<f64>,
}

impl BinaryCase {
    /// Takes a reply, which is read by `rule`.
    #[must_use]
    pub fn with_reply(mut self, reply: &str, rule: YesNoRule) -> Self {
        self.answer = parse_yes_no(reply, rule);
        self.reply = Some(reply.to_owned());
        self
    }

    /// The answer as scored: an unread reply is the wrong one.
    pub fn scored_answer(&self) -> bool {
        self.answer.unwrap_or(!self.truth)
    }

    /// The answer as the published scorer takes it: yes, or else no.
    pub fn published_answer(&self) -> bool {
        self.reply.as_deref().map_or(self.answer == Some(true), is_published_yes)
    }

    /// Truth and probability of yes, where there is one.
    ///
    /// # Errors
    /// [`NotAProbability`](MetricsError::NotAProbability) when it is outside of `[0, 1]`.
    pub(crate) fn scored_probability(&self) -> Result<Option<(bool, f64)>, MetricsError> {
        match self.probability {
            Some(value) if !(0.0..=1.0).contains(&value) => {
                Err(MetricsError::NotAProbability { case: self.image.clone(), value })
            }
            probability => Ok(probability.map(|probability| (self.truth, probability))),
        }
    }
}

/// The published rule for a reply: once lower-cased, rid of `<unk>` and stripped, anything but exactly `yes` is no.
///
/// # Source
/// SPEC 5.6.
pub fn is_published_yes(reply: &str) -> bool {
    reply.to_lowercase().replace("<unk>", "").trim() == "yes"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_else_is_no() {
        let rows = [
            ("yes", true),
            (" YES\n", true),
            ("<unk>yes", true),
            ("yes.", false),
            ("no", false),
            ("", false),
            ("maybe", false),
        ];
        for (reply, expected) in rows {
            assert_eq!(is_published_yes(reply), expected, "{reply:?}");
        }
    }

    #[test]
    fn one_reply_three_readings() {
        let case = BinaryCase { truth: true, ..BinaryCase::default() };
        let read = |reply: &str| {
            let case = case.clone().with_reply(reply, YesNoRule::FirstWord);
            (case.answer, case.scored_answer(), case.published_answer())
        };
        assert_eq!(read("Yes, there is."), (Some(true), true, false));
        assert_eq!(read("a mass"), (None, false, false));
        assert_eq!(read("yes"), (Some(true), true, true));
        let unread = BinaryCase { truth: false, ..BinaryCase::default() };
        assert!(unread.scored_answer() && !unread.published_answer());
    }
}
