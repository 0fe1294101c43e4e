//! Seconds of each part: for people, compared with nothing.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::CascadeError;
use crate::evaluate::write_json;

/// The timing table of a run folder, kept over resumed runs.
#[derive(Debug)]
pub(crate) struct Timings {
    /// None where they are not kept.
    path: Option<PathBuf>,
    rows: Vec<(String, f64)>,
}

impl Timings {
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join("timings.json");
        let kept = fs_err::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path: Some(path), rows: kept.unwrap_or_default() }
    }

    /// A table that is written nowhere.
    pub(crate) fn unkept() -> Self {
        Self { path: None, rows: Vec::new() }
    }

    /// Adds the seconds since `started` to a part.
    pub(crate) fn add(&mut self, part: &str, started: Instant) -> Result<(), CascadeError> {
        let seconds = started.elapsed().as_secs_f64();
        match self.rows.iter_mut().find(|(name, _)| name == part) {
            Some((_, sum)) => *sum += seconds,
            None => self.rows.push((part.to_owned(), seconds)),
        }
        self.path.as_ref().map_or(Ok(()), |path| write_json(path, &self.rows))
    }

    pub(crate) fn rows(&self) -> &[(String, f64)] {
        &self.rows
    }
}
