//! The real binary: train on a few tiny phantoms, judge, ask, and what goes wrong. Nothing here says
//! how well a model learns.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

const CONFIG: &str = r#"
name = "tiny"
seed = 7
[model]
base = "scratch"
seed = 3
sizes = { vision = { image_size = 32, patch_size = 8, width = 16, depth = 1, n_heads = 2, mlp_hidden = 32, norm_eps = 1e-6, ln_vision_eps = 1e-5 }, merge = 4, llama = { vocab_size = 1024, hidden_size = 16, intermediate_size = 32, n_layers = 1, n_heads = 2, n_kv_heads = 2, head_dim = 8, rms_norm_eps = 1e-5, rope_theta = 10000.0, max_positions = 256, tied_head = true, bos_token = 1, eos_token = 2 }, lora = { rank = 2, alpha = 4.0, dropout = 0.05, targets = ["q_proj", "v_proj"] } }
[[data.phantoms]]
layout = "msd"
patients = 10
matrix = 48
slices = [24, 24]
seed = 5
[training]
batch_size = 4
steps = 4
learning_rate = 1e-3
validate_every = 2
[stages.pancreas_box]
[stages.tumor_box]
[evaluation]
bootstrap_draws = 20
control_samples = 8
validation_samples = 4
probe_trees = 5
examples = 2
"#;
const CHECKPOINT: &str = "run/pancreas_box/checkpoint";
const DATA: &str = "run/data/1-msd";

/// Stdout and stderr of a run that ends with `code`.
fn check(folder: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_detect-pancreas"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

fn check_json(folder: &Path, arguments: &[&str]) -> (Value, String) {
    let (stdout, stderr) = check(folder, arguments, 0);
    (serde_json::from_str(&stdout).unwrap(), stderr)
}

/// One trained stage for all tests: `tiny.toml`, and the run in `run`.
fn trained() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            fs_err::write(folder.path().join("tiny.toml"), CONFIG).unwrap();
            let arguments =
                ["train", "--config", "tiny.toml", "--out", "run", "--device", "cpu", "--threads", "2"];
            let (stdout, stderr) = check(folder.path(), &arguments, 0);
            assert!(stdout.is_empty(), "{stdout}");
            for expected in ["iou_mean", "blanked", "checkpoint: run/", "report: run/", "not for diagnosis"] {
                assert!(stderr.contains(expected), "{expected}: {stderr}");
            }
            folder
        })
        .path()
}

fn first_file(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> =
        fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().find(|path| path.is_file()).unwrap()
}

#[test]
fn every_command_shows_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let (help, _) = check(folder.path(), &["--help"], 0);
    assert!(
        help.contains("Exit codes:") && help.contains("130") && help.contains("not for diagnosis"),
        "{help}"
    );
    for command in ["train", "evaluate", "predict"] {
        let (help, _) = check(folder.path(), &[command, "--help"], 0);
        assert!(help.contains(&format!("detect-pancreas {command} --")), "{help}");
        check(folder.path(), &[command], 2);
    }
    check(folder.path(), &["cross-validate", "--help"], 2);
}

#[test]
fn training_leaves_one_stage() {
    let run = trained().join("run");
    assert!(run.join("pancreas_box/checkpoint/stage.json").is_file());
    assert!(run.join("report.html").is_file());
    assert!(!run.join("tumor_box").exists(), "the configuration's other stages do not run");
}

#[test]
fn an_evaluation_has_the_score_and_what_it_is_read_against() {
    let at = trained();
    let arguments = ["evaluate", "--checkpoint", CHECKPOINT, "--data", DATA, "--json", "--out", "judged"];
    let (scores, stderr) = check_json(at, &arguments);
    let n = scores["n"].as_u64().unwrap();
    assert!(n > 0 && scores["part"] == "test" && scores["stage"] == "pancreas_box", "{scores}");
    assert_eq!(scores["n_unparsed"], 0, "grounded answers can be read");
    let iou = scores["iou_mean"].as_f64().unwrap();
    let ci95: Vec<f64> =
        scores["iou_ci95"].as_array().unwrap().iter().map(|end| end.as_f64().unwrap()).collect();
    assert!(ci95.len() == 2 && ci95[0] <= iou && iou <= ci95[1], "{iou} {ci95:?}");
    assert!(scores["probe_iou_mean"].is_number() && scores["format_ceiling"]["iou_mean"].is_number());
    for control in ["own_images", "blanked", "shuffled"] {
        assert!(scores["controls"][control]["iou_mean"].is_number(), "{control}");
    }
    assert!(scores["note"].as_str().unwrap().contains("not for diagnosis"));
    assert!(stderr.contains("not for diagnosis") && stderr.contains("the paper: "), "{stderr}");
    for file in ["evaluation.json", "predictions.jsonl", "predictions.coco.json", "truth.coco.json"] {
        assert!(at.join("judged").join(file).is_file(), "{file}");
    }

    let arguments =
        ["evaluate", "--checkpoint", CHECKPOINT, "--data", DATA, "--json", "--control-samples", "0"];
    let (free, _) = check_json(at, &[&arguments[..], &["--decoding", "free"]].concat());
    assert_eq!(free["n"], n);
    assert_eq!(free["n_unparsed"], n, "a model that learned nothing writes no box by itself");
    let (train, _) = check_json(at, &[&arguments[..], &["--split", "train"]].concat());
    assert!(train["n"].as_u64().unwrap() > n && train["controls"].is_null(), "{train}");
}

#[test]
fn answers_about_images_and_studies() {
    let at = trained();
    let image = first_file(&at.join(DATA).join("slices"));
    let study = first_file(&at.join("run/data/studies-1-msd/imagesTr"));
    let inputs = [image.to_str().unwrap(), study.to_str().unwrap()];
    let arguments =
        [&["predict", "--checkpoint", CHECKPOINT, "--overlay", "overlay", "--json"], &inputs[..]].concat();
    let (printed, stderr) = check_json(at, &arguments);
    assert!(
        printed["stage"] == "pancreas_box" && printed["note"].as_str().unwrap().contains("not for diagnosis")
    );
    let predictions = printed["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 1 + 24, "an image, and each slice of a study");
    for prediction in predictions {
        assert!(prediction["is_parsed"] == true && prediction["probability"].is_number(), "{prediction}");
        assert!(prediction["target"] == "pancreas" && prediction["input"].is_string(), "{prediction}");
    }
    assert!(predictions[0]["slice_index"].is_null() && predictions[1]["slice_index"] == 0);
    assert_eq!(fs_err::read_dir(at.join("overlay")).unwrap().count(), 25);
    assert!(stderr.contains("overlay"), "{stderr}");
    let (text, _) = check(at, &["predict", "--checkpoint", CHECKPOINT, inputs[0]], 0);
    let line: Vec<&str> = text.trim_end().split('\t').collect();
    assert!(line.len() == 5 && line[0] == inputs[0] && line[2] == "pancreas", "{text}");
}

#[test]
fn a_stage_starts_from_a_checkpoint() {
    let at = trained();
    let arguments = [
        "train",
        "--config",
        "tiny.toml",
        "--data",
        DATA,
        "--start",
        CHECKPOINT,
        "--out",
        "on",
        "--device",
        "cpu",
    ];
    check(at, &arguments, 0);
    let record = |run: &str| -> Value {
        let path = at.join(run).join("pancreas_box/checkpoint/stage.json");
        serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
    };
    assert_ne!(record("on")["start_sha256"], record("run")["start_sha256"]);
    let config = fs_err::read_to_string(at.join("on/config.toml")).unwrap();
    assert!(config.contains(CHECKPOINT) && config.contains(DATA), "{config}");
}

#[test]
fn what_goes_wrong_is_named() {
    let at = trained();
    fs_err::write(at.join("organs.toml"), "name = 'a'\nseed = 1\n[stages.organs]\n").unwrap();
    fs_err::write(at.join("text.png"), "no image").unwrap();
    let rows: [(&[&str], &[&str]); 8] = [
        (&["train", "--config", "no.toml", "--out", "x"], &["no.toml"]),
        (&["train", "--config", "organs.toml", "--out", "x"], &["organs.toml", "pancreas_box"]),
        (&["train", "--config", "tiny.toml", "--data", "nowhere", "--out", "x"], &["nowhere"]),
        (&["train", "--config", "tiny.toml", "--out", "run"], &["run", "--resume"]),
        (&["evaluate", "--checkpoint", "nowhere", "--data", DATA], &["nowhere"]),
        (&["evaluate", "--checkpoint", CHECKPOINT, "--data", "nowhere"], &["nowhere"]),
        (&["predict", "--checkpoint", CHECKPOINT, "text.png"], &["text.png"]),
        (&["predict", "--checkpoint", CHECKPOINT, "nowhere.nii.gz"], &["nowhere.nii.gz"]),
    ];
    for (arguments, expected) in rows {
        let (stdout, stderr) = check(at, arguments, 1);
        assert!(stdout.is_empty(), "{arguments:?}: {stdout}");
        assert!(stderr.contains("error: "), "{arguments:?}: {stderr}");
        for text in expected {
            assert!(stderr.contains(text), "{arguments:?}: {text}: {stderr}");
        }
    }
    check(at, &["evaluate", "--checkpoint", CHECKPOINT, "--data", DATA, "--split", "all"], 2);
}

/// The checkpoints that come with the program, without a folder of one's own: they open, point to
/// the base beside them, and answer in form. How well they answer is what the quickstart measures.
#[test]
fn the_small_model_of_the_program_answers() {
    let folder = tempfile::tempdir().unwrap();
    let slices = trained().join(DATA).join("slices");
    let slice = fs_err::read_dir(slices).unwrap().next().unwrap().unwrap().path();
    fs_err::copy(slice, folder.path().join("slice.png")).unwrap();
    let arguments = ["predict", "slice.png", "--json", "--device", "cpu"];
    let (printed, stderr) = check_json(folder.path(), &arguments);
    let prediction = &printed["predictions"][0];
    assert_eq!(prediction["target"], "pancreas");
    assert_eq!(prediction["is_parsed"], true);
    let edges: Vec<f64> =
        prediction["box_px"].as_array().unwrap().iter().map(|e| e.as_f64().unwrap()).collect();
    assert!(edges.iter().all(|edge| (0.0..=48.0).contains(edge)), "{edges:?}");
    assert!(stderr.contains("not for diagnosis"), "{stderr}");
    for stage in cascade::Stage::ALL {
        let checkpoint = cascade::write_embedded_stage(stage, folder.path()).unwrap();
        assert_eq!(cascade::StageRecord::read(&checkpoint).unwrap().stage, stage);
    }
}
