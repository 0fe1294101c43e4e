//! Bars on a terminal, silence elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{FormattedDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::note;

const BYTE_TEMPLATE: &str = "{msg} {bar:30} {bytes}/{total_bytes} (left {eta})";
// The numbers come before the bar, which takes what a narrow terminal leaves.
const TRAINING_TEMPLATE: &str = "{prefix} {pos}/{len} {msg} {wide_bar}";

/// A bar that counts items of work: `unit` is their plural (`studies`, `images`).
///
/// Its length is unknown until it is set. Clones draw the same bar.
pub fn item_bar(unit: &'static str) -> ProgressBar {
    ProgressBar::with_draw_target(None, terminal()).with_style(style(&item_template(unit)))
}

/// A bar of bytes; `doing` says what happens to them (`reading`).
pub fn byte_bar(doing: &'static str) -> ProgressBar {
    ProgressBar::with_draw_target(Some(0), terminal()).with_style(style(BYTE_TEMPLATE)).with_message(doing)
}

/// Where a training stands after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingProgress {
    /// Steps done, those of earlier runs included.
    pub step: u64,
    /// Steps of the whole training.
    pub n_steps: u64,
    /// Loss of the step, nats a target token.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Throughput, samples a second.
    pub samples_per_s: f64,
    /// Time left, s. What is no time (not finite, negative) is shown as unknown.
    pub eta_s: f64,
}

/// The bar of a training: steps, loss, learning rate, samples a second and the time left.
///
/// The time left is the training's own estimate, since the bar's would count the steps of earlier
/// runs as done in no time.
#[derive(Debug)]
pub struct TrainingBar(ProgressBar);

impl TrainingBar {
    /// A bar that is drawn from the first [`show`](Self::show) on; `doing` says what is trained.
    pub fn new(doing: &str) -> Self {
        Self::on(terminal(), doing)
    }

    fn on(target: ProgressDrawTarget, doing: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), target)
            .with_style(style(TRAINING_TEMPLATE))
            .with_prefix(doing.to_owned());
        Self(bar)
    }

    /// Shows where the training stands.
    pub fn show(&self, progress: &TrainingProgress) {
        self.0.set_message(message(progress));
        self.0.set_length(progress.n_steps);
        self.0.set_position(progress.step);
    }

    /// Prints a line above the bar on stderr, also where there is no terminal.
    pub fn note(&self, text: &str) {
        self.0.suspend(|| note(text));
    }

    /// Takes the bar off the terminal.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

fn item_template(unit: &str) -> String {
    format!("{{bar:30}} {{pos}}/{{len}} {unit} {{elapsed}} (left {{eta}}) {{msg}}")
}

fn message(progress: &TrainingProgress) -> String {
    let left = match Duration::try_from_secs_f64(progress.eta_s) {
        Ok(left) => FormattedDuration(left).to_string(),
        Err(_) => "unknown".to_owned(),
    };
    format!(
        "loss {:.4} lr {:.2e} {:.1} samples/s (left {left})",
        progress.loss, progress.learning_rate, progress.samples_per_s
    )
}

/// The terminal on stderr, or nowhere.
fn terminal() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, ProgressStyle, TermLike};

    use super::{BYTE_TEMPLATE, TRAINING_TEMPLATE, TrainingBar, TrainingProgress, item_template, message};

    /// A terminal of a given width that keeps the text of its lines.
    #[derive(Debug, Clone)]
    struct Recorder {
        width: u16,
        text: Arc<Mutex<String>>,
    }

    impl Recorder {
        fn new(width: u16) -> Self {
            Self { width, text: Arc::default() }
        }

        fn push(&self, text: &str) -> io::Result<()> {
            self.text.lock().unwrap().push_str(text);
            Ok(())
        }

        fn target(&self) -> ProgressDrawTarget {
            ProgressDrawTarget::term_like_with_hz(Box::new(self.clone()), 255)
        }
    }

    impl TermLike for Recorder {
        fn width(&self) -> u16 {
            self.width
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.push(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.push(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.push("\r")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    const PROGRESS: TrainingProgress = TrainingProgress {
        step: 120,
        n_steps: 2000,
        loss: 0.123_456,
        learning_rate: 1e-4,
        samples_per_s: 12.34,
        eta_s: 245.9,
    };

    #[test]
    fn templates_are_well_formed() {
        for template in [item_template("studies").as_str(), BYTE_TEMPLATE, TRAINING_TEMPLATE] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[test]
    fn the_message_has_loss_rate_speed_and_time_left() {
        let rows = [
            (PROGRESS, "loss 0.1235 lr 1.00e-4 12.3 samples/s (left 00:04:05)"),
            (
                TrainingProgress { eta_s: 90_061.0, ..PROGRESS },
                "loss 0.1235 lr 1.00e-4 12.3 samples/s (left 1d 01:01:01)",
            ),
            (
                TrainingProgress { eta_s: f64::INFINITY, ..PROGRESS },
                "loss 0.1235 lr 1.00e-4 12.3 samples/s (left unknown)",
            ),
            (
                TrainingProgress { eta_s: -1.0, ..PROGRESS },
                "loss 0.1235 lr 1.00e-4 12.3 samples/s (left unknown)",
            ),
            (
                TrainingProgress {
                    loss: f64::NAN,
                    learning_rate: 0.0,
                    samples_per_s: 0.0,
                    eta_s: f64::NAN,
                    ..PROGRESS
                },
                "loss NaN lr 0.00e0 0.0 samples/s (left unknown)",
            ),
        ];
        for (progress, expected) in rows {
            assert_eq!(message(&progress), expected, "{progress:?}");
        }
    }

    #[test]
    fn numbers_stand_before_the_bar_on_narrow_and_wide_terminals() {
        for width in [90, 160] {
            let terminal = Recorder::new(width);
            let bar = TrainingBar::on(terminal.target(), "pancreas");
            bar.show(&PROGRESS);
            let drawn = terminal.text.lock().unwrap().clone();
            let expected = "pancreas 120/2000 loss 0.1235 lr 1.00e-4 12.3 samples/s (left 00:04:05) ";
            assert!(drawn.contains(expected), "{width}: {drawn:?}");
        }
    }

    #[test]
    fn a_finished_bar_leaves_the_line() {
        let terminal = Recorder::new(120);
        let bar = TrainingBar::on(terminal.target(), "pancreas");
        bar.show(&PROGRESS);
        terminal.text.lock().unwrap().clear();
        bar.finish();
        let drawn = terminal.text.lock().unwrap().clone();
        assert!(drawn.contains('\r') && !drawn.contains("pancreas"), "{drawn:?}");
    }
}
