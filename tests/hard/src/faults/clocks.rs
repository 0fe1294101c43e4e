//! Wall clocks that jump, and a standard output that takes nothing.

use std::process::Stdio;
use std::time::SystemTime;

use anyhow::Result;

use super::shim::{Fault, Kind};
use super::trial::{Bench, Ended};
use crate::table::Row;

const YEAR_S: i64 = 31_557_600;

/// Runs a job with clocks that are wrong from the start or jump in its midst: it must end well, with the same bytes.
pub(super) fn clocks(bench: &Bench<'_>) -> Result<Row> {
    let name = bench.job.name;
    let mut row = Row { what: format!("{name}: clock jumps"), bad_is: "runs lost".into(), ..Row::default() };
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let to_1970 = -i64::try_from(since_1970)?;
    for (jump, seconds) in [
        ("a year back", -YEAR_S),
        ("ten years on", 10 * YEAR_S),
        ("past 2038", 20 * YEAR_S),
        ("to 1970", to_1970),
        ("before 1970", to_1970 - 10 * YEAR_S),
    ] {
        for at in [0, bench.calls.len() / 3, bench.calls.len() * 2 / 3] {
            bench.clear()?;
            let ended: Ended =
                bench.faulty(Fault { at, kind: Kind::Clock(seconds) }, false, None).output()?.into();
            row.tried += 1;
            let mut wrong = Vec::new();
            if ended.code != Some(0) || ended.is_rough() {
                wrong.push(format!("ends with {:?}: {}", ended.code, ended.last_line()));
            }
            wrong.extend(super::check::differences(bench.job, &bench.out(), &bench.reference)?);
            if !wrong.is_empty() {
                row.bad += 1;
                row.notes.push(format!("{jump} at call {at}: {}", wrong.join(", ")));
            }
        }
    }
    if bench.job.json {
        // Its data has nowhere to go: an error, but the files are complete.
        bench.clear()?;
        let full = fs_err::OpenOptions::new().write(true).open("/dev/full")?.into_parts().0;
        let output = bench
            .faulty(Fault::NONE, false, None)
            .arg("--json")
            .stdout(full)
            .stderr(Stdio::piped())
            .output()?;
        let ended = Ended::from(output);
        row.tried += 1;
        let differ = super::check::differences(bench.job, &bench.out(), &bench.reference)?;
        if ended.is_rough() || ended.code != Some(1) || !differ.is_empty() {
            row.bad += 1;
            let code = ended.code;
            row.notes.push(format!(
                "full stdout: ends with {code:?}: {} {}",
                ended.last_line(),
                differ.join(", ")
            ));
        }
    }
    Ok(row)
}
