//! The real binary on a small random model and on the committed golden fixtures.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/vlm-verify/tests/fixtures");

fn model_tool(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_model-tool")).current_dir(folder).args(arguments).output().unwrap()
}

/// Stdout of a run that ends with `code`.
fn check(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = model_tool(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn check_json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&check(folder, arguments, 0)).unwrap()
}

/// What a failing run says on stderr.
fn check_error(folder: &Path, arguments: &[&str], expected: &str) {
    let output = model_tool(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains(expected), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} prints no data");
}

/// A folder with the checkpoint `nano` (seed 2) and `slice.png`, 60 x 40 px.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path(), &["init", "--preset", "nano", "--seed", "2", "--out", "nano"], 0);
    let pixels: Vec<u8> = (0..40 * 60_u32).map(|i| u8::try_from((i * i / 7) % 256).unwrap()).collect();
    let file = fs_err::File::create(folder.path().join("slice.png")).unwrap();
    let mut encoder = png::Encoder::new(file, 60, 40);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    folder
}

#[test]
fn every_command_shows_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let help = check(folder.path(), &["--help"], 0);
    assert!(help.contains("Exit codes:") && help.contains("Research use only"));
    for command in ["verify", "inspect", "init", "convert", "merge-adapter", "diff", "generate"] {
        let help = check(folder.path(), &[command, "--help"], 0);
        assert!(help.contains(&format!("model-tool {command}")), "{help}");
    }
    check(folder.path(), &["generate"], 2);
}

#[test]
fn goldens_pass_and_a_changed_one_fails() {
    let folder = tempfile::tempdir().unwrap();
    let report = check_json(folder.path(), &["verify", GOLDENS, "--device", "cpu", "--json"]);
    let cases = report["cases"].as_array().unwrap();
    assert!(cases.len() > 80 && report["passed"] == true, "{} cases", cases.len());
    for case in cases {
        assert!(case["group"].is_string() && case["name"].is_string() && case["pass"] == true, "{case}");
        assert!(case["worst"].as_f64() <= case["tolerance"].as_f64(), "{case}");
    }
    let text = check(folder.path(), &["verify", GOLDENS], 0);
    assert!(text.trim_end().ends_with("cases, 0 failed"), "{text}");

    let group = folder.path().join("llama");
    fs_err::create_dir(&group).unwrap();
    for entry in fs_err::read_dir(Path::new(GOLDENS).join("llama")).unwrap() {
        let path = entry.unwrap().path();
        fs_err::copy(&path, group.join(path.file_name().unwrap())).unwrap();
    }
    for name in ["config.json", "config.transformers5.json"] {
        let path = group.join(name);
        let Ok(text) = fs_err::read_to_string(&path) else { continue };
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["rms_norm_eps"] = 0.01.into();
        fs_err::write(&path, config.to_string()).unwrap();
    }
    let text = check(folder.path(), &["verify", "llama"], 1);
    assert!(text.contains("FAIL"), "{text}");
    check_error(folder.path(), &["verify", "nowhere"], "nowhere");
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let folder = workplace();
    let work = folder.path();
    check(work, &["init", "--preset", "nano", "--seed", "2", "--out", "again"], 0);
    check(work, &["init", "--preset", "nano", "--seed", "8", "--out", "other"], 0);
    check(work, &["diff", "nano", "again"], 0);
    let difference: Value =
        serde_json::from_str(&check(work, &["diff", "nano", "other", "--json"], 3)).unwrap();
    assert!(!difference["different"].as_array().unwrap().is_empty());
    for file in ["minigpt.json", "vision_tower.safetensors", "llama/model.safetensors"] {
        assert_eq!(
            fs_err::read(work.join("nano").join(file)).unwrap(),
            fs_err::read(work.join("again").join(file)).unwrap()
        );
    }
    check_error(work, &["init", "--preset", "nano", "--out", "nano"], "exists already");
    check_error(work, &["init", "--preset", "micro", "--out", "micro"], "micro");
    assert!(!work.join("micro").exists());
}

#[test]
fn inspect_tells_parts_and_presets() {
    let folder = workplace();
    let files = check_json(folder.path(), &["inspect", "nano", "--json"]);
    let guesses: Vec<&str> =
        files.as_array().unwrap().iter().filter_map(|file| file["guess"].as_str()).collect();
    assert_eq!(guesses.len(), 4, "{guesses:?}");
    assert!(guesses.iter().filter(|guess| guess.contains("fits preset `nano`")).count() == 3, "{guesses:?}");
    let parameters: u64 =
        files.as_array().unwrap().iter().filter_map(|file| file["n_parameters"].as_u64()).sum();
    assert_eq!(parameters, 3_762_672, "vision tower, ln_vision, projector, LLaMA and adapters of nano");
    check(folder.path(), &["inspect", "nano/adapter/llama_proj.safetensors"], 0);
    check_error(folder.path(), &["inspect", "slice.png"], "slice.png");
}

#[test]
fn conversion_merging_and_comparison() {
    let folder = workplace();
    let work = folder.path();
    check(work, &["convert", "--from", "nano", "--out", "copy"], 0);
    check(work, &["diff", "nano", "copy"], 0);
    check(work, &["convert", "--from", "nano", "--precision", "f16", "--out", "half"], 0);
    check(work, &["diff", "nano", "half"], 3);
    check(work, &["diff", "nano", "half", "--tolerance", "1e-3"], 0);
    check(work, &["convert", "--from", "nano", "--reference-base", "--out", "light"], 0);
    assert!(!work.join("light/llama").exists() && work.join("light/adapter").exists());
    check(work, &["merge-adapter", "--checkpoint", "nano", "--out", "merged"], 0);
    check_error(work, &["merge-adapter", "--checkpoint", "merged", "--out", "twice"], "has no adapters");
    // A fresh adapter changes nothing, so all four answer alike.
    let ask = |checkpoint| {
        let prompt = "[refer] give me the location of the pancreas";
        check(work, &["generate", "--checkpoint", checkpoint, "--image", "slice.png", "--prompt", prompt], 0)
    };
    let answer = ask("nano");
    assert!(!answer.trim().is_empty());
    for checkpoint in ["copy", "light", "merged"] {
        assert_eq!(ask(checkpoint), answer, "{checkpoint}");
    }
}

#[test]
fn checkpoints_share_a_base_beside_them() {
    let folder = workplace();
    let at = folder.path();
    check(at, &["convert", "--from", "nano", "--precision", "f16", "--out", "base"], 0);
    check(at, &["convert", "--from", "base", "--base", "base", "--out", "stage"], 0);
    let manifest = fs_err::read_to_string(at.join("stage/minigpt.json")).unwrap();
    assert!(manifest.contains("\"../base/llama\"") && !manifest.contains(at.to_str().unwrap()), "{manifest}");
    assert!(!at.join("stage/llama").exists() && !at.join("stage/vision_tower.safetensors").exists());
    // Both can be moved together, and open.
    fs_err::create_dir(at.join("moved")).unwrap();
    for name in ["base", "stage"] {
        fs_err::rename(at.join(name), at.join("moved").join(name)).unwrap();
    }
    check(
        at,
        &[
            "generate",
            "--checkpoint",
            "moved/stage",
            "--image",
            "slice.png",
            "--prompt",
            "[refer] liver",
            "--grounded",
        ],
        0,
    );
    check(at, &["init", "--preset", "nano", "--seed", "3", "--out", "other"], 0);
    check_error(at, &["convert", "--from", "other", "--base", "moved/base", "--out", "x"], "other weights");
    assert!(!at.join("x").exists());
}

#[test]
fn answers_are_text_streams_boxes_and_json() {
    let folder = workplace();
    let work = folder.path();
    let ask = |more: &[&str]| {
        let mut arguments = vec!["generate", "--checkpoint", "nano", "--image", "slice.png"];
        arguments.extend(["--prompt", "[refer] where is the pancreas ?", "--device", "cpu"]);
        arguments.extend(more);
        check(work, &arguments, 0)
    };
    assert_eq!(ask(&[]).trim_end(), ask(&["--stream"]).trim_end(), "streamed and whole");
    let sampled = ["--temperature", "0.9", "--seed", "3", "--max-new-tokens", "12"];
    assert_eq!(ask(&sampled), ask(&sampled), "the same seed gives the same text");

    let text = ask(&["--grounded"]);
    let numbers: Vec<u32> =
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    assert!(text.starts_with("{<") && numbers.len() == 4 && numbers.iter().all(|n| *n <= 100), "{text}");

    let response: Value = serde_json::from_str(&ask(&["--grounded", "box", "--json"])).unwrap();
    assert_eq!(response["note"], "research use only, not for diagnosis");
    assert_eq!(response["text"].as_str().unwrap(), text.trim_end());
    let left = response["box_px"][0].as_f64().unwrap();
    assert!((left - f64::from(numbers[0]) * 0.6).abs() < 1e-9, "60 px wide: {left} of {numbers:?}");
    assert_eq!(response["distributions"].as_array().unwrap().len(), 4);
    let free: Value = serde_json::from_str(&ask(&["--json"])).unwrap();
    assert!(response["n_model_steps"].as_u64().unwrap() < response["n_new_tokens"].as_u64().unwrap());
    assert!(free["n_model_steps"].as_u64().unwrap() > response["n_model_steps"].as_u64().unwrap());

    let yes_no: Value = serde_json::from_str(&ask(&["--grounded", "yes-no", "--json"])).unwrap();
    let sum: f64 = yes_no["distributions"][0]["probabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair[1].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-9 && yes_no["answer"]["yes_no"].is_boolean(), "{yes_no}");
}

#[test]
fn wrong_input_is_named() {
    let folder = workplace();
    let work = folder.path();
    fs_err::write(work.join("text.png"), "no image").unwrap();
    let ask = |checkpoint, image, expected| {
        let arguments = ["generate", "--checkpoint", checkpoint, "--image", image, "--prompt", "[refer] x"];
        check_error(work, &arguments, expected);
    };
    ask("nowhere", "slice.png", "nowhere");
    ask("nano", "nothing.png", "nothing.png");
    ask("nano", "text.png", "text.png");
    let cut = work.join("nano/llama/model.safetensors");
    let bytes = fs_err::read(&cut).unwrap();
    fs_err::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    ask("nano", "slice.png", "model.safetensors");
    let missing: PathBuf = work.join("nano/vision_tower.safetensors");
    fs_err::remove_file(missing).unwrap();
    ask("nano", "slice.png", "vision_tower.safetensors");
    let arguments = [
        "generate",
        "--checkpoint",
        "nano",
        "--image",
        "slice.png",
        "--prompt",
        "x",
        "--device",
        "cuda:4095",
    ];
    check_error(work, &arguments, "cuda:4095");
}
