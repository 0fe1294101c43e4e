//! One job, again and again in the same place.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::check::{Tree, differences, half_files, read_tree};
use super::jobs::Job;
use super::shim::{Call, Fault, Shim, read_log};

/// A job, what it makes when nothing happens, and the place where it is tried.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) job: &'a Job,
    shim: &'a Shim,
    /// The trial's folder, emptied before each.
    pub(super) place: PathBuf,
    pub(super) reference: Tree,
    /// The calls of a run that nothing happens to.
    pub(super) calls: Vec<Call>,
    /// How long it takes.
    pub(super) whole: Duration,
}

/// How a process ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self { code: output.status.code(), stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

impl Ended {
    /// What no program may do, whatever happens under it.
    pub(super) fn is_rough(&self) -> bool {
        !matches!(self.code, Some(0 | 1)) || self.stderr.contains("panicked")
    }

    /// The last line, which says what was wrong.
    pub(super) fn last_line(&self) -> &str {
        self.stderr.trim_end().rsplit('\n').next().unwrap_or_default()
    }
}

impl<'a> Bench<'a> {
    /// Runs the job as it is, twice: its result and its calls.
    pub(super) fn new(job: &'a Job, shim: &'a Shim, place: &Path) -> Result<Self> {
        let mut bench = Self {
            job,
            shim,
            place: place.to_owned(),
            reference: Tree::new(),
            calls: Vec::new(),
            whole: Duration::ZERO,
        };
        bench.clear()?;
        let started = Instant::now();
        let ended = bench.again()?;
        bench.whole = started.elapsed();
        ensure!(ended.code == Some(0), "{} does not run: {}", job.name, ended.stderr);
        bench.reference = read_tree(&bench.out())?;
        bench.clear()?;
        let log = bench.log();
        let ended: Ended = bench.faulty(Fault::NONE, false, Some(&log)).output()?.into();
        ensure!(ended.code == Some(0), "{} does not run under the shim: {}", job.name, ended.stderr);
        bench.calls = read_log(&log)?;
        let differ = differences(job, &bench.out(), &bench.reference)?;
        ensure!(differ.is_empty(), "two runs of {} differ: {}", job.name, differ.join(", "));
        Ok(bench)
    }

    pub(super) fn out(&self) -> PathBuf {
        self.place.join("out")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.place.with_extension("log")
    }

    /// Where calls are broken.
    pub(super) fn root(&self) -> PathBuf {
        if self.job.watched.is_empty() { self.place.clone() } else { self.place.join(self.job.watched) }
    }

    /// Empties the place.
    pub(super) fn clear(&self) -> Result<()> {
        for path in [&self.place, &self.log()] {
            match fs_err::symlink_metadata(path) {
                Ok(found) if found.is_dir() => fs_err::remove_dir_all(path)?,
                Ok(_) => fs_err::remove_file(path)?,
                Err(_) => {}
            }
        }
        Ok(fs_err::create_dir_all(self.place.join("tmp"))?)
    }

    fn plain(&self, again: bool) -> Command {
        let mut command = self.job.command(&self.out(), again);
        // Unpacked checkpoints are written there.
        command.env("TMPDIR", self.place.join("tmp")).stdin(Stdio::null());
        command
    }

    /// The job under the shim.
    pub(super) fn faulty(&self, fault: Fault, again: bool, log: Option<&Path>) -> Command {
        let mut command = self.plain(again);
        self.shim.preload(&mut command, &self.root(), fault, log);
        command
    }

    /// The job without faults, going on with what is there.
    pub(super) fn again(&self) -> Result<Ended> {
        Ok(self.plain(true).output().context("a program that was built does not start")?.into())
    }

    pub(super) fn half_files(&self) -> Result<Vec<String>> {
        half_files(self.job, &self.out(), &self.reference)
    }

    /// Whether the job is done and cannot be asked again: it refuses a folder that is there.
    pub(super) fn is_done(&self) -> bool {
        self.job.refuses_done && self.out().exists()
    }

    /// Lets the job complete. What is wrong then; nothing where its bytes are the reference's.
    pub(super) fn complete(&self) -> Result<Vec<String>> {
        if !self.is_done() {
            let ended = self.again()?;
            if ended.code != Some(0) {
                return Ok(vec![format!("run again it ends with {:?}: {}", ended.code, ended.last_line())]);
            }
        }
        differences(self.job, &self.out(), &self.reference)
    }
}
