//! Every call that changes a file fails, in every way.

use std::collections::BTreeMap;

use anyhow::Result;
use rand_chacha::ChaCha8Rng;

use super::kills::below;
use super::shim::{EACCES, EIO, ENOSPC, Fault, Kind};
use super::trial::{Bench, Ended};
use crate::table::Row;

const KINDS: [Kind; 5] =
    [Kind::Full(ENOSPC), Kind::Fail(EIO), Kind::Fail(EACCES), Kind::Short, Kind::ShortThenFull(ENOSPC)];

/// Breaks a job at every call in every way that the call can break, or at `most` of them, drawn by seed but with
/// every kind of fault at every kind of call first.
pub(super) fn errors(bench: &Bench<'_>, most: Option<usize>, random: &mut ChaCha8Rng) -> Result<Row> {
    let name = bench.job.name;
    let mut row =
        Row { what: format!("{name}: failing calls"), bad_is: "half files".into(), ..Row::default() };
    let (mut outcomes, mut calls) = (BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new());
    for fault in plan(bench, most, random) {
        bench.clear()?;
        let ended: Ended = bench.faulty(fault, false, None).output()?.into();
        let call = &bench.calls[fault.at - 1];
        row.tried += 1;
        *calls.entry(&call.name).or_default() += 1;
        let mut wrong = bench.half_files()?;
        if ended.is_rough() {
            wrong.push(format!("ends with {:?}: {}", ended.code, ended.last_line()));
        } else if ended.code == Some(0) {
            *outcomes.entry("absorbed").or_default() += 1;
        } else {
            *outcomes.entry("told").or_default() += 1;
            if !ended.stderr.contains(&*bench.place.to_string_lossy()) {
                wrong.push(format!("names no file: {}", ended.last_line()));
            }
        }
        wrong.extend(bench.complete()?);
        if !wrong.is_empty() {
            row.bad += 1;
            let path = call.path.replace(&*bench.place.to_string_lossy(), "");
            row.notes.push(format!(
                "{:?} at call {} ({} {path}): {}",
                fault.kind,
                fault.at,
                call.name,
                wrong.join(", ")
            ));
        }
    }
    let list = |counts: &BTreeMap<&str, u64>| {
        counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
    };
    row.notes.push(format!(
        "{}; {} calls a run; faults at {}",
        list(&outcomes),
        bench.calls.len(),
        list(&calls)
    ));
    Ok(row)
}

/// Which faults are tried.
fn plan(bench: &Bench<'_>, most: Option<usize>, random: &mut ChaCha8Rng) -> Vec<Fault> {
    let mut all = Vec::new();
    for (place, call) in bench.calls.iter().enumerate() {
        let kinds = KINDS.into_iter().filter(|kind| {
            !matches!(kind, Kind::Short | Kind::ShortThenFull(_))
                || ["write", "pwrite"].contains(&&*call.name)
        });
        all.extend(kinds.map(|kind| Fault { at: place + 1, kind }));
    }
    let Some(most) = most.filter(|most| *most < all.len()) else { return all };
    // Shuffled; then the first of each kind of fault at each kind of call go to the front.
    for place in (1..all.len()).rev() {
        all.swap(place, below(random, place + 1));
    }
    let mut seen = Vec::new();
    all.sort_by_cached_key(|fault| {
        let key = (fault.kind, bench.calls[fault.at - 1].name.clone());
        let is_known = seen.contains(&key);
        seen.push(key);
        is_known
    });
    all.truncate(most);
    all.sort_by_key(|fault| fault.at);
    all
}
