//! Every call that changes a file fails, in every way.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use rand_chacha::ChaCha8Rng;

use super::kills::below;
use super::shim::{EACCES, EIO, ENOSPC, Fault, Kind};
use super::trial::{Bench, Ended};
use crate::table::Row;

const KINDS: [Kind; 5] =
    [Kind::Full(ENOSPC), Kind::Fail(EIO), Kind::Fail(EACCES), Kind::Short, Kind::ShortThenFull(ENOSPC)];

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Every call fails in every way that it can.
    EveryWay,
    /// Every call fails once, in ways that take turns, and every kind of call in every way.
    EveryCall,
    /// So many, drawn by seed, with every way at every kind of call first.
    Some(usize),
}

/// Breaks a job at its calls.
pub(super) fn errors(bench: &Bench<'_>, extent: Extent, random: &mut ChaCha8Rng) -> Result<Row> {
    let name = bench.job.name;
    let mut row =
        Row { what: format!("{name}: failing calls"), bad_is: "half files".into(), ..Row::default() };
    let (mut outcomes, mut calls) = (BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new());
    for fault in plan(bench, extent, random) {
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

/// Which faults are tried, in the order of the calls.
fn plan(bench: &Bench<'_>, extent: Extent, random: &mut ChaCha8Rng) -> Vec<Fault> {
    let mut all = Vec::new();
    for (place, call) in bench.calls.iter().enumerate() {
        let writes = ["write", "pwrite"].contains(&&*call.name);
        let kinds = KINDS
            .into_iter()
            .filter(|kind| writes || !matches!(kind, Kind::Short | Kind::ShortThenFull(_)))
            .collect::<Vec<_>>();
        // Those that take turns first.
        all.extend((0..kinds.len()).map(|n| Fault { at: place + 1, kind: kinds[(place + n) % kinds.len()] }));
    }
    if extent == Extent::EveryWay {
        return all;
    }
    // Shuffled where not all calls fail; then what was not seen before goes to the front.
    let is_sample = matches!(extent, Extent::Some(_));
    for place in (1..all.len()).rev().filter(|_| is_sample) {
        all.swap(place, below(random, place + 1));
    }
    let (mut ways, mut calls) = (BTreeSet::new(), BTreeSet::new());
    let (mut chosen, mut rest) = (Vec::new(), Vec::new());
    for fault in all {
        let is_new_way = ways.insert((fault.kind, bench.calls[fault.at - 1].name.clone()));
        let is_new_call = !is_sample && calls.insert(fault.at);
        if is_new_way || is_new_call { chosen.push(fault) } else { rest.push(fault) }
    }
    if let Extent::Some(most) = extent {
        chosen.extend(rest);
        chosen.truncate(most);
        chosen.sort_by_key(|fault| fault.at);
    }
    chosen
}
