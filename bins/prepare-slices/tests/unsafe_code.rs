//! Unsafe code lies in one module, and every other crate forbids it.

use std::path::{Path, PathBuf};

use fs_err as fs;

/// The module that may hold it.
const MODULE: &str = "crates/fused-ops/src/kernels/raw";
/// Crates that use ndarray's `s!`, whose expansion says `allow(unsafe_code)`, which nothing under `forbid` may:
/// there the workspace's `deny` stands, and the search of this file.
const DENY: [&str; 6] = ["box-segmenter", "cascade", "chat-server", "ct-slices", "findings", "nano-pretrain"];
/// Folders of a checkout that hold our sources.
const SOURCES: [&str; 5] = ["crates", "bins", "benches", "fuzz", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("a checkout")
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let is_built = path.file_name().is_some_and(|name| name == "target" || name == "node_modules");
        if path.is_dir() && !is_built {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Lines with an unsafe block, function, trait, implementation, extern block or attribute.
fn unsafe_lines(source: &str) -> Vec<usize> {
    let is_unsafe = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.match_indices("unsafe").any(|(at, word)| {
            let before = code[..at].chars().next_back();
            let after = code[at + word.len()..].trim_start();
            let is_word = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '"' && c != '\'');
            let opens =
                ["{", "fn ", "impl", "trait", "extern", "("].iter().any(|next| after.starts_with(next));
            is_word && (opens || after.is_empty())
        })
    };
    let lines = source.lines().enumerate();
    lines.filter(|(_, line)| is_unsafe(line)).map(|(number, _)| number + 1).collect()
}

#[test]
fn unsafe_code_lies_in_one_module() {
    let root = root();
    let mut files = Vec::new();
    for folder in SOURCES {
        rust_files(&root.join(folder), &mut files);
    }
    assert!(files.len() > 300, "{} files", files.len());
    let mut within = 0;
    for file in &files {
        let lines = unsafe_lines(&fs::read_to_string(file).expect("a source file"));
        let place = file.strip_prefix(&root).expect("below the root");
        if place.starts_with(MODULE) {
            within += lines.len();
        } else {
            assert_eq!(lines, [0_usize; 0], "unsafe code in `{}`", place.display());
        }
    }
    // Seven blocks and two functions, as docs/SECURITY.md says.
    assert_eq!(within, 9, "lines with unsafe code in {MODULE}");
}

#[test]
fn every_other_crate_forbids_it() {
    let root = root();
    let members = ["crates", "bins"].into_iter().flat_map(|folder| {
        fs::read_dir(root.join(folder))
            .expect("a folder of crates")
            .map(|entry| entry.expect("an entry").path())
    });
    let mut n_crates = 0;
    for member in members.chain([root.join("benches")]).filter(|member| member.join("Cargo.toml").is_file()) {
        n_crates += 1;
        for target in ["src/lib.rs", "src/main.rs"].map(|target| member.join(target)) {
            let Ok(source) = fs::read_to_string(&target) else { continue };
            let forbids = source.lines().any(|line| line == "#![forbid(unsafe_code)]");
            let only_denies =
                member.ends_with("fused-ops") || DENY.into_iter().any(|name| member.ends_with(name));
            assert_eq!(forbids, !only_denies, "{}", target.display());
        }
    }
    assert!(n_crates > 25, "{n_crates} crates");
}

#[test]
fn the_search_finds_what_it_looks_for() {
    // Spelled so that this file does not hold it.
    for line in [
        "UN {x()}",
        "    let y = UN {",
        "pub UN fn f() {",
        "UN impl Send for X {}",
        "UN extern \"C\" {",
        "#[UN(no_mangle)]",
        "    UN",
    ] {
        let line = line.replace("UN", "unsafe");
        assert_eq!(unsafe_lines(&line), [1], "{line}");
    }
    for line in ["// UN {", "#![forbid(UN_code)]", "\"style-src 'UN-inline'\"", "let is_UN = 1;"] {
        let line = line.replace("UN", "unsafe");
        assert_eq!(unsafe_lines(&line), [0_usize; 0], "{line}");
    }
}
