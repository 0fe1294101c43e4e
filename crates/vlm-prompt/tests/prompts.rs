//! Rendered texts and their parts, with the built-in tokenizer.

use vlm_prompt::{
    AnswerHistory, PromptError, PromptMode, PromptPart, PromptPhase, SpecialTokens, Template, Tokenizer,
    TrainingTarget, Turn, decode_answer,
};

const MODES: [PromptMode; 2] = [PromptMode::Reference, PromptMode::Consistent];

fn template(mode: PromptMode, phase: PromptPhase) -> Template {
    Template::new(mode, phase)
}

#[test]
fn single_questions() {
    use PromptMode::{Consistent, Reference};
    use PromptPhase::{Inference, Training};
    let rows = [
        (Reference, Training, 1, "[INST] <Img><ImageHere></Img> Q  [/INST]"),
        (Reference, Inference, 1, "<s>[INST] <Img><ImageHere></Img> Q [/INST]"),
        (Consistent, Training, 1, "[INST] <Img><ImageHere></Img> Q [/INST]"),
        (Consistent, Inference, 1, "[INST] <Img><ImageHere></Img> Q [/INST]"),
        (Reference, Inference, 0, "<s>[INST] Q [/INST]"),
        (Consistent, Inference, 2, "[INST] <Img><ImageHere></Img> <Img><ImageHere></Img> Q [/INST]"),
    ];
    for (mode, phase, n_images, expected) in rows {
        let prompt = template(mode, phase).single(n_images, "Q").unwrap();
        assert_eq!(prompt.text(), expected);
        assert_eq!((prompt.n_images(), prompt.pieces().count()), (n_images, n_images + 1));
        assert_eq!(prompt.assembly_adds_bos(), phase == Training);
    }
    let bare = Template { chat_template: false, ..template(Reference, Training) };
    assert_eq!(bare.single(1, "Q").unwrap().text(), "<Img><ImageHere></Img> Q ");
}

#[test]
fn conversations() {
    let turns = [Turn::answered(1, "Q1", "A1"), Turn::answered(0, "Q2", "A2"), Turn::question(1, "Q3")];
    let image = "<Img><ImageHere></Img>";
    let rows = [
        (
            PromptMode::Reference,
            AnswerHistory::Keep,
            format!("<s>[INST] {image} Q1 [/INST]A1<s>[INST] Q2 [/INST]A2<s>[INST] {image} Q3 [/INST]"),
        ),
        (
            PromptMode::Reference,
            AnswerHistory::EndSymbolOnly,
            format!("<s>[INST] {image} Q1 [/INST]</s><s>[INST] Q2 [/INST]</s><s>[INST] {image} Q3 [/INST]"),
        ),
        (
            PromptMode::Consistent,
            AnswerHistory::Keep,
            format!("[INST] {image} Q1 [/INST]A1</s><s>[INST] Q2 [/INST]A2</s><s>[INST] {image} Q3 [/INST]"),
        ),
        (
            PromptMode::Consistent,
            AnswerHistory::EndSymbolOnly,
            format!("[INST] {image} Q1 [/INST]</s><s>[INST] Q2 [/INST]</s><s>[INST] {image} Q3 [/INST]"),
        ),
    ];
    for (mode, history, expected) in rows {
        let prompt = template(mode, PromptPhase::Inference).with_history(history).render(&turns).unwrap();
        assert_eq!(prompt.text(), expected);
        let parts = prompt.encode(&Tokenizer::nano()).unwrap();
        let images: Vec<_> = parts
            .iter()
            .filter_map(|part| if let PromptPart::Image(i) = part { Some(*i) } else { None })
            .collect();
        assert_eq!((parts.len(), images), (5, vec![0, 1]));
    }
}

fn tokens(parts: &[PromptPart]) -> Vec<u32> {
    let tokens = parts.iter().flat_map(|part| match part {
        PromptPart::Tokens(ids) => ids.clone(),
        PromptPart::Image(_) => Vec::new(),
    });
    tokens.collect()
}

#[test]
fn the_reference_has_one_and_two_beginning_tokens_and_one_more_space_in_training() {
    let tokenizer = Tokenizer::nano();
    let encode = |mode, phase| {
        let prompt = template(mode, phase).single(1, "[refer] pancreas").unwrap();
        (tokens(&prompt.encode(&tokenizer).unwrap()), tokens(&prompt.encode_with_bos(&tokenizer).unwrap()))
    };
    let (pieces, training) = encode(PromptMode::Reference, PromptPhase::Training);
    let (_, inference) = encode(PromptMode::Reference, PromptPhase::Inference);
    assert!(!pieces.contains(&1));
    assert_eq!((training[0], training[1..].to_vec()), (1, pieces));
    assert_eq!(inference[..2], [1, 1]);
    let space = tokenizer.token_id("▁").unwrap();
    let count = |ids: &[u32], id| ids.iter().filter(|other| **other == id).count();
    assert_eq!((count(&training, space), count(&inference, space)), (1, 0));
    assert_eq!((count(&training, 1), count(&inference, 1)), (1, 2));
}

#[test]
fn consistent_prompts_are_what_was_trained() {
    let tokenizer = Tokenizer::nano();
    let turns = [
        Turn::answered(1, "[refer] liver", "{<1><2><3><4>}"),
        Turn::answered(0, "[vqa] big?", "yes"),
        Turn::question(0, "Sure?"),
    ];
    for asked in 1..=turns.len() {
        let turns = &turns[..asked];
        let inference = template(PromptMode::Consistent, PromptPhase::Inference).render(turns).unwrap();
        let training = template(PromptMode::Consistent, PromptPhase::Training).render(turns).unwrap();
        let mut trained = tokens(&training.encode_with_bos(&tokenizer).unwrap());
        let target = TrainingTarget::conversation(&tokenizer, turns).unwrap();
        trained.extend(&target.ids);
        let asked = tokens(&inference.encode(&tokenizer).unwrap());
        assert!(trained.starts_with(&asked), "{asked:?} is not the beginning of {trained:?}");
    }
}

#[test]
fn a_training_conversation_learns_answers_only() {
    let tokenizer = Tokenizer::nano();
    let turns = [Turn::answered(1, "Q1", "yes"), Turn::answered(0, "Q2", "no")];
    let mut target = TrainingTarget::conversation(&tokenizer, &turns).unwrap();
    assert_eq!(
        tokenizer.decode(&target.ids, SpecialTokens::Keep).unwrap(),
        "yes</s><s>[INST] Q2 [/INST]no</s>".replace("]no", "] no")
    );
    let learned: Vec<u32> =
        target.ids.iter().zip(&target.supervised).filter(|(_, learn)| **learn).map(|(id, _)| *id).collect();
    let (yes, no) = (tokenizer.token_id("▁yes").unwrap(), tokenizer.token_id("▁no").unwrap());
    assert_eq!(learned, [yes, 2, no, 2]);
    assert_eq!(
        TrainingTarget::conversation(&tokenizer, &turns[..1]).unwrap(),
        TrainingTarget::single(&tokenizer, "yes").unwrap()
    );
    target.truncate(3);
    assert_eq!((target.ids.len(), target.supervised), (3, vec![true, true, false]));
}

#[test]
fn wrong_prompts_are_errors() {
    for mode in MODES {
        for phase in [PromptPhase::Training, PromptPhase::Inference] {
            let template = template(mode, phase);
            assert!(matches!(template.render(&[]), Err(PromptError::NoTurn)));
            let error = template.single(1, "what is <ImageHere>?").unwrap_err();
            assert_eq!(error.to_string(), "the prompt has `3` pieces around image holes, expected `2`");
        }
        let late = [Turn::answered(1, "Q1", "A1"), Turn::question(2, "Q2")];
        let error = template(mode, PromptPhase::Training).render(&late).unwrap_err();
        assert_eq!(error.to_string(), "training turn `1` has `2` images, only turn `0` may have any");
    }
}

#[test]
fn generated_ids_become_answers() {
    let tokenizer = Tokenizer::nano();
    let ids = |text: &str| tokenizer.encode_piece(text).unwrap();
    let pad = tokenizer.pad_id();
    let rows = [
        (ids("{<38><45><46><50>}</s>"), "{<38><45><46><50>}"),
        ([vec![0], ids("yes</s>"), vec![pad, pad, 0]].concat(), "yes"),
        (ids("<s>[INST] a [/INST] b [/INST] no "), "no"),
        (ids("a < / s > b"), "a < / s > b"),
        // Literal end symbol spelled by ordinary tokens.
        (["<", "/", "s", ">"].iter().map(|piece| tokenizer.token_id(piece).unwrap()).collect(), ""),
        (vec![], ""),
        (vec![2], ""),
        (vec![0], ""),
    ];
    for (ids, expected) in rows {
        assert_eq!(decode_answer(&tokenizer, &ids).unwrap(), expected, "{ids:?}");
    }
    assert!(decode_answer(&tokenizer, &[5000]).is_err());
}
