//! What programs ask of the system: no network, no rights for others beyond the user's, and hardened executables.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "test helpers outside of test functions")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ct_phantom::{Layout, PhantomSpec, generate_patient};
use ct_volume::nifti::{VoxelType, write_volume};
use tempfile::TempDir;

/// A program beside `predict-study`, which `cargo test --workspace` builds.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_predict-study")).with_file_name(name);
    assert!(path.is_file(), "{} is built by `cargo test --workspace`", path.display());
    path
}

fn study(folder: &Path) -> String {
    let spec = PhantomSpec::new(Layout::Msd, 5, 1).with_matrix(64).with_slices(24..=24);
    let path = folder.join("study.nii.gz");
    write_volume(&path, &generate_patient(&spec, 0).unwrap().volume, VoxelType::Int16).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Whether processes can be watched here.
fn can_trace(log: &Path) -> bool {
    let traced =
        Command::new("strace").args(["-qq", "-o"]).arg(log).arg("true").stderr(Stdio::null()).status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        println!("skipped: strace is not there or may not watch processes");
    }
    can
}

/// Calls about the network that a traced run made.
fn network_calls(log: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(log).unwrap();
    text.lines().filter(|line| line.contains('(') && !line.contains("AF_UNIX")).map(str::to_owned).collect()
}

fn traced(log: &Path, name: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=network", "-e", "signal=none", "-o"]).arg(log).arg(program(name));
    command
}

#[test]
fn programs_open_no_socket() {
    let work = TempDir::new().unwrap();
    let log = work.path().join("calls");
    if !can_trace(&log) {
        return;
    }
    let at = |name: &str| work.path().join(name).to_str().unwrap().to_owned();
    let study = study(work.path());
    let (data, prepared, found) = (at("data"), at("prepared"), at("found"));
    let phantom = [
        "phantom",
        "--layout",
        "msd",
        "--patients",
        "2",
        "--size",
        "64",
        "--slices",
        "24-24",
        "--out",
        &data,
    ];
    for (name, arguments) in [
        ("prepare-slices", &phantom[..]),
        ("prepare-slices", &["inspect", &study]),
        ("prepare-slices", &["run", "--dataset", "msd-pancreas", "--root", &data, "--out", &prepared]),
        ("prepare-slices", &["audit", &prepared]),
        ("predict-study", &[&study, "--out", &found]),
        ("detect-pancreas", &["predict", &study]),
        ("model-tool", &["--help"]),
    ] {
        let output = traced(&log, name).args(arguments).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code().is_some_and(|code| code != 1 && code != 2),
            "{name} {arguments:?}: {message}"
        );
        assert_eq!(network_calls(&log), Vec::<String>::new(), "{name} {arguments:?}");
    }
}

#[test]
fn the_chat_listens_on_this_machine_alone_and_calls_nobody() {
    let work = TempDir::new().unwrap();
    let log = work.path().join("calls");
    if !can_trace(&log) {
        return;
    }
    let mut server = traced(&log, "chat-server")
        .args(["--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let of_server = format!("/proc/{0}/task/{0}/children", server.id());
    let child = fs_err::read_to_string(of_server).unwrap();
    assert!(Command::new("kill").args(["-TERM", child.trim()]).status().unwrap().success());
    server.wait().unwrap();
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");
    let calls = network_calls(&log);
    let count = |what: &str| calls.iter().filter(|call| call.contains(what)).count();
    assert_eq!((count(" bind("), count(" listen("), count(" connect(")), (1, 1, 0), "{calls:#?}");
    assert!(calls.iter().any(|call| call.contains(" bind(") && call.contains("\"127.0.0.1\"")), "{calls:#?}");
}

#[test]
#[cfg(unix)]
fn results_are_no_more_open_than_the_user_says() {
    use std::os::unix::fs::PermissionsExt;
    let work = TempDir::new().unwrap();
    let study = study(work.path());
    for (umask, wanted) in [("077", 0o600), ("027", 0o640), ("022", 0o644)] {
        let out = work.path().join(umask);
        let findings = out.join("findings").display().to_string();
        let weights = out.join("nano").display().to_string();
        let programs = [
            ("predict-study", vec![study.as_str(), "--out", &findings]),
            ("model-tool", vec!["init", "--preset", "nano", "--out", &weights]),
        ];
        for (name, arguments) in programs {
            let run = format!("umask {umask} && exec \"$@\"");
            let mut command = Command::new("sh");
            command.args(["-c", &run, "sh"]).arg(program(name)).args(arguments);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(status.success(), "{name}, umask {umask}");
        }
        let mut folders = vec![out];
        let mut n_files = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                if entry.file_type().unwrap().is_dir() {
                    // who may read a file may look into its folder
                    let wanted = wanted | (wanted & 0o444) >> 2;
                    assert_eq!(
                        mode & !wanted,
                        0,
                        "{mode:o} of {} under umask {umask}",
                        entry.path().display()
                    );
                    folders.push(entry.path());
                    continue;
                }
                n_files += 1;
                assert_eq!(mode & !wanted, 0, "{mode:o} of {} under umask {umask}", entry.path().display());
            }
        }
        assert!(n_files > 6, "{n_files}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn executables_are_hardened() {
    for name in ["predict-study", "prepare-slices", "chat-server", "model-tool", "run-cascade"] {
        let output = Command::new("readelf").args(["-hlWd"]).arg(program(name)).output();
        let Ok(output) = output else {
            println!("skipped: readelf is not there");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_default().to_owned();
        assert!(line("Type:").contains("DYN"), "{name}: position-independent");
        assert!(text.contains("GNU_RELRO") && text.contains("BIND_NOW"), "{name}: relocations are read-only");
        let stack = line("GNU_STACK");
        assert!(stack.contains(" RW ") && !stack.contains("RWE"), "{name}: {stack}");
        let writable_code = text.lines().any(|line| line.contains("LOAD") && line.contains("RWE"));
        assert!(!writable_code, "{name}: nothing is both writable and code");
    }
}
