//! What was once lost or half: each bug that this suite found, at the call where it was found.

use anyhow::{Context, Result};

use super::shim::{ENOSPC, Fault, Kind};
use super::trial::{Bench, Ended};
use crate::table::Row;

/// A bug, and the call that it needs: the `nth` one, from the end where it is negative, of a name on a path that
/// holds some text.
struct Regression {
    what: &'static str,
    job: &'static str,
    call: &'static str,
    path: &'static str,
    nth: isize,
    kind: Kind,
    /// A file of an older result that lies in the output folder before.
    older: Option<&'static str>,
}

const REGRESSIONS: &[Regression] = &[
    Regression {
        what: "a temporary name in the run folder itself stayed after --resume",
        job: "prepare",
        call: "renameat",
        path: "/out/.partial-",
        nth: 0,
        kind: Kind::KillBefore,
        older: None,
    },
    Regression {
        what: "half a line of timings.jsonl stayed in the midst of the file",
        job: "train",
        call: "write",
        path: "/timings.jsonl",
        nth: 2,
        kind: Kind::ShortThenFull(ENOSPC),
        older: None,
    },
    Regression {
        what: "clocks before 1970 changed the size of the event file, and with it checkpoints",
        job: "checkpoint",
        call: "mkdir",
        path: "checkpoints",
        nth: 0,
        kind: Kind::Clock(-3_000_000_000),
        older: None,
    },
    Regression {
        what: "tokenizer.json came after the checkpoint had its name, and a second try was refused",
        job: "convert",
        call: "rename",
        path: "/.partial-",
        nth: -1,
        kind: Kind::KillAfter,
        older: None,
    },
    Regression {
        what: "clocks before 1970 ended a prediction with a panic",
        job: "predict",
        call: "mkdir",
        path: "/out",
        nth: 0,
        kind: Kind::Clock(-3_000_000_000),
        older: None,
    },
    Regression {
        what: "an older findings.json lay beside new files until the end",
        job: "predict",
        call: "renameat",
        path: "/out/.partial-",
        nth: 0,
        kind: Kind::KillAfter,
        older: Some("findings.json"),
    },
];

/// Tries what once went wrong in a job; none for a job in which nothing did.
pub(super) fn regressions(bench: &Bench<'_>) -> Result<Option<Row>> {
    let name = bench.job.name;
    let mut row = Row { what: format!("{name}: regressions"), bad_is: "are back".into(), ..Row::default() };
    for regression in REGRESSIONS.iter().filter(|regression| regression.job == name) {
        let places: Vec<usize> = bench
            .calls
            .iter()
            .enumerate()
            .filter(|(_, call)| call.name == regression.call && call.path.contains(regression.path))
            .map(|(place, _)| place)
            .collect();
        let from_end = places.len().checked_sub(regression.nth.unsigned_abs());
        let place = if regression.nth < 0 { from_end } else { Some(regression.nth.unsigned_abs()) };
        let at = place.and_then(|place| places.get(place)).map(|place| place + 1);
        let at =
            at.with_context(|| format!("`{}` needs a call that {name} makes no more", regression.what))?;
        bench.clear()?;
        if let Some(older) = regression.older {
            fs_err::create_dir_all(bench.out())?;
            fs_err::write(bench.out().join(older), "{\"of\": \"another study\"}")?;
        }
        let ended: Ended = bench.faulty(Fault { at, kind: regression.kind }, false, None).output()?.into();
        row.tried += 1;
        let mut wrong = bench.half_files()?;
        let is_kill = matches!(regression.kind, Kind::KillAfter | Kind::KillBefore);
        if is_kill != ended.code.is_none() || (!is_kill && ended.is_rough()) {
            wrong.push(format!("ends with {:?}: {}", ended.code, ended.last_line()));
        }
        wrong.extend(bench.complete()?);
        if !wrong.is_empty() {
            row.bad += 1;
            row.notes.push(format!("{}: {}", regression.what, wrong.join(", ")));
        }
    }
    Ok((row.tried > 0).then_some(row))
}
