//! Shards as processes that are killed, started again and merged: the bytes of one run, or a refusal.

#![expect(clippy::unwrap_used, reason = "a test helper may fail the test")]
#![forbid(unsafe_code)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use support::{Seeded, assert_same, command, fails, json, ok, paths, text};

const N_SHARDS: usize = 4;

/// Phantoms, and where runs of them go.
struct Bench {
    studies: TempDir,
    work: TempDir,
}

impl Bench {
    fn new(patients: usize) -> Self {
        let bench = Self { studies: TempDir::new().unwrap(), work: TempDir::new().unwrap() };
        let patients = patients.to_string();
        let size = ["--layout", "msd", "--size", "96", "--slices", "24-32"];
        let out = ["--out", text(bench.studies.path()), "--patients", &patients];
        ok(&[&["phantom"], &size[..], &out[..]].concat());
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// The arguments of a run into a folder.
    fn run<'a>(&'a self, out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        let common =
            ["run", "--dataset", "msd-pancreas", "--root", text(self.studies.path()), "--threads", "1"];
        // All that a run can write.
        let all = ["--reference-json", "--balanced", "--out", text(out)];
        [&common[..], &all[..], more].concat()
    }

    fn start(&self, out: &Path, shard: &str) -> Child {
        command(&self.run(out, &["--shard", shard])).stderr(Stdio::null()).spawn().unwrap()
    }

    /// All shards, whole, in folders `NAME-0` and so on.
    fn shards(&self, name: &str) -> Vec<PathBuf> {
        let shards: Vec<PathBuf> = (0..N_SHARDS).map(|n| self.at(&format!("{name}-{n}"))).collect();
        for (n, shard) in shards.iter().enumerate() {
            ok(&self.run(shard, &["--shard", &format!("{n}/{N_SHARDS}")]));
        }
        shards
    }
}

fn merge<'a>(shards: &'a [PathBuf], out: &'a Path) -> Vec<&'a str> {
    let mut arguments = vec!["merge", "--json", "--out", text(out)];
    arguments.extend(shards.iter().map(|shard| text(shard)));
    arguments
}

/// Files of a folder, finished or not.
fn n_files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Kills the process (SIGKILL) as soon as the folder has so many files; true if it was still at work.
fn kill_at(child: &mut Child, folder: &Path, n: usize) -> bool {
    while n_files(folder) < n {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// When each part and image was written.
fn times(shard: &Path) -> BTreeMap<String, SystemTime> {
    let written =
        |(name, path): (String, PathBuf)| (name, fs_err::metadata(path).unwrap().modified().unwrap());
    let is_work = |(name, _): &(String, PathBuf)| name.starts_with("parts/") || name.starts_with("slices/");
    paths(shard).into_iter().filter(is_work).map(written).collect()
}

#[test]
fn four_shards_with_kills_equal_one_run() {
    let bench = Bench::new(12);
    let whole = bench.at("whole");
    ok(&bench.run(&whole, &[]));
    let quiet = bench.shards("quiet");
    let n_images = |shard: &Path| n_files(&shard.join("slices"));

    // Four processes at once. Two are killed at moments drawn by seed, one of them again on its way back.
    let mut random = Seeded(20_261_127);
    let shards: Vec<PathBuf> = (0..N_SHARDS).map(|n| bench.at(&format!("killed-{n}"))).collect();
    let name = |n: usize| format!("{n}/{N_SHARDS}");
    let mut running: Vec<Child> =
        shards.iter().enumerate().map(|(n, shard)| bench.start(shard, &name(n))).collect();
    let mut n_killed = 0;
    for n in [1, 3] {
        let moment = 1 + random.below(n_images(&quiet[n]) / 2);
        n_killed += usize::from(kill_at(&mut running[n], &shards[n].join("slices"), moment));
    }
    for mut child in running {
        child.wait().unwrap();
    }
    for _ in 0..2 {
        let all = n_images(&quiet[3]);
        let moment = all / 2 + random.below(all / 2 - 1);
        n_killed +=
            usize::from(kill_at(&mut bench.start(&shards[3], &name(3)), &shards[3].join("slices"), moment));
    }
    assert!(n_killed >= 2, "only {n_killed} of 4 kills struck a process at work");
    let merged = bench.at("merged");
    fails(&merge(&shards, &merged), 1, &["of 12 volumes are missing", "run shard"]);
    assert!(!merged.exists());

    // The same commands again: the bytes of shards that nobody killed.
    for (n, shard) in shards.iter().enumerate() {
        ok(&bench.run(shard, &["--shard", &name(n)]));
        assert_same(&quiet[n], shard);
        // And once more: nothing is written, not even again.
        let before = times(shard);
        ok(&bench.run(shard, &["--shard", &name(n)]));
        assert_eq!(before, times(shard));
        // Counted from 1 it is the same share.
        let from_1 = if n == 0 { format!("{N_SHARDS}/{N_SHARDS}") } else { name(n) };
        ok(&bench.run(shard, &["--shard", &from_1]));
        assert_eq!(before, times(shard));
    }
    let first = json(&ok(&merge(&shards, &merged)));
    assert_same(&whole, &merged);
    let n_all: usize = shards.iter().map(|shard| n_images(shard)).sum();
    let found = &first["merge"];
    assert_eq!((&found["shards"], &found["volumes"]), (&4.into(), &12.into()));
    assert_eq!((&found["images_verified"], &found["unchanged"]), (&n_all.into(), &false.into()));
    let bytes: u64 = shards.iter().flat_map(|s| paths(&s.join("slices")).into_values()).map(size).sum();
    assert_eq!(found["bytes_verified"], bytes);

    // Again, in another order: found complete. In another folder: the same.
    let reversed: Vec<PathBuf> = shards.iter().rev().cloned().collect();
    let second = json(&ok(&merge(&reversed, &merged)));
    assert_eq!(second["merge"]["unchanged"], true);
    assert_same(&whole, &merged);
    let other = bench.at("empty-folder");
    fs_err::create_dir(&other).unwrap();
    ok(&merge(&reversed, &other));
    assert_same(&whole, &other);
}

fn size(path: PathBuf) -> u64 {
    fs_err::metadata(path).unwrap().len()
}

#[test]
fn a_killed_merge_leaves_nothing_under_the_final_name() {
    let bench = Bench::new(8);
    let whole = bench.at("whole");
    ok(&bench.run(&whole, &[]));
    let shards = bench.shards("shard");
    let n_images: usize = shards.iter().map(|shard| n_files(&shard.join("slices"))).sum();
    let mut random = Seeded(7);
    let mut n_killed = 0;
    for n in 0..8 {
        let merged = bench.at(&format!("merged-{}", n % 2));
        let mut child =
            command(&merge(&shards, &merged)).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let stage = bench.at(&format!(".partial-merge-merged-{}", n % 2)).join("tree/slices");
        let killed = kill_at(&mut child, &stage, 1 + random.below(n_images));
        if killed {
            n_killed += 1;
            // It may have been killed after its last step, and then the folder is whole.
            assert!(!merged.exists() || merged.join("summary.json").exists());
        }
        if merged.exists() {
            assert_same(&whole, &merged);
            fs_err::remove_dir_all(&merged).unwrap();
        }
    }
    assert!(n_killed > 0, "no kill struck a merge at work");
    for n in 0..2 {
        let merged = bench.at(&format!("merged-{n}"));
        ok(&merge(&shards, &merged));
        assert_same(&whole, &merged);
        assert!(!bench.at(&format!(".partial-merge-merged-{n}")).exists());
    }
}

#[test]
fn damaged_shards_are_named_and_healed_by_their_command() {
    let bench = Bench::new(8);
    let whole = bench.at("whole");
    ok(&bench.run(&whole, &[]));
    let shards = bench.shards("shard");
    let pick = |folder: &str| {
        let files = paths(&shards[2].join(folder));
        files.into_values().find(|path| !text(path).ends_with(".shard")).unwrap()
    };
    let (image, part) = (pick("slices"), pick("parts"));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let pixels = fs_err::read(&image).unwrap();
    let numbers = fs_err::read(&part).unwrap();
    let flip = |bytes: &[u8], at: usize| {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        changed
    };
    // A digit of the first record: still JSON, still in range.
    let digit = numbers.windows(8).position(|w| w == b"\"pixels\"").unwrap() + 9;
    let cases: Vec<(&Path, Option<Vec<u8>>, &str)> = vec![
        (&image, Some(flip(&pixels, pixels.len() / 2)), "has SHA-256"),
        // The last bytes: the picture decodes all the same.
        (&image, Some(pixels[..pixels.len() - 12].to_vec()), "bytes, its shard wrote"),
        (&image, Some([&pixels[..], b"x"].concat()), "bytes, its shard wrote"),
        (&image, None, "is missing"),
        (&part, Some(flip(&numbers, digit)), "is damaged"),
        (&part, Some(numbers[..numbers.len() / 2].to_vec()), "is damaged"),
        (&part, Some(Vec::new()), "is damaged"),
        (&part, None, "volumes are missing"),
    ];
    for (n, (path, bytes, word)) in cases.into_iter().enumerate() {
        match bytes {
            Some(bytes) => fs_err::write(path, bytes).unwrap(),
            None => fs_err::remove_file(path).unwrap(),
        }
        let merged = bench.at(&format!("merged-{n}"));
        let named = name(path);
        let words = if word.contains("volumes") { vec![word] } else { vec![word, named.as_str()] };
        fails(&merge(&shards, &merged), 1, &words);
        assert!(!merged.exists());
        let left = fs_err::read_dir(bench.work.path()).unwrap();
        assert!(left.into_iter().all(|e| !e.unwrap().file_name().to_string_lossy().starts_with(".partial")));
        ok(&bench.run(&shards[2], &["--shard", "2/4"]));
        ok(&merge(&shards, &merged));
        assert_same(&whole, &merged);
    }

    // A complete folder that was damaged since is not called the same.
    let merged = bench.at("merged-0");
    let image = merged.join("slices").join(paths(&merged.join("slices")).into_keys().next().unwrap());
    let bytes = fs_err::read(&image).unwrap();
    fs_err::remove_file(&image).unwrap();
    fs_err::write(&image, &bytes[1..]).unwrap();
    fails(&merge(&shards, &merged), 1, &["damaged", &name(&image)]);
}

#[test]
fn what_is_no_shard_of_the_run_is_refused() {
    let bench = Bench::new(8);
    let shards = bench.shards("shard");
    let refused = |shards: &[PathBuf], words: &[&str]| {
        let out = bench.at("refused");
        fails(&merge(shards, &out), 1, words);
        assert!(!out.exists());
    };
    // Not all of them, one twice, one of another count, one with other options, one of other data, none at all.
    refused(&shards[..3], &["shard 3/4 is missing"]);
    refused(&shards[1..], &["shard 0/4 is missing"]);
    refused(&[&shards[..], &shards[..1]].concat(), &["are both shard 0/4"]);
    let third = bench.at("third");
    ok(&bench.run(&third, &["--shard", "2/3"]));
    refused(&[&shards[..3], &[third]].concat(), &["one of 4 shards", "one of 3"]);
    let options = bench.at("options");
    ok(&bench.run(&options, &["--shard", "3/4", "--seed", "7"]));
    refused(&[&shards[..3], &[options]].concat(), &["other options"]);
    refused(&[&shards[..3], &[bench.studies.path().to_owned()]].concat(), &["holds no shard"]);
    let fewer = Bench::new(7);
    let other = bench.at("other-data");
    ok(&fewer.run(&other, &["--shard", "3/4"]));
    refused(&[&shards[..3], &[other]].concat(), &["8 volumes", "of 7"]);
    fails(&merge(&shards, &shards[0]), 1, &["is one of the shards"]);

    // A shard's folder takes its own shard and options only.
    for (arguments, word) in [
        (["--shard", "1/4"], "holds shard 0/4, not 1/4"),
        (["--shard", "0/3"], "holds shard 0/4, not 0/3"),
        (["--shard=0/4", "--seed=7"], "with other options"),
    ] {
        fails(&bench.run(&shards[0], &arguments), 1, &[word]);
    }
    let whole = bench.at("stopped");
    fs_err::create_dir_all(whole.join("slices")).unwrap();
    fs_err::create_dir_all(whole.join("parts")).unwrap();
    let part = paths(&shards[0].join("parts")).into_iter().find(|(name, _)| name != ".shard").unwrap();
    fs_err::copy(part.1, whole.join("parts").join(part.0)).unwrap();
    fails(&bench.run(&whole, &["--shard", "0/4"]), 1, &["no shard"]);

    // More shards than volumes: empty ones are shards too.
    let many: Vec<PathBuf> = (0..9).map(|n| bench.at(&format!("many-{n}"))).collect();
    for (n, shard) in many.iter().enumerate() {
        ok(&bench.run(shard, &["--shard", &format!("{n}/9")]));
    }
    ok(&merge(&many, &bench.at("many")));
    ok(&merge(&shards, &bench.at("four")));
    assert_same(&bench.at("many"), &bench.at("four"));
}

#[test]
fn a_shard_started_again_too_early_waits_for_the_first() {
    let bench = Bench::new(8);
    let quiet = bench.at("quiet");
    ok(&bench.run(&quiet, &["--shard", "1/2"]));
    let shard = bench.at("shard");
    let mut first = bench.start(&shard, "1/2");
    while n_files(&shard.join("slices")) == 0 {
        assert!(first.try_wait().unwrap().is_none(), "the first ended before the second came");
    }
    let second = ok(&bench.run(&shard, &["--shard", "1/2"]));
    assert!(first.wait().unwrap().success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("waiting for its end"));
    assert_same(&quiet, &shard);
}

#[test]
fn a_study_more_or_less_leaves_no_stale_part() {
    let bench = Bench::new(8);
    let shards = bench.shards("shard");
    // The first study goes, so that every other one moves to another shard.
    for folder in ["imagesTr", "labelsTr"] {
        let first = paths(&bench.studies.path().join(folder)).into_values().next().unwrap();
        fs_err::remove_file(first).unwrap();
    }
    bench.shards("shard");
    let (merged, whole) = (bench.at("merged"), bench.at("whole"));
    ok(&merge(&shards, &merged));
    ok(&bench.run(&whole, &[]));
    assert_same(&whole, &merged);
}
