//! Model folders: ours, and in the layout of the published files.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod weights_fixture;

use std::path::Path;

use burn::tensor::{DType, Device};
use serde_json::{Value, json};
use vlm_model::{LoraConfig, LoraTarget, MiniGptConfig, Precision, WeightsError, discover, load_checkpoint};
use weights_fixture::*;

/// Sizes whose heads can be told from shapes: EVA's are 88 wide.
fn published_tiny() -> MiniGptConfig {
    let mut config = tiny_config();
    config.vision.width = 176;
    config.vision.n_heads = 2;
    config.lora = Some(LoraConfig {
        rank: 3,
        alpha: 16.0,
        dropout: 0.05,
        targets: vec![LoraTarget::QProj, LoraTarget::VProj],
    });
    config
}

/// The files of a published model, in f16 but for the checkpoint.
fn write_published(folder: &Path, weights: &Weights, config: &MiniGptConfig) {
    write_safetensors(&folder.join("eva_vit_g.safetensors"), &under(weights, "visual_encoder."), DType::F16);
    write_llama(&folder.join("Llama-2-7b-chat-hf"), weights, &config.llama, DType::F16, 2);
    write_safetensors(
        &folder.join("checkpoint_stage3.safetensors"),
        &checkpoint_weights(weights),
        DType::F32,
    );
}

fn layout_error(folder: &Path) -> String {
    match discover(folder) {
        Err(WeightsError::Layout { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn published_files_are_found_by_their_tensors() {
    let (folder, config) = (tempfile::tempdir().unwrap(), published_tiny());
    let weights = tiny_weights(&config, 1);
    let folder = folder.path();
    write_published(folder, &weights, &config);
    fs_err::write(folder.join("notes.txt"), "not weights").unwrap();
    let (found, files, prompt) = discover(folder).unwrap();
    assert_eq!((&found, prompt), (&config, Value::Null));
    assert!(files.checkpoint.unwrap().ends_with("checkpoint_stage3.safetensors"));
    let (model, report, _) =
        load_checkpoint(folder, Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();
    assert_eq!(report.defaulted.len(), 2, "{report}");
    let mut expected = weights.clone();
    expected.get_mut("ln_vision.weight").unwrap().1.fill(1.0);
    expected.get_mut("ln_vision.bias").unwrap().1.fill(0.0);
    assert_holds(&model, &expected);

    // `ln_vision` in a file of its own
    write_safetensors(&folder.join("ln_vision.safetensors"), &under(&weights, "ln_vision."), DType::F32);
    let (model, report, _) =
        load_checkpoint(folder, Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();
    assert!(report.defaulted.is_empty(), "{report}");
    assert_holds(&model, &weights);

    // a PEFT folder says what the shapes do not
    let lora = LoraConfig { alpha: 6.0, dropout: 0.1, ..config.lora.clone().unwrap() };
    fs_err::remove_file(folder.join("checkpoint_stage3.safetensors")).unwrap();
    write_adapter(&folder.join("adapter"), &weights, &lora);
    let (found, files, _) = discover(folder).unwrap();
    assert_eq!((found.lora, files.checkpoint), (Some(lora), None));
    let (model, ..) = load_checkpoint(folder, Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();
    assert_holds(&model, &weights);
}

#[test]
fn llama_may_lie_beside_the_other_files() {
    let (folder, config) = (tempfile::tempdir().unwrap(), published_tiny());
    let weights = tiny_weights(&config, 1);
    let folder = folder.path();
    for n_shards in [1, 3] {
        write_llama(folder, &weights, &config.llama, DType::F16, n_shards);
        write_safetensors(&folder.join("eva.safetensors"), &under(&weights, "visual_encoder."), DType::F16);
        write_safetensors(&folder.join("trained.safetensors"), &checkpoint_weights(&weights), DType::F32);
        assert_eq!(discover(folder).unwrap().0, config);
        load_checkpoint(folder, Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();
    }
}

/// SPEC 3.2, 3.3: 40 blocks at 224 px in the file, 39 at 448 px in the model.
#[test]
fn the_published_sizes_are_the_models() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut in_file = published_tiny();
    (in_file.vision.image_size, in_file.vision.depth, in_file.merge) = (224, 40, 4);
    in_file.vision.mlp_hidden = 3;
    write_published(folder, &tiny_weights(&in_file, 1), &in_file);
    let (config, ..) = discover(folder).unwrap();
    assert_eq!((config.vision.image_size, config.vision.depth, config.merge), (448, 39, 4));
    let (model, report, _) =
        load_checkpoint(folder, Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();
    assert_eq!(report.resized, ["visual_encoder.pos_embed"]);
    assert_eq!(report.ignored.len(), 13, "{report}");
    assert_eq!(model.vision_tower.pos_embed.dims(), [1, 1025, 176]);
    assert_eq!(model.vision_tower.blocks.len(), 39);
}

#[test]
fn what_is_missing_or_doubled_is_named() {
    let (temporary, config) = (tempfile::tempdir().unwrap(), published_tiny());
    let weights = tiny_weights(&config, 1);
    let folder = temporary.path();
    assert!(layout_error(folder).contains("no LLaMA folder"));
    write_llama(&folder.join("llama"), &weights, &config.llama, DType::F16, 1);
    assert!(layout_error(folder).contains("no image encoder"));
    let eva = under(&weights, "visual_encoder.");
    write_safetensors(&folder.join("eva.safetensors"), &eva, DType::F16);
    assert!(layout_error(folder).contains("no projector"));
    write_safetensors(&folder.join("a.safetensors"), &only(&weights, is_projector), DType::F32);
    assert!(matches!(discover(folder), Err(WeightsError::NoAdapters { .. })));
    write_safetensors(&folder.join("a.safetensors"), &checkpoint_weights(&weights), DType::F32);
    discover(folder).unwrap();
    write_safetensors(&folder.join("b.safetensors"), &checkpoint_weights(&weights), DType::F32);
    let reason = layout_error(folder);
    assert!(reason.contains("a.safetensors") && reason.contains("b.safetensors"), "{reason}");
    fs_err::remove_file(folder.join("b.safetensors")).unwrap();
    write_llama(&folder.join("llama2"), &weights, &config.llama, DType::F16, 1);
    assert!(layout_error(folder).contains("LLaMA folder"));
    fs_err::remove_dir_all(folder.join("llama2")).unwrap();

    let change = |name: &str, shape: Vec<usize>| {
        let mut eva = eva.clone();
        let n = shape.iter().product();
        eva.insert(name.to_owned(), (shape, vec![0.0; n]));
        write_safetensors(&folder.join("eva.safetensors"), &eva, DType::F16);
    };
    for (name, shape, expected) in [
        ("pos_embed", vec![1, 6, 176], "square grid"),
        ("pos_embed", vec![1, 0, 176], "square grid"),
        ("pos_embed", vec![1, 5, 175], "square grid"),
        ("pos_embed", vec![5, 176], "3 axes"),
        ("patch_embed.proj.weight", vec![0, 3, 14, 14], "square grid"),
        ("patch_embed.proj.weight", vec![176, 3, 0, 0], "square grid"),
    ] {
        change(name, shape);
        let reason = layout_error(folder);
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    // heads that no shape tells
    let narrow = MiniGptConfig { vision: tiny_config().vision, ..config };
    let weights = tiny_weights(&narrow, 1);
    write_published(folder, &weights, &narrow);
    for name in ["eva.safetensors", "a.safetensors"] {
        fs_err::remove_file(folder.join(name)).unwrap();
    }
    fs_err::remove_dir_all(folder.join("llama")).unwrap();
    assert!(layout_error(folder).contains("minigpt.json"));
}

/// Our own folder: parts and `minigpt.json`.
fn write_ours(folder: &Path, weights: &Weights, config: &MiniGptConfig) -> Value {
    let mut tower = under(weights, "visual_encoder.");
    tower.extend(only(weights, |name| name.starts_with("ln_vision.")));
    write_safetensors(&folder.join("vision_tower.safetensors"), &tower, DType::F32);
    write_llama(&folder.join("llama"), weights, &config.llama, DType::F32, 1);
    write_adapter(&folder.join("adapter"), weights, config.lora.as_ref().unwrap());
    let manifest = json!({"format": "minigpt-pancreas-1", "config": config,
        "files": {"vision_tower": "vision_tower.safetensors", "language_model": "llama", "adapter": "adapter"},
        "prompt": {"boxes": "percent"}, "weights_sha256": {}});
    fs_err::write(folder.join("minigpt.json"), manifest.to_string()).unwrap();
    manifest
}

#[test]
fn our_folder_is_read_as_it_says() {
    let (temporary, config) = (tempfile::tempdir().unwrap(), tiny_config());
    let weights = tiny_weights(&config, 2);
    let folder = temporary.path();
    let manifest = write_ours(folder, &weights, &config);
    let (model, report, prompt) =
        load_checkpoint(folder, Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();
    assert_holds(&model, &weights);
    assert_eq!((model.config(), prompt), (&config, json!({"boxes": "percent"})));
    assert!(report.is_complete() && report.defaulted.is_empty() && report.ignored.is_empty(), "{report}");

    // a base that is not copied
    let base = tempfile::tempdir().unwrap();
    fs_err::rename(folder.join("llama"), base.path().join("llama")).unwrap();
    let rewrite = |pointer: &str, value: Value| {
        let mut manifest = manifest.clone();
        *manifest.pointer_mut(pointer).unwrap() = value;
        fs_err::write(folder.join("minigpt.json"), manifest.to_string()).unwrap();
    };
    assert!(layout_error(folder).contains("`llama` is not there"));
    rewrite("/files/language_model", base.path().join("llama").to_str().unwrap().into());
    load_checkpoint(folder, Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();

    rewrite("/files/language_model", "../no-such-base/llama".into());
    assert!(layout_error(folder).contains("not there"), "beside the folder is allowed");
    for path in ["../../llama", "../x/../../llama", "llama/../../x", "", ".", ".."] {
        rewrite("/files/language_model", path.into());
        assert!(layout_error(folder).contains("not inside"), "{path}");
    }
    rewrite("/format", "minigpt-pancreas-9".into());
    assert!(matches!(discover(folder), Err(WeightsError::Setting { field: "format", .. })));
    rewrite("/config/vision/width", 7.into());
    assert!(matches!(discover(folder), Err(WeightsError::Config { .. })));
    rewrite("/config/vision/width", (-1).into());
    assert!(matches!(discover(folder), Err(WeightsError::Json { .. })));
    rewrite("/files/vision_tower", "missing.safetensors".into());
    assert!(layout_error(folder).contains("not there"));
    assert!(matches!(discover(&folder.join("nowhere")), Err(WeightsError::Io { .. })));
}
