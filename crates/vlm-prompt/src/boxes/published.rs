//! What the published evaluation programs accept as a box, for comparison with their numbers.

use super::{GridBox, box_prefix, digit_runs};

/// Era H, first half: the text that the prediction file stores, or `None` for a bad answer. Removes `<unk>` and
/// spaces, then asks only that the text begin with a box of 1 to 3 digits per number.
///
/// # Source
/// SPEC 5.2.
pub fn accept_at_head(reply: &str) -> Option<String> {
    let normalized = reply.replace("<unk>", "").replace(' ', "");
    let normalized = normalized.trim();
    box_prefix(normalized, 3).map(|_| normalized.to_owned())
}

/// Era H, second half: the box of a stored text, which must hold exactly four runs of digits anywhere.
///
/// # Source
/// SPEC 5.2.
pub fn score_at_head(stored: &str) -> Option<GridBox> {
    exactly_four(stored)
}

/// Era P: at least four numbers are needed to read a box, and any other count than four is an error in the end, so
/// that five numbers score as a bad answer too.
///
/// # Source
/// SPEC 5.4.
pub fn score_in_paper(reply: &str) -> Option<GridBox> {
    exactly_four(reply)
}

pub(super) fn exactly_four(text: &str) -> Option<GridBox> {
    match digit_runs(text)[..] {
        [Some(x_min), Some(y_min), Some(x_max), Some(y_max)] => Some(GridBox { x_min, y_min, x_max, y_max }),
        _ => None,
    }
}
