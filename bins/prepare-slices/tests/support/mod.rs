//! What the tests of shards share: the real binary, folders as bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prepare-slices"));
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn ok(arguments: &[&str]) -> Output {
    let output = command(arguments).output().expect("the binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} ended with {}: {stderr}", output.status);
    output
}

pub(crate) fn fails(arguments: &[&str], code: i32, words: &[&str]) {
    let output = command(arguments).output().expect("the binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{arguments:?}: no `{word}` in: {stderr}");
    }
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("stdout is JSON")
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Every file below a folder, by relative path.
pub(crate) fn paths(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs_err::read_dir(&at).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below the folder");
                found.insert(name.to_string_lossy().into_owned(), path);
            }
        }
    }
    found
}

/// Both folders have the same files with the same bytes.
pub(crate) fn assert_same(a: &Path, b: &Path) {
    let (in_a, in_b) = (paths(a), paths(b));
    let names = |of: &BTreeMap<String, PathBuf>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&in_a), names(&in_b), "{} and {}", a.display(), b.display());
    for (name, path) in &in_a {
        let same = fs_err::read(path).expect("a file") == fs_err::read(&in_b[name]).expect("a file");
        assert!(same, "{name} differs in {} and {}", a.display(), b.display());
    }
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).expect("below n")
    }
}
