//! Boxes as text: the grid of the prompt, pixels, and what a model's reply means.

mod answer;
mod format;
mod grid;
mod grounded;
mod published;

pub use answer::{Answer, AnswerKind, YesNoRule, parse_answer, parse_yes_no};
pub use format::{BoxDecode, BoxError, BoxFormat};
pub use grid::{GridBox, PixelBox};
pub use grounded::{GroundedPhrase, GroundedText, four_integers, parse_grounded};
pub use published::{accept_at_head, score_at_head, score_in_paper};

/// Takes a run of ASCII digits from the front of `text`: its value (`None` when it does not fit) and the rest.
fn take_digits(text: &str) -> Option<(Option<u32>, usize, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    (len > 0).then(|| (text[..len].parse().ok(), len, &text[len..]))
}

/// Every run of ASCII digits, in order; a run that is too long for a coordinate is `None`.
fn digit_runs(text: &str) -> Vec<Option<u32>> {
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let Some((value, _, after)) = take_digits(&rest[start..]) else { break };
        runs.push(value);
        rest = after;
    }
    runs
}

/// A box at the very beginning of `text`, `{<d><d><d><d>}` with at most `max_digits` digits each, and the rest.
fn box_prefix(text: &str, max_digits: usize) -> Option<(GridBox, &str)> {
    let mut rest = text.strip_prefix('{')?;
    let mut values = [0; 4];
    for value in &mut values {
        let (number, len, after) = take_digits(rest.strip_prefix('<')?)?;
        if len > max_digits {
            return None;
        }
        *value = number?;
        rest = after.strip_prefix('>')?;
    }
    Some((GridBox::from(values), rest.strip_prefix('}')?))
}
