//! Licences and sources of everything that the workspace depends on, as `deny.toml` has them.
//!
//! `cargo deny` says the same and more (docs/SECURITY.md); this needs nothing that a build has not got.

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{CargoOpt, MetadataCommand};
use fs_err as fs;

/// Crates that bring the text of a licence and no name of it; cargo deny reads the text.
const BY_TEXT: [(&str, &str); 1] = [("cfg_block", "Apache-2.0")];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Quoted texts of the list that begins with `key`.
fn list(document: &str, key: &str) -> BTreeSet<String> {
    let start = document.find(key).map(|at| at + key.len()).expect("the list");
    let end = start + document[start..].find(']').expect("its end");
    let quoted = document[start..end].split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// Whether an SPDX expression, or an old list with slashes, can be met by allowed licences.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.trim();
    if let Some(inner) = enclosed(expression) {
        return is_allowed(inner, allowed);
    }
    if let Some((left, right)) = split(expression, " AND ") {
        return is_allowed(left, allowed) && is_allowed(right, allowed);
    }
    if let Some((left, right)) = split(expression, " OR ").or_else(|| split(expression, "/")) {
        return is_allowed(left, allowed) || is_allowed(right, allowed);
    }
    allowed.contains(expression)
}

/// What stands within parentheses that hold all of it.
fn enclosed(expression: &str) -> Option<&str> {
    let inner = expression.strip_prefix('(')?.strip_suffix(')')?;
    let mut depth = 0_i32;
    inner
        .chars()
        .all(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth >= 0
        })
        .then_some(inner)
}

/// Both sides of the first operator outside of parentheses. AND binds stronger, so OR is looked for first.
fn split<'a>(expression: &'a str, operator: &str) -> Option<(&'a str, &'a str)> {
    if operator == " AND " && split(expression, " OR ").is_some() {
        return None;
    }
    expression.match_indices(operator).map(|(at, _)| at).find_map(|at| {
        let left = &expression[..at];
        let is_outside = left.matches('(').count() == left.matches(')').count();
        is_outside.then(|| (left, &expression[at + operator.len()..]))
    })
}

#[test]
fn every_dependency_is_of_the_registry_and_has_a_licence_that_is_allowed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let policy = fs::read_to_string(root.join("deny.toml")).expect("deny.toml");
    let allowed = list(&policy, "\nallow = [");
    assert!(allowed.len() > 10 && allowed.contains("MIT"), "{allowed:?}");
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .features(CargoOpt::SomeFeatures(Vec::new()))
        .other_options(["--locked", "--offline", "--filter-platform", &platform].map(str::to_owned))
        .exec()
        .expect("cargo metadata, after a build");
    let resolved: BTreeSet<_> =
        metadata.resolve.expect("a graph").nodes.into_iter().map(|node| node.id).collect();
    let (mut n_own, mut n_others) = (0, 0);
    for package in metadata.packages.iter().filter(|package| resolved.contains(&package.id)) {
        let name = &package.name;
        match &package.source {
            None => n_own += 1,
            Some(source) => {
                assert_eq!(source.repr, REGISTRY, "{name}");
                n_others += 1;
                let licence = package.license.as_deref();
                let by_text = BY_TEXT
                    .iter()
                    .find(|(by_text, _)| *by_text == name.as_str())
                    .map(|(_, licence)| *licence);
                let licence = licence.or(by_text).unwrap_or_default();
                let is_known = policy.contains(&format!("crate = \"{name}\""));
                assert!(is_known || is_allowed(licence, &allowed), "{name} is under `{licence}`");
            }
        }
    }
    assert!(n_own > 25 && n_others > 400, "{n_own} of ours, {n_others} others");
    // Each that comes from elsewhere has a hash.
    let lock = fs::read_to_string(root.join("Cargo.lock")).expect("Cargo.lock");
    let count = |what: &str| lock.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(count("source = "), count("checksum = "));
    assert_eq!(count("source = "), lock.matches(REGISTRY).count());
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let allowed: BTreeSet<String> = ["MIT", "Apache-2.0", "Unicode-3.0"].map(String::from).into();
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-3.0/MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "MIT AND (Apache-2.0 OR GPL-3.0)",
        "GPL-3.0 AND X OR MIT",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR X) AND GPL-3.0", "GPL-3.0 OR MIT AND X"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
