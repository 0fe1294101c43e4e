//! Seconds of each part: for people, compared with nothing.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::CascadeError;
use crate::evaluate::write_json;

/// The timing table of a run folder, kept over resumed runs.
#[derive(Debug)]
pub(crate) struct Timings {
    path: PathBuf,
    rows: Vec<(String, f64)>,
}

impl Timings {
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join("timings.json");
        let kept = fs_err::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path, rows: kept.unwrap_or_default() }
    }

    /// Adds the seconds since `started` to a part.
    pub(crate) fn add(&mut self, part: &str, started: Instant) -> Result<(), CascadeError> {
        let seconds = started.elapsed().as_secs_f64();
        match self.rows.iter_mut().find(|(name, _)| name == part) {
            Some((_, sum)) => *sum += seconds,
            None => self.rows.push((part.to_owned(), seconds)),
        }
        write_json(&self.path, &self.rows)
    }

    pub(crate) fn rows(&self) -> &[(String, f64)] {
        &self.rows
    }
}
