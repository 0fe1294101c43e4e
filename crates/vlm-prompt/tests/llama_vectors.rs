//! The published token ids, with the real tokenizer where it is present. The synthetic twins are in
//! `nano_tokenizer.rs` and `prompts.rs`.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests and their helpers")]

mod shared_data;

use serde::Deserialize;
use shared_data::{llama, shared_file};
use vlm_prompt::{
    AnswerGrammar, AnswerHistory, BoxFormat, InstructionPool, PromptMode, PromptPart, PromptPhase,
    SpecialTokens, Template, Tokenizer, TrainingTarget, Turn, classification_evaluation_prompt,
    decode_answer, detection_evaluation_prompt,
};

#[derive(Deserialize)]
struct Vector {
    text: String,
    slow_legacy_ids: Vec<u32>,
}

fn vectors(name: &str) -> Option<Vec<Vector>> {
    let text = fs_err::read_to_string(shared_file(name)?).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn slow_legacy_ids() {
    let Some(tokenizer) = llama() else { return };
    for name in ["llama2-tokenizer/tokenizer_vectors.json", "llama-spm-vocab-gguf/tokenizer_vectors.json"] {
        for Vector { text, slow_legacy_ids } in vectors(name).unwrap_or_default() {
            assert_eq!(tokenizer.encode_piece(&text).unwrap(), slow_legacy_ids, "{text:?}");
            assert_eq!(tokenizer.decode(&slow_legacy_ids, SpecialTokens::Keep).unwrap(), text);
        }
    }
}

#[test]
fn reference_encodings_of_the_same_pieces() {
    let (Some(tokenizer), Some(texts), Some(ids)) = (
        llama(),
        shared_file("llama-spm-vocab-gguf/ggml-vocab-llama-spm.gguf.inp"),
        shared_file("llama-spm-vocab-gguf/ggml-vocab-llama-spm.gguf.out"),
    ) else {
        return;
    };
    let texts = fs_err::read_to_string(texts).unwrap();
    let ids = fs_err::read_to_string(ids).unwrap();
    let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
    let ids: Vec<&str> = ids.lines().collect();
    // The file ends with a separator.
    assert_eq!((texts.len(), texts.last().copied(), ids.len()), (47, Some(""), 46));
    for (text, ids) in texts.iter().zip(&ids) {
        let ids: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
        assert_eq!(tokenizer.encode_piece(text).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids, SpecialTokens::Keep).unwrap(), **text);
    }
}

#[test]
fn roles_and_digits() {
    let Some(tokenizer) = llama() else { return };
    assert_eq!(tokenizer.vocab_size(), 32_000);
    assert_eq!(
        (tokenizer.unk_id(), tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()),
        (0, 1, 2, 3997)
    );
    let rows = [
        ("0", 29900),
        ("1", 29896),
        ("2", 29906),
        ("3", 29941),
        ("4", 29946),
        ("5", 29945),
        ("6", 29953),
        ("7", 29955),
        ("8", 29947),
        ("9", 29929),
        ("▁", 29871),
        ("▁{", 426),
        ("><", 5299),
        ("<", 29966),
        (">", 29958),
        ("}", 29913),
        ("$$", 3997),
        ("▁$$", 2046),
    ];
    for (piece, id) in rows {
        assert_eq!(tokenizer.token_id(piece), Some(id), "{piece}");
        assert_eq!(tokenizer.token(id).as_deref(), Some(piece));
    }
}

fn parts(tokenizer: &Tokenizer, template: &Template, turns: &[Turn]) -> Vec<Vec<u32>> {
    let parts = template.render(turns).unwrap().encode(tokenizer).unwrap();
    let tokens = parts.into_iter().filter_map(|part| match part {
        PromptPart::Tokens(ids) => Some(ids),
        PromptPart::Image(_) => None,
    });
    tokens.collect()
}

const BEFORE_IMAGE: [u32; 6] = [518, 25580, 29962, 529, 25518, 29958];
const LOCATION_OF_THE: [u32; 11] = [1533, 25518, 29958, 518, 20275, 29962, 2367, 592, 278, 4423, 310];
const INST_END: [u32; 4] = [518, 29914, 25580, 29962];

#[test]
fn prompts_of_both_phases() {
    let Some(tokenizer) = llama() else { return };
    let training = Template::new(PromptMode::Reference, PromptPhase::Training);
    let inference = Template::new(PromptMode::Reference, PromptPhase::Inference);
    let consistent = [PromptPhase::Training, PromptPhase::Inference]
        .map(|phase| Template::new(PromptMode::Consistent, phase));
    let rows: [(&str, &[u32]); 5] = [
        ("pancreas", &[7243, 1037, 294]),
        ("pancreatic tumor", &[7243, 1037, 2454, 21622, 272]),
        ("liver", &[619, 369]),
        ("kidney", &[26397, 3801]),
        ("spleen", &[269, 552, 264]),
    ];
    for (target, target_ids) in rows {
        let turn = [Turn::question(1, detection_evaluation_prompt(target))];
        let after = |gap: &[u32]| [&LOCATION_OF_THE[..], &[278], target_ids, gap, &INST_END].concat();
        assert_eq!(parts(&tokenizer, &training, &turn), [BEFORE_IMAGE.to_vec(), after(&[29871])]);
        let two_bos = [&[1, 1], &BEFORE_IMAGE[..]].concat();
        assert_eq!(parts(&tokenizer, &inference, &turn), [two_bos, after(&[])]);
        let ours =
            consistent.map(|template| template.render(&turn).unwrap().encode_with_bos(&tokenizer).unwrap());
        let one_bos = [&[1], &BEFORE_IMAGE[..]].concat();
        assert_eq!(
            ours[0],
            [PromptPart::Tokens(one_bos), PromptPart::Image(0), PromptPart::Tokens(after(&[]))]
        );
        assert_eq!(ours[0], ours[1]);
    }
}

#[test]
fn prompt_lengths() {
    let Some(tokenizer) = llama() else { return };
    let positions = |prompt: &str| -> usize {
        let template = Template::new(PromptMode::Reference, PromptPhase::Inference);
        let tokens: usize =
            parts(&tokenizer, &template, &[Turn::question(1, prompt)]).iter().map(Vec::len).sum();
        tokens + 256
    };
    for (target, expected) in [("pancreas", 283), ("pancreatic tumor", 285), ("liver", 282)] {
        assert_eq!(positions(&detection_evaluation_prompt(target)), expected, "{target}");
    }
    assert_eq!(positions(classification_evaluation_prompt()), 299);
    let lengths = |target: &str| -> Vec<usize> {
        let template = Template::new(PromptMode::Reference, PromptPhase::Training);
        let instructions = InstructionPool::Code.detection_instructions(target);
        let pieces =
            instructions.iter().map(|text| parts(&tokenizer, &template, &[Turn::question(1, text)])[1].len());
        pieces.collect()
    };
    let expected = [20, 14, 20, 18, 24, 23, 20];
    assert_eq!(lengths("pancreas"), expected);
    assert_eq!(lengths("pancreatic tumor"), expected.map(|len| len + 2));
    assert_eq!(lengths("liver"), expected.map(|len| len - 1));
}

#[test]
fn classification_evaluation_ids() {
    let Some(tokenizer) = llama() else { return };
    let template = Template::new(PromptMode::Reference, PromptPhase::Inference);
    let turn = [Turn::question(1, classification_evaluation_prompt())];
    let expected = [
        1533, 25518, 29958, 518, 29894, 25621, 29962, 16564, 373, 278, 1967, 29892, 10049, 304, 445, 1139,
        411, 263, 3273, 1234, 29901, 947, 278, 7243, 1037, 294, 1712, 263, 21622, 272, 29973, 518, 29914,
        25580, 29962,
    ];
    assert_eq!(parts(&tokenizer, &template, &turn)[1], expected);
}

#[test]
fn demo_second_turn() {
    let Some(tokenizer) = llama() else { return };
    let template = Template::new(PromptMode::Reference, PromptPhase::Inference)
        .with_history(AnswerHistory::EndSymbolOnly);
    let turns = [
        Turn::answered(1, "[refer] pancreas", "{<1><2><3><4>}"),
        Turn::question(0, "[vqa] is there a tumor?"),
    ];
    let expected = [
        1533, 25518, 29958, 518, 20275, 29962, 7243, 1037, 294, 518, 29914, 25580, 29962, 2, 1, 518, 25580,
        29962, 518, 29894, 25621, 29962, 338, 727, 263, 21622, 272, 29973, 518, 29914, 25580, 29962,
    ];
    assert_eq!(parts(&tokenizer, &template, &turns)[1], expected);
}

#[test]
fn answers() {
    let Some(tokenizer) = llama() else { return };
    let hundred = [29896, 29900, 29900];
    let full = [
        &[426, 29966],
        &hundred[..],
        &[5299],
        &hundred,
        &[5299],
        &hundred,
        &[5299],
        &hundred,
        &[29958, 29913, 2],
    ];
    let rows: [(&str, &[u32]); 5] = [
        (
            "{<38><45><46><50>}",
            &[
                426, 29966, 29941, 29947, 5299, 29946, 29945, 5299, 29946, 29953, 5299, 29945, 29900, 29958,
                29913, 2,
            ],
        ),
        ("{<0><0><0><0>}", &[426, 29966, 29900, 5299, 29900, 5299, 29900, 5299, 29900, 29958, 29913, 2]),
        ("{<100><100><100><100>}", &full.concat()),
        ("yes", &[4874, 2]),
        ("no", &[694, 2]),
    ];
    for (answer, expected) in rows {
        let target = TrainingTarget::single(&tokenizer, answer).unwrap();
        assert_eq!(target.ids, expected, "{answer}");
        assert!(target.supervised.iter().all(|supervised| *supervised));
        assert_eq!(decode_answer(&tokenizer, expected).unwrap(), answer);
        let padded = [&[0], expected, &[0, 3997, 1]].concat();
        assert_eq!(decode_answer(&tokenizer, &padded).unwrap(), answer);
    }
}

#[test]
fn grammars() {
    let Some(tokenizer) = llama() else { return };
    let percent = AnswerGrammar::bounding_box(&tokenizer, BoxFormat::Percent100).unwrap();
    // The published generation limit is just enough.
    assert_eq!(percent.max_len(), 20);
    let permille = AnswerGrammar::bounding_box(&tokenizer, BoxFormat::Permille1000).unwrap();
    assert_eq!(permille.max_len(), 24);
    let yes_no = AnswerGrammar::yes_no(&tokenizer).unwrap();
    assert_eq!((yes_no.path(&[1]), yes_no.path(&[0])), (Some(vec![4874, 2]), Some(vec![694, 2])));
}
