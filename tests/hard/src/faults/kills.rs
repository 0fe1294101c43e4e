//! SIGKILL at random calls and at random times.

use std::process::Stdio;

use anyhow::Result;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::shim::{Fault, Kind};
use super::trial::Bench;
use crate::table::Row;

/// Kills in one folder before it may complete, at most.
const LONGEST_CHAIN: u64 = 3;

/// Kills a job `n` times, half of them at a call and half of them by the clock; each time it completes afterwards.
pub(super) fn kills(bench: &Bench<'_>, n: usize, random: &mut ChaCha8Rng) -> Result<Row> {
    let mut row =
        Row { what: format!("{}: SIGKILL", bench.job.name), bad_is: "runs lost".into(), ..Row::default() };
    let (mut n_chains, mut by_call) = (0, 0);
    while row.tried < n as u64 {
        bench.clear()?;
        let mut wrong = Vec::new();
        for place in 0..=random.next_u64() % LONGEST_CHAIN {
            if row.tried == n as u64 || bench.is_done() {
                break;
            }
            let at_call = row.tried.is_multiple_of(2);
            let was_killed = if at_call {
                at_a_call(bench, place > 0, random)?
            } else {
                in_time(bench, place > 0, random)?
            };
            if !was_killed {
                continue;
            }
            row.tried += 1;
            by_call += u64::from(at_call);
            wrong.extend(bench.half_files()?);
        }
        n_chains += 1;
        wrong.extend(bench.complete()?);
        if !wrong.is_empty() {
            row.bad += 1;
            row.notes.push(wrong.join(", "));
        }
    }
    let by_time = row.tried - by_call;
    row.notes.push(format!("{by_call} at a call and {by_time} by the clock, in {n_chains} folders"));
    Ok(row)
}

fn at_a_call(bench: &Bench<'_>, again: bool, random: &mut ChaCha8Rng) -> Result<bool> {
    let kind = if random.next_u64().is_multiple_of(2) { Kind::KillBefore } else { Kind::KillAfter };
    let at = 1 + below(random, bench.calls.len());
    let status =
        bench.faulty(Fault { at, kind }, again, None).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    // A run that goes on makes fewer calls.
    Ok(status.code().is_none())
}

fn in_time(bench: &Bench<'_>, again: bool, random: &mut ChaCha8Rng) -> Result<bool> {
    let mut command = bench.faulty(Fault::NONE, again, None);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let share = f64::from(u32::try_from(below(random, 1000))?) / 1000.0;
    std::thread::sleep(bench.whole.mul_f64(share));
    // It may have come to its end before.
    let _ = child.kill();
    Ok(child.wait()?.code().is_none())
}

/// A number below `n`.
pub(super) fn below(random: &mut ChaCha8Rng, n: usize) -> usize {
    let n = u64::try_from(n.max(1)).unwrap_or(u64::MAX);
    usize::try_from(random.next_u64() % n).unwrap_or(0)
}
