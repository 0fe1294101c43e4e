//! The real binary: a whole run on a few tiny phantoms, plans, errors. Nothing here says how well a
//! model learns.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::path::Path;
use std::process::{Command, Output};

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
patients = 30
matrix = 64
slices = [24, 24]
seed = 5
[[data.phantoms]]
layout = "abd"
patients = 5
matrix = 64
slices = [24, 24]
seed = 5
[training]
batch_size = 4
steps = 4
learning_rate = 1e-3
validate_every = 2
[stages.pancreas_box]
goal = { floor = 0.0, goal = 1.0 }
[stages.tumor_yes_no]
[stages.tumor_box]
[stages.organs]
[evaluation]
bootstrap_draws = 20
control_samples = 8
validation_samples = 4
probe_trees = 5
examples = 2
"#;

/// Patients, slices and steps that take seconds.
const RECIPE: &str = r#"
model_seed = 1
phantoms = [{ seed = 1, patients = 1, matrix = 48, slices = [24, 24] }]
held_out = { seed = 2, patients = 1, matrix = 48, slices = [24, 24] }
tower = { seed = 1, steps = 2, batch_size = 2, rate = 1e-3, warmup_steps = 1, report_every = 1, score_every = 2 }
language = { seed = 1, steps = 2, batch_size = 2, rate = 1e-3, warmup_steps = 1, yes_no_share = 0.5, report_every = 1 }
"#;

fn run_cascade(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_run-cascade")).current_dir(folder).args(arguments).output().unwrap()
}

/// Stdout and stderr of a run that ends with `code`.
fn check(folder: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let output = run_cascade(folder, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A folder of this repository.
fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn help_has_examples_and_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let (help, _) = check(folder.path(), &["--help"], 0);
    for expected in ["Exit codes:", "130", "not for diagnosis", "run-cascade --config", "out/quickstart"] {
        assert!(help.contains(expected), "{expected}: {help}");
    }
    let (help, _) = check(folder.path(), &["pretrain", "--help"], 0);
    assert!(help.contains("run-cascade pretrain --out"), "{help}");
    check(folder.path(), &["--resume", "pretrain", "--out", "x"], 2);
    check(folder.path(), &["--dry-run", "--resume"], 2);
    check(folder.path(), &["--device", "tpu"], 2);
}

#[test]
fn a_run_prints_its_table_and_its_json() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs_err::write(at.join("tiny.toml"), CONFIG).unwrap();
    let arguments = ["--config", "tiny.toml", "--device", "cpu", "--json"];
    let (stdout, stderr) = check(at, &arguments, 0);
    let printed = json(&stdout);
    assert!(printed["note"].as_str().unwrap().contains("not for diagnosis"));
    assert_eq!(printed["report"], "out/tiny/report.html");
    assert!(at.join("out/tiny/report.html").is_file());
    let stages = printed["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 4);
    for stage in stages {
        let name = stage["stage"].as_str().unwrap();
        let checkpoint = at.join(stage["checkpoint"].as_str().unwrap());
        assert!(checkpoint.join("minigpt.json").is_file(), "{name}");
        let evaluation = &stage["evaluation"];
        assert!(evaluation["n"].as_u64().unwrap() > 0, "{name}");
        let score = evaluation[stage["score_name"].as_str().unwrap()].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score) && stage["score"].is_number(), "{name}: {stage}");
        for control in ["own_images", "blanked", "shuffled"] {
            assert!(evaluation["controls"][control]["n"].is_number(), "{name}: {control}");
        }
        assert!(!evaluation["paper"].as_array().unwrap().is_empty(), "{name}");
    }
    assert_eq!((&stages[0]["is_above_floor"], &stages[0]["is_goal_met"]), (&true.into(), &false.into()));
    for expected in
        ["95 % interval", "floor", "goal", "blanked", "shuffled", "paper", "Pancreas box", "report: "]
    {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    assert!(stderr.trim_end().ends_with("not for diagnosis"), "{stderr}");

    // A run is not written over, and going on with a finished one says the same.
    let (stdout, stderr) = check(at, &arguments, 1);
    assert!(stdout.is_empty() && stderr.contains("out/tiny") && stderr.contains("--resume"), "{stderr}");
    let (stdout, _) = check(at, &[&arguments[..], &["--resume"]].concat(), 0);
    assert_eq!(json(&stdout), printed);
    fs_err::write(at.join("tiny.toml"), CONFIG.replace("steps = 4", "steps = 5")).unwrap();
    let (_, stderr) = check(at, &[&arguments[..], &["--resume"]].concat(), 1);
    assert!(stderr.contains("differs"), "{stderr}");
}

#[test]
fn what_cannot_be_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs_err::write(at.join("colour.toml"), format!("colour = 1\n{CONFIG}")).unwrap();
    fs_err::write(at.join("batch.toml"), CONFIG.replace("batch_size = 4", "batch_size = 0")).unwrap();
    let rows: [(&[&str], &[&str]); 4] = [
        (&["--config", "missing.toml"], &["missing.toml"]),
        (&["--config", "colour.toml"], &["colour.toml", "colour"]),
        (&["--config", "batch.toml"], &["batch.toml", "batch_size", "0"]),
        (&["pretrain", "--out", "base", "--recipe", "colour.toml"], &["colour.toml"]),
    ];
    for (arguments, expected) in rows {
        let (stdout, stderr) = check(at, arguments, 1);
        assert!(stdout.is_empty() && stderr.starts_with("error: "), "{stderr}");
        for text in expected {
            assert!(stderr.contains(text), "{text}: {stderr}");
        }
    }
    assert!(!at.join("out").exists(), "nothing is written");
}

#[test]
fn every_configuration_is_read_and_planned() {
    let configs = repository().join("configs");
    let mut names = Vec::new();
    for entry in fs_err::read_dir(&configs).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let config = cascade::CascadeConfig::read(&path).unwrap();
        assert_eq!(config.name, name);
        names.push(name.clone());
        let file = path.to_str().unwrap();
        let arguments = ["--config", file, "--dry-run", "--flops", "1e14", "--device", "cpu"];
        let folder = tempfile::tempdir().unwrap();
        let (text, stderr) = check(folder.path(), &arguments, 0);
        assert!(text.contains("nothing is trained") && text.contains("an estimate"), "{name}: {text}");
        assert!(stderr.contains("not for diagnosis"), "{name}: {stderr}");
        let (plan, _) = check(folder.path(), &[&arguments[..], &["--json"]].concat(), 0);
        let plan = json(&plan);
        assert_eq!(plan["name"], name);
        assert_eq!(plan["stages"].as_array().unwrap().len(), config.stages.len(), "{name}");
        if name == "paper-2024" || name == "code-2025" {
            // SPEC 3.9, 4.2
            let parameters = &plan["parameters"];
            assert_eq!(
                (&parameters["lora"], &parameters["trainable"]),
                (&33_554_432.into(), &56_627_200.into())
            );
            assert_eq!(parameters["total"], 7_782_021_504_u64);
            assert!(
                text.contains("7,782,021,504") && text.contains("56,627,200") && text.contains("33,554,432")
            );
            assert!(
                plan["stages"].as_array().unwrap().iter().all(|stage| stage["steps"] == 50_000),
                "{plan}"
            );
            // Neither weights nor data are here, and the plan says so.
            assert!(stderr.contains("problem: ") && stderr.contains("models/minigpt-v2"), "{stderr}");
        }
        assert!(fs_err::read_dir(folder.path()).unwrap().next().is_none(), "nothing is written");
    }
    names.sort();
    assert_eq!(names, ["code-2025", "crops", "paper-2024", "quickstart", "recommended"]);
}

#[test]
fn the_quickstart_of_the_program_is_the_file() {
    let file = fs_err::read_to_string(repository().join("configs/quickstart.toml")).unwrap();
    assert_eq!(file, cascade::QUICKSTART, "copy crates/cascade/assets/quickstart.toml to configs");
}

#[test]
fn values_of_published_recipes_name_their_section() {
    for name in ["paper-2024", "code-2025"] {
        let path = repository().join("configs").join(format!("{name}.toml"));
        let text = fs_err::read_to_string(path).unwrap();
        let mut is_said = false;
        for line in text.lines() {
            if line.starts_with('#') {
                is_said |= line.contains("SPEC ") || line.contains("ours");
            } else if line.is_empty() || line.starts_with('[') {
                is_said &= line.starts_with("[[");
            } else {
                let is_frame = ["name = ", "base = ", "folder = "].iter().any(|key| line.starts_with(key));
                assert!(is_said || is_frame, "{name}: `{line}` has no source above it");
            }
        }
    }
}

#[test]
fn a_base_is_made_from_a_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs_err::write(at.join("recipe.toml"), RECIPE).unwrap();
    let arguments = ["pretrain", "--out", "base", "--recipe", "recipe.toml", "--device", "cpu", "--json"];
    let (stdout, stderr) = check(at, &arguments, 0);
    let printed = json(&stdout);
    assert!(printed["held_out_box_iou"]["liver"].is_number(), "{printed}");
    assert!(printed["note"].as_str().unwrap().contains("not for diagnosis"));
    assert!(at.join("base/minigpt.json").is_file());
    assert!(stderr.contains("slices to learn from") && stderr.contains("checkpoint: base"), "{stderr}");
    let (_, stderr) = check(at, &arguments, 1);
    assert!(stderr.contains("`base` exists"), "{stderr}");
}
