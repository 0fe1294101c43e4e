//! Tokens to the text of an answer, while they come.

use std::ops::ControlFlow;

use vlm_prompt::{Tokenizer, TokenizerError, decode_answer};

use crate::TextEvent;

/// Who hears of new text.
pub(crate) type OnText<'a> = dyn FnMut(TextEvent<'_>) -> ControlFlow<()> + 'a;

/// The tokens so far and the text that was handed on.
///
/// The text is decoded anew with every token: what counts as the answer depends on later tokens
/// (SPEC 5.1), and an answer is short.
pub(crate) struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    tokens: Vec<u32>,
    sent: String,
}

impl<'a> TextStream<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, tokens: Vec::new(), sent: String::new() }
    }

    /// Takes a token and hands on what is certain to be text now, empty text where that is none: the
    /// reply is how an answer is stopped. Tokens that the tokenizer has not, in a larger vocabulary,
    /// are no text.
    pub(crate) fn push(
        &mut self,
        token: u32,
        on_text: &mut OnText<'_>,
    ) -> Result<ControlFlow<()>, TokenizerError> {
        if self.tokenizer.token(token).is_none() {
            return Ok(on_text(TextEvent::Append("")));
        }
        self.tokens.push(token);
        let text = decode_answer(self.tokenizer, &self.tokens)?;
        // The last character may still lack bytes.
        Ok(self.send(text.trim_end_matches(char::REPLACEMENT_CHARACTER), on_text))
    }

    /// Hands on the rest. Returns the whole text.
    pub(crate) fn finish(mut self, on_text: &mut OnText<'_>) -> Result<String, TokenizerError> {
        let text = decode_answer(self.tokenizer, &self.tokens)?;
        // Nothing is left to be stopped.
        let _ = self.send(&text, on_text);
        if self.sent != text {
            let _ = on_text(TextEvent::Replace(&text));
        }
        Ok(text)
    }

    fn send(&mut self, text: &str, on_text: &mut OnText<'_>) -> ControlFlow<()> {
        let event = match text.strip_prefix(self.sent.as_str()) {
            Some(new) => TextEvent::Append(new),
            // Shorter for now: it may only be a byte sequence that is not whole yet.
            None if self.sent.starts_with(text) => return on_text(TextEvent::Append("")),
            None => TextEvent::Replace(text),
        };
        let flow = on_text(event);
        text.clone_into(&mut self.sent);
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_asks_whether_to_go_on() {
        let tokenizer = Tokenizer::nano();
        let ids = tokenizer.encode_piece("a 🙂 b").unwrap();
        let mut n_asked = 0;
        let mut stream = TextStream::new(&tokenizer);
        for id in ids.iter().chain([&u32::MAX]) {
            let _ = stream.push(*id, &mut |_| {
                n_asked += 1;
                ControlFlow::Continue(())
            });
        }
        assert_eq!(n_asked, ids.len() + 1);
    }

    #[test]
    fn pieces_join_to_the_text() {
        let tokenizer = Tokenizer::nano();
        let check = |ids: &[u32], expected: Option<&str>| {
            let mut joined = String::new();
            let mut on_text = |event: TextEvent<'_>| {
                match event {
                    TextEvent::Append(text) => joined.push_str(text),
                    TextEvent::Replace(text) => text.clone_into(&mut joined),
                }
                ControlFlow::Continue(())
            };
            let mut stream = TextStream::new(&tokenizer);
            for id in ids {
                assert!(stream.push(*id, &mut on_text).unwrap().is_continue());
            }
            let text = stream.finish(&mut on_text).unwrap();
            assert_eq!(joined, text, "{ids:?}");
            assert_eq!(text, decode_answer(&tokenizer, ids).unwrap());
            assert!(expected.is_none_or(|expected| expected == text), "{text}");
        };
        for text in ["{<38><45><46><50>}", "  a pancreas  ", "naïve 🙂", "first [/INST] second", "a</s>b", ""]
        {
            check(&tokenizer.encode_piece(text).unwrap(), None);
        }
        check(&tokenizer.encode_piece("first [/INST] second").unwrap(), Some("second"));
        check(&tokenizer.encode_bytes(&[0xF0, 0x9F, 0x99]).unwrap(), Some("\u{FFFD}"));
        // any ids at all
        for seed in 0..300_u32 {
            let ids: Vec<u32> = (0..30).map(|n| (seed * 7919 + n * (seed + 31) * 104_729) % 1024).collect();
            check(&ids, None);
        }
    }
}
