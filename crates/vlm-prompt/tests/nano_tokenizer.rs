//! The built-in tokenizer: how it was made, that it is lossless, and that damaged files never panic.
#![expect(clippy::unwrap_used, reason = "helpers outside of test functions")]

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use vlm_prompt::{
    AnswerGrammar, BoxFormat, GrammarSegment, InstructionPool, PromptMode, PromptPart, PromptPhase,
    SpecialTokens, Template, Tokenizer, TokenizerError, train_nano_tokenizer,
};

const COMMITTED: &str = include_str!("../assets/nano-tokenizer.json");

#[test]
fn training_again_gives_the_committed_bytes() {
    let trained = train_nano_tokenizer().unwrap();
    assert!(
        trained == COMMITTED,
        "run `cargo run -p vlm-prompt --example train_nano_tokenizer` and look at the changes"
    );
}

#[test]
fn layout_of_the_vocabulary() {
    let tokenizer = Tokenizer::nano();
    assert_eq!(tokenizer.vocab_size(), 1024);
    assert_eq!((tokenizer.unk_id(), tokenizer.bos_id(), tokenizer.eos_id()), (0, 1, 2));
    assert_eq!(tokenizer.token(tokenizer.pad_id()).as_deref(), Some("$$"));
    assert_eq!(tokenizer.token_id("<0x00>"), Some(3));
    assert_eq!(tokenizer.token_id("<0xFF>"), Some(258));
    for id in 259..1024 {
        let piece = tokenizer.token(id).unwrap();
        let digits = piece.chars().filter(char::is_ascii_digit).count();
        assert!(digits == 0 || piece.len() == 1, "`{piece}` holds a digit");
    }
    for piece in [
        "▁{<",
        "><",
        ">}",
        "▁[INST]",
        "▁[/INST]",
        "▁<Img>",
        "▁</Img>",
        "▁[refer]",
        "▁pancreas",
        "▁yes",
        "▁no",
    ] {
        assert!(tokenizer.token_id(piece).is_some(), "{piece}");
    }
}

#[test]
fn special_tokens_split_the_text() {
    let tokenizer = Tokenizer::nano();
    let id = |piece: &str| tokenizer.token_id(piece).unwrap();
    let rows: [(&str, &[u32]); 9] = [
        ("", &[]),
        ("yes", &[id("▁yes")]),
        (" yes", &[id("▁"), id("▁yes")]),
        ("   yes", &[id("▁▁"), id("▁"), id("▁yes")]),
        ("</s>yes", &[2, id("▁yes")]),
        ("yes</s>", &[id("▁yes"), 2]),
        ("<unk></s> yes", &[0, 2, id("▁"), id("▁yes")]),
        ("<s><s>", &[1, 1]),
        ("é", &[id("▁"), id("<0xC3>"), id("<0xA9>")]),
    ];
    for (text, expected) in rows {
        assert_eq!(tokenizer.encode_piece(text).unwrap(), expected, "{text:?}");
        assert_eq!(tokenizer.decode(expected, SpecialTokens::Keep).unwrap(), text);
    }
}

#[test]
fn the_mark_of_a_space_is_a_space() {
    let tokenizer = Tokenizer::nano();
    assert_eq!(tokenizer.encode_piece("a▁b").unwrap(), tokenizer.encode_piece("a b").unwrap());
}

#[test]
fn prompts_are_short() {
    let tokenizer = Tokenizer::nano();
    let template = Template::new(PromptMode::Consistent, PromptPhase::Inference);
    let instructions = InstructionPool::Code.detection_instructions("pancreatic tumor").into_iter();
    for question in instructions.chain(InstructionPool::Code.classification_instructions()) {
        let parts = template.single(1, &question).unwrap().encode(&tokenizer).unwrap();
        let len: usize =
            parts.iter().map(|part| if let PromptPart::Tokens(ids) = part { ids.len() } else { 0 }).sum();
        assert!(len <= 40, "{len} tokens: {question}");
    }
}

#[test]
fn grammar_of_boxes_and_of_yes_and_no() {
    let tokenizer = Tokenizer::nano();
    for (format, max_len) in [(BoxFormat::Percent100, 18), (BoxFormat::Permille1000, 22)] {
        let grammar = AnswerGrammar::bounding_box(&tokenizer, format).unwrap();
        // `▁{<`, three `><`, `>}`, the end, and the digits
        assert_eq!(grammar.max_len(), max_len);
        assert_eq!(grammar.segments.len(), 9);
        assert_eq!(grammar.path(&[1, 2, 3]), None);
        assert_eq!(grammar.path(&[1, 2, 3, 4, 5]), None);
        assert_eq!(grammar.path(&[1, 2, 3, format.max_value() + 1]), None);
    }
    let yes_no = AnswerGrammar::yes_no(&tokenizer).unwrap();
    assert!(
        matches!(&yes_no.segments[..], [GrammarSegment::Choice(two), GrammarSegment::Forced(end)] if two.len() == 2 && *end == [2])
    );
    assert_eq!(yes_no.path(&[1]).unwrap(), tokenizer.encode_piece("yes</s>").unwrap());
}

#[test]
fn a_vocabulary_with_joined_digits_has_no_grammar() {
    // `9` and `0` become one piece in place of a merge that nothing else is built from.
    let (left, right) = unused_merge();
    let joined = COMMITTED
        .replace(&format!("      \"{left} {right}\""), "      \"9 0\"")
        .replace(&format!("      \"{left}{right}\":"), "      \"90\":");
    let tokenizer = Tokenizer::from_bytes(joined.as_bytes()).unwrap();
    let error = AnswerGrammar::bounding_box(&tokenizer, BoxFormat::Percent100).unwrap_err();
    assert!(matches!(error, TokenizerError::GrammarMismatch { .. }), "{error}");
    let without = COMMITTED.replace("      \"7\":", "      \"seven\":");
    let tokenizer = Tokenizer::from_bytes(without.as_bytes()).unwrap();
    let error = AnswerGrammar::bounding_box(&tokenizer, BoxFormat::Percent100).unwrap_err();
    assert_eq!(error.to_string(), "`7` is `0` tokens, expected 1");
}

/// The last merge whose result no other merge uses or makes.
fn unused_merge() -> (String, String) {
    let file: serde_json::Value = serde_json::from_str(COMMITTED).unwrap();
    let merges = file["model"]["merges"].as_array().unwrap();
    let merges: Vec<(&str, &str)> =
        merges.iter().map(|line| line.as_str().unwrap().split_once(' ').unwrap()).collect();
    let is_unused = |(left, right): &(&str, &str)| {
        let joined = format!("{left}{right}");
        let n_used = merges
            .iter()
            .filter(|(a, b)| *a == joined || *b == joined || format!("{a}{b}") == joined)
            .count();
        n_used == 1
    };
    let (left, right) = merges.iter().rfind(|merge| is_unused(merge)).unwrap();
    ((*left).to_owned(), (*right).to_owned())
}

#[test]
fn files_that_are_not_usable_say_why() {
    let rows = [
        (
            COMMITTED.replace("\"type\": \"BPE\"", "\"type\": \"Unigram\""),
            "model type `Unigram`, expected `BPE`",
        ),
        (COMMITTED.replace("\"dropout\": null", "\"dropout\": 0.1"), "merge dropout is `0.1`"),
        (
            COMMITTED.replace("\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"@\""),
            "`end_of_word_suffix` is `@`",
        ),
        (COMMITTED.replace("\"</s>\": 2", "\"</s>\": 1"), "token id `1` is used twice"),
        (
            COMMITTED.replace("\"</s>\": 2", "\"</s>\": 4294967295"),
            "token id `4294967295` is above the limit `1048576`",
        ),
        (COMMITTED.replace("\"▁\":", "\"_\":"), "needs `▁`, which is not in the vocabulary"),
        (
            COMMITTED.replace("\"unk_token\": \"<unk>\"", "\"unk_token\": \"what\""),
            "`what` is not in the vocabulary",
        ),
    ];
    for (text, reason) in rows {
        let error = Tokenizer::from_bytes(text.as_bytes()).unwrap_err().to_string();
        let expected = format!("tokenizer `bytes` is not a usable SentencePiece BPE: {reason}");
        let no_space = reason.starts_with("needs") && error.ends_with("the vocabulary has no `▁` piece");
        assert!(error == expected || no_space, "{error}");
    }
    assert!(matches!(Tokenizer::from_bytes(b"{}"), Err(TokenizerError::Json { .. })));
    let huge = vec![b' '; (64 << 20) + 1];
    assert!(matches!(Tokenizer::from_bytes(&huge), Err(TokenizerError::TooLarge { .. })));
    let error = Tokenizer::from_file("no/such/file.json").unwrap_err();
    assert_eq!(error.to_string(), "cannot read tokenizer `no/such/file.json`");
}

#[test]
fn a_file_reads_as_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs_err::write(&path, COMMITTED).unwrap();
    let tokenizer = Tokenizer::from_file(&path).unwrap();
    assert_eq!(
        tokenizer.encode_piece("a liver").unwrap(),
        Tokenizer::nano().encode_piece("a liver").unwrap()
    );
    assert_eq!(tokenizer.clone().with_pad_id(0).unwrap().pad_id(), 0);
    assert!(tokenizer.with_pad_id(1024).is_err());
}

/// One or two seeded wounds.
fn damaged(rng: &mut ChaCha8Rng, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let mut below = |n: usize| usize::try_from(rng.next_u64() % n.max(1) as u64).unwrap();
    for _ in 0..=below(2) {
        let at = below(bytes.len());
        match below(9) {
            0 => bytes[at] ^= 1 << below(8),
            1 => bytes[at] = b"{}[]\",:0198-e. \\ntu<>"[below(21)],
            2 => bytes.truncate(at),
            3 => {
                let end = (at + below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + below(60)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                // Swap the contents of two quoted stretches: the JSON stays readable and its meaning changes.
                let quotes: Vec<usize> =
                    bytes.iter().enumerate().filter(|(_, b)| **b == b'"').map(|(i, _)| i).collect();
                if quotes.len() >= 4 {
                    let pick = 2 * below(quotes.len() / 2 - 1);
                    let (start, end) = (quotes[pick] + 1, quotes[pick + 1]);
                    let other = 2 * below(quotes.len() / 2 - 1);
                    let copy = bytes.get(quotes[other] + 1..quotes[other + 1]).unwrap_or_default().to_vec();
                    bytes.splice(start..end.max(start), copy);
                }
            }
        }
        if bytes.is_empty() {
            bytes.push(b'{');
        }
    }
    bytes
}

#[test]
fn five_thousand_damaged_files_are_errors_or_work() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut n_read, mut n_error) = (0, 0);
    for _ in 0..5000 {
        let bytes = damaged(&mut rng, COMMITTED);
        match Tokenizer::from_bytes(&bytes) {
            Ok(tokenizer) => {
                n_read += 1;
                let ids = tokenizer.encode_piece("<s>[INST] pancreas 42 é ▁\u{0}🙂</s>").unwrap();
                tokenizer.decode(&ids, SpecialTokens::Keep).unwrap();
                let _ = AnswerGrammar::yes_no(&tokenizer);
            }
            Err(error) => {
                n_error += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    // Both sides must be reached, else the damage is of one kind only.
    assert!(n_read > 250 && n_error > 250, "{n_read} read, {n_error} errors");
}

fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "[ a-z0-9<>{}/\\[\\]$]{0,20}",
        Just("</s>".to_owned()),
        Just("<s>".to_owned()),
        Just("<unk>".to_owned()),
        Just("  ".to_owned()),
        Just("<0x41>".to_owned()),
    ];
    // The one character that SentencePiece itself does not keep.
    proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat().replace('▁', " "))
}

proptest! {
    #[test]
    fn any_text_is_kept(text in any_text()) {
        let tokenizer = Tokenizer::nano();
        let ids = tokenizer.encode_piece(&text).unwrap();
        prop_assert!(ids.iter().all(|id| *id < 1024));
        prop_assert_eq!(tokenizer.decode(&ids, SpecialTokens::Keep).unwrap(), text);
    }

    #[test]
    fn any_bytes_are_kept(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let tokenizer = Tokenizer::nano();
        let ids = tokenizer.encode_bytes(&bytes).unwrap();
        prop_assert_eq!(tokenizer.decode_bytes(&ids, SpecialTokens::Skip).unwrap(), bytes);
    }

    #[test]
    fn streaming_gives_the_same_text(ids in proptest::collection::vec(0u32..1024, 0..60), skip: bool) {
        let tokenizer = Tokenizer::nano();
        let special = if skip { SpecialTokens::Skip } else { SpecialTokens::Keep };
        let mut stream = tokenizer.detokenizer(special);
        let mut text = String::new();
        for id in &ids {
            text.push_str(&stream.push(*id).unwrap());
        }
        text.push_str(&stream.finish());
        prop_assert_eq!(text, tokenizer.decode(&ids, special).unwrap());
    }
}
