//! What was found when weights were loaded.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What became of every tensor of the model and of the files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Parameters that were filled, by their published names.
    pub matched: Vec<String>,
    /// Parameters that no file holds and that keep their published default (`ln_vision`).
    pub defaulted: Vec<String>,
    /// Parameters that were filled with an interpolation (the position embedding).
    pub resized: Vec<String>,
    /// Parameters that no file holds.
    pub missing: Vec<String>,
    /// Tensors of the files that the model has no place for.
    pub unknown: Vec<UnknownTensor>,
    /// Tensors that are known to be of no use here.
    pub ignored: Vec<Ignored>,
    /// Tensors of another shape than the model's.
    pub mismatched: Vec<Mismatch>,
    /// Bytes read from the files.
    pub bytes: u64,
    /// Seconds that reading, casting and uploading took.
    pub seconds: f64,
}

/// A tensor that the model has no place for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownTensor {
    /// Its name in the file.
    pub name: String,
    /// The file.
    pub file: PathBuf,
}

/// A tensor that is left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// Its name in the file.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Why it is of no use.
    pub reason: String,
}

/// A tensor of another shape than the model's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// Its published name.
    pub name: String,
    /// The file that holds it.
    pub path: PathBuf,
    /// Its shape in the file.
    pub file: Vec<usize>,
    /// Its shape in the model.
    pub model: Vec<usize>,
    /// Which configuration would fit.
    pub hint: String,
}

impl LoadReport {
    /// Whether every parameter was filled and every tensor has its place.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unknown.is_empty() && self.mismatched.is_empty()
    }

    /// Seconds per gigabyte (10⁹ bytes) of the files; zero where nothing was read.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn seconds_per_gb(&self) -> f64 {
        if self.bytes == 0 { 0.0 } else { self.seconds / (self.bytes as f64 / 1e9) }
    }
}

/// How many entries of a list are written out.
const SHOWN: usize = 5;

impl fmt::Display for LoadReport {
    /// One line of counts, then the first entries of each list that is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tensors matched, {} missing, {} unknown, {} of another shape, {} ignored, {} defaulted",
            self.matched.len(),
            self.missing.len(),
            self.unknown.len(),
            self.mismatched.len(),
            self.ignored.len(),
            self.defaulted.len(),
        )?;
        write_list(f, "of another shape", &self.mismatched, |f, mismatch| {
            let Mismatch { name, path, file, model, hint } = mismatch;
            write!(f, "`{name}` is `{file:?}` in `{}`, the model's `{model:?}`: {hint}", path.display())
        })?;
        write_list(f, "missing", &self.missing, |f, name| write!(f, "`{name}`"))?;
        write_list(f, "unknown", &self.unknown, |f, UnknownTensor { name, file }| {
            write!(f, "`{name}` of `{}`", file.display())
        })
    }
}

fn write_list<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    list: &[T],
    write_one: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for entry in list.iter().take(SHOWN) {
        write!(f, "\n  {title}: ")?;
        write_one(f, entry)?;
    }
    match list.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => write!(f, "\n  {title}: {more} more"),
        _ => Ok(()),
    }
}
