//! Many questions about images whose vision features are known.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use rayon::prelude::*;
use vlm_model::{DecodingGrammar, Padding, Sequence, SequencePart, decode_grounded, generate};
use vlm_prompt::Turn;

use crate::{AnswerMode, InferError, Responder, Response};

/// A question about one image, known by its features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureQuestion<'a> {
    /// Its place among the features.
    pub image: usize,
    /// Columns and rows of the image: where boxes are placed.
    pub size_px: [u32; 2],
    /// The question, task tag and all.
    pub text: &'a str,
}

impl Responder {
    /// Answers questions about images whose vision features are known, each as
    /// [`Responder::respond`] would.
    ///
    /// Grounded answers are shared out to the threads of the current rayon pool; free ones are
    /// generated together.
    ///
    /// # Shapes
    /// - `features`: `[n_images, n_image_tokens, merge · width]` of
    ///   [`MiniGpt::vision_features`](vlm_model::MiniGpt::vision_features)
    ///
    /// # Errors
    /// Those of [`Responder::respond`]; timings are not taken.
    pub fn respond_features(
        &self,
        features: Tensor<3>,
        questions: &[FeatureQuestion<'_>],
        mode: &AnswerMode,
    ) -> Result<Vec<Response>, InferError> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let images = self.model().project(features);
        let mut responses = match mode {
            AnswerMode::Free(options) => {
                let mut options = options.clone();
                if !options.stop_tokens.contains(&self.tokenizer().eos_id()) {
                    options.stop_tokens.push(self.tokenizer().eos_id());
                }
                let rows: Vec<Sequence> =
                    questions.iter().map(|question| self.row(question)).collect::<Result<_, _>>()?;
                let (embeddings, mask) = self.model().assemble(&rows, Some(&images), Padding::Left)?;
                let model = &self.model().language_model;
                let mut go_on = |_| ControlFlow::Continue(());
                let answers = generate(model, embeddings, &mask, &options, &mut go_on)?;
                let mut responses = Vec::with_capacity(questions.len());
                for (question, answer) in questions.iter().zip(answers) {
                    let text = vlm_prompt::decode_answer(self.tokenizer(), &answer.tokens)?;
                    responses.push(self.free_response(question.text, text, answer));
                }
                responses
            }
            AnswerMode::GroundedBox | AnswerMode::GroundedYesNo => {
                let is_box = *mode == AnswerMode::GroundedBox;
                // Before the threads start: each would make its own.
                let grammar = if is_box { self.box_grammar()? } else { self.yes_no_grammar()? };
                let answer = |question| self.grounded_alone(question, &images, is_box, grammar);
                questions.par_iter().map(answer).collect::<Result<Vec<_>, InferError>>()?
            }
        };
        for (question, response) in questions.iter().zip(&mut responses) {
            self.place_box(response, question.size_px)?;
        }
        Ok(responses)
    }

    fn grounded_alone(
        &self,
        question: &FeatureQuestion<'_>,
        images: &Tensor<3>,
        is_box: bool,
        grammar: &DecodingGrammar,
    ) -> Result<Response, InferError> {
        let row = self.row(question)?;
        let (embeddings, mask) = self.model().assemble(&[row], Some(images), Padding::Left)?;
        let model = &self.model().language_model;
        let mut rows = decode_grounded(model, embeddings, &mask, grammar, self.grounded_options())?;
        let decoded = rows.pop().expect("one row for one question");
        let mut response = self.grounded_response(is_box, decoded)?;
        response.n_prompt_tokens = mask.n_positions();
        Ok(response)
    }

    fn row(&self, question: &FeatureQuestion<'_>) -> Result<Sequence, InferError> {
        let mut row = self.encode(&[Turn::question(1, question.text)])?;
        for part in &mut row {
            if let SequencePart::Image(place) = part {
                *place = question.image;
            }
        }
        Ok(row)
    }
}
