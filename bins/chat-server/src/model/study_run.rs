//! A whole study, looked at on a thread that pauses.
//!
//! `cascade::predict_volume` is one call. It runs on a thread of its own and tells its progress between
//! batches of questions; there it waits, once its turn is over, until it is given the next one. So chats
//! are answered in between, and never while it computes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use cascade::{CascadeError, CascadeEvent, StudyOptions, predict_volume};
use chat_api::{ModelError, OnRunEvent, RunEvent, RunOptions, RunStep, StudyInput, StudyReport, StudySource};
use ct_volume::Volume;
use findings::Findings;
use vlm_model::Precision;

use super::exports::report;
use crate::checkpoints::Checkpoints;

/// Time of a turn; a batch that has begun is ended.
const TURN: Duration = Duration::from_millis(700);
/// Questions of a batch: few enough that a turn is not much longer than it should be.
const BATCH: usize = 8;

/// What all runs have in common.
#[derive(Debug, Clone)]
pub(super) struct RunSettings {
    pub(super) checkpoints: Checkpoints,
    pub(super) precision: Precision,
    pub(super) device: Device,
}

/// A run between two turns. Dropping it ends its thread after the batch at hand.
#[derive(Debug)]
pub(crate) struct StudyRun {
    turns: Sender<()>,
    news: Receiver<News>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
enum News {
    Event(RunEvent),
    TurnOver,
    Done(Result<Box<StudyReport>, ModelError>),
}

impl StudyRun {
    pub(super) fn start(
        settings: &RunSettings,
        study: &Arc<StudyInput>,
        options: RunOptions,
    ) -> Result<Self, ModelError> {
        let StudySource::Volume(volume) = &study.source else {
            let reason = "pictures have no place in a patient; a DICOM series or a NIfTI file has".to_owned();
            return Err(ModelError::Refused { reason });
        };
        let (turns, next_turn) = channel();
        let (sender, news) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let work = Work {
            settings: settings.clone(),
            volume: Arc::clone(volume),
            study: Arc::clone(study),
            options,
            next_turn,
            news: sender,
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new().name("study-run".to_owned());
        thread
            .spawn(move || work.go())
            .map_err(|_| ModelError::Failed { reason: "a thread could not be started".to_owned() })?;
        Ok(Self { turns, news, stop })
    }

    pub(super) fn advance(&mut self, on_event: &mut OnRunEvent<'_>) -> Result<RunStep, ModelError> {
        let gone = || ModelError::Failed { reason: "the run ended early".to_owned() };
        self.turns.send(()).map_err(|_| gone())?;
        loop {
            match self.news.recv().map_err(|_| gone())? {
                News::Event(event) => {
                    if on_event(event).is_break() {
                        self.stop.store(true, Ordering::Relaxed);
                        return Err(ModelError::Stopped);
                    }
                }
                News::TurnOver => return Ok(RunStep::More),
                News::Done(report) => return report.map(RunStep::Done),
            }
        }
    }
}

impl Drop for StudyRun {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What the thread has.
struct Work {
    settings: RunSettings,
    volume: Arc<Volume>,
    study: Arc<StudyInput>,
    options: RunOptions,
    next_turn: Receiver<()>,
    news: Sender<News>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn go(mut self) {
        if self.next_turn.recv().is_err() {
            return;
        }
        let done = self.predict().map(|findings| {
            let report = report(&findings, &self.study, &self.volume, &self.options);
            for slice in &report.slices {
                tell(&self.news, News::Event(RunEvent::Slice(slice.clone())));
            }
            Box::new(report)
        });
        tell(&self.news, News::Done(done));
    }

    fn predict(&mut self) -> Result<Findings, ModelError> {
        let Self { settings, volume, options: wanted, next_turn, news, stop, .. } = self;
        let RunSettings { checkpoints, precision, device } = &*settings;
        let is_one = matches!(checkpoints, Checkpoints::One(_));
        let options = StudyOptions {
            precision: *precision,
            batch_size: BATCH,
            organs: wanted.organs,
            // A checkpoint from elsewhere has not learned the question.
            min_presence: if is_one { 0.0 } else { StudyOptions::default().min_presence },
            ..StudyOptions::default()
        };
        let (news, stop): (&Sender<News>, &AtomicBool) = (news, stop);
        let mut turn = Instant::now();
        // It takes the receiver, which no two threads may share.
        let mut observe = move |event: CascadeEvent<'_>| {
            match event {
                CascadeEvent::Part(words) => tell(news, News::Event(RunEvent::Stage(words.to_owned()))),
                CascadeEvent::Progress { done, total, .. } => {
                    tell(news, News::Event(RunEvent::Progress { done, total }));
                }
                _ => {}
            }
            if turn.elapsed() >= TURN && !stop.load(Ordering::Relaxed) {
                tell(news, News::TurnOver);
                if next_turn.recv().is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                turn = Instant::now();
            }
        };
        let found = checkpoints
            .with_folders(|models| Ok(predict_volume(volume, models, &options, device, &mut observe, stop)));
        match found {
            Ok(Ok(findings)) => Ok(findings),
            Ok(Err(CascadeError::Stopped)) => Err(ModelError::Stopped),
            Ok(Err(error)) => Err(ModelError::Failed { reason: error.to_string() }),
            Err(error) => Err(ModelError::Failed { reason: error.to_string() }),
        }
    }
}

fn tell(news: &Sender<News>, what: News) {
    // Whoever waited may be gone; then `stop` is set.
    let _ = news.send(what);
}
