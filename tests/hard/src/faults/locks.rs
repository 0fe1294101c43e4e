//! Two processes on one folder.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand_chacha::ChaCha8Rng;

use super::check::{differences, read_tree};
use super::kills::below;
use super::shim::{Fault, Kind, go_file, read_log};
use super::trial::{Bench, Ended};
use crate::table::Row;

/// Moments of the first process at which a second one is started.
const N_MOMENTS: usize = 6;
/// Longest wait for the first process to come to its moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a second process while the first one waits at a call: it must refuse, name the folder and change nothing.
/// None for a job without a lock.
pub(super) fn second_process(bench: &Bench<'_>, random: &mut ChaCha8Rng) -> Result<Option<Row>> {
    // A lock is the first thing in a folder; where only a part is watched, it is long there.
    let Some(first) = bench.calls.iter().position(|call| call.path.ends_with(".lock")) else {
        return Ok(None);
    };
    if !bench.job.locks {
        return Ok(None);
    }
    let name = bench.job.name;
    let mut row =
        Row { what: format!("{name}: a second process"), bad_is: "let in".into(), ..Row::default() };
    for moment in 0..N_MOMENTS {
        bench.clear()?;
        let last =
            bench.calls.iter().rposition(|call| call.path.ends_with(".lock")).unwrap_or(bench.calls.len());
        let at = first + 2 + below(random, last.saturating_sub(first + 2));
        let (log, go) = (bench.log(), go_file(&bench.root()));
        if go.exists() {
            fs_err::remove_file(&go)?;
        }
        let mut command = bench.faulty(Fault { at, kind: Kind::Wait }, false, Some(&log));
        let mut held = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let started = Instant::now();
        while !log.exists() || read_log(&log)?.len() < at {
            let ended_early = held.try_wait()?.is_some();
            if ended_early || started.elapsed() > PATIENCE {
                let _ = held.kill();
                ensure!(ended_early, "{name} does not come to call {at}");
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let before = read_tree(&bench.out())?;
        let ended = if moment % 2 == 0 {
            bench.again()?
        } else {
            Ended::from(bench.faulty(Fault::NONE, false, None).output()?)
        };
        row.tried += 1;
        let mut wrong = Vec::new();
        let out = bench.out();
        if ended.code != Some(1)
            || !ended.stderr.contains("in use")
            || !ended.stderr.contains(&*out.to_string_lossy())
        {
            wrong.push(format!("ends with {:?}: {}", ended.code, ended.last_line()));
        }
        if read_tree(&bench.out())? != before {
            wrong.push("the folder was changed".into());
        }
        fs_err::write(&go, "")?;
        if held.wait()?.code() != Some(0) {
            wrong.push("the first process did not end well".into());
        }
        wrong.extend(differences(bench.job, &bench.out(), &bench.reference)?);
        if !wrong.is_empty() {
            row.bad += 1;
            row.notes.push(format!("at call {at}: {}", wrong.join(", ")));
        }
    }
    Ok(Some(row))
}
