//! Samples as tokens.

use vlm_model::{Sequence, SequencePart};
use vlm_prompt::{
    PromptError, PromptMode, PromptPart, PromptPhase, Template, Tokenizer, TrainingTarget, Turn,
};

use super::TrainingItem;
use crate::TrainingSample;

/// A sample as the model reads it: what is given, and what follows with the part to learn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedSample {
    /// What the model is given, without the beginning-of-sequence token.
    pub condition: Sequence,
    /// Answers and the questions between them, and which of these tokens are learned.
    pub target: TrainingTarget,
}

impl From<TrainingSample> for EncodedSample {
    fn from(sample: TrainingSample) -> Self {
        let supervised = vec![true; sample.answer.len()];
        Self { condition: sample.condition, target: TrainingTarget { ids: sample.answer, supervised } }
    }
}

/// Turns samples into tokens by one template.
#[derive(Debug, Clone)]
pub struct SampleEncoder {
    tokenizer: Tokenizer,
    template: Template,
    max_txt_len: usize,
}

impl SampleEncoder {
    /// An encoder that cuts answers (with the later questions of a conversation) to `max_txt_len`
    /// tokens.
    ///
    /// # Source
    /// SPEC 2.6, 4.1.
    #[must_use]
    pub fn new(tokenizer: Tokenizer, mode: PromptMode, max_txt_len: usize) -> Self {
        Self { tokenizer, template: Template::new(mode, PromptPhase::Training), max_txt_len }
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokens of a sample. `images` are the places of its images among those of the batch, one
    /// for each.
    ///
    /// # Errors
    /// [`PromptError`] for a sample without turns, a question that holds the image marker, or a
    /// text that the tokenizer refuses.
    ///
    /// # Panics
    /// If there are not as many places as images.
    pub fn encode(&self, item: &TrainingItem, images: &[usize]) -> Result<EncodedSample, PromptError> {
        assert_eq!(item.images.len(), images.len(), "a place for every image");
        let turns: Vec<Turn> = item
            .turns
            .iter()
            .enumerate()
            .map(|(turn_idx, turn)| {
                let n_images = if turn_idx == 0 { images.len() } else { 0 };
                Turn::answered(n_images, turn.question.as_str(), turn.answer.as_str())
            })
            .collect();
        let parts = self.template.render(&turns)?.encode(&self.tokenizer)?;
        let condition = parts.into_iter().map(|part| match part {
            PromptPart::Tokens(ids) => SequencePart::Tokens(ids),
            PromptPart::Image(place) => SequencePart::Image(images[place]),
        });
        let mut target = TrainingTarget::conversation(&self.tokenizer, &turns)?;
        target.truncate(self.max_txt_len);
        Ok(EncodedSample { condition: condition.collect(), target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageId, TrainingTurn};

    fn turn(question: &str, answer: &str) -> TrainingTurn {
        TrainingTurn { question: question.to_owned(), answer: answer.to_owned() }
    }

    #[test]
    fn the_modes_differ_by_one_space() {
        let tokenizer = Tokenizer::nano();
        let item = TrainingItem::single(ImageId(9), "[vqa] is there a tumor?", "yes");
        let encode = |mode| SampleEncoder::new(tokenizer.clone(), mode, 300).encode(&item, &[3]).unwrap();
        for (mode, tail) in [
            (PromptMode::Reference, "</Img> [vqa] is there a tumor?  [/INST]"),
            (PromptMode::Consistent, "</Img> [vqa] is there a tumor? [/INST]"),
        ] {
            let sample = encode(mode);
            let tokens = |text| SequencePart::Tokens(tokenizer.encode_piece(text).unwrap());
            assert_eq!(
                sample.condition,
                [tokens("[INST] <Img>"), SequencePart::Image(3), tokens(tail)],
                "SPEC 2.5, {mode:?}"
            );
            assert_eq!(sample.target.ids, tokenizer.encode_piece("yes</s>").unwrap());
            assert!(sample.target.supervised.iter().all(|learned| *learned));
        }
    }

    #[test]
    fn later_questions_are_read_and_not_learned() {
        let tokenizer = Tokenizer::nano();
        let item = TrainingItem { images: vec![], turns: vec![turn("a?", "yes"), turn("b?", "no")] };
        let encode =
            |n| SampleEncoder::new(tokenizer.clone(), PromptMode::Consistent, n).encode(&item, &[]).unwrap();
        let ids = |text| tokenizer.encode_piece(text).unwrap();
        let sample = encode(300);
        let expected = [ids("yes</s>"), ids("<s>[INST] b? [/INST]"), ids("no</s>")];
        assert_eq!(sample.target.ids, expected.concat(), "SPEC 2.6, training multi-turn");
        let learned: Vec<bool> = [true, false, true]
            .iter()
            .zip(&expected)
            .flat_map(|(learned, ids)| vec![*learned; ids.len()])
            .collect();
        assert_eq!(sample.target.supervised, learned);
        let cut = encode(expected[0].len() + 1);
        assert_eq!(cut.target.ids, sample.target.ids[..=expected[0].len()], "max_txt_len");
        assert!(matches!(
            SampleEncoder::new(tokenizer.clone(), PromptMode::Consistent, 9)
                .encode(&TrainingItem { images: vec![], turns: vec![] }, &[]),
            Err(PromptError::NoTurn)
        ));
    }
}
