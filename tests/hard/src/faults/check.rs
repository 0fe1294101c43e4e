//! What lies in a folder after a fault.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ct_slices::pixels::{PngLimits, decode_png};
use sha2::{Digest, Sha256};

use super::jobs::Job;

/// Files by their path in a folder.
pub(super) type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// Every file below a folder; nothing where it is missing.
pub(super) fn read_tree(folder: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        let entries = match fs_err::read_dir(&at) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                tree.insert(path.strip_prefix(folder)?.to_owned(), fs_err::read(&path)?);
            }
        }
    }
    Ok(tree)
}

fn is_temporary(path: &Path) -> bool {
    path.iter().any(|part| {
        let part = part.to_string_lossy();
        part.starts_with(".partial-") || part.starts_with(".lock")
    })
}

fn is_named(path: &Path, names: &[&str]) -> bool {
    path.file_name().is_some_and(|name| names.iter().any(|one| name == *one))
}

/// What is half under a final name: files that are neither the reference's, nor whole in themselves where they hold
/// times or exist only between a run's beginning and its end.
pub(super) fn half_files(job: &Job, out: &Path, reference: &Tree) -> Result<Vec<String>> {
    let mut half = Vec::new();
    for (path, bytes) in read_tree(out)? {
        if is_temporary(&path) || reference.get(&path) == Some(&bytes) {
            continue;
        }
        let timed = is_named(&path, job.timed);
        let is_whole = if is_named(&path, job.growing) {
            timed || reference.get(&path).is_some_and(|whole| whole.starts_with(&bytes))
        } else if reference.contains_key(&path) && !timed {
            false
        } else {
            parses(&path, &bytes)
        };
        if !is_whole {
            half.push(format!("{} ({} bytes)", path.display(), bytes.len()));
        }
    }
    let steps = out.join("pancreas_box/training");
    for step in vlm_train::checkpoint_steps(&steps)? {
        if let Err(error) = vlm_train::verify_checkpoint(&vlm_train::checkpoint_folder(&steps, step)) {
            half.push(error.to_string());
        }
    }
    Ok(half)
}

/// Whether a file is whole by itself.
fn parses(path: &Path, bytes: &[u8]) -> bool {
    let is_json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") if path.parent().is_some_and(|folder| folder.ends_with("parts")) => is_sealed(bytes),
        Some("json") => is_json(bytes),
        Some("jsonl") => {
            bytes.ends_with(b"\n") && bytes.split(|byte| *byte == b'\n').all(|l| l.is_empty() || is_json(l))
        }
        Some("png") => decode_png(bytes, &PngLimits::default()).is_ok(),
        // Its header's size, the header, and as many bytes as the header says: the reader of checkpoints checks them.
        Some("safetensors") => path.iter().any(|part| part.to_string_lossy().starts_with("step-")),
        Some("html") => bytes.trim_ascii_end().ends_with(b"</html>"),
        _ => false,
    }
}

/// Whether the second line holds the hash of the first, as in the parts of a prepared folder.
fn is_sealed(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (json, seal) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let seal: serde_json::Value = serde_json::from_slice(seal).unwrap_or_default();
    let expected: String = Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect();
    seal["sha256"] == *expected
}

/// How an output differs from the reference; nothing where it does not.
pub(super) fn differences(job: &Job, out: &Path, reference: &Tree) -> Result<Vec<String>> {
    let tree = read_tree(out)?;
    let mut differences = Vec::new();
    for (path, bytes) in tree.iter().filter(|(path, _)| !path.ends_with(".lock")) {
        match reference.get(path) {
            None => differences.push(format!("{} is left over", path.display())),
            Some(_) if is_named(path, job.timed) => {
                // Lines of seconds: each whole, whatever happened between them.
                if path.extension().is_some_and(|ending| ending != "run") && !parses(path, bytes) {
                    differences.push(format!("{} is not whole", path.display()));
                }
            }
            Some(expected) if expected != bytes => differences.push(format!("{} differs", path.display())),
            Some(_) => {}
        }
    }
    let missing = reference.keys().filter(|path| !tree.contains_key(*path));
    differences.extend(missing.map(|path| format!("{} is missing", path.display())));
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_files_and_differences_are_told() {
        let job = Job {
            name: "test",
            program: PathBuf::new(),
            arguments: Vec::new(),
            resume: &[],
            watched: "",
            timed: &["timings.json"],
            growing: &["log.jsonl"],
            locks: false,
            refuses_done: false,
            json: false,
        };
        let reference: Tree =
            [("a.json", "[1]"), ("log.jsonl", "1\n2\n"), ("timings.json", "[5]"), ("b.txt", "b")]
                .map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec()))
                .into();
        let place = tempfile::tempdir().unwrap();
        let check = |files: &[(&str, &str)], half: usize, different: usize| {
            let out = place.path().join("out");
            let _ = fs_err::remove_dir_all(&out);
            fs_err::create_dir_all(out.join("parts")).unwrap();
            for (name, text) in files {
                fs_err::write(out.join(name), text).unwrap();
            }
            let (found, differ) =
                (half_files(&job, &out, &reference).unwrap(), differences(&job, &out, &reference).unwrap());
            assert_eq!((found.len(), differ.len()), (half, different), "{files:?}: {found:?} {differ:?}");
        };
        let whole = [("a.json", "[1]"), ("log.jsonl", "1\n2\n"), ("timings.json", "[7]"), ("b.txt", "b")];
        check(&whole, 0, 0);
        check(&whole[..2], 0, 2);
        check(&[("a.json", "[1")], 1, 4);
        check(&[("a.json", "[2]")], 1, 4);
        check(&[("log.jsonl", "1\n2")], 0, 4);
        check(&[("log.jsonl", "1\n3")], 1, 4);
        check(&[("timings.json", "[")], 1, 4);
        check(&[(".partial-x", "["), (".lock", "")], 0, 5);
        check(&[("x.json", "{}")], 0, 5);
        check(&[("x.json", "{")], 1, 5);
        let seal = Sha256::digest(b"{}").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        check(&[("parts/x.json", &format!("{{}}\n{{\"sha256\":\"{seal}\"}}\n"))], 0, 5);
        check(&[("parts/x.json", &format!("{{}}\n{{\"sha256\":\"{}\"}}\n", &seal[..9]))], 1, 5);
        check(&[("parts/x.json", "{}")], 1, 5);
        check(&[("parts/x.bin", "")], 1, 5);
    }
}
