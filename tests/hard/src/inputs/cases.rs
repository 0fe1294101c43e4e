//! Named inputs with the code that each must give.

use std::path::Path;

use super::campaign::{LIMIT_SECONDS, Tally};
use super::measure::attempt;

/// A named input: how it is made and read, and what must come of it.
pub struct Case {
    /// Its name, in notes and in documents.
    pub name: &'static str,
    /// The stable code of the error or warning, or `read` where it is harmless.
    pub expected: &'static str,
    /// The most memory that reading it may take.
    pub limit_bytes: u64,
    /// Makes it in a folder of its own; what comes back reads it and tells the codes.
    #[expect(clippy::type_complexity, reason = "made first, measured then")]
    pub make: Box<dyn Fn(&Path) -> anyhow::Result<Box<dyn FnOnce() -> String>> + Send + Sync>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl Case {
    /// A case that may take 64 MiB; `make` gives what is measured.
    pub fn new<F, R>(name: &'static str, expected: &'static str, make: F) -> Self
    where
        F: Fn(&Path) -> anyhow::Result<R> + Send + Sync + 'static,
        R: FnOnce() -> String + 'static,
    {
        let make = move |folder: &Path| -> anyhow::Result<Box<dyn FnOnce() -> String>> {
            Ok(Box::new(make(folder)?))
        };
        Self { name, expected, limit_bytes: 64 << 20, make: Box::new(make) }
    }

    /// Another bound for memory, in MiB.
    #[must_use]
    pub fn within_mib(mut self, mebibytes: u64) -> Self {
        self.limit_bytes = mebibytes << 20;
        self
    }
}

/// Runs cases one after another.
///
/// A case that gives several codes (warnings of one file) gives them joined by spaces, and must hold the one that
/// is expected.
///
/// # Errors
/// If an input cannot be made.
pub fn run_cases(cases: &[Case]) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for case in cases {
        let folder = tempfile::tempdir()?;
        let read = (case.make)(folder.path())?;
        let tried = attempt(read);
        tally.tried += 1;
        tally.caught_inside += tried.caught_inside;
        tally.worst_seconds = tally.worst_seconds.max(tried.time.as_secs_f64());
        tally.worst_bytes = tally.worst_bytes.max(tried.peak_bytes);
        match tried.result {
            Ok(got) if got.split(' ').any(|code| code == case.expected) => {}
            Ok(got) => {
                tally.broken += 1;
                tally.notes.push(format!("{}: `{got}`, expected `{}`", case.name, case.expected));
            }
            Err(said) => {
                tally.panics += 1;
                tally.notes.push(format!("{} panicked: {said}", case.name));
            }
        }
        if tried.peak_bytes > case.limit_bytes {
            tally.over_memory += 1;
            tally.notes.push(format!(
                "{}: took {} bytes, at most {}",
                case.name, tried.peak_bytes, case.limit_bytes
            ));
        }
        if tried.time.as_secs_f64() > LIMIT_SECONDS {
            tally.over_time += 1;
            tally.notes.push(format!("{}: took {:.1} s", case.name, tried.time.as_secs_f64()));
        }
    }
    Ok(tally)
}
