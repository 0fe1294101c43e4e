//! What is written is read again as it was, and nothing half-written is left.

#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vlm_model::{
    CheckpointOptions, ExportError, LlamaConfig, LoraConfig, LoraTarget, MiniGpt, MiniGptConfig, ModelFiles,
    Part, Precision, VisionConfig, init_checkpoint, initialized_model, load, load_checkpoint, load_parts,
    vision_fingerprint, write_adapter_folder, write_checkpoint, write_llama_folder, write_vision_tower,
};

fn small() -> MiniGptConfig {
    MiniGptConfig {
        vision: VisionConfig { width: 24, depth: 2, n_heads: 2, mlp_hidden: 40, ..VisionConfig::nano() },
        merge: 4,
        llama: LlamaConfig {
            vocab_size: 96,
            hidden_size: 32,
            intermediate_size: 48,
            n_layers: 3,
            n_heads: 4,
            n_kv_heads: 2,
            head_dim: 8,
            max_positions: 64,
            tied_head: false,
            ..LlamaConfig::nano()
        },
        lora: Some(LoraConfig { rank: 4, alpha: 2.5, ..LoraConfig::default() }),
    }
}

#[derive(Default)]
struct Weights {
    path: Vec<String>,
    found: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.insert(self.path.join("."), param.val().into_data());
    }
}

fn weights(model: &MiniGpt) -> BTreeMap<String, TensorData> {
    let mut visitor = Weights::default();
    model.visit(&mut visitor);
    visitor.found
}

#[track_caller]
fn assert_same(left: &MiniGpt, right: &MiniGpt) {
    let (left, right) = (weights(left), weights(right));
    assert!(left.keys().eq(right.keys()), "names");
    for (name, data) in &left {
        assert!(*data == right[name], "{name}");
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let inner = files(&entry.path());
            found.extend(inner.into_iter().map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            found.insert(name, fs_err::read(entry.path()).unwrap());
        }
    }
    found
}

fn open(folder: &Path, precision: Precision) -> (MiniGpt, Value) {
    let (model, report, prompt) =
        load_checkpoint(folder, precision, &Device::flex(), &mut |_, _| {}).unwrap();
    assert!(report.is_complete() && report.ignored.is_empty() && report.defaulted.is_empty(), "{report}");
    (model, prompt)
}

fn sharded() -> CheckpointOptions {
    CheckpointOptions { max_shard_bytes: 20_000, ..CheckpointOptions::default() }
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let tied = MiniGptConfig { llama: LlamaConfig { tied_head: true, ..small().llama }, ..small() };
    let every_map = MiniGptConfig {
        lora: Some(LoraConfig { targets: LoraTarget::ALL.to_vec(), ..small().lora.unwrap() }),
        ..small()
    };
    for (config, precision, options) in [
        (small(), Precision::F32, CheckpointOptions::default()),
        (small(), Precision::F16, sharded()),
        (small(), Precision::Bf16, sharded()),
        (MiniGptConfig { lora: None, ..small() }, Precision::F32, sharded()),
        (tied, Precision::F32, CheckpointOptions::default()),
        (every_map, Precision::F32, CheckpointOptions::default()),
    ] {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("model");
        let prompt = json!({ "boxes": "percent", "nested": [1, 2.5, null] });
        let model = initialized_model(&config, 3, precision, &Device::flex()).unwrap();
        let manifest = write_checkpoint(&model, &folder, &prompt, &options).unwrap();
        let (read, read_prompt) = open(&folder, precision);
        assert_eq!((read.config(), read_prompt), (&config, prompt.clone()));
        assert_same(&read, &model);
        let written = files(&folder);
        let n_shards = written.keys().filter(|name| name.starts_with("llama/model-")).count();
        assert_eq!(n_shards > 1, options == sharded(), "{n_shards} shards");
        // every file but the manifest has its hash in it
        assert_eq!(manifest.weights_sha256.len() + 1, written.len());
        for (name, hash) in &manifest.weights_sha256 {
            let digest: String =
                Sha256::digest(&written[name]).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(*hash, digest, "{name}");
        }
        assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 1, "nothing beside it");

        // without a model: the same bytes
        let direct = root.path().join("direct");
        init_checkpoint(&config, 3, precision, &direct, &prompt, &options).unwrap();
        assert!(files(&direct) == written, "{:?}", files(&direct).keys());
    }
}

#[test]
fn what_is_there_is_kept_unless_told_otherwise() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("model");
    let (config, options) = (small(), CheckpointOptions::default());
    let write = |seed, options: &CheckpointOptions| {
        init_checkpoint(&config, seed, Precision::F32, &folder, &Value::Null, options).map(|_| files(&folder))
    };
    let first = write(1, &options).unwrap();
    assert!(matches!(write(2, &options), Err(ExportError::NotEmpty { .. })));
    let gone = CheckpointOptions {
        overwrite: true,
        language_model: Some(root.path().join("gone")),
        ..CheckpointOptions::default()
    };
    assert!(matches!(write(2, &gone), Err(ExportError::Io { .. })));
    assert!(files(&folder) == first, "a failure changes nothing");
    let second = write(2, &CheckpointOptions { overwrite: true, ..options }).unwrap();
    assert!(second.keys().eq(first.keys()) && second != first);
    assert_eq!(fs_err::read_dir(root.path()).unwrap().count(), 1, "nothing beside it");
}

#[test]
fn frozen_parts_can_be_named_instead_of_copied() {
    let root = tempfile::tempdir().unwrap();
    let (base, tuned) = (root.path().join("base"), root.path().join("tuned"));
    let mut model = initialized_model(&small(), 5, Precision::F32, &Device::flex()).unwrap();
    write_checkpoint(&model, &base, &Value::Null, &sharded()).unwrap();
    let options = CheckpointOptions {
        vision_tower: Some(base.join("vision_tower.safetensors")),
        language_model: Some(base.join("llama")),
        ..CheckpointOptions::default()
    };
    model.ln_vision.gamma = model.ln_vision.gamma.map(|gamma| gamma * 2.0);
    let manifest = write_checkpoint(&model, &tuned, &Value::Null, &options).unwrap();
    // Beside each other, both can be moved; elsewhere, the base stays where it is.
    assert_eq!(manifest.files.language_model.unwrap(), Path::new("../base/llama"));
    let apart = root.path().join("far").join("tuned");
    let manifest = write_checkpoint(&model, &apart, &Value::Null, &options).unwrap();
    assert!(manifest.files.language_model.unwrap().is_absolute());
    let names: Vec<String> = files(&tuned).into_keys().collect();
    assert_eq!(
        names,
        [
            "adapter/adapter_config.json",
            "adapter/adapter_model.safetensors",
            "adapter/llama_proj.safetensors",
            "ln_vision.safetensors",
            "minigpt.json",
        ]
    );
    let (read, report, _) = load_checkpoint(&tuned, Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();
    assert_same(&read, &model);
    let ignored: Vec<&str> = report.ignored.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(ignored, ["ln_vision.bias", "ln_vision.weight"], "the named tower's are replaced by ours");
}

#[test]
fn parts_are_written_alone() {
    let root = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let mut model = initialized_model(&small(), 7, Precision::F32, &device).unwrap();
    for layer in &mut model.language_model.layers {
        let adapter = layer.self_attn.q_proj.adapter.as_mut().unwrap();
        let ones = Tensor::ones(adapter.b.dims(), &device);
        adapter.b = Param::initialized(adapter.b.id, ones);
    }
    let (llama, adapter) = (root.path().join("llama"), root.path().join("adapter"));
    let tower = root.path().join("deep/tower.safetensors");
    match write_llama_folder(&model.language_model, &llama, 1 << 30) {
        Err(ExportError::Unmerged { path }) => {
            assert_eq!(path, "language_model.layers.0.self_attn.q_proj.adapter.a");
        }
        other => panic!("{other:?}"),
    }
    assert!(!llama.exists());
    write_vision_tower(&model, &tower).unwrap();
    write_adapter_folder(&model, &adapter, "somewhere/llama").unwrap();
    let settings: Value =
        serde_json::from_slice(&fs_err::read(adapter.join("adapter_config.json")).unwrap()).unwrap();
    for (field, expected) in [
        ("peft_type", json!("LORA")),
        ("task_type", json!("CAUSAL_LM")),
        ("base_model_name_or_path", json!("somewhere/llama")),
        ("r", json!(4)),
        ("lora_alpha", json!(2.5)),
        ("lora_dropout", json!(0.05)),
        ("target_modules", json!(["q_proj", "v_proj"])),
        ("bias", json!("none")),
        ("fan_in_fan_out", json!(false)),
        ("inference_mode", json!(true)),
    ] {
        assert_eq!(settings[field], expected, "{field}");
    }
    let merged = model.clone().merge_adapters();
    write_llama_folder(&merged.language_model, &llama, 30_000).unwrap();
    let read = |language_model, adapter, config: &MiniGptConfig, parts: &[Part]| {
        let files = ModelFiles {
            vision_tower: Some(tower.clone()),
            language_model: Some(language_model),
            adapter: Some(adapter),
            ..ModelFiles::default()
        };
        load_parts(&files, config, parts, Precision::F32, &device, &mut |_, _| {}).unwrap().0
    };
    // Any base fits: only the adapters and the projector are compared.
    let again = read(llama.clone(), adapter.clone(), &small(), &Part::ALL);
    let of_adapters = |model: &MiniGpt| {
        let trained = |name: &String| name.contains(".adapter.") || name.starts_with("projector.");
        weights(model).into_iter().filter(|(name, _)| trained(name)).collect::<BTreeMap<_, _>>()
    };
    assert!(of_adapters(&again) == of_adapters(&model));
    let plain = MiniGptConfig { lora: None, ..small() };
    let proj = root.path().join("merged-adapter");
    write_adapter_folder(&merged, &proj, "llama").unwrap();
    assert_eq!(files(&proj).into_keys().collect::<Vec<_>>(), ["llama_proj.safetensors"]);
    let files = ModelFiles {
        vision_tower: Some(tower.clone()),
        language_model: Some(llama),
        adapter: Some(proj),
        ..ModelFiles::default()
    };
    let (read, report) = load(&files, &plain, Precision::F32, &device, &mut |_, _| {}).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_same(&read, &merged);
    assert_ne!(
        weights(&merged)["language_model.layers.0.self_attn.q_proj.base.weight"],
        weights(&model)["language_model.layers.0.self_attn.q_proj.base.weight"]
    );
}

#[test]
fn a_fingerprint_tells_towers_apart() {
    let device = Device::flex();
    let build = |config: &MiniGptConfig, seed, precision| {
        vision_fingerprint(&initialized_model(config, seed, precision, &device).unwrap()).unwrap()
    };
    let first = build(&small(), 1, Precision::F32);
    assert_eq!(first, build(&small(), 1, Precision::F32));
    let plain = MiniGptConfig { lora: None, ..small() };
    assert_eq!(first, build(&plain, 1, Precision::F32), "the language model plays no part");
    let other = MiniGptConfig { merge: 2, ..small() };
    for (config, seed, precision, what) in [
        (&small(), 2, Precision::F32, "weights"),
        (&small(), 1, Precision::F16, "number type"),
        (&other, 1, Precision::F32, "merge"),
    ] {
        assert_ne!(first, build(config, seed, precision), "{what}");
    }
    let mut model = initialized_model(&small(), 1, Precision::F32, &device).unwrap();
    model.ln_vision.beta = model.ln_vision.beta.map(|beta| beta + 1.0);
    assert_ne!(first, vision_fingerprint(&model).unwrap(), "the norm after the tower");
}
