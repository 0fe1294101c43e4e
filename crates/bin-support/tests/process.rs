//! Exit codes, streams and Ctrl-C of a real process: this file runs itself as that process.
//!
//! It has a `main` of its own, since what is under test is the end of a `main`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use bin_support::{EXIT_ERROR, EXIT_FINDINGS, EXIT_OK, EXIT_STOPPED, data, json, note, piece, run_main};

/// Which work the process does; unset in the process that tests.
const WORK: &str = "BIN_SUPPORT_TEST_WORK";
const MESSAGE: &str = "stopping after the slices at hand …";

fn main() -> ExitCode {
    if let Ok(work) = std::env::var(WORK) {
        return run_main(|| child(&work));
    }
    codes_and_streams();
    data_that_nobody_reads_is_an_error();
    #[cfg(unix)]
    signals();
    ExitCode::SUCCESS
}

fn child(work: &str) -> anyhow::Result<u8> {
    match work {
        "print" => {
            piece("a")?;
            piece("b\n")?;
            data("line")?;
            json(&[1, 2])?;
            note("done");
            Ok(EXIT_OK)
        }
        "bars" => {
            let items = bin_support::item_bar("studies");
            items.set_length(2);
            items.inc(2);
            items.finish_and_clear();
            bin_support::byte_bar("reading").finish();
            let training = bin_support::TrainingBar::new("pancreas");
            training.show(&bin_support::TrainingProgress {
                step: 1,
                n_steps: 2,
                loss: 1.0,
                learning_rate: 1e-4,
                samples_per_s: 1.0,
                eta_s: 1.0,
            });
            training.note("validated");
            training.finish();
            Ok(EXIT_OK)
        }
        "findings" => Ok(EXIT_FINDINGS),
        "fail" => Err(anyhow!("end of file").context("cannot read `a.nii`")),
        "unread" => {
            // The test closes stdout first and stdin then.
            std::io::stdin().read_to_end(&mut Vec::new())?;
            data("lost")?;
            Ok(EXIT_OK)
        }
        "stop" | "stop silently" | "stop and end well" => {
            wait_for_stop(if work == "stop silently" { None } else { Some(MESSAGE) })?;
            if work == "stop and end well" { Ok(EXIT_OK) } else { Err(anyhow!("stopped")) }
        }
        "go on" => {
            wait_for_stop(Some(MESSAGE))?;
            data("stopping")?;
            std::thread::sleep(Duration::from_secs(30));
            bail!("the second signal did not end the process")
        }
        other => bail!("no work `{other}`"),
    }
}

fn wait_for_stop(message: Option<&'static str>) -> anyhow::Result<()> {
    let stop = bin_support::stop_flag(message);
    // A second call is harmless and leaves the first message.
    bin_support::stop_flag(Some("another message"));
    assert!(!bin_support::was_stopped());
    data("ready")?;
    let begin = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        anyhow::ensure!(begin.elapsed() < Duration::from_secs(30), "no signal came");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(bin_support::was_stopped());
    // The flag is set before the message is printed.
    std::thread::sleep(Duration::from_millis(100));
    Ok(())
}

fn start(work: &str) -> Child {
    Command::new(std::env::current_exe().expect("the path of this test"))
        .env(WORK, work)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test starts as a process")
}

fn codes_and_streams() {
    let rows = [
        ("print", EXIT_OK, "ab\nline\n[\n  1,\n  2\n]\n", "done\n"),
        // stderr is no terminal here: the bars are silent, the note is not
        ("bars", EXIT_OK, "", "validated\n"),
        ("findings", EXIT_FINDINGS, "", ""),
        ("fail", EXIT_ERROR, "", "error: cannot read `a.nii`\n  because: end of file\n"),
    ];
    for (work, code, stdout, stderr) in rows {
        let output = start(work).wait_with_output().expect("the process ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{work}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), stderr, "{work}");
        assert_eq!(output.status.code(), Some(i32::from(code)), "{work}");
    }
}

fn data_that_nobody_reads_is_an_error() {
    let mut process = start("unread");
    drop(process.stdout.take());
    drop(process.stdin.take());
    let output = process.wait_with_output().expect("the process ends");
    assert_eq!(output.status.code(), Some(i32::from(EXIT_ERROR)));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{output:?}");
}

#[cfg(unix)]
fn signals() {
    let stopped = format!("{MESSAGE}\nerror: stopped\n");
    let rows = [
        ("stop", "INT", EXIT_STOPPED, stopped.as_str()),
        ("stop", "TERM", EXIT_STOPPED, stopped.as_str()),
        ("stop silently", "INT", EXIT_STOPPED, "error: stopped\n"),
        ("stop and end well", "INT", EXIT_OK, &format!("{MESSAGE}\n")),
    ];
    for (work, signal, code, stderr) in rows {
        let mut process = start(work);
        let mut stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        expect_line(&mut stdout, "ready");
        send(signal, &process);
        let output = process.wait_with_output().expect("the process ends");
        assert_eq!(String::from_utf8_lossy(&output.stderr), stderr, "{work}, {signal}");
        assert_eq!(output.status.code(), Some(i32::from(code)), "{work}, {signal}");
    }

    let mut process = start("go on");
    let mut stdout = BufReader::new(process.stdout.take().expect("a pipe"));
    expect_line(&mut stdout, "ready");
    send("INT", &process);
    expect_line(&mut stdout, "stopping");
    send("INT", &process);
    let output = process.wait_with_output().expect("the process ends");
    assert_eq!(output.status.code(), Some(i32::from(EXIT_STOPPED)), "the second signal ends it: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("{MESSAGE}\n"));
}

#[cfg(unix)]
fn expect_line(reader: &mut impl BufRead, expected: &str) {
    let mut line = String::new();
    reader.read_line(&mut line).expect("stdout is read");
    assert_eq!(line.trim_end(), expected);
}

#[cfg(unix)]
fn send(signal: &str, process: &Child) {
    let status = Command::new("kill").arg(format!("-{signal}")).arg(process.id().to_string()).status();
    assert!(status.expect("`kill` starts").success());
}
