//! One checkpoint that is asked.

use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Device;
use cascade::{BoxFrom, Stage, StageRecord};
use chat_api::{ModelError, Sampling};
use vlm_infer::{AnswerMode, InferError, Question, Responder, Response, TextEvent};
use vlm_model::{GenerationOptions, GroundedOptions, Precision};
use vlm_prompt::{Answer, BoxFormat, PixelBox, Tokenizer, classification_answer};

/// Told new text; after `Break` no further token is computed.
pub(super) type Emit<'a> = dyn FnMut(&str) -> ControlFlow<()> + 'a;

/// A checkpoint and what it was trained for.
#[derive(Debug)]
pub(super) struct Expert {
    responder: Responder,
    record: Option<StageRecord>,
}

impl Expert {
    pub(super) fn open(folder: &Path, device: &Device, precision: Precision) -> Result<Self, InferError> {
        let mut responder = Responder::open(folder, device, precision, &mut |_, _| {})?;
        let record = StageRecord::read(folder).ok();
        if let Some(record) = &record {
            let options = GroundedOptions { prune: record.prompt.prune, ..GroundedOptions::default() };
            responder = responder.with_grounded_options(options);
        }
        Ok(Self { responder, record })
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        self.responder.tokenizer()
    }

    pub(super) fn box_format(&self) -> BoxFormat {
        self.responder.settings().box_format
    }

    /// Side of the square that it sees, in px.
    pub(super) fn image_size(&self) -> usize {
        self.responder.model().config().vision.image_size
    }

    /// What it was trained for; none of a checkpoint that does not say.
    pub(super) fn record(&self) -> Option<&StageRecord> {
        self.record.as_ref()
    }

    /// Asks. Text comes as it is generated, and may still change.
    pub(super) fn ask(
        &self,
        question: &Question,
        on_text: &mut dyn FnMut(TextEvent<'_>) -> ControlFlow<()>,
    ) -> Result<Response, ModelError> {
        let mut response = self.responder.respond(question, on_text).map_err(failed)?;
        self.set_right(question, &mut response)?;
        Ok(response)
    }

    /// Lets the answer to the stage's own question follow the probability that validation patients set
    /// right, as the cascade does.
    fn set_right(&self, question: &Question, response: &mut Response) -> Result<(), ModelError> {
        let Some(record) = &self.record else { return Ok(()) };
        let (prompt, Answer::YesNo(stated)) = (&record.prompt, &response.answer) else { return Ok(()) };
        let own = || Stage::TumorYesNo.evaluation_question("", prompt.instructions, prompt.yes_no_question);
        let (Some(scaling), Some(of_answer)) = (prompt.yes_no_scaling, response.probability) else {
            return Ok(());
        };
        if question.mode != AnswerMode::GroundedYesNo || question.text != own() {
            return Ok(());
        }
        let probability = scaling.apply(if *stated { of_answer } else { 1.0 - of_answer });
        let yes = probability > 0.5;
        if yes != *stated {
            let word = classification_answer(yes);
            response.tokens = self
                .tokenizer()
                .encode_piece(word)
                .map_err(|_| ModelError::Failed { reason: "the answer cannot be written".to_owned() })?;
            response.text = word.to_owned();
        }
        response.answer = Answer::YesNo(yes);
        response.probability = Some(if yes { probability } else { 1.0 - probability });
        Ok(())
    }

    /// The box of an answer in px of what was shown; none for "nothing is there".
    pub(super) fn box_px(&self, response: &Response) -> Option<PixelBox> {
        let found = response.box_px?;
        let is_grid = self.record.as_ref().is_some_and(|record| record.prompt.box_from == BoxFrom::Grid);
        Some(if is_grid { found } else { response.mean_box_px.unwrap_or(found) })
    }
}

/// Answers with any text.
pub(super) fn free(sampling: &Sampling) -> Result<AnswerMode, ModelError> {
    let drawn = if sampling.temperature > 0.0 {
        vlm_model::Sampling::Random {
            temperature: f64::from(sampling.temperature),
            top_k: 0,
            top_p: f64::from(sampling.top_p),
            seed: sampling.seed.map_or_else(any_seed, Ok)?,
        }
    } else {
        vlm_model::Sampling::Greedy
    };
    Ok(AnswerMode::Free(GenerationOptions {
        max_new_tokens: sampling.max_tokens,
        sampling: drawn,
        // A box may repeat a number.
        repetition_penalty: 1.0,
        ..GenerationOptions::default()
    }))
}

fn any_seed() -> Result<u64, ModelError> {
    getrandom::u64().map_err(|_| ModelError::Failed { reason: "the system gave no random number".to_owned() })
}

/// What whoever asked is told; no message holds anything of the question.
fn failed(error: InferError) -> ModelError {
    match error {
        InferError::Model(vlm_model::ModelError::TooLong { got, limit }) => {
            ModelError::TooLong { got, limit }
        }
        InferError::Prompt(_) => {
            ModelError::Refused { reason: "the words hold a marker of the model's prompt".to_owned() }
        }
        InferError::Image { .. } | InferError::LargeImage { .. } => {
            ModelError::Refused { reason: "the picture cannot be used".to_owned() }
        }
        error => ModelError::Failed { reason: error.to_string() },
    }
}
