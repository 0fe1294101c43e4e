//! The real binary on a few made-up images with a table: train, stop and go on, judge, ask, folds.
//! Nothing here says how well a model learns.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const CONFIG: &str = r#"
name = "tiny"
seed = 7
[model]
base = "scratch"
seed = 3
sizes = { vision = { image_size = 32, patch_size = 8, width = 16, depth = 1, n_heads = 2, mlp_hidden = 32, norm_eps = 1e-6, ln_vision_eps = 1e-5 }, merge = 4, llama = { vocab_size = 1024, hidden_size = 16, intermediate_size = 32, n_layers = 1, n_heads = 2, n_kv_heads = 2, head_dim = 8, rms_norm_eps = 1e-5, rope_theta = 10000.0, max_positions = 256, tied_head = true, bos_token = 1, eos_token = 2 }, lora = { rank = 2, alpha = 4.0, dropout = 0.05, targets = ["q_proj", "v_proj"] } }
[data]
audit = false
[training]
batch_size = 4
steps = STEPS
learning_rate = 1e-3
validate_every = 2
trainable = "everything"
[training.augmentation]
shift = 0.05
flip = true
[stages.tumor_yes_no]
goal = { floor = 0.5 }
[evaluation]
bootstrap_draws = 20
control_samples = 8
probe_trees = 5
examples = 2
"#;
const CHECKPOINT: &str = "run/tumor_yes_no/checkpoint";
const EVALUATE: [&str; 6] = ["evaluate", "--checkpoint", CHECKPOINT, "--data", "crops", "--json"];

fn binary(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_classify-tumor"));
    command.current_dir(folder);
    command
}

/// Stdout and stderr of a run that ends with `code`.
fn check(folder: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let output = binary(folder).args(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

fn check_json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&check(folder, arguments, 0).0).unwrap()
}

/// A folder with `tiny.toml` and `crops`: 20 patients of two sources, 3 images each.
fn workplace(steps: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("tiny.toml"), CONFIG.replace("STEPS", &steps.to_string())).unwrap();
    let images = folder.path().join("crops/images");
    fs_err::create_dir_all(&images).unwrap();
    let mut table = "file,source,patient,slice_index,answer\n".to_owned();
    for patient in 0..20_u32 {
        let (source, answer) = if patient % 2 == 0 { ("MSD", "yes") } else { ("NIH", "no") };
        for slice in 0..3 {
            let name = format!("p{patient}_{slice}.png");
            let (width, height) = (20 + patient, 30 + slice);
            let gray = u8::try_from(60 + 5 * patient + slice).unwrap();
            let file = fs_err::File::create(images.join(&name)).unwrap();
            let mut encoder = png::Encoder::new(file, width, height);
            encoder.set_color(png::ColorType::Grayscale);
            let pixels = vec![gray; (width * height) as usize];
            encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
            writeln!(table, "{name},{source},p{patient},{slice},{answer}").unwrap();
        }
    }
    fs_err::write(folder.path().join("crops/labels.csv"), table).unwrap();
    folder
}

#[test]
fn every_command_shows_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["train", "evaluate", "predict", "cross-validate"] {
        let (help, _) = check(folder.path(), &[command, "--help"], 0);
        assert!(help.contains(&format!("classify-tumor {command} --")), "{help}");
        check(folder.path(), &[command], 2);
    }
}

#[test]
fn images_with_a_table_are_learned_judged_and_asked_about() {
    let folder = workplace(4);
    let at = folder.path();
    let arguments = ["train", "--config", "tiny.toml", "--data", "crops", "--out", "run", "--device", "cpu"];
    let (_, stderr) = check(at, &arguments, 0);
    assert!(stderr.contains("checkpoint: run/tumor_yes_no/checkpoint"), "{stderr}");

    let scores = check_json(at, &EVALUATE);
    assert_eq!((&scores["n"], &scores["n_unparsed"]), (&12.into(), &0.into()), "a fifth of the patients");
    for name in ["accuracy", "precision", "recall", "f1", "auroc", "probe_accuracy", "probe_auroc"] {
        let value = scores[name].as_f64().unwrap_or(f64::NAN);
        assert!((0.0..=1.0).contains(&value), "{name}: {scores}");
    }
    for control in ["own_images", "blanked", "shuffled"] {
        assert!(scores["controls"][control]["accuracy"].is_number(), "{control}");
    }
    assert!(scores["ci95"]["accuracy"].is_array(), "{scores}");
    assert!(scores["note"].as_str().unwrap().contains("not for diagnosis"));
    // The run's own split judges the same patients.
    let split = ["--split-file", "run/splits/split-1.json"];
    assert_eq!(check_json(at, &[&EVALUATE[..], &split].concat()), scores);

    let printed = check_json(at, &["predict", "--checkpoint", CHECKPOINT, "--json", "crops/images/p3_0.png"]);
    let prediction = &printed["predictions"][0];
    assert!(prediction["answer"].is_boolean() && prediction["probability"].is_number(), "{printed}");
    let (text, _) = check(at, &["predict", "--checkpoint", CHECKPOINT, "crops/images/p3_0.png"], 0);
    assert!(text.contains("\tyes\t") || text.contains("\tno\t"), "{text}");
}

#[test]
fn folds_judge_each_patient_once() {
    let folder = workplace(2);
    let arguments = ["cross-validate", "--config", "tiny.toml", "--data", "crops", "--out", "folds"];
    let more = ["--folds", "2", "--device", "cpu", "--json"];
    let printed = check_json(folder.path(), &[&arguments[..], &more].concat());
    assert_eq!(printed["folds"].as_array().unwrap().len(), 2);
    assert_eq!(printed["pooled"]["n"], 60);
    assert!(printed["accuracy_mean"].is_number() && printed["accuracy_ci95"].is_array(), "{printed}");
    assert!(printed["probe_accuracy_mean"].is_number());
    assert!(printed["note"].as_str().unwrap().contains("not for diagnosis"));
    let (_, stderr) = check(folder.path(), &[&arguments[..], &["--folds", "1"]].concat(), 1);
    assert!(stderr.contains("folds") && stderr.contains('1'), "{stderr}");
    let (_, stderr) = check(folder.path(), &["cross-validate", "--config", "tiny.toml", "--out", "x"], 1);
    assert!(stderr.contains("tiny.toml") && stderr.contains("--data"), "{stderr}");
}

/// The step lines of the training's log.
fn log(run: &Path) -> String {
    fs_err::read_to_string(run.join("tumor_yes_no/training/metrics.jsonl")).unwrap_or_default()
}

#[test]
#[cfg(unix)]
fn ctrl_c_saves_and_resume_ends_the_same() {
    let folder = workplace(300);
    let at = folder.path();
    let arguments =
        |out| ["train", "--config", "tiny.toml", "--data", "crops", "--out", out, "--device", "cpu"];
    let stopped = binary(at).args(arguments("run")).stderr(Stdio::piped()).spawn().unwrap();
    let patience = Instant::now();
    while log(&at.join("run")).lines().count() < 3 {
        assert!(patience.elapsed() < Duration::from_secs(60), "no step was made");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &stopped.id().to_string()]).status().unwrap().success());
    let output = stopped.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("stopping") && stderr.contains("--resume"), "{stderr}");
    assert!(!at.join(CHECKPOINT).exists());
    let n_lines = log(&at.join("run")).lines().count();

    let (_, stderr) = check(at, &[&arguments("run")[..], &["--resume"]].concat(), 0);
    assert!(stderr.contains("going on after step"), "{stderr}");
    assert!(log(&at.join("run")).lines().count() > n_lines);
    check(at, &arguments("whole"), 0);
    assert_eq!(log(&at.join("run")), log(&at.join("whole")), "the log of an uninterrupted run");
    let manifest =
        |run: &str| fs_err::read(at.join(run).join("tumor_yes_no/checkpoint/minigpt.json")).unwrap();
    assert_eq!(manifest("run"), manifest("whole"), "hashes of all weights");
}
