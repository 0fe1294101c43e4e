//! Decoding while tokens arrive.

use super::{SpecialTokens, Tokenizer, TokenizerError};

/// Turns ids into text one at a time and holds bytes back until they are whole characters.
///
/// The pieces it gives, joined, are exactly [`Tokenizer::decode`] of all ids.
///
/// ```
/// use vlm_prompt::{SpecialTokens, Tokenizer};
///
/// let tokenizer = Tokenizer::nano();
/// let mut stream = tokenizer.detokenizer(SpecialTokens::Skip);
/// let mut text = String::new();
/// for id in tokenizer.encode_piece("naïve 🙂")? {
///     text.push_str(&stream.push(id)?);
/// }
/// text.push_str(&stream.finish());
/// assert_eq!(text, "naïve 🙂");
/// # Ok::<(), vlm_prompt::TokenizerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Detokenizer {
    tokenizer: Tokenizer,
    special: SpecialTokens,
    at_start: bool,
    pending: Vec<u8>,
}

impl Detokenizer {
    pub(super) fn new(tokenizer: Tokenizer, special: SpecialTokens) -> Self {
        Self { tokenizer, special, at_start: true, pending: Vec::new() }
    }

    /// Takes one id; returns the text that is now complete, often empty.
    ///
    /// # Errors
    /// [`UnknownId`](TokenizerError::UnknownId) for an id that is not in the vocabulary; the state is unchanged.
    pub fn push(&mut self, id: u32) -> Result<String, TokenizerError> {
        self.tokenizer.append_bytes(id, self.special, &mut self.at_start, &mut self.pending)?;
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(valid) => {
                    text.push_str(valid);
                    self.pending.clear();
                    return Ok(text);
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.pending[..valid]));
                    match error.error_len() {
                        // No later byte can make these valid.
                        Some(bad) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            self.pending.drain(..valid + bad);
                        }
                        None => {
                            self.pending.drain(..valid);
                            return Ok(text);
                        }
                    }
                }
            }
        }
    }

    /// Ends the stream: what is left of an unfinished character becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        self.at_start = true;
        text
    }
}
