//! Who answers the questions of an evaluation.

use std::sync::atomic::{AtomicBool, Ordering};

use ct_slices::BoxPx;
use vlm_infer::{AnswerMode, FeatureQuestion, Responder, Response};
use vlm_metrics::PlattScaling;
use vlm_model::{GenerationOptions, GroundedOptions, MiniGpt};
use vlm_prompt::{Answer, PixelBox, Tokenizer, classification_answer};
use vlm_train::ImageId;

use crate::config::{BoxFrom, Decoding, PromptConfig};
use crate::images::{ImageFeatures, View};
use crate::{CascadeError, Stage};

/// A question about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The image.
    pub image: ImageId,
    /// What the image shows, in px of the file: a part of it, or all.
    pub frame: BoxPx,
    /// The question, task tag and all.
    pub question: &'a str,
}

impl Asked<'_> {
    /// The number of the image in the run's table.
    #[must_use]
    pub fn image_number(&self) -> u32 {
        View::from(self.image).image
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply {
    /// The answer's text.
    pub text: String,
    /// Whether it could be read as what was asked for.
    pub is_parsed: bool,
    /// The box in px of the file; none for another answer, and for "nothing is there".
    pub box_px: Option<PixelBox>,
    /// The yes or no.
    pub yes: Option<bool>,
    /// Probability of this box among all boxes.
    pub box_probability: Option<f64>,
    /// Probability of yes.
    pub yes_probability: Option<f64>,
}

/// Answers questions: a model, or a test's fake.
pub trait Answerer {
    /// Answers in the order of the questions, which all ask for a box or all for yes or no.
    ///
    /// # Errors
    /// What keeps a question from being asked. An answer that cannot be read is none.
    fn answer(&mut self, stage: Stage, asked: &[Asked<'_>]) -> Result<Vec<Reply>, CascadeError>;
}

/// A model that answers from cached features.
pub struct ModelAnswerer<'a> {
    responder: Responder,
    prompt: PromptConfig,
    images: &'a mut ImageFeatures,
    batch_size: usize,
    progress: &'a mut dyn FnMut(usize, usize),
    stop: &'a AtomicBool,
}

impl std::fmt::Debug for ModelAnswerer<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ModelAnswerer")
            .field("prompt", &self.prompt)
            .field("batch_size", &self.batch_size)
            .finish_non_exhaustive()
    }
}

impl<'a> ModelAnswerer<'a> {
    /// A model with its images.
    ///
    /// # Errors
    /// [`CascadeError::Infer`] if the tokenizer is another model's.
    pub fn new(
        model: &MiniGpt,
        tokenizer: &Tokenizer,
        prompt: PromptConfig,
        images: &'a mut ImageFeatures,
        batch_size: usize,
        progress: &'a mut dyn FnMut(usize, usize),
        stop: &'a AtomicBool,
    ) -> Result<Self, CascadeError> {
        let grounded = GroundedOptions { prune: prompt.prune, ..GroundedOptions::default() };
        let responder = Responder::new(model.clone(), tokenizer.clone(), prompt.settings)?;
        let responder = responder.with_grounded_options(grounded);
        Ok(Self { responder, prompt, images, batch_size: batch_size.max(1), progress, stop })
    }

    fn mode(&self, stage: Stage) -> AnswerMode {
        match (self.prompt.decoding, stage.is_box()) {
            (Decoding::Free, _) => AnswerMode::Free(GenerationOptions::default()),
            (Decoding::Grounded, true) => AnswerMode::GroundedBox,
            (Decoding::Grounded, false) => AnswerMode::GroundedYesNo,
        }
    }
}

impl Answerer for ModelAnswerer<'_> {
    fn answer(&mut self, stage: Stage, asked: &[Asked<'_>]) -> Result<Vec<Reply>, CascadeError> {
        let mode = self.mode(stage);
        let mut replies = Vec::with_capacity(asked.len());
        for chunk in asked.chunks(self.batch_size) {
            if self.stop.load(Ordering::Relaxed) {
                return Err(CascadeError::Stopped);
            }
            let ids: Vec<ImageId> = chunk.iter().map(|asked| asked.image).collect();
            let features = self.images.features(self.responder.model(), &ids)?;
            let questions: Vec<FeatureQuestion<'_>> = chunk
                .iter()
                .enumerate()
                .map(|(image, asked)| FeatureQuestion {
                    image,
                    size_px: [asked.frame.width_px(), asked.frame.height_px()],
                    text: asked.question,
                })
                .collect();
            let responses = self.responder.respond_features(features, &questions, &mode)?;
            let in_file = |(response, asked): (Response, &Asked<'_>)| {
                let mut reply = reply(response, self.prompt.box_from);
                if let (AnswerMode::GroundedYesNo, Some(scaling)) = (&mode, &self.prompt.yes_no_scaling) {
                    rescale(&mut reply, scaling);
                }
                reply.box_px = reply.box_px.map(|bbox| moved(bbox, asked.frame));
                reply
            };
            replies.extend(responses.into_iter().zip(chunk).map(in_file));
            (self.progress)(replies.len(), asked.len());
        }
        Ok(replies)
    }
}

/// A box in px of what is shown, in px of the file.
fn moved(bbox: PixelBox, frame: BoxPx) -> PixelBox {
    let (x, y) = (f64::from(frame.x_min), f64::from(frame.y_min));
    PixelBox { x_min: bbox.x_min + x, y_min: bbox.y_min + y, x_max: bbox.x_max + x, y_max: bbox.y_max + y }
}

/// A grounded yes or no by its probability set right.
fn rescale(reply: &mut Reply, scaling: &PlattScaling) {
    let Some(probability) = reply.yes_probability.map(|stated| scaling.apply(stated)) else { return };
    let yes = probability > 0.5;
    if reply.yes != Some(yes) {
        reply.text = classification_answer(yes).to_owned();
    }
    (reply.yes, reply.yes_probability) = (Some(yes), Some(probability));
}

/// A response as the cascade scores it.
pub(crate) fn reply(response: Response, from: BoxFrom) -> Reply {
    let yes = match response.answer {
        Answer::YesNo(yes) => Some(yes),
        _ => None,
    };
    let is_box = matches!(response.answer, Answer::Box(_));
    let box_px = match from {
        BoxFrom::Mean => response.mean_box_px.or(response.box_px),
        BoxFrom::Grid => response.box_px,
    };
    // The zero box says that nothing is there, whatever its numbers' means are.
    let box_px = response.box_px.and(box_px);
    let yes_probability =
        yes.zip(response.probability).map(|(yes, of_answer)| if yes { of_answer } else { 1.0 - of_answer });
    Reply {
        is_parsed: yes.is_some() || is_box,
        box_px,
        yes,
        box_probability: response.probability.filter(|_| is_box),
        yes_probability: yes_probability.map(|p| p.clamp(0.0, 1.0)),
        text: response.text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_probability_decides_the_answer() {
        let stated = |yes: bool, probability: f64| Reply {
            text: classification_answer(yes).to_owned(),
            is_parsed: true,
            yes: Some(yes),
            yes_probability: Some(probability),
            ..Reply::default()
        };
        let scaling = PlattScaling { slope: 1.0, intercept: 1.0 };
        let mut turned = stated(false, 0.4);
        rescale(&mut turned, &scaling);
        assert_eq!((turned.yes, turned.text.as_str()), (Some(true), "yes"));
        assert!(turned.yes_probability.is_some_and(|p| (0.6..0.7).contains(&p)), "{turned:?}");
        let mut kept = stated(false, 0.1);
        rescale(&mut kept, &scaling);
        assert_eq!((kept.yes, kept.text.as_str()), (Some(false), "no"));
        let mut unread = Reply { text: "perhaps".to_owned(), ..Reply::default() };
        rescale(&mut unread, &scaling);
        assert_eq!(unread, Reply { text: "perhaps".to_owned(), ..Reply::default() });
    }
}
