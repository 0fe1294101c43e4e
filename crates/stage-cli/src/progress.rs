//! What a run tells, for people.

use std::io::IsTerminal;

use bin_support::{TrainingBar, TrainingProgress, item_bar, note};
use cascade::{CascadeEvent, Stage};
use indicatif::ProgressBar;
use vlm_train::TrainingEvent;

/// Printed at the first Ctrl-C.
pub const STOP_MESSAGE: &str = "stopping after the step at hand; what is complete is kept …";

/// Lines between the ends of a training where there is no bar.
const LINES_OF_A_TRAINING: u64 = 10;

/// Bars where stderr is a terminal, lines where it is none.
#[derive(Debug)]
pub struct Progress {
    bar: Bar,
    is_terminal: bool,
}

#[derive(Debug)]
enum Bar {
    None,
    Items { bar: ProgressBar, what: String },
    Training { bar: TrainingBar, stage: Stage },
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Nothing is shown before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self { bar: Bar::None, is_terminal: std::io::stderr().is_terminal() }
    }

    /// Shows an event of a run.
    pub fn show(&mut self, event: CascadeEvent<'_>) {
        match event {
            CascadeEvent::Part(part) => {
                self.finish();
                note(part);
            }
            CascadeEvent::Progress { what, done, total } => self.items(what, done, total),
            CascadeEvent::Training { stage, event } => self.training(stage, event),
            CascadeEvent::Evaluated(evaluation) => {
                self.finish();
                let name = evaluation.stage.score_name();
                note(&format!("{}: {name} {:.3}", evaluation.stage.title(), evaluation.score()));
            }
            CascadeEvent::Remark(remark) => self.line(remark),
            _ => {}
        }
    }

    /// Takes what is drawn off the terminal.
    pub fn finish(&mut self) {
        match std::mem::replace(&mut self.bar, Bar::None) {
            Bar::None => {}
            Bar::Items { bar, .. } => bar.finish_and_clear(),
            Bar::Training { bar, .. } => bar.finish(),
        }
    }

    fn items(&mut self, what: &str, done: usize, total: usize) {
        if !matches!(&self.bar, Bar::Items { what: shown, .. } if shown == what) {
            self.finish();
            let bar = item_bar(unit(what));
            self.bar = Bar::Items { bar, what: what.to_owned() };
        }
        if let Bar::Items { bar, .. } = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }

    fn training(&mut self, stage: Stage, event: &TrainingEvent) {
        if !matches!(&self.bar, Bar::Training { stage: shown, .. } if *shown == stage) {
            self.finish();
            let bar = TrainingBar::new(&stage.title().to_lowercase());
            self.bar = Bar::Training { bar, stage };
        }
        match event {
            TrainingEvent::Resumed { step, n_steps } => {
                self.line(&format!("going on after step {step} of {n_steps}"));
            }
            TrainingEvent::Damaged { folder, reason } => {
                self.line(&format!("checkpoint `{}` is left out: {reason}", folder.display()));
            }
            TrainingEvent::StepDone { step, n_steps, loss, lr, samples_per_s, eta_s, .. } => {
                if let Bar::Training { bar, .. } = &self.bar {
                    bar.show(&TrainingProgress {
                        step: *step,
                        n_steps: *n_steps,
                        loss: *loss,
                        learning_rate: *lr,
                        samples_per_s: *samples_per_s,
                        eta_s: *eta_s,
                    });
                }
                let every = n_steps.div_ceil(LINES_OF_A_TRAINING).max(1);
                if !self.is_terminal && (step % every == 0 || step == n_steps) {
                    note(&format!(
                        "step {step}/{n_steps} loss {loss:.4} lr {lr:.2e} {samples_per_s:.1} samples/s"
                    ));
                }
            }
            TrainingEvent::Validated { step, score, is_best } => {
                let best = if *is_best { ", the best so far" } else { "" };
                self.line(&format!("step {step}: validation {} {score:.3}{best}", stage.score_name()));
            }
            _ => {}
        }
    }

    /// A line that leaves the bar as it is.
    fn line(&self, text: &str) {
        match &self.bar {
            Bar::None => note(text),
            Bar::Items { bar, .. } => bar.suspend(|| note(text)),
            Bar::Training { bar, .. } => bar.note(text),
        }
    }
}

/// Bars keep their unit for good, so units are known beforehand.
fn unit(what: &str) -> &'static str {
    ["patients", "studies", "vision features", "answers", "images", "slices"]
        .into_iter()
        .find(|unit| *unit == what)
        .unwrap_or("items")
}
