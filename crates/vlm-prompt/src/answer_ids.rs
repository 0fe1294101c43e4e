//! Token ids of answers: what training predicts, and the text of what was generated.

use crate::prompt::PromptError;
use crate::template::{END_SYMBOL, Turn, wrap};
use crate::tokenizer::{SpecialTokens, Tokenizer, TokenizerError};

/// The tokens after a training prompt, and which of them are predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingTarget {
    /// Answer tokens, each answer closed with `</s>`; between answers the later questions.
    pub ids: Vec<u32>,
    /// For every id whether it enters the loss: answers do, later questions do not.
    pub supervised: Vec<bool>,
}

impl TrainingTarget {
    /// Tokens of one answer and its end symbol.
    ///
    /// # Errors
    /// See [`Tokenizer::encode_piece`].
    ///
    /// # Source
    /// SPEC 2.6, 4.1: no beginning token; the end symbol is the text `</s>`.
    pub fn single(tokenizer: &Tokenizer, answer: &str) -> Result<Self, TokenizerError> {
        let ids = tokenizer.encode_piece(&format!("{answer}{END_SYMBOL}"))?;
        let supervised = vec![true; ids.len()];
        Ok(Self { ids, supervised })
    }

    /// Tokens of all answers of a conversation in the order answer 0, question 1, answer 1, …; a turn without an
    /// answer counts as an empty one.
    ///
    /// # Errors
    /// [`NoTurn`](PromptError::NoTurn) without turns, and the tokenizer's errors.
    ///
    /// # Source
    /// SPEC 2.6, training multi-turn. Both modes are the same here: the published form already has one space.
    pub fn conversation(tokenizer: &Tokenizer, turns: &[Turn]) -> Result<Self, PromptError> {
        if turns.is_empty() {
            return Err(PromptError::NoTurn);
        }
        let mut target = Self { ids: Vec::new(), supervised: Vec::new() };
        for (place, turn) in turns.iter().enumerate() {
            if place > 0 {
                let question = tokenizer.encode_piece(&format!("<s>{}", wrap(&turn.question)))?;
                target.extend(question, false);
            }
            let answer = turn.answer.as_deref().unwrap_or_default();
            target.extend(tokenizer.encode_piece(&format!("{answer}{END_SYMBOL}"))?, true);
        }
        Ok(target)
    }

    fn extend(&mut self, ids: Vec<u32>, supervised: bool) {
        self.supervised.resize(self.supervised.len() + ids.len(), supervised);
        self.ids.extend(ids);
    }

    /// Cuts to at most `max_len` tokens, as `max_txt_len` does.
    pub fn truncate(&mut self, max_len: usize) {
        self.ids.truncate(max_len);
        self.supervised.truncate(max_len);
    }
}

/// Text of a generated answer: drops one leading unknown token, decodes without special tokens, cuts at `</s>`,
/// removes `<s>`, keeps what follows the last `[/INST]`, and strips white space.
///
/// # Errors
/// [`UnknownId`](TokenizerError::UnknownId) for an id outside of the vocabulary.
///
/// # Source
/// SPEC 5.1.
pub fn decode_answer(tokenizer: &Tokenizer, ids: &[u32]) -> Result<String, TokenizerError> {
    let ids = match ids {
        [first, rest @ ..] if *first == tokenizer.unk_id() => rest,
        _ => ids,
    };
    let text = tokenizer.decode(ids, SpecialTokens::Skip)?;
    // Literal symbols can still appear, spelled out of ordinary tokens.
    let until_end = text.split(END_SYMBOL).next().unwrap_or_default().replace("<s>", "");
    let answer = until_end.rsplit("[/INST]").next().unwrap_or_default();
    Ok(answer.trim().to_owned())
}
