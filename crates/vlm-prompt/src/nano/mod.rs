//! A tokenizer of 1024 pieces for small models: made from this project's own prompts, committed as
//! `assets/nano-tokenizer.json`, and rebuilt byte for byte by `examples/train_nano_tokenizer.rs`.

mod corpus;
mod trainer;

use std::fmt::Write;
use std::sync::OnceLock;

use crate::tokenizer::Tokenizer;

/// Pieces of the nano vocabulary.
const VOCAB_SIZE: usize = 1024;
/// Halves of the pieces that are runs of spaces. Their merges come last, as in LLaMA: of two spaces before a word the
/// second one belongs to the word.
const SPACE_RUNS: [&str; 2] = ["▁", "▁▁"];

impl Tokenizer {
    /// The built-in tokenizer of 1024 pieces, for tests and small models: `<unk>` 0, `<s>` 1, `</s>` 2, the 256 byte
    /// pieces, and pieces learned from this project's prompts. Every digit is a token of its own, as in LLaMA.
    ///
    /// # Panics
    /// Never with the committed file; a test reads it.
    pub fn nano() -> Self {
        static NANO: OnceLock<Tokenizer> = OnceLock::new();
        NANO.get_or_init(|| {
            let bytes = include_bytes!("../../assets/nano-tokenizer.json");
            Self::from_bytes(bytes).expect("the committed nano tokenizer is readable")
        })
        .clone()
    }
}

/// Text of the nano tokenizer's file, trained anew. The same bytes on every machine.
///
/// `None` when the corpus has too few words to fill the vocabulary.
#[doc(hidden)]
pub fn train_nano_tokenizer() -> Option<String> {
    let mut pieces: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    pieces.extend((0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>")));
    let alphabet = corpus::alphabet();
    let n_learned = VOCAB_SIZE - pieces.len() - alphabet.len() - SPACE_RUNS.len();
    let mut learned = trainer::train(&corpus::words(), n_learned)?;
    pieces.extend(learned.pieces);
    for half in SPACE_RUNS {
        pieces.push(half.repeat(2));
        learned.merges.push((half.to_owned(), half.to_owned()));
    }
    pieces.extend(alphabet.into_iter().map(String::from));
    Some(write_file(&pieces, &learned.merges))
}

/// The file by hand, one piece a line: the order of the keys must not depend on a JSON library's features.
fn write_file(pieces: &[String], merges: &[(String, String)]) -> String {
    let mut vocab = Vec::with_capacity(pieces.len());
    for (id, piece) in pieces.iter().enumerate() {
        vocab.push(format!("      {}: {id}", quoted(piece)));
    }
    let merges: Vec<String> =
        merges.iter().map(|(left, right)| format!("      {}", quoted(&format!("{left} {right}")))).collect();
    let mut text = String::from(HEADER);
    // Writing to a `String` cannot fail.
    let _ = write!(
        text,
        "    \"vocab\": {{\n{}\n    }},\n    \"merges\": [\n{}\n    ]\n  }}\n}}\n",
        vocab.join(",\n"),
        merges.join(",\n")
    );
    text
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// The parts around the vocabulary, as in LLaMA's own file, so that other programs read it the same way.
const HEADER: &str = r#"{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [
    {"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
  ],
  "normalizer": {"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": "▁"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
  ]},
  "pre_tokenizer": null,
  "post_processor": {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [
      {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
      {"SpecialToken": {"id": "<s>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}
    ],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
  },
  "decoder": {"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}
  ]},
  "model": {
    "type": "BPE",
    "dropout": null,
    "unk_token": "<unk>",
    "continuing_subword_prefix": null,
    "end_of_word_suffix": null,
    "fuse_unk": true,
    "byte_fallback": true,
    "ignore_merges": false,
"#;
