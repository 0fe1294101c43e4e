//! A model that says what its script has: it needs no weights and answers the same every time.

#![allow(dead_code, clippy::unwrap_used, reason = "each user needs a part, and stops at what fails")]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chat_api::{
    AnswerBox, AnswerForm, ChatAnswer, ChatModel, ChatRequest, Export, Finding, FinishReason, ModelCard,
    ModelError, OnRunEvent, OnText, RunEvent, RunOptions, RunStep, SliceScore, StudyInput, StudyReport,
    StudySource, Usage, YesNo,
};

/// Where the script sees a pancreas, in hundredths of the picture.
pub(crate) const PANCREAS: [f64; 4] = [38.0, 45.0, 62.0, 58.0];
/// Where it sees a tumor.
pub(crate) const TUMOR: [f64; 4] = [50.0, 47.0, 56.0, 53.0];

/// What a test may look at.
#[derive(Debug, Default)]
pub(crate) struct ScriptLog {
    /// Tokens handed out.
    pub(crate) n_tokens: AtomicUsize,
    /// Questions in the order in which they were answered.
    pub(crate) questions: Mutex<Vec<String>>,
    /// Sizes of batches.
    pub(crate) batches: Mutex<Vec<usize>>,
    /// Pictures of the last request, by size.
    pub(crate) images: Mutex<Vec<[u32; 2]>>,
    /// Turns before the last question.
    pub(crate) n_history: AtomicUsize,
    /// Files that came with the last run.
    pub(crate) n_files: AtomicUsize,
}

/// The model.
#[derive(Debug)]
pub(crate) struct Scripted {
    /// Time that a token takes.
    pub(crate) token_time: Duration,
    /// Most requests in a batch.
    pub(crate) max_batch: usize,
    /// What it did.
    pub(crate) log: Arc<ScriptLog>,
}

impl Scripted {
    /// A model that takes so long for a token.
    pub(crate) fn new(token_time: Duration) -> Self {
        Self { token_time, max_batch: 1, log: Arc::default() }
    }
}

/// A run on its way.
#[derive(Debug)]
pub(crate) struct ScriptedRun {
    n_slices: usize,
    size_px: [f64; 2],
    slices: Vec<SliceScore>,
    anonymize: bool,
}

struct Script {
    text: String,
    boxes: Vec<AnswerBox>,
    yes_no: Option<YesNo>,
}

fn text_of(percent: [f64; 4]) -> String {
    let [x1, y1, x2, y2] = percent;
    format!("{{<{x1}><{y1}><{x2}><{y2}>}}")
}

fn px(percent: [f64; 4], [width, height]: [f64; 2]) -> [f64; 4] {
    let [x1, y1, x2, y2] = percent;
    [x1 * width / 100.0, y1 * height / 100.0, x2 * width / 100.0, y2 * height / 100.0]
}

fn script(request: &ChatRequest) -> Result<Script, ModelError> {
    let question = request.question.to_lowercase();
    let plain = |text: &str| Script { text: text.to_owned(), boxes: Vec::new(), yes_no: None };
    if let Some(n) = question.strip_prefix("count ") {
        let n: usize = n.trim().parse().unwrap_or(10);
        return Ok(plain(&(1..=n).map(|i| format!("{i} ")).collect::<String>()));
    }
    if question.contains("please panic") {
        panic!("as the script has it, of {}", request.question);
    }
    if question.contains("please fail") {
        return Err(ModelError::Failed { reason: "as the script has it".to_owned() });
    }
    if question.contains("please refuse") {
        return Err(ModelError::TooLong { got: 5000, limit: 4096 });
    }
    let image = request.boxed_image();
    let size = image.and_then(|at| request.all_images().nth(at)).map(|image| image.size_px.map(f64::from));
    let wants_box =
        question.contains("[refer]") || question.contains("where") || request.form == AnswerForm::Boxes;
    let place = |label: &str, percent| {
        let (image, size) = (image?, size?);
        let (label, box_px) = (label.to_owned(), px(percent, size));
        Some(AnswerBox { label, box_px, confidence: Some(0.87), image })
    };
    if wants_box && request.form != AnswerForm::Text {
        let known =
            [("tumor", TUMOR), ("liver", [10.0, 20.0, 45.0, 60.0]), ("spleen", [70.0, 25.0, 90.0, 50.0])];
        let (label, percent) =
            known.into_iter().find(|(label, _)| question.contains(label)).unwrap_or(("pancreas", PANCREAS));
        let boxes = place(label, percent).into_iter().collect();
        return Ok(Script { text: text_of(percent), boxes, yes_no: None });
    }
    if question.contains("[grounding]") || question.contains("organs") {
        let text = "<p>liver</p> {<10><20><45><60>} and <p>spleen</p> {<70><25><90><50>}";
        return Ok(plain(text));
    }
    if question.contains("[identify]") {
        return Ok(plain("pancreas"));
    }
    if question.contains("tumor") || request.form == AnswerForm::YesNo {
        let yes_no = Some(YesNo { yes: true, yes_probability: Some(0.73) });
        return Ok(Script { text: "yes".to_owned(), boxes: Vec::new(), yes_no });
    }
    Ok(plain("This is a slice of a synthetic abdomen."))
}

/// Pieces that stand for tokens.
fn tokens(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if (c == ' ' || c == '>' || c == '}') && at + c.len_utf8() > start {
            pieces.push(&text[start..at + c.len_utf8()]);
            start = at + c.len_utf8();
        }
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

impl ChatModel for Scripted {
    type Run = ScriptedRun;

    fn card(&self) -> ModelCard {
        let mut card = ModelCard::new("scripted", "A script for tests; it looks at nothing.");
        card.max_images = 4;
        card.max_batch = self.max_batch;
        card.max_answer_tokens = 2000;
        card.runs_studies = true;
        card.structures = ["pancreas", "tumor", "liver", "spleen"].map(str::to_owned).to_vec();
        card
    }

    fn can_join(&self, first: &ChatRequest, other: &ChatRequest) -> bool {
        first.images.len() == other.images.len() && first.sampling == other.sampling
    }

    fn answer(
        &mut self,
        batch: &[&ChatRequest],
        on_text: &mut OnText<'_>,
    ) -> Vec<Result<ChatAnswer, ModelError>> {
        self.log.batches.lock().unwrap().push(batch.len());
        let scripts: Vec<_> = batch.iter().map(|request| script(request)).collect();
        for request in batch {
            self.log.questions.lock().unwrap().push(request.question.clone());
            *self.log.images.lock().unwrap() = request.all_images().map(|image| image.size_px).collect();
            self.log.n_history.store(request.history.len(), Ordering::Relaxed);
        }
        let pieces: Vec<Vec<&str>> =
            scripts.iter().map(|s| s.as_ref().map_or_else(|_| Vec::new(), |s| tokens(&s.text))).collect();
        let mut said = vec![0; batch.len()];
        let mut finish = vec![FinishReason::Stop; batch.len()];
        let mut is_over: Vec<bool> = pieces.iter().map(Vec::is_empty).collect();
        while is_over.contains(&false) {
            std::thread::sleep(self.token_time);
            for row in 0..batch.len() {
                if is_over[row] {
                    continue;
                }
                self.log.n_tokens.fetch_add(1, Ordering::Relaxed);
                let flow = on_text(row, pieces[row][said[row]]);
                said[row] += 1;
                if flow.is_break() {
                    (is_over[row], finish[row]) = (true, FinishReason::Stopped);
                } else if said[row] == pieces[row].len() {
                    is_over[row] = true;
                } else if said[row] >= batch[row].sampling.max_tokens {
                    (is_over[row], finish[row]) = (true, FinishReason::Length);
                }
            }
        }
        let answers = scripts.into_iter().enumerate().map(|(row, script)| {
            let Script { text, boxes, yes_no } = script?;
            let prompt_tokens = batch[row].question.split(' ').count() + 64 * batch[row].all_images().count();
            let usage = Usage { prompt_tokens, completion_tokens: said[row] };
            Ok(ChatAnswer { text, boxes, yes_no, usage, finish: finish[row] })
        });
        answers.collect()
    }

    fn start_run(
        &mut self,
        study: &Arc<StudyInput>,
        options: &RunOptions,
    ) -> Result<ScriptedRun, ModelError> {
        self.log.n_files.store(study.files.0.len(), Ordering::Relaxed);
        let (n_slices, size_px) = match &study.source {
            StudySource::Volume(volume) => {
                let view = volume.view_as("LPS".parse().expect("axes"));
                let (x, y, z) = view.dim();
                (z, [x as f64, y as f64])
            }
            StudySource::Images(images) => {
                (images.len(), [images[0].width_px() as f64, images[0].height_px() as f64])
            }
        };
        Ok(ScriptedRun { n_slices, size_px, slices: Vec::new(), anonymize: options.anonymize })
    }

    fn advance_run(
        &mut self,
        run: &mut ScriptedRun,
        on_event: &mut OnRunEvent<'_>,
    ) -> Result<RunStep, ModelError> {
        let stopped = |flow: ControlFlow<()>| if flow.is_break() { Err(ModelError::Stopped) } else { Ok(()) };
        let slice_idx = run.slices.len();
        if slice_idx == 0 {
            stopped(on_event(RunEvent::Stage("looking for the pancreas".to_owned())))?;
        }
        std::thread::sleep(self.token_time);
        let middle = run.n_slices as f64 / 2.0;
        let near = 1.0 - (slice_idx as f64 - middle).abs() / middle.max(1.0);
        let pancreas = AnswerBox {
            label: "pancreas".to_owned(),
            box_px: px(PANCREAS, run.size_px),
            confidence: Some(near.clamp(0.0, 1.0)),
            image: 0,
        };
        let boxes = if near > 0.4 { vec![pancreas] } else { Vec::new() };
        let score = SliceScore { slice_idx, tumor_score: Some(near.clamp(0.0, 1.0) * 0.9), boxes };
        stopped(on_event(RunEvent::Slice(score.clone())))?;
        stopped(on_event(RunEvent::Progress { done: slice_idx + 1, total: run.n_slices }))?;
        run.slices.push(score);
        if run.slices.len() < run.n_slices {
            return Ok(RunStep::More);
        }
        let key_slice = run.n_slices / 2;
        let finding = |label: &str, percent, confidence| Finding {
            label: label.to_owned(),
            first_slice: key_slice.saturating_sub(2),
            last_slice: (key_slice + 2).min(run.n_slices - 1),
            key_slice,
            box_px: px(percent, run.size_px),
            confidence: Some(confidence),
            size_mm: Some([18.0, 14.0, 12.5]),
        };
        let export = |name: &str, media_type: &str, text: &str| Export {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            bytes: Bytes::from(text.to_owned()),
        };
        let note =
            format!("{{\"note\": \"{}\", \"anonymized\": {}}}\n", chat_api::RESEARCH_NOTE, run.anonymize);
        Ok(RunStep::Done(Box::new(StudyReport {
            tumor_score: Some(0.81),
            findings: vec![finding("tumor", TUMOR, 0.81), finding("pancreas", PANCREAS, 0.93)],
            slices: std::mem::take(&mut run.slices),
            exports: vec![
                export("coco.json", "application/json", &note),
                export("boxes.csv", "text/csv", "label,slice\ntumor,1\n"),
                export("../escape.json", "application/json", "{}"),
            ],
        })))
    }
}
