//! Text that is final, out of text that may still change.

use vlm_infer::TextEvent;

/// Spelled out of ordinary tokens these end an answer, vanish from it, or void what was before them.
const MARKERS: [&str; 3] = ["[/INST]", "</s>", "<s>"];

/// Holds back what may become a marker of the prompt, so that what is handed out stays.
#[derive(Debug, Default)]
pub(super) struct FinalText {
    text: String,
    sent: usize,
    is_over: bool,
}

impl FinalText {
    /// Takes an event; returns the text that is certain now.
    pub(super) fn push(&mut self, event: TextEvent<'_>) -> &str {
        if self.is_over {
            return "";
        }
        match event {
            TextEvent::Append(new) => self.text.push_str(new),
            TextEvent::Replace(text) if text.starts_with(&self.text[..self.sent]) => {
                text.clone_into(&mut self.text);
            }
            // What was handed out was not yet the answer: a marker came. The answer ends here.
            TextEvent::Replace(_) => {
                self.text.truncate(self.sent);
                self.is_over = true;
            }
        }
        let held = MARKERS.iter().map(|marker| overlap(&self.text, marker)).max().unwrap_or(0);
        self.hand_out(self.text.len() - held)
    }

    /// Whether a marker ended the answer.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The rest, at the answer's end.
    pub(super) fn finish(&mut self) -> &str {
        self.hand_out(self.text.len())
    }

    /// Everything that was handed out.
    pub(super) fn into_text(mut self) -> String {
        self.text.truncate(self.sent);
        self.text
    }

    fn hand_out(&mut self, to: usize) -> &str {
        let from = self.sent;
        self.sent = to.max(from);
        &self.text[from..self.sent]
    }
}

/// Bytes at the end of `text` with which `marker` begins.
fn overlap(text: &str, marker: &str) -> usize {
    (1..=marker.len().min(text.len())).rev().find(|&n| text.ends_with(&marker[..n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(events: &[TextEvent<'_>]) -> (String, Vec<String>) {
        let mut text = FinalText::default();
        let mut pieces: Vec<String> = events.iter().map(|event| text.push(*event).to_owned()).collect();
        pieces.push(text.finish().to_owned());
        (text.into_text(), pieces)
    }

    #[test]
    fn what_is_handed_out_is_the_text() {
        use TextEvent::{Append, Replace};
        let check = |events: &[TextEvent<'_>], expected: &str| {
            let (text, pieces) = run(events);
            assert_eq!(text, expected, "{events:?}");
            assert_eq!(pieces.concat(), expected, "{events:?}");
        };
        check(&[Append("a "), Append("box")], "a box");
        check(&[Append("a <"), Append("s"), Append("hort>")], "a <short>");
        check(&[Append("a <"), Append("s"), Replace("a "), Append("b")], "a b");
        check(&[Append("a"), Append(" [/INS"), Append("T"), Replace(""), Append("second")], "a ");
        check(&[Append("[/"), Append("INST"), Replace(""), Append("second")], "second");
        check(&[Append("a</"), Append("s"), Replace("a")], "a");
        check(&[Append("é"), Replace("éa"), Append("[/")], "éa[/");
    }

    #[test]
    fn certain_text_is_not_held_back() {
        assert_eq!(run(&[TextEvent::Append("a box <")]).1, ["a box ", "<"]);
    }
}
