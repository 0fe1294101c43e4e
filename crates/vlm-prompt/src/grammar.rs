//! What tokens an answer may consist of: plain data for constrained decoding.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::boxes::{BoxFormat, GridBox};
use crate::template::END_SYMBOL;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// One way through a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrammarOption {
    /// Its tokens, at least one. One option's tokens may be the beginning of another's (`1` and `10`): what follows
    /// the choice tells them apart.
    pub tokens: Vec<u32>,
    /// What it means: the number of a box edge, or 1 for yes and 0 for no.
    pub value: u32,
}

/// A stretch of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrammarSegment {
    /// These tokens and no others.
    Forced(Vec<u32>),
    /// Exactly one of these.
    Choice(Vec<GrammarOption>),
}

/// All answers of one kind as a sequence of segments, the end symbol included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerGrammar {
    /// The segments in order.
    pub segments: Vec<GrammarSegment>,
}

/// Random boxes checked besides the edges of the grid when a box grammar is built.
const N_RANDOM_CHECKS: usize = 200;

impl AnswerGrammar {
    /// The answers `{<a><b><c><d>}</s>` with four numbers on the grid of `format`.
    ///
    /// # Errors
    /// [`NotOneToken`](TokenizerError::NotOneToken) when a digit is not one token, and
    /// [`GrammarMismatch`](TokenizerError::GrammarMismatch) when the tokenizer would write some box in another way
    /// than the grammar: then no model trained with it can be held to the grammar.
    pub fn bounding_box(tokenizer: &Tokenizer, format: BoxFormat) -> Result<Self, TokenizerError> {
        let digits = digit_ids(tokenizer)?;
        let zero = closed(&GridBox::default().to_string());
        let ids = tokenizer.encode_piece(&zero)?;
        let frame: Vec<&[u32]> = ids.split(|id| *id == digits[0]).collect();
        let [open, between @ .., close] = &frame[..] else {
            return Err(TokenizerError::GrammarMismatch { text: zero, whole: ids.clone(), path: Vec::new() });
        };
        let choice =
            GrammarSegment::Choice((0..=format.max_value()).map(|value| number(value, &digits)).collect());
        let mut segments = vec![GrammarSegment::Forced(open.to_vec()), choice.clone()];
        for forced in between {
            segments.push(GrammarSegment::Forced(forced.to_vec()));
            segments.push(choice.clone());
        }
        segments.push(GrammarSegment::Forced(close.to_vec()));
        let grammar = Self { segments };
        grammar.check_boxes(tokenizer, format)?;
        Ok(grammar)
    }

    /// The answers `yes</s>` (value 1) and `no</s>` (value 0).
    ///
    /// # Errors
    /// [`GrammarMismatch`](TokenizerError::GrammarMismatch) when the two answers do not end in the end token, or one
    /// is the beginning of the other.
    pub fn yes_no(tokenizer: &Tokenizer) -> Result<Self, TokenizerError> {
        let eos = tokenizer.eos_id();
        let mut options = Vec::new();
        for (word, value) in [("yes", 1), ("no", 0)] {
            let text = closed(word);
            let whole = tokenizer.encode_piece(&text)?;
            match whole.split_last() {
                Some((last, tokens)) if *last == eos && !tokens.is_empty() => {
                    options.push(GrammarOption { tokens: tokens.to_vec(), value });
                }
                _ => return Err(TokenizerError::GrammarMismatch { text, whole, path: vec![eos] }),
            }
        }
        if let [yes, no] = &options[..]
            && (yes.tokens.starts_with(&no.tokens) || no.tokens.starts_with(&yes.tokens))
        {
            return Err(TokenizerError::GrammarMismatch {
                text: "yes".to_owned(),
                whole: yes.tokens.clone(),
                path: no.tokens.clone(),
            });
        }
        Ok(Self { segments: vec![GrammarSegment::Choice(options), GrammarSegment::Forced(vec![eos])] })
    }

    /// Tokens of the answer with these values, one per choice; `None` when a value is no option or their number is
    /// wrong.
    pub fn path(&self, values: &[u32]) -> Option<Vec<u32>> {
        let mut values = values.iter();
        let mut tokens = Vec::new();
        for segment in &self.segments {
            match segment {
                GrammarSegment::Forced(forced) => tokens.extend(forced),
                GrammarSegment::Choice(options) => {
                    let value = values.next()?;
                    tokens.extend(&options.iter().find(|option| option.value == *value)?.tokens);
                }
            }
        }
        values.next().is_none().then_some(tokens)
    }

    /// Length of the longest answer in tokens: what a generation limit must allow (20 for the published format).
    pub fn max_len(&self) -> usize {
        self.segments.iter().map(GrammarSegment::max_len).sum()
    }

    fn check_boxes(&self, tokenizer: &Tokenizer, format: BoxFormat) -> Result<(), TokenizerError> {
        let max = format.max_value();
        let diagonal = (0..=max).map(|value| [value; 4]);
        let edges =
            (0..16u32).map(|bits| [0, 1, 2, 3].map(|place| if bits >> place & 1 == 1 { max } else { 0 }));
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let random = (0..N_RANDOM_CHECKS).map(|_| [(); 4].map(|()| rng.next_u32() % (max + 1)));
        for values in diagonal.chain(edges).chain(random) {
            let text = closed(&GridBox::from(values).to_string());
            let whole = tokenizer.encode_piece(&text)?;
            let path = self.path(&values).unwrap_or_default();
            if whole != path {
                return Err(TokenizerError::GrammarMismatch { text, whole, path });
            }
        }
        Ok(())
    }
}

impl GrammarSegment {
    fn max_len(&self) -> usize {
        match self {
            Self::Forced(tokens) => tokens.len(),
            Self::Choice(options) => options.iter().map(|option| option.tokens.len()).max().unwrap_or(0),
        }
    }
}

fn closed(answer: &str) -> String {
    format!("{answer}{END_SYMBOL}")
}

/// Ids of the ten digits; they need not be consecutive (in LLaMA they are not).
fn digit_ids(tokenizer: &Tokenizer) -> Result<[u32; 10], TokenizerError> {
    let mut ids = [0; 10];
    for (id, digit) in ids.iter_mut().zip('0'..='9') {
        let text = digit.to_string();
        *id = tokenizer.token_id(&text).ok_or(TokenizerError::NotOneToken { text, got: 0 })?;
    }
    Ok(ids)
}

fn number(value: u32, digits: &[u32; 10]) -> GrammarOption {
    let text = value.to_string();
    let tokens = text.bytes().filter_map(|byte| digits.get(usize::from(byte - b'0')).copied()).collect();
    GrammarOption { tokens, value }
}
