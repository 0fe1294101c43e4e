//! One rule for reading a model's reply.

use serde::{Deserialize, Serialize};

use super::{BoxFormat, GridBox, box_prefix};

/// What kind of reply is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// One box.
    Box(BoxFormat),
    /// Yes or no.
    YesNo(YesNoRule),
    /// Any text.
    Text,
}

/// How strictly yes and no are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum YesNoRule {
    /// The reply is `yes` or `no`, in lower case, with nothing but white space around it.
    #[default]
    Exact,
    /// The first word decides, in any case and with punctuation around it: `Yes, there is a tumor.` is yes.
    FirstWord,
}

/// A reply after reading. An unreadable one is counted by whoever evaluates; it is neither an error nor a zero box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A box on the grid of the format that was asked for.
    Box(GridBox),
    /// Yes (`true`) or no.
    YesNo(bool),
    /// Text that was asked for as such.
    Text(String),
    /// Not what was asked for; the reply as it was.
    Unparsed(String),
}

/// Reads a reply.
///
/// A box is the first complete one anywhere in the reply, once `<unk>` and white space are removed; its numbers may
/// have up to [`BoxFormat::max_digits`] digits and are checked neither for order nor for range, as in the published
/// programs (SPEC 5.2, and 6 D28 for the single rule).
pub fn parse_answer(reply: &str, kind: AnswerKind) -> Answer {
    let parsed = match kind {
        AnswerKind::Box(format) => first_box(reply, format).map(Answer::Box),
        AnswerKind::YesNo(rule) => parse_yes_no(reply, rule).map(Answer::YesNo),
        AnswerKind::Text => Some(Answer::Text(reply.trim().to_owned())),
    };
    parsed.unwrap_or_else(|| Answer::Unparsed(reply.to_owned()))
}

fn first_box(reply: &str, format: BoxFormat) -> Option<GridBox> {
    let normalized: String = reply.replace("<unk>", "").chars().filter(|c| !c.is_whitespace()).collect();
    normalized
        .match_indices('{')
        .find_map(|(start, _)| box_prefix(&normalized[start..], format.max_digits()))
        .map(|(grid, _)| grid)
}

/// Reads yes (`true`) or no (`false`).
pub fn parse_yes_no(reply: &str, rule: YesNoRule) -> Option<bool> {
    let lowered;
    let word = match rule {
        YesNoRule::Exact => reply.trim(),
        YesNoRule::FirstWord => {
            lowered = reply.replace("<unk>", "").to_lowercase();
            lowered.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty())?
        }
    };
    match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}
