//! Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{EXIT_STOPPED, note};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// True after Ctrl-C (or SIGTERM), once [`stop_flag`] was asked for.
pub fn was_stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// The flag that work looks at; the first Ctrl-C sets it, the second ends the process
/// with [`EXIT_STOPPED`].
///
/// `message` goes to stderr at the first Ctrl-C and says what is finished before the end. There is
/// one handler a process, set by the first call; later calls return the same flag and leave its
/// message. Before the first call Ctrl-C ends the process as usual.
pub fn stop_flag(message: Option<&'static str>) -> &'static AtomicBool {
    // Fails only if a handler is set already, and then that one serves.
    let _ = ctrlc::set_handler(move || {
        if STOPPED.swap(true, Ordering::Relaxed) {
            // Files are written under temporary names, so ending here leaves none half-written. No abort: a core dump
            // would hold the images in memory.
            #[expect(clippy::exit, reason = "whoever asks twice does not wait for the work")]
            std::process::exit(i32::from(EXIT_STOPPED));
        }
        if let Some(message) = message {
            note(message);
        }
    });
    &STOPPED
}
