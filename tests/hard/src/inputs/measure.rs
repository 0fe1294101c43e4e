//! One attempt: what came of it, how long it took, what memory it took, and whether anything panicked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::MEMORY;

/// Panics anywhere in the process while [`attempt`] runs, those that a library catches itself included.
static PANICS: AtomicU64 = AtomicU64::new(0);
static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
static LAST: Mutex<String> = Mutex::new(String::new());

/// What one attempt gave and cost.
#[derive(Debug)]
pub struct Attempt<T> {
    /// The result, or what the panic said and where.
    pub result: Result<T, String>,
    /// Panics that a library caught itself.
    pub caught_inside: u64,
    /// Where the last of those was.
    pub caught_at: Option<String>,
    /// Seconds on the clock.
    pub time: Duration,
    /// The most memory that was held at once, above what was held before.
    pub peak_bytes: u64,
}

/// Counts panics without printing them, while attempts run; others are printed as ever.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if ATTEMPTS.load(Ordering::SeqCst) == 0 {
                return before(info);
            }
            PANICS.fetch_add(1, Ordering::SeqCst);
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let message = info.payload_as_str().unwrap_or("a payload that is no text");
            *LAST.lock().unwrap_or_else(PoisonError::into_inner) = format!("{message} at {place}");
        }));
    });
}

fn last_panic() -> String {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Runs something once. Memory and panics are counted for the whole process: run nothing beside it.
pub fn attempt<T>(work: impl FnOnce() -> T) -> Attempt<T> {
    watch_panics();
    ATTEMPTS.fetch_add(1, Ordering::SeqCst);
    let panics = PANICS.load(Ordering::SeqCst);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(work));
    let time = start.elapsed();
    let peak_bytes = MEMORY.peak_usage().saturating_sub(before) as u64;
    ATTEMPTS.fetch_sub(1, Ordering::SeqCst);
    let escaped = u64::from(result.is_err());
    let caught_inside = (PANICS.load(Ordering::SeqCst) - panics).saturating_sub(escaped);
    let caught_at = (caught_inside > 0).then(last_panic);
    Attempt { result: result.map_err(|_| last_panic()), caught_inside, caught_at, time, peak_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_and_memory_are_counted() {
        let good = attempt(|| vec![1_u8; 3 << 20].len());
        assert_eq!(good.result, Ok(3 << 20));
        assert!(good.peak_bytes >= 3 << 20 && good.peak_bytes < 64 << 20, "{}", good.peak_bytes);
        let caught = attempt(|| catch_unwind(|| panic!("inside")).is_err());
        assert_eq!((caught.result, caught.caught_inside), (Ok(true), 1));
        assert!(caught.caught_at.is_some_and(|at| at.starts_with("inside at ")));
        let bad: Attempt<()> = attempt(|| panic!("out"));
        assert_eq!(bad.caught_inside, 0);
        assert!(bad.result.is_err_and(|said| said.starts_with("out at ")));
    }
}
