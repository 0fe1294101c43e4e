//! What was opened and said, and what is done about a line.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use ct_phantom::generate_patient;
use ct_slices::pixels::HuWindow;

use super::command::{Command, HELP};
use super::files::read_files;
use crate::RESEARCH_NOTE;
use crate::config::{ServerConfig, ServerLimits};
use crate::grounding::boxes_of;
use crate::model::{
    AnswerBox, AnswerForm, ChatImage, ChatModel, ChatRequest, ChatTurn, Files, ModelCard, ModelError,
    RunEvent, RunOptions, RunStep, Sampling, StudyInput, StudyReport, StudySource,
};
use crate::studies::{Study, StudyError, StudyKind, open_study};

/// Input or output failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminalError {
    /// Input or output failed.
    #[error("cannot go on with the conversation")]
    Io(#[from] io::Error),
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Study(#[from] StudyError),
    #[error("{0}")]
    Model(#[from] ModelError),
    #[error("{0}")]
    File(io::Error),
    #[error("{0}")]
    Words(&'static str),
    #[error(transparent)]
    Output(#[from] io::Error),
}

pub(super) struct Session<'m, M> {
    model: &'m mut M,
    card: ModelCard,
    limits: ServerLimits,
    study: Option<Study>,
    slice_idx: usize,
    window: HuWindow,
    temperature: f32,
    /// Turns about the slice at hand; the first of them has its picture.
    history: Vec<ChatTurn>,
    report: Option<StudyReport>,
}

impl<'m, M: ChatModel> Session<'m, M> {
    pub(super) fn new(model: &'m mut M, limits: ServerLimits) -> Self {
        let card = model.card();
        let (window, temperature) = (card.window, card.default_temperature);
        Self {
            model,
            card,
            limits,
            study: None,
            slice_idx: 0,
            window,
            temperature,
            history: Vec::new(),
            report: None,
        }
    }

    pub(super) fn greet(&self, output: &mut impl Write) -> io::Result<()> {
        writeln!(output, "{}: {}", self.card.id, self.card.description)?;
        writeln!(output, "{RESEARCH_NOTE}; `help` tells what can be said")
    }

    /// Carries a command out, or prints why not.
    pub(super) fn carry_out(&mut self, command: Command, output: &mut impl Write) -> io::Result<()> {
        let done = match command {
            Command::Nothing | Command::Quit => Ok(()),
            Command::Help => writeln!(output, "{HELP}").map_err(Into::into),
            Command::Open(path) => self.open(Path::new(&path), output),
            Command::Example => self.example(output),
            Command::Slice(slice_idx) => self.choose(slice_idx, output),
            Command::Window(window) => {
                self.window = window;
                self.history.clear();
                writeln!(output, "window {}..{} HU", window.low_hu(), window.high_hu()).map_err(Into::into)
            }
            Command::Temperature(value) => {
                self.temperature = value;
                Ok(())
            }
            Command::Restart => {
                self.history.clear();
                Ok(())
            }
            Command::Run => self.run(output),
            Command::Save(folder) => self.save(Path::new(&folder), output),
            Command::Ask(question) => self.ask(question, output),
        };
        match done {
            Ok(()) => Ok(()),
            Err(CommandError::Output(error)) => Err(error),
            Err(CommandError::Study(error)) => writeln!(output, "{}", error.words()),
            Err(error) => writeln!(output, "{error}"),
        }
    }

    fn open(&mut self, path: &Path, output: &mut impl Write) -> Result<(), CommandError> {
        let files = read_files(path, &self.limits).map_err(CommandError::File)?;
        let study = open_study(files, &self.limits)?;
        self.set_study(study, output)
    }

    fn example(&mut self, output: &mut impl Write) -> Result<(), CommandError> {
        let example = ServerConfig::default().example.ok_or(CommandError::Words("there is no example"))?;
        let phantom = generate_patient(&example.spec, example.patient).map_err(StudyError::Example)?;
        let source = StudySource::Volume(std::sync::Arc::new(phantom.volume));
        let study = Study::new(StudyKind::Nifti, StudyInput { source, files: Files::default() });
        self.set_study(study, output)
    }

    fn set_study(&mut self, study: Study, output: &mut impl Write) -> Result<(), CommandError> {
        let n = study.n_slices();
        let [columns, rows] = study.slice_size_px(0)?;
        writeln!(output, "{n} slices of {columns} x {rows} px")?;
        for warning in study.warnings() {
            writeln!(output, "note: {}", warning.message)?;
        }
        (self.study, self.report) = (Some(study), None);
        self.choose(n / 2, output)
    }

    fn choose(&mut self, slice_idx: usize, output: &mut impl Write) -> Result<(), CommandError> {
        let study = self.study()?;
        study.slice_size_px(slice_idx)?;
        let last = study.n_slices() - 1;
        self.slice_idx = slice_idx;
        self.history.clear();
        writeln!(output, "slice {slice_idx} of 0..={last}")?;
        Ok(())
    }

    fn study(&self) -> Result<&Study, CommandError> {
        self.study.as_ref().ok_or(CommandError::Words("open a study first: `open PATH` or `example`"))
    }

    fn ask(&mut self, question: String, output: &mut impl Write) -> Result<(), CommandError> {
        // The picture comes with the first question about it; later ones go on from there.
        let images = match (&self.study, self.history.is_empty()) {
            (Some(study), true) => vec![study.chat_image(self.slice_idx, &self.window)?],
            _ => Vec::<ChatImage>::new(),
        };
        let most = self.limits.max_answer_tokens.min(self.card.max_answer_tokens).max(1);
        let request = ChatRequest {
            system: None,
            history: self.history.clone(),
            images,
            question,
            form: AnswerForm::Auto,
            sampling: Sampling { max_tokens: most, temperature: self.temperature, top_p: 1.0, seed: None },
        };
        let mut broken = None;
        let mut on_text = |_: usize, text: &str| match write!(output, "{text}").and_then(|()| output.flush())
        {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                broken = Some(error);
                ControlFlow::Break(())
            }
        };
        let answers = self.model.answer(&[&request], &mut on_text);
        if let Some(error) = broken {
            return Err(error.into());
        }
        writeln!(output)?;
        let nothing = || ModelError::Failed { reason: "it gave no answer".to_owned() };
        let answer = answers.into_iter().next().unwrap_or_else(|| Err(nothing()))?;
        for found in boxes_of(&request, &answer, self.card.box_format) {
            writeln!(output, "  {}", box_words(&found))?;
        }
        let ChatRequest { images, question, .. } = request;
        self.history.push(ChatTurn { images, question, answer: answer.text });
        if self.history.len() > self.limits.max_turns {
            self.history.clear();
            writeln!(output, "the conversation was long and begins anew")?;
        }
        Ok(())
    }

    fn run(&mut self, output: &mut impl Write) -> Result<(), CommandError> {
        if !self.card.runs_studies {
            return Err(CommandError::Words("this model cannot look at whole studies"));
        }
        let study = self.study()?.input().clone();
        let mut run = self.model.start_run(&study, &RunOptions::default())?;
        let mut broken = None;
        let mut on_event = |event: RunEvent| {
            let written = match event {
                RunEvent::Stage(words) => writeln!(output, "{words}"),
                RunEvent::Progress { .. } => Ok(()),
                RunEvent::Slice(score) => match score.tumor_score {
                    Some(tumor) => writeln!(output, "slice {}: tumor {tumor:.2}", score.slice_idx),
                    None => Ok(()),
                },
            };
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    broken = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        let report = loop {
            match self.model.advance_run(&mut run, &mut on_event)? {
                RunStep::More => {}
                RunStep::Done(report) => break *report,
            }
        };
        if let Some(error) = broken {
            return Err(error.into());
        }
        if let Some(score) = report.tumor_score {
            writeln!(output, "tumor anywhere: {score:.2}")?;
        }
        for finding in &report.findings {
            let (first, last, key) = (finding.first_slice, finding.last_slice, finding.key_slice);
            writeln!(output, "  {} on slices {first} to {last}, best seen on {key}", finding.label)?;
        }
        writeln!(output, "{RESEARCH_NOTE}")?;
        self.report = Some(report);
        Ok(())
    }

    fn save(&self, folder: &Path, output: &mut impl Write) -> Result<(), CommandError> {
        let report =
            self.report.as_ref().ok_or(CommandError::Words("there is nothing to save: `run` first"))?;
        let failed = CommandError::File;
        fs_err::create_dir_all(folder).map_err(failed)?;
        let findings = crate::studies::FindingsJson::new(report, &self.card.id);
        let text = serde_json::to_vec_pretty(&findings).map_err(|error| failed(io::Error::other(error)))?;
        fs_err::write(folder.join("findings.json"), text).map_err(failed)?;
        for export in report.exports.iter().filter(|export| crate::studies::is_usable(export)) {
            fs_err::write(folder.join(&export.name), &export.bytes).map_err(failed)?;
        }
        writeln!(output, "{} files written", report.exports.len() + 1)?;
        Ok(())
    }
}

fn box_words(found: &AnswerBox) -> String {
    let [x1, y1, x2, y2] = found.box_px;
    let sure = found.confidence.map_or_else(String::new, |c| format!(", confidence {c:.2}"));
    format!("{}: {x1:.0},{y1:.0} to {x2:.0},{y2:.0} px{sure}", found.label)
}
