//! Reads the parts of a `tokenizer.json` that a SentencePiece BPE needs, checking every size and reference first.
//!
//! The file is read with our own data types instead of the `tokenizers` crate's: its normalizers and regular
//! expressions play no part in the encoding rule, and its model builder indexes a buffer by lengths taken from
//! the file (a merge longer than every piece makes it panic).

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use tokenizers::models::bpe::{BPE, Vocab};

use super::error::TokenizerError;

/// A LLaMA file is 1.5 MB and the largest published ones stay under 40 MB.
pub(super) const MAX_FILE_BYTES: u64 = 64 << 20;
/// Four times the largest published vocabulary.
const MAX_VOCAB_ID: u32 = 1 << 20;

#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    model: ModelSection,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct ModelSection {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    vocab: HashMap<String, u32>,
    merges: Merges,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merges {
    Pairs(Vec<(String, String)>),
    Lines(Vec<String>),
}

/// What one id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Nothing: a hole in the numbering.
    Missing,
    /// Text, with `▁` still in it.
    Text(Box<str>),
    /// One raw byte (`<0x41>`).
    Byte(u8),
    /// An added token; `special` ones are left out of decoded answers.
    Added { text: Box<str>, special: bool },
}

/// A checked file.
pub(super) struct Parts {
    pub(super) model: BPE,
    pub(super) pieces: Vec<Piece>,
    pub(super) ids: HashMap<String, u32>,
    pub(super) unk: Option<String>,
    pub(super) n_known: usize,
}

/// Parses and checks the bytes of a `tokenizer.json`; `name` is only for messages.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Parts, TokenizerError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(TokenizerError::TooLarge { name: name.to_owned(), limit: MAX_FILE_BYTES });
    }
    let file: TokenizerFile = serde_json::from_slice(bytes)
        .map_err(|source| TokenizerError::Json { name: name.to_owned(), source })?;
    let unsupported = |reason: String| TokenizerError::Unsupported { name: name.to_owned(), reason };
    let TokenizerFile { added_tokens, model } = file;
    check_kind(&model).map_err(&unsupported)?;
    let merges = match model.merges {
        Merges::Pairs(pairs) => pairs,
        Merges::Lines(lines) => {
            lines.iter().map(|line| split_merge(line)).collect::<Result<_, _>>().map_err(&unsupported)?
        }
    };
    check_merges(&model.vocab, &merges).map_err(&unsupported)?;
    let pieces = piece_table(&model.vocab, &added_tokens).map_err(&unsupported)?;
    let n_known = pieces.iter().filter(|piece| **piece != Piece::Missing).count();
    let mut ids = model.vocab.clone();
    for token in &added_tokens {
        ids.insert(token.content.clone(), token.id);
    }
    let mut builder = BPE::builder()
        .vocab_and_merges(model.vocab.into_iter().collect::<Vocab>(), merges)
        .fuse_unk(model.fuse_unk)
        .byte_fallback(model.byte_fallback)
        // The crate's cache lives once per thread and is never emptied; prompts are short, so do without.
        .cache_capacity(0);
    if let Some(unk) = &model.unk_token {
        builder = builder.unk_token(unk.clone());
    }
    let bpe = builder.build().map_err(|error| unsupported(error.to_string()))?;
    Ok(Parts { model: bpe, pieces, ids, unk: model.unk_token, n_known })
}

fn check_kind(model: &ModelSection) -> Result<(), String> {
    if let Some(kind) = &model.kind
        && kind != "BPE"
    {
        return Err(format!("model type `{kind}`, expected `BPE`"));
    }
    for (name, value) in [
        ("continuing_subword_prefix", &model.continuing_subword_prefix),
        ("end_of_word_suffix", &model.end_of_word_suffix),
    ] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            return Err(format!("`{name}` is `{value}`"));
        }
    }
    if let Some(dropout) = model.dropout.filter(|dropout| *dropout != 0.0) {
        return Err(format!("merge dropout is `{dropout}`"));
    }
    if !model.vocab.contains_key("▁") {
        return Err("the vocabulary has no `▁` piece".to_owned());
    }
    match &model.unk_token {
        Some(unk) if !model.vocab.contains_key(unk) => Err(format!("`{unk}` is not in the vocabulary")),
        None if !model.byte_fallback || !has_all_bytes(&model.vocab) => {
            Err("neither an unknown token nor a piece for every byte".to_owned())
        }
        _ => Ok(()),
    }
}

fn has_all_bytes(vocab: &HashMap<String, u32>) -> bool {
    (0..=u8::MAX).all(|byte| vocab.contains_key(&byte_name(byte)))
}

fn split_merge(line: &str) -> Result<(String, String), String> {
    match line.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => Err(format!("merge `{line}` is not two pieces")),
    }
}

fn check_merges(vocab: &HashMap<String, u32>, merges: &[(String, String)]) -> Result<(), String> {
    for (left, right) in merges {
        for piece in [left, right, &format!("{left}{right}")] {
            if !vocab.contains_key(piece.as_str()) {
                return Err(format!(
                    "merge `{left}` `{right}` needs `{piece}`, which is not in the vocabulary"
                ));
            }
        }
    }
    Ok(())
}

fn piece_table(vocab: &HashMap<String, u32>, added: &[AddedToken]) -> Result<Vec<Piece>, String> {
    let max_id = vocab.values().chain(added.iter().map(|token| &token.id)).max().copied().unwrap_or(0);
    if max_id > MAX_VOCAB_ID {
        return Err(format!("token id `{max_id}` is above the limit `{MAX_VOCAB_ID}`"));
    }
    let mut pieces = vec![Piece::Missing; max_id as usize + 1];
    for (text, &id) in vocab {
        let slot = &mut pieces[id as usize];
        if *slot != Piece::Missing {
            return Err(format!("token id `{id}` is used twice"));
        }
        *slot = byte_piece(text).map_or_else(|| Piece::Text(text.as_str().into()), Piece::Byte);
    }
    let mut seen = HashSet::new();
    for token in added {
        if token.content.is_empty() || !seen.insert(token.content.as_str()) {
            return Err(format!("added token `{}` is empty or repeated", token.content));
        }
        let slot = &mut pieces[token.id as usize];
        let fits = match slot {
            Piece::Missing => !vocab.contains_key(&token.content),
            _ => vocab.get(&token.content) == Some(&token.id),
        };
        if !fits {
            return Err(format!("added token `{}` does not own id `{}`", token.content, token.id));
        }
        *slot = Piece::Added { text: token.content.as_str().into(), special: token.special };
    }
    Ok(pieces)
}

/// `<0x41>` is the byte 0x41: the names that the byte-fallback rule looks up.
fn byte_piece(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let value = u8::from_str_radix(digits, 16).ok()?;
    (byte_name(value) == text).then_some(value)
}

/// Name of the piece that stands for one raw byte.
pub(super) fn byte_name(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}
