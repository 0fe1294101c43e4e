//! The quick part of the suite: a hundred mutations a format, every bomb, every hostile number, every regression.

use std::sync::Mutex;

use hard::inputs::{Tally, bombs, named, names, numbers, read_seeds, run_cases, run_range, run_regressions};

/// Held by each test, because memory and panics are counted for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[expect(clippy::print_stdout, reason = "figures for those who ask with --nocapture")]
fn check(what: &str, tally: &Tally) {
    println!("{what}: {} tried, {:.3} s, {} bytes", tally.tried, tally.worst_seconds, tally.worst_bytes);
    // Time is left out: a busy machine is no fault of a reader.
    assert_eq!(tally.bad() - tally.over_time, 0, "{what}: {:#?}", tally.notes);
}

#[test]
fn a_hundred_mutations_of_each_format_are_survived() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let names = names().unwrap();
    // Every transfer syntax is a format; together they are tried as often as another two.
    for name in names {
        let n = if name.starts_with("dicom ") { 20 } else { 100 };
        let mut format = named(&name).unwrap();
        read_seeds(format.as_mut()).unwrap();
        let tally = run_range(format.as_mut(), 2, 0..n, None, &mut |_| Ok(())).unwrap();
        check(&name, &tally);
        let n_read = tally.outcomes.get("read").copied().unwrap_or(0);
        assert!(n_read < n, "{name}: no damage was noticed");
    }
}

#[test]
fn bombs_cost_little() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    check("bombs", &run_cases(&bombs()).unwrap());
}

#[test]
fn hostile_numbers_have_codes() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    check("numbers", &run_cases(&numbers()).unwrap());
}

#[test]
fn what_once_crashed_does_not() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    check("regressions", &run_regressions().unwrap());
}
