//! A question, to the checkpoint that was trained for it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use cascade::{ImageFit, Stage, presence_question, region_around, target_name};
use chat_api::{
    AnswerBox, AnswerForm, ChatAnswer, ChatImage, ChatRequest, FinishReason, ModelError, Usage, YesNo,
};
use ct_slices::{BoxPx, Organ};
use vlm_infer::{AnswerMode, EarlierTurn, ImageSource, Question, Response};
use vlm_prompt::{Answer, PixelBox, TaskTag};

use super::expert::{Emit, Expert, free};
use super::hand_out::{HandedOut, hand_out, hand_out_live};
use super::picture::{image_source, shown};
use super::wanted::Wanted;

/// What a model of stages can be asked.
const TRAINED_FOR: &str = "The stages were taught where the pancreas, a pancreatic tumor, the liver, the right \
                           kidney and the spleen are, and whether they are to be seen";

/// Asks one checkpoint as the user asks, with everything that was said before.
pub(super) fn answer_openly(
    expert: &Expert,
    request: &ChatRequest,
    emit: &mut Emit<'_>,
) -> Result<ChatAnswer, ModelError> {
    let question = Question {
        history: history(request),
        images: request.images.iter().map(image_source).collect(),
        text: with_system(request),
        mode: mode(request, Wanted::of(&request.question, request.form))?,
    };
    let place = request.boxed_image().map(|image| Place { image, frame: None });
    // The probability of one box among all boxes tells little of whether anything is there.
    ask(expert, &question, place, named(&request.question), request, emit, &|| Ok(None))
}

/// Asks the stage that was trained for the question. Stages were trained on single questions in words of
/// their own, and are asked so; what is none of theirs is asked as it is.
pub(super) fn answer_by_stage(
    stages: &BTreeMap<Stage, Expert>,
    request: &ChatRequest,
    emit: &mut Emit<'_>,
) -> Result<ChatAnswer, ModelError> {
    let wanted = Wanted::of(&request.question, request.form);
    let has_tag = TaskTag::split(&request.question).is_some();
    let (stage, words, label) = match wanted {
        Wanted::Place(Organ::Pancreas) => question_of(stages, Stage::PancreasBox, Organ::Pancreas)?,
        Wanted::Place(Organ::Tumor) => question_of(stages, Stage::TumorBox, Organ::Tumor)?,
        Wanted::Place(organ) => question_of(stages, Stage::Organs, organ)?,
        // A form of boxes that names nothing.
        Wanted::OtherPlace if !has_tag => question_of(stages, Stage::PancreasBox, Organ::Pancreas)?,
        Wanted::Tumor => question_of(stages, Stage::TumorYesNo, Organ::Tumor)?,
        Wanted::Visible(organ) => {
            let stage = if organ == Organ::Pancreas { Stage::PancreasBox } else { Stage::Organs };
            (stage, presence_question(organ), label(organ))
        }
        Wanted::OtherPlace => return Err(unknown()),
        Wanted::OtherYesNo | Wanted::Words => {
            let answer = answer_openly(expert(stages, Stage::PancreasBox)?, request, emit)?;
            return Ok(or_explained(answer, emit));
        }
    };
    let expert = expert(stages, stage)?;
    let no_picture = || ModelError::Refused { reason: "a picture must come with the question".to_owned() };
    let place = request.boxed_image().ok_or_else(no_picture)?;
    let image = request.all_images().nth(place).ok_or_else(no_picture)?;
    let (source, frame) = shown_to(expert, stages, image, emit)?;
    let mode = mode(request, wanted)?;
    let question = Question { history: Vec::new(), images: vec![source], text: words, mode };
    let confidence = || match wanted {
        Wanted::Place(organ) => visible(stages, stage, organ, image),
        Wanted::OtherPlace => visible(stages, stage, Organ::Pancreas, image),
        _ => Ok(None),
    };
    let place = Some(Place { image: place, frame });
    ask(expert, &question, place, label.to_owned(), request, emit, &confidence)
}

/// What a stage is shown of an image: all, or the region around the pancreas that the first stage finds.
fn shown_to(
    expert: &Expert,
    stages: &BTreeMap<Stage, Expert>,
    image: &ChatImage,
    emit: &mut Emit<'_>,
) -> Result<(ImageSource, Option<BoxPx>), ModelError> {
    let (fit, region) = expert.record().map_or((ImageFit::Stretch, None), |record| {
        (record.image_fit, record.region.as_ref().map(|region| region.margin))
    });
    let frame = region.map(|margin| region_of(stages, image, margin, emit)).transpose()?;
    Ok((shown(image, frame, fit, expert.image_size())?, frame))
}

/// The probability that a structure is to be seen at all: what a box is worth.
fn visible(
    stages: &BTreeMap<Stage, Expert>,
    stage: Stage,
    organ: Organ,
    image: &ChatImage,
) -> Result<Option<f64>, ModelError> {
    let (stage, words) = match organ {
        Organ::Tumor if stages.contains_key(&Stage::TumorYesNo) => {
            let (stage, words, _) = question_of(stages, Stage::TumorYesNo, organ)?;
            (stage, words)
        }
        Organ::Tumor => return Ok(None),
        organ => (stage, presence_question(organ)),
    };
    let expert = expert(stages, stage)?;
    let (source, _) = shown_to(expert, stages, image, &mut |_| ControlFlow::Continue(()))?;
    let question = Question::grounded_yes_no(source, words);
    let response = expert.ask(&question, &mut |_| ControlFlow::Continue(()))?;
    Ok(yes_no(&response).and_then(|answer| answer.yes_probability))
}

fn yes_no(response: &Response) -> Option<YesNo> {
    let Answer::YesNo(yes) = response.answer else { return None };
    let of_yes = |p: f64| (if yes { p } else { 1.0 - p }).clamp(0.0, 1.0);
    Some(YesNo { yes, yes_probability: response.probability.map(of_yes) })
}

/// An answer without words is one to a question that was never learned; it is said which were.
fn or_explained(mut answer: ChatAnswer, emit: &mut Emit<'_>) -> ChatAnswer {
    if answer.text.trim().is_empty() && answer.finish == FinishReason::Stop {
        answer.text = format!("(The model has no words for this. {TRAINED_FOR})");
        // Nothing is left to be stopped.
        let _ = emit(&answer.text);
    }
    answer
}

fn expert(stages: &BTreeMap<Stage, Expert>, stage: Stage) -> Result<&Expert, ModelError> {
    stages.get(&stage).ok_or_else(unknown)
}

fn unknown() -> ModelError {
    ModelError::Refused { reason: TRAINED_FOR.to_owned() }
}

/// The stage's own words, and what its box is called.
fn question_of(
    stages: &BTreeMap<Stage, Expert>,
    stage: Stage,
    organ: Organ,
) -> Result<(Stage, String, &'static str), ModelError> {
    let (pool, yes_no) = expert(stages, stage)?
        .record()
        .map(|record| (record.prompt.instructions, record.prompt.yes_no_question))
        .unwrap_or_default();
    Ok((stage, stage.evaluation_question(target_name(organ), pool, yes_no), label(organ)))
}

fn label(organ: Organ) -> &'static str {
    if organ == Organ::Kidney { "right kidney" } else { target_name(organ) }
}

/// What a box is called of a question that names it.
fn named(question: &str) -> String {
    match Wanted::of(question, AnswerForm::Boxes) {
        Wanted::Place(organ) => target_name(organ).to_owned(),
        _ => "box".to_owned(),
    }
}

/// Held to a form where one is asked for: by the request always, by tag and words where the likeliest
/// answer is wanted.
fn mode(request: &ChatRequest, wanted: Wanted) -> Result<AnswerMode, ModelError> {
    let is_held = request.form != AnswerForm::Auto || request.sampling.temperature <= 0.0;
    match wanted {
        Wanted::Place(_) | Wanted::OtherPlace if is_held => Ok(AnswerMode::GroundedBox),
        Wanted::Tumor | Wanted::Visible(_) | Wanted::OtherYesNo if is_held => Ok(AnswerMode::GroundedYesNo),
        _ => free(&request.sampling),
    }
}

fn history(request: &ChatRequest) -> Vec<EarlierTurn> {
    let turn = |turn: &chat_api::ChatTurn| EarlierTurn {
        images: turn.images.iter().map(image_source).collect(),
        question: turn.question.clone(),
        answer: turn.answer.clone(),
    };
    request.history.iter().map(turn).collect()
}

/// The question behind the instructions; a tag stays first.
fn with_system(request: &ChatRequest) -> String {
    match (&request.system, TaskTag::split(&request.question)) {
        (Some(system), None) if request.history.is_empty() => format!("{system}\n{}", request.question),
        _ => request.question.clone(),
    }
}

/// Where an answer's box lies.
#[derive(Clone, Copy)]
struct Place {
    /// Among the images of the conversation.
    image: usize,
    /// What was shown of it; none: all.
    frame: Option<BoxPx>,
}

fn ask(
    expert: &Expert,
    question: &Question,
    place: Option<Place>,
    label: String,
    request: &ChatRequest,
    emit: &mut Emit<'_>,
    confidence: &dyn Fn() -> Result<Option<f64>, ModelError>,
) -> Result<ChatAnswer, ModelError> {
    let is_free = matches!(question.mode, AnswerMode::Free(_));
    let is_part = place.is_some_and(|place| place.frame.is_some());
    let (response, handed) = if is_free && !is_part {
        hand_out_live(|on_text| expert.ask(question, on_text), emit)?
    } else {
        // Numbers of a region are turned into those of the image before they are handed out.
        let mut is_stopped = false;
        let response = expert.ask(question, &mut |_| {
            is_stopped = is_stopped || emit("").is_break();
            if is_stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let handed = if is_stopped {
            HandedOut { text: String::new(), n_tokens: response.n_new_tokens, finish: FinishReason::Stopped }
        } else {
            let tokens = tokens_in_image(expert, &response, place, request)?;
            let mut handed = hand_out(expert.tokenizer(), &tokens, request.sampling.max_tokens, emit)?;
            if response.stop_reason == Some(vlm_model::StopReason::Length)
                && handed.finish == FinishReason::Stop
            {
                handed.finish = FinishReason::Length;
            }
            handed
        };
        (response, handed)
    };
    let HandedOut { text, n_tokens, finish } = handed;
    let is_whole = finish == FinishReason::Stop;
    let mut boxes = Vec::new();
    if let (true, Some(place), Some(found)) = (is_whole, place, expert.box_px(&response)) {
        let box_px = moved(found, &response, place.frame).to_array();
        boxes.push(AnswerBox { label, box_px, confidence: confidence()?, image: place.image });
    }
    Ok(ChatAnswer {
        text,
        boxes,
        yes_no: yes_no(&response).filter(|_| is_whole),
        usage: Usage { prompt_tokens: response.n_prompt_tokens, completion_tokens: n_tokens },
        finish,
    })
}

/// The answer's tokens, its box in numbers of the whole image.
fn tokens_in_image(
    expert: &Expert,
    response: &Response,
    place: Option<Place>,
    request: &ChatRequest,
) -> Result<Vec<u32>, ModelError> {
    let Some(Place { image, frame: Some(frame) }) = place else { return Ok(response.tokens.clone()) };
    let (Some(found), Some(image)) = (expert.box_px(response), request.all_images().nth(image)) else {
        return Ok(response.tokens.clone());
    };
    let [width, height] = image.size_px;
    let failed = |what: String| ModelError::Failed { reason: what };
    let text = expert
        .box_format()
        .encode_text(moved(found, response, Some(frame)), width, height)
        .map_err(|error| failed(error.to_string()))?;
    expert.tokenizer().encode_piece(&text).map_err(|_| failed("a box cannot be written".to_owned()))
}

/// A box in px of the picture that was shown, in px of the image whose part that was.
fn moved(found: PixelBox, response: &Response, frame: Option<BoxPx>) -> PixelBox {
    let (Some(frame), Some([columns, rows])) = (frame, response.image_size_px) else { return found };
    let x = |x: f64| x * f64::from(frame.width_px()) / f64::from(columns) + f64::from(frame.x_min);
    let y = |y: f64| y * f64::from(frame.height_px()) / f64::from(rows) + f64::from(frame.y_min);
    PixelBox { x_min: x(found.x_min), y_min: y(found.y_min), x_max: x(found.x_max), y_max: y(found.y_max) }
}

/// The region around the pancreas that the first stage finds, as the cascade shows it to its tumor stages.
fn region_of(
    stages: &BTreeMap<Stage, Expert>,
    image: &ChatImage,
    margin: f64,
    emit: &mut Emit<'_>,
) -> Result<BoxPx, ModelError> {
    let (stage, words, _) = question_of(stages, Stage::PancreasBox, Organ::Pancreas)?;
    let expert = expert(stages, stage)?;
    if emit("").is_break() {
        return Err(ModelError::Stopped);
    }
    let question = Question::grounded_box(image_source(image), words);
    let response = expert.ask(&question, &mut |_| ControlFlow::Continue(()))?;
    Ok(region_around(expert.box_px(&response), image.size_px, margin))
}
