//! Formats in processes of their own, a few at a time.
//!
//! A reader that overflows the stack, asks for more memory than there is, or never comes back ends or blocks its
//! process, which no `catch_unwind` sees. So each part of a format runs in a process that writes down which input
//! it is at; the parent counts the end, and goes on behind that input.

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::InputOptions;
use super::bombs::bombs;
use super::campaign::{Tally, keep_input, mutation, read_seeds, run_range};
use super::cases::run_cases;
use super::format::{named, names};
use super::numbers::numbers;
use super::regressions::run_regressions;
use crate::table::Row;

/// Parts that a format is cut into, so that processes are busy to the end.
const PARTS: u64 = 4;
/// An input that is not done after this long never will be.
const HANG: Duration = Duration::from_secs(60);
/// Ends of the process in one part, after which nothing more is to be learned from it.
const MAX_ABORTS: u64 = 20;

/// What a process of the suite is told.
#[derive(Clone, Debug, clap::Args)]
pub struct ChildOptions {
    /// Which format, or `bombs`, `numbers`, `regressions`
    #[arg(long)]
    pub format: String,
    /// The seed of all
    #[arg(long)]
    pub seed: u64,
    /// First mutation
    #[arg(long)]
    pub start: u64,
    /// Behind the last
    #[arg(long)]
    pub end: u64,
    /// Where bad inputs go
    #[arg(long)]
    pub keep: PathBuf,
    /// Where the number at hand is written
    #[arg(long)]
    pub progress: PathBuf,
}

/// The work of one process; its tally goes to stdout as JSON.
///
/// # Errors
/// If good files cannot be made or read.
pub fn run_child(options: &ChildOptions) -> anyhow::Result<Tally> {
    match options.format.as_str() {
        "bombs" => return run_cases(&bombs()),
        "numbers" => return run_cases(&numbers()),
        "regressions" => return run_regressions(),
        _ => {}
    }
    let mut format = named(&options.format)?;
    if options.start == 0 {
        read_seeds(format.as_mut())?;
    }
    let mut started = |index: u64| Ok(fs_err::write(&options.progress, index.to_le_bytes())?);
    run_range(format.as_mut(), options.seed, options.start..options.end, Some(&options.keep), &mut started)
}

#[derive(Clone, Debug)]
struct Part {
    row: usize,
    format: String,
    start: u64,
    end: u64,
}

/// Runs everything and gives the rows.
pub(super) fn run_all(options: &InputOptions) -> anyhow::Result<Vec<Row>> {
    let cases = ["bombs", "numbers", "regressions"].map(str::to_owned);
    let all: Vec<String> = names()?.into_iter().chain(cases.clone()).collect();
    let chosen: Vec<String> = match &options.format {
        Some(name) if all.contains(name) => vec![name.clone()],
        Some(name) => bail!("no format `{name}`, there are: {}", all.join(", ")),
        None => all,
    };
    let mut parts = VecDeque::new();
    for (row, format) in chosen.iter().enumerate() {
        let n = if cases.contains(format) { 1 } else { options.mutations };
        let size = if cases.contains(format) { 1 } else { n.div_ceil(PARTS).max(1) };
        for start in (0..n).step_by(usize::try_from(size)?) {
            parts.push_back(Part { row, format: format.clone(), start, end: (start + size).min(n) });
        }
    }
    let folder = tempfile::tempdir()?;
    let tallies = Mutex::new(vec![Tally::default(); chosen.len()]);
    let parts = Mutex::new(parts);
    let n_processes = options
        .processes
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        .max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..n_processes)
            .map(|worker| {
                let progress = folder.path().join(format!("progress-{worker}"));
                let (parts, tallies) = (&parts, &tallies);
                scope.spawn(move || -> anyhow::Result<()> {
                    loop {
                        let next = parts.lock().expect("no worker panics").pop_front();
                        let Some(part) = next else { return Ok(()) };
                        let tally = run_part(&part, options, &progress)
                            .with_context(|| format!("cannot try `{}`", part.format))?;
                        tallies.lock().expect("no worker panics")[part.row].add(tally);
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let tallies = tallies.into_inner().expect("no worker panics");
    Ok(chosen.into_iter().zip(tallies).map(|(name, tally)| tally.row(name)).collect())
}

/// One part, in as many processes as end early, and one more.
fn run_part(part: &Part, options: &InputOptions, progress: &Path) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut start = part.start;
    while start < part.end {
        fs_err::write(progress, start.to_le_bytes())?;
        let child = spawn(part, start, options, progress)?;
        match wait(child, progress)? {
            Ok(done) => {
                tally.add(done);
                return Ok(tally);
            }
            Err(how) => {
                let at = position(progress)?;
                // What the process had counted before is lost with it, but not what it was at.
                tally.tried += at + 1 - start;
                tally.aborts += 1;
                tally.note(format!("mutation {at} {how}"));
                if let Ok(format) = named(&part.format) {
                    let bytes = mutation(format.as_ref(), options.seed, at);
                    keep_input(&options.keep, &part.format, &format!("seed-{}-{at}", options.seed), &bytes)?;
                }
                anyhow::ensure!(
                    tally.aborts < MAX_ABORTS,
                    "{} processes of `{}` ended early",
                    tally.aborts,
                    part.format
                );
                start = at + 1;
            }
        }
    }
    Ok(tally)
}

fn position(progress: &Path) -> anyhow::Result<u64> {
    let bytes = fs_err::read(progress)?;
    Ok(u64::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default()))
}

fn spawn(part: &Part, start: u64, options: &InputOptions, progress: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("input-part").args(["--format", &part.format, "--seed", &options.seed.to_string()]);
    command.args(["--start", &start.to_string(), "--end", &part.end.to_string()]);
    command.arg("--keep").arg(&options.keep).arg("--progress").arg(progress);
    // One thread a process: their number must not decide what is measured.
    command.env("RAYON_NUM_THREADS", "1").stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().context("cannot start a process of the suite")
}

/// The tally of a process, or how it ended without one.
fn wait(mut child: Child, progress: &Path) -> anyhow::Result<Result<Tally, String>> {
    let mut stdout = child.stdout.take().context("no stdout")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let (mut seen, mut since) = (position(progress)?, Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(100));
        let now = position(progress)?;
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        // Cases and good files tell no numbers; they have longer.
        let patience = if seen == 0 { 5 * HANG } else { HANG };
        if since.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Ok(Err(format!("did not come back within {} s", patience.as_secs())));
        }
    };
    let text = reader.join().map_err(|_| anyhow::anyhow!("the reader of a process ended"))??;
    if !status.success() {
        if status.code().is_some_and(|code| code == 1) {
            bail!("a process of the suite could not begin");
        }
        return Ok(Err(format!("ended the process: {status}")));
    }
    Ok(Ok(serde_json::from_str(&text).context("a process of the suite gave no tally")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_processes_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let progress = folder.path().join("progress");
        fs_err::write(&progress, 3_u64.to_le_bytes()).unwrap();
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
            wait(command.spawn().unwrap(), &progress)
        };
        let tally = Tally { tried: 2, ..Tally::default() };
        let json = serde_json::to_string(&tally).unwrap();
        assert_eq!(run(&format!("echo '{json}'")).unwrap(), Ok(tally));
        let how = run("kill -ABRT $$").unwrap().unwrap_err();
        assert!(how.contains("signal: 6"), "{how}");
        assert!(run("exit 1").is_err(), "a suite that cannot begin is no finding");
        assert_eq!(position(&progress).unwrap(), 3);
    }
}
