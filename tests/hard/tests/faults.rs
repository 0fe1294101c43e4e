//! A short part of `hard faults`: some kills and faults of every job, every regression. The programs are those that
//! the tests of the workspace are built with, beside this one.
#![cfg(target_os = "linux")]

use hard::faults::{FaultOptions, run};
use hard::table::{n_bad, to_text};

/// A job a test, so that they share the cores.
fn check(job: &str) {
    let options =
        FaultOptions { kills: 4, faults: Some(14), job: Some(job.to_owned()), ..FaultOptions::default() };
    let rows = run(&options).expect("the programs are built with the workspace");
    let text = to_text(&rows);
    assert_eq!(n_bad(&rows), 0, "{text}");
    let tried =
        |what: &str| rows.iter().filter(|row| row.what.ends_with(what)).map(|row| row.tried).sum::<u64>();
    assert_eq!((tried("SIGKILL"), tried("failing calls")), (4, 14), "{text}");
    assert!(tried("clock jumps") >= 15, "{text}");
}

#[test]
fn prepare() {
    check("prepare");
}

#[test]
fn merge() {
    check("merge");
}

#[test]
fn train() {
    check("train");
}

#[test]
fn checkpoint() {
    check("checkpoint");
}

#[test]
fn convert() {
    check("convert");
}

#[test]
fn predict() {
    check("predict");
}
