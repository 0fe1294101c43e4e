//! LLaMA's tokenizer with the exact behavior of the slow (SentencePiece) implementation.
//!
//! The rule, which is not what the `tokenizers` crate does by itself with the same file: a text is cut at the
//! literal added tokens (`<s>`, `</s>`, `<unk>`, …); every stretch between them is encoded alone, with a `▁` put
//! in front, with spaces turned into `▁` and with nothing stripped (SPEC 2.6).

mod detokenizer;
mod error;
mod file;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use tokenizers::Model;
use tokenizers::models::bpe::BPE;

pub use detokenizer::Detokenizer;
pub use error::TokenizerError;
use file::{MAX_FILE_BYTES, Piece};

/// Whether special tokens appear in decoded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialTokens {
    /// Leave them out: beginning, end, unknown and padding.
    Skip,
    /// Write them as `<s>`, `</s>` and so on.
    Keep,
}

/// A SentencePiece-like BPE tokenizer read from a Hugging Face `tokenizer.json`. Clones share the tables.
#[derive(Clone)]
pub struct Tokenizer {
    tables: Arc<Tables>,
    pad_id: u32,
}

struct Tables {
    model: BPE,
    pieces: Vec<Piece>,
    ids: HashMap<String, u32>,
    /// Added tokens by their first byte, longest first.
    added: HashMap<u8, Vec<(Box<str>, u32)>>,
    byte_ids: Option<Box<[u32; 256]>>,
    bos_id: u32,
    eos_id: u32,
    unk_id: u32,
    n_known: usize,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("bos_id", &self.bos_id())
            .field("eos_id", &self.eos_id())
            .field("unk_id", &self.unk_id())
            .field("pad_id", &self.pad_id)
            .finish()
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json` of at most 64 MiB.
    ///
    /// # Errors
    /// [`Read`](TokenizerError::Read) when the file cannot be read, and the errors of
    /// [`from_bytes`](Self::from_bytes), which then name the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TokenizerError> {
        let path = path.as_ref();
        let read = |source| TokenizerError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = fs_err::File::open(path).map_err(read)?;
        // One byte more than the limit, so that a longer file is seen as such and never read whole.
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
        Self::from_named_bytes(&path.display().to_string(), &bytes)
    }

    /// Reads the bytes of a `tokenizer.json`.
    ///
    /// The beginning and end tokens are `<s>` and `</s>`; padding is `$$` where that piece exists (SPEC 2.6), else
    /// `<pad>`, else the unknown token. [`with_pad_id`](Self::with_pad_id) chooses another.
    ///
    /// # Errors
    /// [`TooLarge`](TokenizerError::TooLarge), [`Json`](TokenizerError::Json) or
    /// [`Unsupported`](TokenizerError::Unsupported).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenizerError> {
        Self::from_named_bytes("bytes", bytes)
    }

    fn from_named_bytes(name: &str, bytes: &[u8]) -> Result<Self, TokenizerError> {
        let parts = file::parse(name, bytes)?;
        let file::Parts { model, mut pieces, ids, unk, n_known } = parts;
        let role = |text: &str| {
            ids.get(text).copied().ok_or_else(|| TokenizerError::Unsupported {
                name: name.to_owned(),
                reason: format!("no `{text}` token"),
            })
        };
        let bos_id = role("<s>")?;
        let eos_id = role("</s>")?;
        let unk_id = role(unk.as_deref().unwrap_or("<unk>"))?;
        let pad_id = ["$$", "<pad>"].iter().find_map(|text| ids.get(*text).copied()).unwrap_or(unk_id);
        for id in [bos_id, eos_id, unk_id] {
            // Control pieces are single tokens in text even where the file forgets to list them.
            let slot = &mut pieces[id as usize];
            if let Piece::Text(text) | Piece::Added { text, .. } = slot {
                *slot = Piece::Added { text: text.clone(), special: true };
            }
        }
        let mut added: HashMap<u8, Vec<(Box<str>, u32)>> = HashMap::new();
        for (id, piece) in (0u32..).zip(&pieces) {
            if let Piece::Added { text, .. } = piece
                && let Some(&first) = text.as_bytes().first()
            {
                added.entry(first).or_default().push((text.clone(), id));
            }
        }
        for tokens in added.values_mut() {
            tokens.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        }
        let byte_ids = byte_ids(&ids);
        let tables = Tables { model, pieces, ids, added, byte_ids, bos_id, eos_id, unk_id, n_known };
        Ok(Self { tables: Arc::new(tables), pad_id })
    }

    /// Replaces the padding id.
    ///
    /// # Errors
    /// [`UnknownId`](TokenizerError::UnknownId) when the vocabulary has no such id.
    pub fn with_pad_id(mut self, pad_id: u32) -> Result<Self, TokenizerError> {
        self.piece(pad_id)?;
        self.pad_id = pad_id;
        Ok(self)
    }

    /// Encodes one piece of a prompt: no beginning token is added, and every stretch between literal special
    /// tokens gets its own `▁` in front. The empty text gives no ids.
    ///
    /// A literal U+2581 (`▁`) in the text is the same token as a space, as in SentencePiece.
    ///
    /// # Errors
    /// [`Encode`](TokenizerError::Encode) when the model refuses the text, which a checked file does not cause.
    ///
    /// # Source
    /// SPEC 2.6.
    pub fn encode_piece(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = Vec::new();
        let mut start = 0;
        let mut at = 0;
        while at < text.len() {
            if let Some((len, id)) = self.added_token_at(text, at) {
                self.encode_stretch(&text[start..at], &mut ids)?;
                ids.push(id);
                at += len;
                start = at;
            } else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        self.encode_stretch(&text[start..], &mut ids)?;
        Ok(ids)
    }

    fn added_token_at(&self, text: &str, at: usize) -> Option<(usize, u32)> {
        let candidates = self.tables.added.get(&text.as_bytes()[at])?;
        let (token, id) = candidates.iter().find(|(token, _)| text[at..].starts_with(&**token))?;
        Some((token.len(), *id))
    }

    fn encode_stretch(&self, stretch: &str, ids: &mut Vec<u32>) -> Result<(), TokenizerError> {
        if stretch.is_empty() {
            return Ok(());
        }
        let normalized = format!("▁{}", stretch.replace(' ', "▁"));
        let tokens = self
            .tables
            .model
            .tokenize(&normalized)
            .map_err(|error| TokenizerError::Encode { len: stretch.len(), reason: error.to_string() })?;
        ids.extend(tokens.iter().map(|token| token.id));
        Ok(())
    }

    /// Encodes raw bytes, one byte-fallback token each: lossless for any bytes, [`decode_bytes`](Self::decode_bytes)
    /// gives them back. `None` when the vocabulary lacks a byte piece.
    pub fn encode_bytes(&self, bytes: &[u8]) -> Option<Vec<u32>> {
        let table = self.tables.byte_ids.as_ref()?;
        Some(bytes.iter().map(|byte| table[usize::from(*byte)]).collect())
    }

    /// Text of `ids`. Bytes that are no UTF-8 become U+FFFD; the space that the encoder put in front is taken away.
    ///
    /// # Errors
    /// [`UnknownId`](TokenizerError::UnknownId) for an id that is not in the vocabulary.
    pub fn decode(&self, ids: &[u32], special: SpecialTokens) -> Result<String, TokenizerError> {
        Ok(String::from_utf8_lossy(&self.decode_bytes(ids, special)?).into_owned())
    }

    /// Bytes of `ids`, which need not be whole UTF-8 characters.
    ///
    /// # Errors
    /// [`UnknownId`](TokenizerError::UnknownId) for an id that is not in the vocabulary.
    pub fn decode_bytes(&self, ids: &[u32], special: SpecialTokens) -> Result<Vec<u8>, TokenizerError> {
        let mut bytes = Vec::new();
        let mut at_start = true;
        for &id in ids {
            self.append_bytes(id, special, &mut at_start, &mut bytes)?;
        }
        Ok(bytes)
    }

    /// A decoder that takes ids one at a time and gives only whole characters.
    pub fn detokenizer(&self, special: SpecialTokens) -> Detokenizer {
        Detokenizer::new(self.clone(), special)
    }

    /// Appends what one id adds to the text; `at_start` says whether a leading `▁` is the encoder's own.
    fn append_bytes(
        &self,
        id: u32,
        special: SpecialTokens,
        at_start: &mut bool,
        bytes: &mut Vec<u8>,
    ) -> Result<(), TokenizerError> {
        let piece = self.piece(id)?;
        if special == SpecialTokens::Skip && self.is_special(id) {
            return Ok(());
        }
        match piece {
            Piece::Missing => {}
            Piece::Text(text) => {
                let text = if *at_start { text.strip_prefix('▁').unwrap_or(text) } else { text };
                bytes.extend_from_slice(text.replace('▁', " ").as_bytes());
                *at_start = false;
            }
            Piece::Byte(byte) => {
                bytes.push(*byte);
                *at_start = false;
            }
            Piece::Added { text, .. } => {
                bytes.extend_from_slice(text.as_bytes());
                *at_start = true; // the next stretch was encoded alone, with a `▁` of its own
            }
        }
        Ok(())
    }

    fn piece(&self, id: u32) -> Result<&Piece, TokenizerError> {
        match self.tables.pieces.get(id as usize) {
            None | Some(Piece::Missing) => {
                Err(TokenizerError::UnknownId { id, vocab_size: self.tables.n_known })
            }
            Some(piece) => Ok(piece),
        }
    }

    /// Whether an id is left out of decoded answers: special tokens and the padding.
    pub fn is_special(&self, id: u32) -> bool {
        let listed = matches!(self.tables.pieces.get(id as usize), Some(Piece::Added { special: true, .. }));
        listed || id == self.pad_id
    }

    /// Rows that an embedding table needs: the largest id plus one.
    pub fn vocab_size(&self) -> usize {
        self.tables.pieces.len()
    }

    /// Id of a piece or special token, spelled as in the file (`▁{`, `</s>`, `<0x0A>`).
    pub fn token_id(&self, piece: &str) -> Option<u32> {
        self.tables.ids.get(piece).copied()
    }

    /// Spelling of an id as in the file.
    pub fn token(&self, id: u32) -> Option<String> {
        match self.tables.pieces.get(id as usize)? {
            Piece::Missing => None,
            Piece::Text(text) | Piece::Added { text, .. } => Some(text.to_string()),
            Piece::Byte(byte) => Some(file::byte_name(*byte)),
        }
    }

    /// Id of `<s>` (1 in LLaMA).
    pub fn bos_id(&self) -> u32 {
        self.tables.bos_id
    }

    /// Id of `</s>` (2 in LLaMA).
    pub fn eos_id(&self) -> u32 {
        self.tables.eos_id
    }

    /// Id of the unknown token (0 in LLaMA).
    pub fn unk_id(&self) -> u32 {
        self.tables.unk_id
    }

    /// Id that fills short rows (3997, the piece `$$`, in LLaMA).
    pub fn pad_id(&self) -> u32 {
        self.pad_id
    }
}

fn byte_ids(ids: &HashMap<String, u32>) -> Option<Box<[u32; 256]>> {
    let mut table = Box::new([0; 256]);
    for byte in 0..=u8::MAX {
        table[usize::from(byte)] = *ids.get(&file::byte_name(byte))?;
    }
    Some(table)
}
