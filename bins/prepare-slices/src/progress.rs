//! Progress, Ctrl-C and error messages.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// True after Ctrl-C (or SIGTERM).
pub(crate) fn was_stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// The flag that work looks at; the first Ctrl-C sets it, the second ends the process.
pub(crate) fn stop_flag() -> &'static AtomicBool {
    // Fails only if a handler is set already, and then that one serves.
    let _ = ctrlc::set_handler(|| {
        if STOPPED.swap(true, Ordering::Relaxed) {
            // Files are written under temporary names, so ending here leaves none half-written.
            std::process::abort();
        }
        let _ = writeln!(std::io::stderr(), "stopping after the slices at hand …");
    });
    &STOPPED
}

/// A bar on a terminal, silence elsewhere.
pub(crate) fn bar(unit: &'static str) -> Arc<ProgressBar> {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit} {{elapsed}} (left {{eta}}) {{msg}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    Arc::new(ProgressBar::with_draw_target(None, target).with_style(style))
}

/// Prints an error and its causes, one a line.
pub(crate) fn report_error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n  because: {cause}"));
    }
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a line of a person's summary on stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints data on stdout; an error if nobody reads it.
pub(crate) fn data(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Prints JSON on stdout.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value)?)
}
