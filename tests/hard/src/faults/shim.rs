//! The shim that breaks calls, and what it is told.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const SOURCE: &str = include_str!("../../shim/faults.c");

/// No space left on device, input/output error, permission denied: the same on all of Linux.
pub(super) const ENOSPC: i32 = 28;
pub(super) const EIO: i32 = 5;
pub(super) const EACCES: i32 = 13;

/// The compiled shim.
#[derive(Debug)]
pub(super) struct Shim(PathBuf);

impl Shim {
    pub(super) fn build(folder: &Path) -> Result<Self> {
        let (source, library) = (folder.join("faults.c"), folder.join("faults.so"));
        fs_err::write(&source, SOURCE)?;
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .context("no C compiler `cc` for the shim that breaks calls")?;
        if !built.status.success() {
            bail!("the shim does not compile: {}", String::from_utf8_lossy(&built.stderr));
        }
        Ok(Self(library))
    }

    /// Puts a program under the shim.
    pub(super) fn preload(&self, command: &mut Command, root: &Path, fault: Fault, log: Option<&Path>) {
        command.env("LD_PRELOAD", &self.0).env("FAULTS_ROOT", root);
        command.env("FAULTS_AT", fault.at.to_string()).env("FAULTS_KIND", fault.kind.name());
        match fault.kind {
            Kind::Fail(error) | Kind::Full(error) | Kind::ShortThenFull(error) => {
                command.env("FAULTS_ERRNO", error.to_string());
            }
            Kind::Clock(seconds) => {
                command.env("FAULTS_SECONDS", seconds.to_string());
            }
            Kind::Wait => {
                command.env("FAULTS_GO", go_file(root));
            }
            _ => {}
        }
        if let Some(log) = log {
            command.env("FAULTS_LOG", log);
        }
    }
}

/// What lets a waiting program go on.
pub(super) fn go_file(root: &Path) -> PathBuf {
    root.with_extension("go")
}

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Nothing: calls are counted.
    None,
    /// It fails.
    Fail(i32),
    /// It and every later one that needs room fail.
    Full(i32),
    /// A write writes half of its bytes.
    Short,
    /// The same, and every later call that needs room fails.
    ShortThenFull(i32),
    /// The process is killed before it is made.
    KillBefore,
    /// The process is killed after it was made.
    KillAfter,
    /// It waits.
    Wait,
    /// The wall clock jumps by seconds; at call 0 from the start.
    Clock(i64),
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fail(_) => "fail",
            Self::Full(_) => "full",
            Self::Short => "short",
            Self::ShortThenFull(_) => "short-full",
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
            Self::Wait => "wait",
            Self::Clock(_) => "clock",
        }
    }
}

/// A kind at a call's number, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

impl Fault {
    pub(super) const NONE: Self = Self { at: 0, kind: Kind::None };
}

/// A call that the shim counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) path: String,
}

/// The calls of a log, in order.
pub(super) fn read_log(path: &Path) -> Result<Vec<Call>> {
    let text = fs_err::read_to_string(path)?;
    let call = |line: &str| {
        let mut words = line.splitn(3, ' ').skip(1).map(str::to_owned);
        Some(Call { name: words.next()?, path: words.next()? })
    };
    Ok(text.lines().filter_map(call).collect())
}
