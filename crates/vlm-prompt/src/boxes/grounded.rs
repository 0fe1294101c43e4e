//! Text whose phrases carry boxes.

use std::ops::Range;

use super::published::exactly_four;
use super::{BoxFormat, GridBox, box_prefix};

/// A phrase and its boxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundedPhrase {
    /// The words between `<p>` and `</p>`.
    pub phrase: String,
    /// Its boxes in order, at least one.
    pub boxes: Vec<GridBox>,
    /// Bytes of the phrase in [`GroundedText::text`].
    pub span: Range<usize>,
}

/// A grounded reply taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroundedText {
    /// The reply to show: marks and boxes removed, and nothing after the last `}`.
    pub text: String,
    /// Phrases with boxes in order. The place in this list is the entity's number, which decides its color.
    pub phrases: Vec<GroundedPhrase>,
}

const OPEN: &str = "<p>";
const CLOSE: &str = "</p>";
const DELIMITER: &str = "<delim>";

/// Reads `<p>phrase</p> {box}<delim>{box} …`. Everything after the last `}` is ignored. Without any complete phrase
/// the result is `None`; the reply may then still hold one plain box, see [`four_integers`].
///
/// # Source
/// SPEC 5.7.
pub fn parse_grounded(reply: &str, format: BoxFormat) -> Option<GroundedText> {
    let end = reply.rfind('}')? + 1;
    let mut rest = &reply[..end];
    let mut grounded = GroundedText::default();
    while let Some(start) = rest.find(OPEN) {
        grounded.text.push_str(&rest[..start]);
        match phrase_at(&rest[start..], format) {
            Some((phrase, boxes, after)) => {
                let from = grounded.text.len();
                grounded.text.push_str(phrase);
                let span = from..grounded.text.len();
                grounded.phrases.push(GroundedPhrase { phrase: phrase.to_owned(), boxes, span });
                rest = after;
            }
            None => {
                grounded.text.push_str(OPEN);
                rest = &rest[start + OPEN.len()..];
            }
        }
    }
    grounded.text.push_str(rest);
    (!grounded.phrases.is_empty()).then_some(grounded)
}

fn phrase_at(text: &str, format: BoxFormat) -> Option<(&str, Vec<GridBox>, &str)> {
    let (phrase, after) = text.strip_prefix(OPEN)?.split_once(CLOSE)?;
    if phrase.contains(OPEN) {
        return None; // the mark that belongs to this `</p>` comes later
    }
    let (first, mut rest) = box_prefix(after.trim_start(), format.max_digits())?;
    let mut boxes = vec![first];
    while let Some(after) = rest.trim_start().strip_prefix(DELIMITER)
        && let Some((next, after)) = box_prefix(after.trim_start(), format.max_digits())
    {
        boxes.push(next);
        rest = after;
    }
    Some((phrase, boxes, rest))
}

/// The box of a text that holds exactly four whole numbers, whatever stands between them.
///
/// # Source
/// SPEC 5.7: such an answer is drawn as one box without a label, and such an `[identify]` message has its box.
pub fn four_integers(text: &str) -> Option<GridBox> {
    exactly_four(text)
}
