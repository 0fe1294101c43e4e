//! The whole cascade on a few tiny phantoms: which files there are, that counts agree, that a
//! stopped run goes on to the same numbers. Nothing here says how well a model learns.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use cascade::{
    CascadeConfig, CascadeError, CascadeEvent, CascadeOutcome, CheckpointEvaluation, EvaluationPart,
    PredictOptions, RESEARCH_NOTE, RunOptions, Stage, StageRegion, evaluate_checkpoint, plan_run, predict,
    run_cascade,
};
use vlm_model::DeviceChoice;
use vlm_train::TrainingEvent;

/// Two blocks each and few steps; the sizes are written down so that presets may change.
const CONFIG: &str = r#"
name = "small"
seed = 7

[model]
base = "scratch"
seed = 3
sizes = { vision = { image_size = 56, patch_size = 14, width = 32, depth = 1, n_heads = 2, mlp_hidden = 64, norm_eps = 1e-6, ln_vision_eps = 1e-5 }, merge = 4, llama = { vocab_size = 1024, hidden_size = 32, intermediate_size = 64, n_layers = 2, n_heads = 2, n_kv_heads = 2, head_dim = 16, rms_norm_eps = 1e-5, rope_theta = 10000.0, max_positions = 256, tied_head = true, bos_token = 1, eos_token = 2 }, lora = { rank = 2, alpha = 4.0, dropout = 0.05, targets = ["q_proj", "v_proj"] } }

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
steps = 6
learning_rate = 1e-3
validate_every = 3
checkpoint_every = 2

[stages.pancreas_box]
goal = { floor = 0.0, goal = 1.0 }
training = { augmentation = { shift = 0.05, scale = 0.1, brightness = 0.1, views = 2 } }

[stages.tumor_yes_no]
image_fit = "letterbox"
region = { margin = 1.4 }
training = { trainable = "everything", augmentation = { flip = true, noise = 0.02 } }

[stages.tumor_box]
region = { margin = 1.5 }

[stages.organs]

[evaluation]
bootstrap_draws = 50
control_samples = 12
validation_samples = 6
probe_trees = 20
examples = 4
"#;

fn config() -> CascadeConfig {
    CascadeConfig::from_toml(CONFIG, "test").unwrap()
}

fn options(out: &Path) -> RunOptions {
    let device = DeviceChoice::Cpu;
    RunOptions { device, threads: Some(2), ..RunOptions::new(out.to_owned()) }
}

fn run(out: &Path, resume: bool) -> Result<CascadeOutcome, CascadeError> {
    let options = RunOptions { resume, ..options(out) };
    run_cascade(&config(), &options, &mut |_| {}, &AtomicBool::new(false))
}

/// One finished run for all tests.
fn finished() -> &'static (tempfile::TempDir, CascadeOutcome) {
    static RUN: OnceLock<(tempfile::TempDir, CascadeOutcome)> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let outcome = run(&folder.path().join("run"), false).unwrap();
        (folder, outcome)
    })
}

#[test]
fn a_run_leaves_all_files_and_its_counts_agree() {
    let (folder, outcome) = finished();
    let out = folder.path().join("run");
    assert_eq!(outcome.stages.iter().map(|stage| stage.record.stage).collect::<Vec<_>>(), Stage::ALL);
    for file in
        ["config.toml", "environment.json", "provenance.json", "timings.json", "report.json", "report.html"]
    {
        assert!(out.join(file).is_file(), "{file}");
    }
    assert!(out.join("data/audit.txt").is_file());
    let page = fs_err::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("not for diagnosis") && page.contains("Shuffled"));
    for stage in &outcome.stages {
        let name = stage.record.stage.name();
        let test = out.join(name).join("test");
        let mut files =
            vec!["evaluation.json", "predictions.jsonl", "figures/controls.svg", "figures/examples.svg"];
        if stage.record.stage.is_box() {
            files.extend(["truth.coco.json", "predictions.coco.json", "figures/heat_maps.svg"]);
        } else {
            files.push("reference/TC_predictions.json");
        }
        for file in files {
            assert!(test.join(file).is_file(), "{name}: {file}");
        }
        let n_lines = fs_err::read_to_string(test.join("predictions.jsonl")).unwrap().lines().count();
        assert_eq!(stage.evaluation.n(), n_lines, "{name}: all samples are counted");
        assert_eq!(stage.evaluation.n_unparsed(), 0, "grounded answers are well-formed");
        let controls = stage.evaluation.controls.as_ref().unwrap();
        assert_eq!(controls.n, n_lines.min(12), "{name}");
        assert!(stage.evaluation.probe().is_some(), "{name}");
        let record = &stage.record;
        assert_eq!(record.validation_score.is_some(), record.n_validation > 0, "{name}");
        let json: serde_json::Value =
            serde_json::from_slice(&fs_err::read(test.join("evaluation.json")).unwrap()).unwrap();
        assert_eq!(json["note"], RESEARCH_NOTE);
        assert_eq!(json["n"], n_lines);
    }
    let organs = outcome.stages[3].evaluation.boxes().unwrap();
    assert_eq!(organs.by_target.len(), 4);
    let region = |place: usize| outcome.stages[place].record.region.clone();
    let locator = PathBuf::from("../../pancreas_box/checkpoint");
    assert_eq!((region(0), region(3)), (None, None));
    assert_eq!(region(1), Some(StageRegion { margin: 1.4, locator: locator.clone() }));
    assert_eq!(region(2), Some(StageRegion { margin: 1.5, locator }));
    // Later stages start from the chosen checkpoint of the one before.
    assert_ne!(outcome.stages[1].record.start_sha256, outcome.stages[0].record.start_sha256);
    assert_eq!(outcome.stages[3].record.start_sha256, outcome.stages[0].record.start_sha256);
}

#[test]
fn a_stopped_run_goes_on_to_the_same_numbers() {
    let (folder, whole) = finished();
    let out = folder.path().join("stopped");
    let stop = AtomicBool::new(false);
    let mut n_steps = 0;
    // Stops in the second stage, between checkpoints.
    let mut observe = |event: CascadeEvent<'_>| {
        if let CascadeEvent::Training { event: TrainingEvent::StepDone { .. }, .. } = event {
            n_steps += 1;
            if n_steps == 9 {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    let error = run_cascade(&config(), &options(&out), &mut observe, &stop).unwrap_err();
    assert!(matches!(error, CascadeError::Stopped), "{error}");
    let error = run(&out, false).unwrap_err();
    assert!(matches!(error, CascadeError::RunExists { .. }), "{error}");
    let resumed = run(&out, true).unwrap();
    assert_eq!(resumed.stages.len(), whole.stages.len());
    for (resumed, whole) in resumed.stages.iter().zip(&whole.stages) {
        assert_eq!(resumed.evaluation, whole.evaluation);
        assert_eq!(resumed.record, whole.record);
        let weights = |checkpoint: &Path| fs_err::read(checkpoint.join("minigpt.json")).unwrap();
        assert_eq!(weights(&resumed.checkpoint), weights(&whole.checkpoint), "hashes of all weights");
    }
}

#[test]
fn conversations_are_learned_beside_a_stage() {
    let (folder, _) = finished();
    let prepared = folder.path().join("run/data/1-msd");
    let png = fs_err::read_dir(prepared.join("slices")).unwrap().next().unwrap().unwrap().file_name();
    let png = png.to_str().unwrap();
    let lines = format!(
        "{{\"image\": \"{png}\", \"conversations\": [{{\"from\": \"human\", \"value\": \"<image>\\n[vqa] is this a slice?\"}}, \
         {{\"from\": \"gpt\", \"value\": \"yes\"}}]}}\n\
         {{\"conversations\": [{{\"from\": \"human\", \"value\": \"where is the pancreas?\"}}, \
         {{\"from\": \"gpt\", \"value\": \"no\"}}]}}\n"
    );
    let file = folder.path().join("talk.jsonl");
    fs_err::write(&file, lines).unwrap();
    let talk = |share: f64| {
        let (file, images) = (file.display(), prepared.join("slices"));
        let table = format!(
            "\n[[stages.pancreas_box.conversations]]\nfile = \"{file}\"\nimages = \"{}\"\nshare = {share}\n",
            images.display()
        );
        CascadeConfig::from_toml(
            &CONFIG.replacen("\n[stages.tumor_yes_no]", &format!("{table}\n[stages.tumor_yes_no]"), 1),
            "test",
        )
    };
    assert!(talk(1.0).unwrap_err().to_string().contains("share"));
    let config = talk(0.5).unwrap().with_folders(&[prepared]).unwrap();
    let config = config.with_stages(&[Stage::PancreasBox]).unwrap();
    let out = folder.path().join("talked");
    run_cascade(&config, &options(&out), &mut |_| {}, &AtomicBool::new(false)).unwrap();
    let log = fs_err::read_to_string(out.join("pancreas_box/training/metrics.jsonl")).unwrap();
    let of_talk: u64 = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| line["sources"]["talk"].as_u64())
        .sum();
    assert!((1..24).contains(&of_talk), "{log}");
}

#[test]
fn another_configuration_is_refused() {
    let (folder, _) = finished();
    let options = RunOptions { resume: true, ..options(&folder.path().join("run")) };
    let other = CascadeConfig::from_toml(&CONFIG.replace("seed = 7", "seed = 8"), "test").unwrap();
    let error = run_cascade(&other, &options, &mut |_| {}, &AtomicBool::new(false)).unwrap_err();
    assert!(error.to_string().contains("seed = 8"), "{error}");
}

#[test]
fn a_checkpoint_alone_judges_as_the_run_did() {
    let (folder, outcome) = finished();
    let out = folder.path().join("run");
    for (stage, data) in [(0, "data/1-msd"), (1, "data/tumor-set"), (2, "data/1-msd")] {
        let stage = &outcome.stages[stage];
        let mut evaluation = CheckpointEvaluation::new(stage.checkpoint.clone(), out.join(data));
        evaluation.settings = config().evaluation;
        evaluation.seed = 42;
        let judged =
            evaluate_checkpoint(&evaluation, &Device::flex(), &mut |_| {}, &AtomicBool::new(false)).unwrap();
        assert_eq!((judged.n(), judged.stage), (stage.evaluation.n(), stage.record.stage));
        assert!((judged.score() - stage.evaluation.score()).abs() < 1e-9, "{}", judged.stage);
        let n_of = |part| {
            let evaluation = CheckpointEvaluation { part, ..evaluation.clone() };
            let judged =
                evaluate_checkpoint(&evaluation, &Device::flex(), &mut |_| {}, &AtomicBool::new(false));
            judged.unwrap().n()
        };
        if stage.record.n_validation > 0 {
            assert_eq!(n_of(EvaluationPart::Validation), stage.record.n_validation);
        }
        assert_eq!(n_of(EvaluationPart::Train), stage.record.n_train);
    }
}

#[test]
fn predictions_name_their_slices_and_draw_their_boxes() {
    let (folder, outcome) = finished();
    let out = folder.path().join("run");
    let study = out.join("data/studies-1-msd/imagesTr/pancreas_001.nii.gz");
    let png = fs_err::read_dir(out.join("data/1-msd/slices")).unwrap().next().unwrap().unwrap().path();
    let mut options = PredictOptions::new(outcome.stages[3].checkpoint.clone(), vec![png, study]);
    options.overlay = Some(folder.path().join("overlay"));
    let answers = predict(&options, &Device::flex(), &mut |_| {}, &AtomicBool::new(false)).unwrap();
    assert_eq!(answers.len(), 4 * (1 + 24), "four organs on a picture and a study");
    assert_eq!(answers[0].slice_index, None);
    assert_eq!(answers[4].slice_index, Some(0));
    assert_eq!(answers[99].target, "pancreas");
    assert!(answers.iter().all(|answer| answer.is_parsed && answer.note == RESEARCH_NOTE));
    assert_eq!(fs_err::read_dir(folder.path().join("overlay")).unwrap().count(), 25);
}

#[test]
fn tumors_are_answered_in_pixels_of_the_whole_slice() {
    let (folder, outcome) = finished();
    let out = folder.path().join("run");
    // As the test patients were judged: the file's own pixels, the region found anew.
    let test = fs_err::read_to_string(out.join("tumor_box/test/predictions.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        test.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let images = lines.iter().map(|line| out.join("data/1-msd").join(line["image"].as_str().unwrap()));
    let options = PredictOptions::new(outcome.stages[2].checkpoint.clone(), images.collect());
    let answers = predict(&options, &Device::flex(), &mut |_| {}, &AtomicBool::new(false)).unwrap();
    assert_eq!(answers.len(), lines.len());
    for (answer, line) in answers.iter().zip(&lines) {
        assert_eq!(answer.text, line["text"].as_str().unwrap());
        let judged: Option<[f64; 4]> = serde_json::from_value(line["box_px"].clone()).unwrap();
        assert_eq!(answer.box_px, judged);
        let [x_min, y_min, x_max, y_max] = answer.box_px.unwrap_or([0.0; 4]);
        assert!(x_min >= 0.0 && y_min >= 0.0 && x_max <= 64.0 && y_max <= 64.0);
    }
    let settings = fs_err::read_to_string(outcome.stages[2].checkpoint.join("stage.json")).unwrap();
    let broken = folder.path().join("broken");
    copy_folder(&outcome.stages[2].checkpoint, &broken);
    fs_err::write(broken.join("stage.json"), settings.replace("pancreas_box/checkpoint", "gone")).unwrap();
    let options = PredictOptions { checkpoint: broken, ..options };
    let error = predict(&options, &Device::flex(), &mut |_| {}, &AtomicBool::new(false)).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}

fn copy_folder(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs_err::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_plan_counts_without_training() {
    let plan = plan_run(&config(), &Device::flex(), None).unwrap();
    assert!(plan.is_measured && plan.flops_per_s > 1e6);
    assert_eq!(plan.stages.len(), 4);
    assert_eq!((plan.stages[0].steps, plan.stages[0].samples_drawn), (6, 24));
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
    let given = plan_run(&config(), &Device::flex(), Some(1e9)).unwrap();
    assert!(!given.is_measured && given.estimated_s > 0.0);
    let nothing = config().with_folders(&["no/such/folder".into()]).unwrap();
    let plan = plan_run(&nothing, &Device::flex(), Some(1e9)).unwrap();
    assert!(plan.problems[0].contains("no/such/folder"), "{:?}", plan.problems);
}
