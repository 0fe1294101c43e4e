//! Who answers the questions of an evaluation.

use std::sync::atomic::{AtomicBool, Ordering};

use ct_slices::BoxPx;
use vlm_infer::{AnswerMode, FeatureQuestion, Responder, Response};
use vlm_metrics::mean_probability;
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
        let n_views = if mode == AnswerMode::GroundedYesNo { self.prompt.yes_no_views.max(1) } else { 1 };
        let mut replies = Vec::with_capacity(asked.len());
        for chunk in asked.chunks(self.batch_size) {
            let mut first = self.answer_views(chunk, &mode, 0)?;
            let views =
                (1..n_views).map(|view| self.answer_views(chunk, &mode, view)).collect::<Result<_, _>>()?;
            average_yes(&mut first, views);
            if let (AnswerMode::GroundedYesNo, Some(scaling)) = (&mode, &self.prompt.yes_no_scaling) {
                first.iter_mut().for_each(|reply| follow_yes(reply, |stated| scaling.apply(stated)));
            }
            replies.extend(first);
            (self.progress)(replies.len(), asked.len());
        }
        Ok(replies)
    }
}

impl ModelAnswerer<'_> {
    /// Answers about a fixed view of each image, 0 being the image as it is asked about.
    fn answer_views(
        &mut self,
        asked: &[Asked<'_>],
        mode: &AnswerMode,
        number: u32,
    ) -> Result<Vec<Reply>, CascadeError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(CascadeError::Stopped);
        }
        let look = |image: ImageId| match number {
            0 => image,
            _ => View::look(View::from(image).image, number).id(),
        };
        let ids: Vec<ImageId> = asked.iter().map(|asked| look(asked.image)).collect();
        let features = self.images.features(self.responder.model(), &ids)?;
        let questions: Vec<FeatureQuestion<'_>> = asked
            .iter()
            .enumerate()
            .map(|(image, asked)| FeatureQuestion {
                image,
                size_px: [asked.frame.width_px(), asked.frame.height_px()],
                text: asked.question,
            })
            .collect();
        let responses = self.responder.respond_features(features, &questions, mode)?;
        let in_file = |(response, asked): (Response, &Asked<'_>)| {
            let mut reply = reply(response, self.prompt.box_from);
            reply.box_px = reply.box_px.map(|bbox| moved(bbox, asked.frame));
            reply
        };
        Ok(responses.into_iter().zip(asked).map(in_file).collect())
    }
}

/// Replies whose probability of yes is the mean over views, in log-odds.
fn average_yes(replies: &mut [Reply], views: Vec<Vec<Reply>>) {
    if views.is_empty() {
        return;
    }
    for (place, reply) in replies.iter_mut().enumerate() {
        let of_views = views.iter().filter_map(|view| view.get(place)?.yes_probability);
        let stated: Vec<f64> = reply.yes_probability.into_iter().chain(of_views).collect();
        if let Some(mean) = mean_probability(&stated) {
            follow_yes(reply, |_| mean);
        }
    }
}

/// A box in px of what is shown, in px of the file.
fn moved(bbox: PixelBox, frame: BoxPx) -> PixelBox {
    let (x, y) = (f64::from(frame.x_min), f64::from(frame.y_min));
    PixelBox { x_min: bbox.x_min + x, y_min: bbox.y_min + y, x_max: bbox.x_max + x, y_max: bbox.y_max + y }
}

/// A grounded yes or no that follows another probability of yes than the model stated.
fn follow_yes(reply: &mut Reply, change: impl Fn(f64) -> f64) {
    let Some(probability) = reply.yes_probability.map(change) else { return };
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
        let scaling = vlm_metrics::PlattScaling { slope: 1.0, intercept: 1.0 };
        let scaled = |mut reply: Reply| {
            follow_yes(&mut reply, |stated| scaling.apply(stated));
            reply
        };
        let turned = scaled(stated(false, 0.4));
        assert_eq!((turned.yes, turned.text.as_str()), (Some(true), "yes"));
        assert!(turned.yes_probability.is_some_and(|p| (0.6..0.7).contains(&p)), "{turned:?}");
        let kept = scaled(stated(false, 0.1));
        assert_eq!((kept.yes, kept.text.as_str()), (Some(false), "no"));
        let unread = Reply { text: "perhaps".to_owned(), ..Reply::default() };
        assert_eq!(scaled(unread.clone()), unread);

        let mut averaged = vec![stated(false, 0.4), unread.clone()];
        average_yes(&mut averaged, vec![vec![stated(true, 0.9), unread.clone()]]);
        assert_eq!((averaged[0].yes, averaged[0].text.as_str()), (Some(true), "yes"));
        // the mean of log-odds: sqrt(2/3 · 9) = 2.449 to 1
        assert!(averaged[0].yes_probability.is_some_and(|p| (p - 0.7101).abs() < 1e-3), "{averaged:?}");
        assert_eq!(averaged[1], unread);
    }
}
