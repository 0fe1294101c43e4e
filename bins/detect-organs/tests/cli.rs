//! The real binary's face; the work behind it is tested with `detect-pancreas` and `run-cascade`.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::path::Path;
use std::process::Command;

/// Stdout and stderr of a run that ends with `code`.
fn check(folder: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_detect-organs"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

#[test]
fn every_command_shows_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let (help, _) = check(folder.path(), &["--help"], 0);
    assert!(help.contains("Exit codes:") && help.contains("not for diagnosis"), "{help}");
    for command in ["train", "evaluate", "predict"] {
        let (help, _) = check(folder.path(), &[command, "--help"], 0);
        assert!(help.contains(&format!("detect-organs {command} --")), "{help}");
        check(folder.path(), &[command], 2);
    }
}

#[test]
fn a_configuration_without_the_stage_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = "name = 'a'\nseed = 1\n[stages.pancreas_box]\n";
    fs_err::write(folder.path().join("other.toml"), other).unwrap();
    let (_, stderr) = check(folder.path(), &["train", "--config", "other.toml", "--out", "run"], 1);
    assert!(stderr.contains("other.toml") && stderr.contains("organs"), "{stderr}");
    assert!(!folder.path().join("run").exists(), "nothing is written");
}
