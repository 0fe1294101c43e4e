//! The real binary on small synthetic studies: files, bytes, messages, exit codes.

#![expect(clippy::unwrap_used, reason = "a test helper may fail the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn prepare(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_prepare-slices")).args(arguments).output().expect("the binary starts")
}

fn ok(arguments: &[&str]) -> Output {
    let output = prepare(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} ended with {}: {stderr}", output.status);
    output
}

fn fails(arguments: &[&str], code: i32, words: &[&str]) {
    let output = prepare(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{arguments:?}: no `{word}` in: {stderr}");
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("stdout is JSON")
}

/// Phantoms of one layout, 6 patients, 64 x 64.
fn phantoms(layout: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    ok(&[
        "phantom",
        "--patients",
        "6",
        "--layout",
        layout,
        "--size",
        "64",
        "--slices",
        "24-24",
        "--out",
        text(folder.path()),
    ]);
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every file below a folder, by relative path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs_err::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.insert(name, fs_err::read(&path).unwrap());
            }
        }
    }
    found
}

fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{name} differs");
    }
}

const DATASETS: [(&str, &str); 3] =
    [("msd", "msd-pancreas"), ("nih", "nih-pancreas"), ("abd", "abdomenct-1k")];

#[test]
fn threads_and_shards_give_the_same_bytes_in_all_layouts() {
    for (layout, dataset) in DATASETS {
        let studies = phantoms(layout);
        let work = TempDir::new().unwrap();
        let out = |name: &str| work.path().join(name);
        let common = ["run", "--dataset", dataset, "--root", text(studies.path()), "--reference-json"];
        let run = |name: &str, more: &[&str]| {
            let out = out(name);
            let arguments = [&common[..], &["--out", text(&out)], more].concat();
            ok(&arguments)
        };
        run("one", &["--threads", "1"]);
        run("two", &["--threads", "2"]);
        run("four", &["--threads", "4"]);
        assert_same(&out("one"), &out("two"));
        assert_same(&out("one"), &out("four"));

        let shards: Vec<PathBuf> = (1..=4).map(|n| out(&format!("shard-{n}"))).collect();
        for (n, shard) in shards.iter().enumerate() {
            let share = format!("{}/4", n + 1);
            run(shard.file_name().unwrap().to_str().unwrap(), &["--shard", &share]);
        }
        let merged = out("merged");
        let mut arguments = vec!["merge"];
        arguments.extend(shards.iter().map(|s| text(s)));
        arguments.extend(["--out", text(&merged)]);
        ok(&arguments);
        assert_same(&out("one"), &merged);

        let written = files(&out("one"));
        assert!(written.keys().any(|n| n.starts_with("slices/") && n.ends_with(".png")));
        for name in ["index.jsonl", "split.json", "config.json", "summary.json", "audit.json", "audit.txt"] {
            assert!(written.contains_key(name), "{layout}: {name}");
        }
        assert!(written.keys().any(|n| n.starts_with("reference/")), "{layout}");
        assert!(!written.keys().any(|n| n.starts_with("parts/") || n.contains(".partial-")), "{layout}");

        // A shard left out is noticed, and nothing is written.
        let short = out("short");
        fails(&["merge", text(&shards[0]), text(&shards[1]), "--out", text(&short)], 1, &["missing"]);
        assert!(!short.join("index.jsonl").exists());
    }
}

#[test]
fn a_stopped_run_resumes_to_the_same_bytes() {
    let studies = phantoms("msd");
    let work = TempDir::new().unwrap();
    let (whole, resumed) = (work.path().join("whole"), work.path().join("resumed"));
    let common = ["run", "--dataset", "msd-pancreas", "--root", text(studies.path())];
    ok(&[&common[..], &["--out", text(&whole)]].concat());

    // What a killed run leaves: some parts, some images, temporary files, one image cut short.
    ok(&[&common[..], &["--out", text(&resumed), "--shard", "1/2"]].concat());
    fs_err::write(resumed.join("slices/.partial-xyz"), b"half").unwrap();
    let image = files(&resumed).keys().find(|n| n.ends_with(".png")).unwrap().clone();
    let bytes = fs_err::read(resumed.join(&image)).unwrap();
    fs_err::write(resumed.join(&image), &bytes[..bytes.len() / 2]).unwrap();

    fails(&[&common[..], &["--out", text(&resumed)]].concat(), 1, &["--resume"]);
    ok(&[&common[..], &["--out", text(&resumed), "--resume"]].concat());
    assert_same(&whole, &resumed);

    // Complete: resuming changes nothing, other options are refused.
    ok(&[&common[..], &["--out", text(&resumed), "--resume"]].concat());
    assert_same(&whole, &resumed);
    fails(
        &[&common[..], &["--out", text(&resumed), "--resume", "--seed", "7"]].concat(),
        1,
        &["another configuration"],
    );
}

#[test]
fn every_preset_selects_the_same_slices_and_splits() {
    let studies = phantoms("msd");
    let work = TempDir::new().unwrap();
    let mut selections = Vec::new();
    for preset in ["fixed", "code-2025", "paper-2024"] {
        let out = work.path().join(preset);
        let run = ok(&[
            "run",
            "--dataset",
            "msd-pancreas",
            "--root",
            text(studies.path()),
            "--preset",
            preset,
            "--out",
            text(&out),
            "--json",
            "--balanced",
        ]);
        let summary = json(&run);
        assert_eq!(summary["counts"]["volumes"], 6);
        let index = fs_err::read_to_string(out.join("index.jsonl")).unwrap();
        let records: Vec<Value> = index.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let mut boxes = 0;
        let mut selected = BTreeMap::new();
        for record in &records {
            let ratio = record["organs"]["pancreas"]["bbox_ratio"].as_f64().unwrap();
            let tasks: Vec<&str> =
                record["tasks"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            if ratio > 0.6 {
                boxes += 1;
                assert!(tasks.contains(&"pancreas_detection"));
                assert!(out.join(record["image"].as_str().unwrap()).is_file());
            }
            if ratio > 0.6 {
                let volume = record["volume"].as_str().unwrap().to_owned();
                *selected.entry((volume, record["split"].to_string())).or_insert(0) += 1;
            }
        }
        assert!(boxes > 10);
        selections.push(selected);
    }
    assert_eq!(selections[0], selections[1]);
    assert_eq!(selections[0], selections[2]);
}

#[test]
fn inspect_slice_and_convert_agree_on_a_dicom_study() {
    let studies = phantoms("nih");
    let work = TempDir::new().unwrap();
    let study = studies.path().join("volumes/PANCREAS_0001");
    let dicom = json(&ok(&["inspect", text(&study), "--json"]));
    // Stored so that the published vertical flip shows the front of the patient up.
    assert_eq!(dicom["orientation"], "LAI");
    assert_eq!(dicom["shape"][2], dicom["n_slices"]);
    assert_eq!(dicom["affine"].as_array().unwrap().len(), 4);

    let nifti = work.path().join("study.nii.gz");
    ok(&["convert", text(&study), "--out", text(&nifti)]);
    let converted = json(&ok(&["inspect", text(&nifti), "--json"]));
    for key in ["shape", "orientation", "hu", "n_slices"] {
        assert_eq!(dicom[key], converted[key], "{key}");
    }

    // The same display plane from both forms.
    let pngs: Vec<Vec<u8>> = [&study, &nifti]
        .into_iter()
        .map(|from| {
            let out = work.path().join("slice.png");
            ok(&["slice", text(from), "--index", "5", "--preset", "fixed", "--out", text(&out)]);
            fs_err::read(out).unwrap()
        })
        .collect();
    assert_eq!(pngs[0], pngs[1]);
    fails(&["slice", text(&nifti), "--index", "9999", "--out", "x.png"], 1, &["9999", "slices 0 to"]);
}

#[test]
fn audit_tells_by_its_exit_code() {
    let studies = phantoms("msd");
    let work = TempDir::new().unwrap();
    let out = work.path().join("prepared");
    ok(&[
        "run",
        "--dataset",
        "msd-pancreas",
        "--root",
        text(studies.path()),
        "--out",
        text(&out),
        "--no-audit",
    ]);
    ok(&["audit", text(&out), "--no-probe"]);

    // Put one training patient into the test part as well.
    let index = fs_err::read_to_string(out.join("index.jsonl")).unwrap();
    let line =
        index.lines().find(|l| l.contains("\"split\":\"train\"") && l.contains("\"image\":\"")).unwrap();
    let moved = index.replace(line, &line.replace("\"split\":\"train\"", "\"split\":\"test\""));
    fs_err::write(out.join("index.jsonl"), moved).unwrap();
    fails(&["audit", text(&out), "--no-probe"], 3, &[]);
    let report = prepare(&["audit", text(&out), "--no-probe", "--json"]);
    assert_eq!(report.status.code(), Some(3));
    assert!(json(&report).to_string().contains("patient"));
}

#[test]
fn errors_name_the_file_and_leave_nothing_behind() {
    let work = TempDir::new().unwrap();
    let broken = work.path().join("broken.nii.gz");
    fs_err::write(&broken, b"\x1f\x8bnot a gzip stream at all").unwrap();
    let out = work.path().join("out.png");
    fails(&["slice", text(&broken), "--index", "0", "--out", text(&out)], 1, &["broken.nii.gz"]);
    assert!(!out.exists());
    fails(&["inspect", text(&work.path().join("absent.nii"))], 1, &["absent.nii"]);
    fails(&["run", "--dataset", "nothing", "--out", "x"], 1, &["nothing", "msd-pancreas"]);
    fails(&["run", "--out", "x"], 2, &["--dataset"]);
    fails(&["run", "--dataset", "msd-pancreas", "--preset", "other", "--out", "x"], 2, &["paper-2024"]);
    fails(&["run", "--dataset", "msd-pancreas", "--shard", "9/4", "--out", "x"], 2, &["9/4"]);
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in
        ["inspect", "slice", "convert", "run", "merge", "tumor-mix", "audit", "phantom", "datasets"]
    {
        let help = String::from_utf8(ok(&[command, "--help"]).stdout).unwrap();
        assert!(help.contains("Example"), "{command}");
    }
    let help = String::from_utf8(ok(&["--help"]).stdout).unwrap();
    assert!(help.contains("Exit codes") && help.contains("not for diagnosis"));
}

#[test]
fn a_table_of_images_is_split_and_audited() {
    let studies = phantoms("msd");
    let work = TempDir::new().unwrap();
    let prepared = work.path().join("prepared");
    ok(&[
        "run",
        "--dataset",
        "msd-pancreas",
        "--root",
        text(studies.path()),
        "--out",
        text(&prepared),
        "--no-audit",
    ]);

    // The same images as a table: file,source,patient,slice_index,answer.
    let table = work.path().join("table");
    fs_err::create_dir_all(table.join("images")).unwrap();
    let mut csv = "file,source,patient,slice_index,answer\n".to_owned();
    let index = fs_err::read_to_string(prepared.join("index.jsonl")).unwrap();
    for record in index.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()) {
        let Some(image) = record["image"].as_str() else { continue };
        let name = image.rsplit('/').next().unwrap();
        fs_err::copy(prepared.join(image), table.join("images").join(name)).unwrap();
        let answer = if record["organs"]["tumor"]["pixels"] == 0 { "no" } else { "yes" };
        let patient = record["patient"].as_str().unwrap();
        csv.push_str(&format!("{name},MSD,{patient},{},{answer}\n", record["slice_index"]));
    }
    fs_err::write(table.join("labels.csv"), csv).unwrap();
    let out = work.path().join("out");
    let run = ["run", "--dataset", "pancreas-crops", "--root", text(&table), "--out", text(&out), "--json"];
    let summary = json(&ok(&run));
    assert_eq!(summary["counts"]["patients"], 6);
    assert_eq!(summary["audit"]["errors"], 0);
    assert!(summary["tasks"]["tumor_classification"]["test"].as_u64().unwrap() > 0);
    ok(&["audit", text(&out), "--no-probe"]);
    ok(&["audit", text(&table.join("labels.csv")), "--no-probe"]);
}

#[test]
fn a_tumor_mix_has_equal_classes_from_the_same_source() {
    let studies = phantoms("msd");
    let work = TempDir::new().unwrap();
    let prepared = work.path().join("prepared");
    ok(&[
        "run",
        "--dataset",
        "msd-pancreas",
        "--root",
        text(studies.path()),
        "--out",
        text(&prepared),
        "--no-audit",
    ]);
    for crop in ["full", "ground-truth"] {
        let out = work.path().join(crop);
        let summary =
            json(&ok(&["tumor-mix", text(&prepared), "--crop", crop, "--out", text(&out), "--json"]));
        assert_eq!(summary["train_yes"], summary["train_no"]);
        assert!(summary["train_yes"].as_u64().unwrap() > 0);
        ok(&["audit", text(&out), "--no-probe"]);
    }
    // A predicted box decides what is cut out.
    let predictions = work.path().join("boxes.jsonl");
    let index = fs_err::read_to_string(work.path().join("full/index.jsonl")).unwrap();
    let mut lines = String::new();
    for record in index.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()) {
        lines.push_str(&format!(
            "{{\"volume\":{},\"slice_index\":{},\"bbox\":[10,12,29,31]}}\n",
            record["volume"], record["slice_index"]
        ));
    }
    fs_err::write(&predictions, lines).unwrap();
    let out = work.path().join("predicted");
    ok(&[
        "tumor-mix",
        text(&prepared),
        "--crop",
        "predicted",
        "--predictions",
        text(&predictions),
        "--out",
        text(&out),
    ]);
    let index = fs_err::read_to_string(out.join("index.jsonl")).unwrap();
    for record in index.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()) {
        assert_eq!((&record["width"], &record["height"]), (&20.into(), &20.into()));
        assert_eq!(record["crop"], serde_json::json!([10, 12, 29, 31]));
    }
}
