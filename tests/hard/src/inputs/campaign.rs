//! Many mutations of one format, counted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use rand::SeedableRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::format::{Format, N_VARIANTS};
use super::measure::attempt;
use super::mutate::Random;
use crate::table::Row;

/// Slower than this is counted as wrong; far above what a busy machine makes of good readers.
pub(super) const LIMIT_SECONDS: f64 = 10.0;
/// Notes kept of one part; more than these tell nothing new.
const MAX_NOTES: usize = 12;

/// What came of a range of mutations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Inputs tried.
    pub tried: u64,
    /// Panics that reached the caller.
    pub panics: u64,
    /// Ends of the whole process, and readers that never came back.
    pub aborts: u64,
    /// Inputs that took more memory than their format allows.
    pub over_memory: u64,
    /// Inputs that took more than `LIMIT_SECONDS`.
    pub over_time: u64,
    /// Promises broken.
    pub broken: u64,
    /// Panics that a library caught itself: no harm to a caller.
    pub caught_inside: u64,
    /// The slowest.
    pub worst_seconds: f64,
    /// The most memory.
    pub worst_bytes: u64,
    /// How often each outcome was met.
    pub outcomes: BTreeMap<String, u64>,
    /// What went wrong, by input.
    pub notes: Vec<String>,
}

impl Tally {
    /// Everything that went wrong.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.panics + self.aborts + self.over_memory + self.over_time + self.broken
    }

    /// Adds another part of the same format.
    pub fn add(&mut self, other: Self) {
        self.tried += other.tried;
        self.panics += other.panics;
        self.aborts += other.aborts;
        self.over_memory += other.over_memory;
        self.over_time += other.over_time;
        self.broken += other.broken;
        self.caught_inside += other.caught_inside;
        self.worst_seconds = self.worst_seconds.max(other.worst_seconds);
        self.worst_bytes = self.worst_bytes.max(other.worst_bytes);
        for (outcome, n) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += n;
        }
        self.notes.extend(other.notes);
        self.notes.truncate(MAX_NOTES);
    }

    pub(super) fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The line of the table.
    #[must_use]
    pub fn row(&self, what: String) -> Row {
        let mut kinds = vec![format!("{} panics", self.panics)];
        for (n, kind) in [
            (self.aborts, "aborts"),
            (self.over_memory, "over memory"),
            (self.over_time, "over time"),
            (self.broken, "broken promises"),
        ] {
            if n > 0 {
                kinds.push(format!("{n} {kind}"));
            }
        }
        let bad_is = match kinds.len() {
            1 => "panics".to_owned(),
            _ => format!("bad ({})", kinds.join(", ")),
        };
        let mut notes = self.notes.clone();
        if self.caught_inside > 0 {
            notes.push(format!(
                "{} panics of libraries were caught inside and became errors",
                self.caught_inside
            ));
        }
        let n_read = self.outcomes.get("read").copied().unwrap_or(0);
        if !self.outcomes.is_empty() {
            let n_kinds = self.outcomes.keys().filter(|outcome| *outcome != "read").count();
            notes.push(format!("{n_read} still read, the others refused in {n_kinds} ways"));
        }
        Row {
            what,
            tried: self.tried,
            bad: self.bad(),
            bad_is,
            worst_seconds: Some(self.worst_seconds),
            worst_bytes: Some(self.worst_bytes),
            notes,
        }
    }
}

/// The mutation of this number: it depends on the seed, the format and the number alone.
#[must_use]
pub fn mutation(format: &dyn Format, seed: u64, index: u64) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(format.name().as_bytes());
    hash.update(seed.to_le_bytes());
    hash.update(index.to_le_bytes());
    let mut random = Random::from_seed(hash.finalize().into());
    let n_seeds = format.seeds().len() as u64;
    let at = usize::try_from(index % n_seeds.max(1)).unwrap_or(0);
    format.damaged(&mut random, at)
}

/// Reads one input and counts what came of it; `what` names it in notes.
pub(super) fn count(
    format: &mut dyn Format,
    bytes: &[u8],
    variant: u64,
    what: &str,
    tally: &mut Tally,
) -> bool {
    let limit = format.limit_bytes(bytes.len() as u64);
    let before = tally.bad();
    let tried = attempt(|| format.read(bytes, variant));
    tally.tried += 1;
    tally.caught_inside += tried.caught_inside;
    if let Some(at) = &tried.caught_at {
        tally.note(format!("caught inside: {at}"));
    }
    let seconds = tried.time.as_secs_f64();
    tally.worst_seconds = tally.worst_seconds.max(seconds);
    tally.worst_bytes = tally.worst_bytes.max(tried.peak_bytes);
    match tried.result {
        Ok(Ok(outcome)) => *tally.outcomes.entry(outcome).or_default() += 1,
        Ok(Err(promise)) => {
            tally.broken += 1;
            tally.note(format!("{what}: {promise}"));
        }
        Err(said) => {
            tally.panics += 1;
            tally.note(format!("{what} panicked: {said}"));
        }
    }
    if tried.peak_bytes > limit {
        tally.over_memory += 1;
        tally.note(format!("{what}: {} bytes took {} bytes, at most {limit}", bytes.len(), tried.peak_bytes));
    }
    if seconds > LIMIT_SECONDS {
        tally.over_time += 1;
        tally.note(format!("{what}: took {seconds:.1} s"));
    }
    tally.bad() > before
}

/// Reads every good file; damage tells nothing where these are refused.
///
/// # Errors
/// The first good file that is not read.
pub fn read_seeds(format: &mut dyn Format) -> anyhow::Result<()> {
    for index in 0..format.seeds().len() {
        let bytes = format.seeds()[index].clone();
        let tried = attempt(|| format.read(&bytes, 0));
        anyhow::ensure!(
            tried.result.as_ref().is_ok_and(Result::is_ok),
            "good file {index} of `{}` is not read: {:?}",
            format.name(),
            tried.result
        );
    }
    Ok(())
}

/// Tries the mutations of a range; `started` is told each number first. Bad inputs are kept in `keep`.
///
/// # Errors
/// If a bad input cannot be kept, or `started` fails.
pub fn run_range(
    format: &mut dyn Format,
    seed: u64,
    range: Range<u64>,
    keep: Option<&Path>,
    started: &mut dyn FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for index in range {
        started(index)?;
        let bytes = mutation(format, seed, index);
        let is_bad = count(format, &bytes, index % N_VARIANTS, &format!("mutation {index}"), &mut tally);
        if let (true, Some(folder)) = (is_bad, keep) {
            keep_input(folder, &format.name(), &format!("seed-{seed}-{index}"), &bytes)?;
        }
    }
    Ok(tally)
}

/// Writes a bad input, to be looked at and, once its cause is mended, moved to `regressions`.
///
/// # Errors
/// If the folder cannot be written.
pub(super) fn keep_input(folder: &Path, format: &str, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = folder.join(format);
    fs_err::create_dir_all(&folder)?;
    Ok(fs_err::write(folder.join(name), bytes)?)
}
