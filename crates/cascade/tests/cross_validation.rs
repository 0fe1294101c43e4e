//! Cross-validation over a folder of images with a table.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use cascade::{
    CascadeConfig, CheckpointEvaluation, CrossValidationOptions, Decoding, RunOptions, Stage, cross_validate,
    evaluate_checkpoint, run_cascade,
};
use ct_slices::pixels::encode_gray;
use ndarray::Array2;
use vlm_model::DeviceChoice;

const CONFIG: &str = r#"
name = "crops"
seed = 7
[model]
base = "scratch"
sizes = { vision = { image_size = 56, patch_size = 14, width = 32, depth = 1, n_heads = 2, mlp_hidden = 64, norm_eps = 1e-6, ln_vision_eps = 1e-5 }, merge = 4, llama = { vocab_size = 1024, hidden_size = 32, intermediate_size = 64, n_layers = 2, n_heads = 2, n_kv_heads = 2, head_dim = 16, rms_norm_eps = 1e-5, rope_theta = 10000.0, max_positions = 256, tied_head = true, bos_token = 1, eos_token = 2 }, lora = { rank = 2, alpha = 4.0, dropout = 0.0, targets = ["q_proj", "v_proj"] } }
[stages.tumor_yes_no]
image_fit = "hide_size"
training = { batch_size = 4, steps = 4, trainable = "everything", validate_every = 2, learning_rate = 1e-3 }
[evaluation]
bootstrap_draws = 50
probe_trees = 10
"#;

/// 20 patients of two sources with 3 crops each; sizes differ.
fn write_images(folder: &Path) {
    fs_err::create_dir_all(folder.join("images")).unwrap();
    let mut table = "file,source,patient,slice_index,answer\n".to_owned();
    for patient in 0..20_usize {
        let (source, answer) = if patient % 2 == 0 { ("MSD", "yes") } else { ("NIH", "no") };
        for slice in 0..3_usize {
            let name = format!("p{patient}_{slice}.png");
            let value = u8::try_from(60 + 5 * patient + slice).unwrap();
            let plane = Array2::from_elem((20 + patient, 30 + slice), value);
            fs_err::write(folder.join("images").join(&name), encode_gray(plane.view()).unwrap()).unwrap();
            writeln!(table, "{name},{source},p{patient},{slice},{answer}").unwrap();
        }
    }
    fs_err::write(folder.join("labels.csv"), table).unwrap();
}

#[test]
fn every_sample_is_judged_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("crops");
    write_images(&data);
    let config = CascadeConfig::from_toml(CONFIG, "test").unwrap();
    let options = CrossValidationOptions {
        n_folds: 4,
        data: vec![data.clone()],
        out: folder.path().join("cv"),
        device: DeviceChoice::Cpu,
    };
    let stop = AtomicBool::new(false);
    let result = cross_validate(&config, &options, &mut |_| {}, &stop).unwrap();
    assert_eq!(result.folds.len(), 4);
    assert_eq!(result.pooled.n, 60);
    assert_eq!(result.folds.iter().map(|fold| fold.n).sum::<usize>(), 60);
    for fold in &result.folds {
        assert_eq!((fold.n_patients, fold.n), (5, 15));
        assert!(fold.n_validation > 0 && fold.n_train + fold.n_validation == 45);
        assert!(fold.probe_accuracy.is_some());
    }
    assert!(folder.path().join("cv/cross_validation.json").is_file());

    // The same data in a run: split here, and the split is kept.
    let seeded = CONFIG
        .replace("seed = 7", "seed = 7\ndata = { split_seed = 9, validation_share = 0.5 }")
        .replace("image_fit", "calibrate = true\nimage_fit");
    let config =
        CascadeConfig::from_toml(&seeded, "test").unwrap().with_folders(std::slice::from_ref(&data)).unwrap();
    let out = folder.path().join("run");
    let options = RunOptions { device: DeviceChoice::Cpu, ..RunOptions::new(out.clone()) };
    let outcome = run_cascade(&config, &options, &mut |_| {}, &stop).unwrap();
    assert_eq!(outcome.stages[0].record.stage, Stage::TumorYesNo);
    assert_eq!(outcome.stages[0].evaluation.n(), 12, "a fifth of the patients of each answer");
    let split = ct_slices::index::SplitFile::read(&out.join("splits/split-1.json")).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (16, 4));

    // Validation patients set the probabilities right, and answers follow them.
    assert!(outcome.stages[0].record.prompt.yes_no_scaling.is_some());
    let predictions = fs_err::read_to_string(out.join("tumor_yes_no/test/predictions.jsonl")).unwrap();
    for line in predictions.lines() {
        let prediction: cascade::Prediction = serde_json::from_str(line).unwrap();
        let yes = prediction.probability.unwrap() > 0.5;
        assert_eq!((prediction.answer, prediction.text == "yes"), (Some(yes), yes), "{line}");
    }

    // Judged again by itself: split as the checkpoint says, and with either decoding.
    let mut again = CheckpointEvaluation::new(outcome.stages[0].checkpoint.clone(), data);
    let judge = |evaluation: &CheckpointEvaluation| {
        evaluate_checkpoint(evaluation, &Device::flex(), &mut |_| {}, &stop).unwrap()
    };
    let judged = judge(&again);
    assert_eq!(judged.score(), outcome.stages[0].evaluation.score());
    assert_eq!(judged.n_unparsed(), 0);
    again.decoding = Some(Decoding::Free);
    let free = judge(&again);
    assert_eq!(free.n(), 12);
    let accuracy = free.yes_no().unwrap().scores.accuracy;
    assert!(accuracy <= 1.0 - free.n_unparsed() as f64 / 12.0, "an unread answer is wrong");
}
