//! Progress, Ctrl-C, data on stdout and messages on stderr.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// True after Ctrl-C (or SIGTERM).
pub(crate) fn was_stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// Lets Ctrl-C end work between two tokens; a second one ends the process.
pub(crate) fn catch_stop() {
    // Fails only if a handler is set already, and then that one serves.
    let _ = ctrlc::set_handler(|| {
        if STOPPED.swap(true, Ordering::Relaxed) {
            // Files are written under temporary names, so ending here leaves none half-written.
            std::process::abort();
        }
    });
}

/// A bar of bytes on a terminal, silence elsewhere.
pub(crate) fn byte_bar(doing: &'static str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} (left {eta})")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(0), target).with_style(style).with_message(doing)
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

/// Prints a piece of streamed text on stdout at once.
pub(crate) fn piece(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Prints JSON on stdout.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    data(&serde_json::to_string_pretty(value)?)
}
