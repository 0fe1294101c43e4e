//! Lines of JSON about steps, and the files of a run's log together.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{EVENTS_FILE, EventFile};
use crate::TrainError;
use crate::atomic::io_error;

/// Numbers of every step, one JSON object a line, without clocks.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// How long steps took, one JSON object a line.
pub const TIMINGS_FILE: &str = "timings.jsonl";

/// A step in the metrics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StepLine<'a> {
    /// Steps done, this one included.
    pub(crate) step: u64,
    pub(crate) loss: f64,
    pub(crate) lr: f64,
    /// None for a step without update.
    pub(crate) grad_norm: Option<f32>,
    pub(crate) n_targets: u64,
    /// Samples by source, of all ranks.
    pub(crate) sources: &'a BTreeMap<&'a str, u64>,
}

/// A validation in the metrics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ValidationLine {
    pub(crate) step: u64,
    pub(crate) validation_score: f64,
    pub(crate) is_best: bool,
}

#[derive(Debug, Clone, Serialize)]
struct TimingLine {
    step: u64,
    seconds: f64,
    samples_per_s: f64,
}

/// Sizes of the files that a resumed run cuts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSizes {
    pub(crate) metrics: u64,
    pub(crate) events: u64,
}

/// All log files of a run.
#[derive(Debug)]
pub(crate) struct RunLog {
    metrics: LineFile,
    timings: LineFile,
    events: EventFile,
}

impl RunLog {
    /// Goes on where a checkpoint was made, or begins.
    pub(crate) fn open(folder: &Path, sizes: LogSizes) -> Result<Self, TrainError> {
        let timings_path = folder.join(TIMINGS_FILE);
        let timings_size = if sizes == LogSizes::default() { 0 } else { whole_lines(&timings_path)? };
        Ok(Self {
            metrics: LineFile::open(&folder.join(METRICS_FILE), sizes.metrics)?,
            timings: LineFile::open(&timings_path, timings_size)?,
            events: EventFile::open(&folder.join(EVENTS_FILE), sizes.events)?,
        })
    }

    pub(crate) fn step(
        &mut self,
        line: &StepLine<'_>,
        seconds: f64,
        samples_per_s: f64,
    ) -> Result<(), TrainError> {
        self.metrics.put(line)?;
        self.timings.put(&TimingLine { step: line.step, seconds, samples_per_s })?;
        let mut scalars = vec![("train/loss", line.loss), ("train/lr", line.lr)];
        scalars.extend(line.grad_norm.map(|norm| ("train/grad_norm", f64::from(norm))));
        self.events.scalars(line.step, &scalars)
    }

    pub(crate) fn validation(&mut self, line: &ValidationLine) -> Result<(), TrainError> {
        self.metrics.put(line)?;
        self.events.scalars(line.step, &[("validation/score", line.validation_score)])
    }

    /// The files' sizes, after making sure that what is counted is on disk.
    pub(crate) fn sync(&mut self) -> Result<LogSizes, TrainError> {
        Ok(LogSizes { metrics: self.metrics.sync()?, events: self.events.sync()? })
    }
}

#[derive(Debug)]
struct LineFile {
    path: PathBuf,
    file: fs_err::File,
    n_bytes: u64,
}

impl LineFile {
    fn open(path: &Path, n_bytes: u64) -> Result<Self, TrainError> {
        Ok(Self { path: path.to_owned(), file: open_cut(path, n_bytes)?, n_bytes })
    }

    /// One write a line, so that a reader sees whole lines.
    fn put(&mut self, line: &impl Serialize) -> Result<(), TrainError> {
        let mut text = serde_json::to_string(line)
            .map_err(|source| TrainError::Json { path: self.path.clone(), source })?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(io_error(&self.path))?;
        self.n_bytes += text.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<u64, TrainError> {
        self.file.sync_data().map_err(io_error(&self.path))?;
        Ok(self.n_bytes)
    }
}

/// Bytes of a file up to the end of its last whole line: a process that was killed may have left half a line.
fn whole_lines(path: &Path) -> Result<u64, TrainError> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place as u64 + 1)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(io_error(path)(error)),
    }
}

/// Opens a file for writing after its first `n_bytes`; the rest goes.
pub(super) fn open_cut(path: &Path, n_bytes: u64) -> Result<fs_err::File, TrainError> {
    use std::io::{Seek, SeekFrom};
    let mut file = fs_err::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io_error(path))?;
    let got = file.metadata().map_err(io_error(path))?.len();
    if got < n_bytes {
        return Err(TrainError::Log { path: path.to_owned(), got, expected: n_bytes });
    }
    file.set_len(n_bytes).map_err(io_error(path))?;
    file.seek(SeekFrom::End(0)).map_err(io_error(path))?;
    Ok(file)
}
