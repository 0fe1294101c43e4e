//! Every layout of weights gives the same model, and wrong files say what is wrong.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod weights_fixture;

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor};
use vlm_model::{
    LoadReport, LoraTarget, MiniGpt, MiniGptConfig, ModelFiles, Part, Precision, WeightsError, load,
    published_name, tensor_plan,
};
use weights_fixture::*;

const SEED: u64 = 7;

fn setup() -> (tempfile::TempDir, MiniGptConfig, Weights) {
    let config = tiny_config();
    let weights = tiny_weights(&config, SEED);
    (tempfile::tempdir().unwrap(), config, weights)
}

fn incompatible(result: Loaded) -> LoadReport {
    match result {
        Err(WeightsError::Incompatible(report)) => *report,
        Err(other) => panic!("{other}"),
        Ok((_, report)) => panic!("loaded: {report}"),
    }
}

/// Paths and shapes without initializing anything.
#[derive(Default)]
struct Walk {
    path: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Walk {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        assert!(!param.is_initialized());
        self.found.push((self.path.join("."), param.lazy_shape().to_vec()));
    }
}

#[test]
fn the_plan_is_the_model() {
    let mut tied = tiny_config();
    tied.llama.tied_head = true;
    tied.lora = None;
    let mut all_targets = tiny_config();
    all_targets.lora.as_mut().unwrap().targets = LoraTarget::ALL.to_vec();
    for config in [tiny_config(), tied, all_targets, MiniGptConfig::nano(), MiniGptConfig::minigpt_v2()] {
        let model = MiniGpt::empty(&config, Precision::Bf16, &Device::flex()).unwrap();
        let mut walk = Walk::default();
        model.visit(&mut walk);
        let plan = tensor_plan(&config);
        let planned: Vec<_> = plan.iter().map(|t| (t.path.clone(), t.shape.clone())).collect();
        assert_eq!(walk.found, planned);
        assert!(plan.iter().all(|t| published_name(&t.path).as_deref() == Some(t.published.as_str())));
    }
}

#[test]
fn separate_files_fill_the_model() {
    let (folder, config, weights) = setup();
    let files = write_all(folder.path(), &weights, &config);
    let mut calls = Vec::new();
    let progress = &mut |done, total| calls.push((done, total));
    let (model, report) = load(&files, &config, Precision::F32, &Device::flex(), progress).unwrap();
    assert_holds(&model, &weights);
    assert_eq!(report.matched.len(), weights.len());
    assert!(report.is_complete() && report.ignored.is_empty() && report.defaulted.is_empty(), "{report}");
    let n_bytes = weights.values().map(|(_, values)| 4 * values.len() as u64).sum::<u64>();
    assert_eq!(report.bytes, n_bytes);
    assert_eq!((calls.len(), *calls.last().unwrap()), (weights.len(), (n_bytes, n_bytes)));
    assert!(calls.is_sorted());
}

/// Writes everything, changes it, and expects the same model.
fn check_same(change: impl FnOnce(&Path, &Weights, &MiniGptConfig, &mut ModelFiles)) -> LoadReport {
    let (folder, config, weights) = setup();
    let mut files = write_all(folder.path(), &weights, &config);
    change(folder.path(), &weights, &config, &mut files);
    let (model, report) = load_f32(&files, &config, &Part::ALL).unwrap();
    assert_holds(&model, &weights);
    report
}

#[test]
fn all_layouts_give_the_same_model() {
    // shards and their index; f16 and bf16, exact for these values
    for (dtype, n_shards) in [(DType::F16, 1), (DType::F32, 2), (DType::BF16, 5)] {
        check_same(|folder, weights, config, _| {
            fs_err::remove_dir_all(folder.join("llama")).unwrap();
            write_llama(&folder.join("llama"), weights, &config.llama, dtype, n_shards);
        });
    }
    // the later spelling of LoRA, and torch's prefix
    for (from, to) in
        [(".lora_", ".lora_"), ("_A.weight", "_A.default.weight"), ("_B.weight", "_B.default.weight")]
    {
        check_same(|folder, weights, _, _| {
            let weights =
                renamed(&checkpoint_weights(weights), |name| format!("module.{}", name.replace(from, to)));
            write_safetensors(&folder.join("checkpoint.safetensors"), &weights, DType::F32);
        });
    }
    // a PEFT folder in place of a checkpoint
    check_same(|folder, weights, config, files| {
        write_adapter(&folder.join("adapter"), weights, config.lora.as_ref().unwrap());
        *files = ModelFiles { checkpoint: None, adapter: Some(folder.join("adapter")), ..files.clone() };
    });
    // everything in one checkpoint, as gradients are named
    check_same(|folder, weights, _, files| {
        let path = folder.join("everything.safetensors");
        write_safetensors(&path, &renamed(weights, |name| format!("module.{name}")), DType::F32);
        *files = ModelFiles { checkpoint: Some(path), ..ModelFiles::default() };
    });
    // HF's names of the image encoder, biases of queries, keys and values in one
    check_same(|folder, weights, config, files| {
        let hf = hf_vision(&under(weights, "visual_encoder."), &under(weights, "ln_vision."), config);
        write_safetensors(&folder.join("hf/model.safetensors"), &hf, DType::F32);
        *files = ModelFiles { vision_tower: Some(folder.join("hf")), ln_vision: None, ..files.clone() };
    });
    // a base checkpoint under a PEFT folder: the latter wins
    let report = check_same(|folder, weights, config, files| {
        write_adapter(&folder.join("adapter"), weights, config.lora.as_ref().unwrap());
        let other = checkpoint_weights(&tiny_weights(config, SEED + 1));
        write_safetensors(&folder.join("checkpoint.safetensors"), &other, DType::F32);
        files.adapter = Some(folder.join("adapter"));
    });
    assert_eq!(report.ignored.len(), 10, "8 factors and the projector are replaced");
    assert!(report.ignored.iter().all(|ignored| ignored.reason.contains("replaced")), "{:?}", report.ignored);
}

/// EVA's names to HF's.
fn hf_vision(eva: &Weights, ln_vision: &Weights, config: &MiniGptConfig) -> Weights {
    let width = config.vision.width;
    let mut hf = renamed(&only(eva, |name| !name.ends_with("_bias")), |name| {
        let name = match name {
            "cls_token" => "embeddings.class_embedding".to_owned(),
            "pos_embed" => "embeddings.position_embedding".to_owned(),
            _ => name.replace("patch_embed.proj", "embeddings.patch_embedding"),
        };
        name.replace("blocks.", "encoder.layers.")
            .replace(".attn.", ".self_attn.")
            .replace(".norm", ".layer_norm")
            .replace("self_attn.proj", "self_attn.projection")
    });
    for block in 0..config.vision.depth {
        let part = |name: &str| eva[&format!("blocks.{block}.attn.{name}")].1.clone();
        let joined = [part("q_bias"), vec![0.0; width], part("v_bias")].concat();
        hf.insert(format!("encoder.layers.{block}.self_attn.qkv.bias"), (vec![3 * width], joined));
    }
    hf.extend(renamed(ln_vision, |name| format!("post_layernorm.{name}")));
    hf
}

#[test]
fn named_leftovers_are_ignored() {
    let report = check_same(|folder, weights, config, _| {
        let mut eva = under(weights, "visual_encoder.");
        let last = config.vision.depth - 1;
        let block = under(&eva, &format!("blocks.{last}."));
        eva.extend(renamed(&block, |name| format!("blocks.{}.{name}", last + 1)));
        for name in ["norm.weight", "norm.bias", "head.weight", "fc_norm.bias"] {
            eva.insert(name.to_owned(), (vec![1], vec![1.0]));
        }
        write_safetensors(&folder.join("eva.safetensors"), &eva, DType::F16);
        let inv_freq = (vec![2], vec![1.0, 0.01]);
        let mut checkpoint = checkpoint_weights(weights);
        let name = "model.layers.0.self_attn.rotary_emb.inv_freq";
        checkpoint.insert(format!("{LLAMA}{name}"), inv_freq.clone());
        write_safetensors(&folder.join("checkpoint.safetensors"), &checkpoint, DType::F32);
        let mut llama = llama_weights(weights);
        llama.insert(name.to_owned(), inv_freq);
        write_safetensors(&folder.join("llama/model.safetensors"), &llama, DType::F32);
    });
    assert_eq!(report.ignored.len(), 13 + 4 + 2, "{:?}", report.ignored);
}

#[test]
fn types_are_those_that_the_model_declares() {
    let (folder, config, weights) = setup();
    let files = write_all(folder.path(), &weights, &config);
    for (precision, frozen) in
        [(Precision::F32, DType::F32), (Precision::Bf16, DType::BF16), (Precision::F16, DType::F16)]
    {
        let (model, _) = load(&files, &config, precision, &Device::flex(), &mut |_, _| {}).unwrap();
        let empty = MiniGpt::empty(&config, precision, &Device::flex()).unwrap();
        let (loaded, empty) = (parameters(&model), parameters(&empty));
        assert_eq!(loaded.len(), empty.len());
        for (name, (dtype, _, values)) in &loaded {
            assert_eq!(*dtype, empty[name].0, "{name} at {precision}");
            assert_eq!(*values, weights[name].1, "{name} at {precision}");
        }
        assert_eq!(loaded["visual_encoder.blocks.0.attn.qkv.weight"].0, frozen);
    }
}

#[test]
fn parameters_keep_their_identity() {
    #[derive(Default)]
    struct Ids(Vec<u64>);
    impl ModuleVisitor for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.id.val());
            assert!(!param.val().is_require_grad());
        }
    }
    let (folder, config, weights) = setup();
    let files = write_all(folder.path(), &weights, &config);
    let (model, _) = load_f32(&files, &config, &Part::ALL).unwrap();
    let mut ids = Ids::default();
    model.visit(&mut ids);
    let n = ids.0.len();
    ids.0.sort_unstable();
    ids.0.dedup();
    assert_eq!((n, ids.0.len()), (weights.len(), weights.len()));
}

#[test]
fn ln_vision_alone_may_be_missing() {
    let (folder, config, mut weights) = setup();
    let files = ModelFiles { ln_vision: None, ..write_all(folder.path(), &weights, &config) };
    let (model, report) = load_f32(&files, &config, &Part::ALL).unwrap();
    assert_eq!(report.defaulted, ["ln_vision.weight", "ln_vision.bias"]);
    weights.get_mut("ln_vision.weight").unwrap().1.fill(1.0);
    weights.get_mut("ln_vision.bias").unwrap().1.fill(0.0);
    assert_holds(&model, &weights);
}

#[test]
fn a_tied_head_is_not_asked_for() {
    let (folder, mut config, _) = setup();
    config.llama.tied_head = true;
    let weights = tiny_weights(&config, SEED);
    let files = write_all(folder.path(), &weights, &config);
    let (model, report) = load_f32(&files, &config, &Part::ALL).unwrap();
    assert_holds(&model, &weights);
    assert!(report.ignored.is_empty());
    // some files hold it all the same
    let mut llama = llama_weights(&weights);
    llama.insert("lm_head.weight".to_owned(), llama["model.embed_tokens.weight"].clone());
    write_safetensors(&folder.path().join("llama/model.safetensors"), &llama, DType::F32);
    let (_, report) = load_f32(&files, &config, &Part::ALL).unwrap();
    assert_eq!(report.ignored.len(), 1);
    // untied, it is missing
    config.llama.tied_head = false;
    let weights = only(&weights, |name| !name.contains("lm_head"));
    write_llama(&folder.path().join("llama"), &weights, &config.llama, DType::F32, 1);
    let report = incompatible(load_f32(&files, &config, &Part::ALL));
    assert_eq!(report.missing, [format!("{LLAMA}lm_head.weight")]);
}

#[test]
fn another_grid_is_interpolated_and_another_width_refused() {
    let (folder, config, mut weights) = setup();
    let mut small = config.clone();
    small.vision.image_size = 56;
    let files = write_all(folder.path(), &weights, &config);
    let (model, report) = load_f32(&files, &small, &Part::ALL).unwrap();
    assert_eq!(report.resized, ["visual_encoder.pos_embed"]);
    let positions = &parameters(&model)["visual_encoder.pos_embed"];
    assert_eq!(positions.1, [1, 17, 8]);
    let expected =
        vlm_model::resize_position_embedding(&weights["visual_encoder.pos_embed"].1, 8, 4).unwrap();
    assert_eq!(positions.2, expected);
    for shape in [vec![1, 6, 8], vec![1, 1, 8], vec![1, 0, 8], vec![1, 5, 4], vec![5, 8], vec![2, 5, 8]] {
        let n = shape.iter().product();
        weights.insert("visual_encoder.pos_embed".to_owned(), (shape.clone(), vec![0.0; n]));
        write_safetensors(
            &folder.path().join("eva.safetensors"),
            &under(&weights, "visual_encoder."),
            DType::F32,
        );
        let report = incompatible(load_f32(&files, &config, &Part::ALL));
        assert_eq!(report.mismatched[0].file, shape);
    }
}

#[test]
fn the_report_names_every_difference() {
    let (folder, config, weights) = setup();
    let files = write_all(folder.path(), &weights, &config);
    let mut eva = under(&weights, "visual_encoder.");
    eva.remove("blocks.1.attn.q_bias").unwrap();
    eva.insert("blocks.0.gamma_1".to_owned(), (vec![8], vec![0.0; 8]));
    write_safetensors(&folder.path().join("eva.safetensors"), &eva, DType::F32);
    let other = MiniGptConfig {
        lora: config.lora.clone().map(|lora| vlm_model::LoraConfig { rank: 5, ..lora }),
        ..config.clone()
    };
    let report = incompatible(load_f32(&files, &other, &Part::ALL));
    assert_eq!(report.missing, ["visual_encoder.blocks.1.attn.q_bias"]);
    assert_eq!(report.unknown.len(), 1);
    assert_eq!(
        (report.unknown[0].name.as_str(), report.unknown[0].file.ends_with("eva.safetensors")),
        ("blocks.0.gamma_1", true)
    );
    assert_eq!(report.mismatched.len(), 8);
    assert!(report.mismatched.iter().all(|m| m.hint.starts_with("`lora.rank` would be `3`")), "{report}");
    let text = report.to_string();
    for part in
        ["1 missing, 1 unknown, 8 of another shape", "`lora.rank` would be `3`", "blocks.0.gamma_1", "3 more"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<LoadReport>(&json).unwrap(), report);
    write_all(folder.path(), &weights, &config);
    // an adapter for maps that the model does not adapt
    let mut fewer = config.clone();
    fewer.lora.as_mut().unwrap().targets = vec![LoraTarget::QProj];
    assert_eq!(incompatible(load_f32(&files, &fewer, &Part::ALL)).unknown.len(), 4);
    // LLaMA with more layers than the model
    let mut shorter = config;
    shorter.llama.n_layers = 1;
    assert_eq!(incompatible(load_f32(&files, &shorter, &Part::ALL)).unknown.len(), 9 + 4);
}

#[test]
fn a_checkpoint_without_adapters_is_an_error() {
    let (folder, config, weights) = setup();
    let files = write_all(folder.path(), &weights, &config);
    let projector = only(&weights, is_projector);
    write_safetensors(&folder.path().join("checkpoint.safetensors"), &projector, DType::F32);
    let no_adapters = |files: &ModelFiles, config: &MiniGptConfig| match load_f32(files, config, &Part::ALL) {
        Err(error @ WeightsError::NoAdapters { .. }) => error.to_string(),
        other => panic!("{:?}", other.map(|(_, report)| report)),
    };
    assert!(no_adapters(&files, &config).contains("targets `q_proj, v_proj`"));
    // adapters, but none for the model's maps
    write_safetensors(
        &folder.path().join("checkpoint.safetensors"),
        &checkpoint_weights(&weights),
        DType::F32,
    );
    let mut other = config.clone();
    other.lora.as_mut().unwrap().targets = vec![LoraTarget::KProj];
    no_adapters(&files, &other);
    // a folder with the projector alone is for models without adapters
    write_safetensors(&folder.path().join("adapter/llama_proj.safetensors"), &projector, DType::F32);
    let files = ModelFiles { checkpoint: None, adapter: Some(folder.path().join("adapter")), ..files };
    no_adapters(&files, &config);
    let plain = MiniGptConfig { lora: None, ..config };
    let (model, _) = load_f32(&files, &plain, &Part::ALL).unwrap();
    assert_holds(&model, &only(&weights, |name| !is_lora(name)));
}

#[test]
fn parts_can_be_loaded_alone() {
    let (folder, config, weights) = setup();
    let files = write_all(folder.path(), &weights, &config);
    for (parts, n) in
        [(&[Part::VisionTower][..], 30), (&[Part::LanguageModel], 21), (&[Part::Adapters], 8), (&[], 0)]
    {
        let (model, report) = load_f32(&files, &config, parts).unwrap();
        assert_eq!((report.matched.len(), report.ignored.len()), (n, weights.len() - n), "{parts:?}");
        for (name, (_, _, values)) in parameters(&model) {
            let is_matched = report.matched.contains(&name);
            assert_eq!(values == weights[&name].1, is_matched, "{name}");
        }
    }
}

#[test]
fn peft_settings_must_be_the_models() {
    let (folder, config, weights) = setup();
    let adapter = folder.path().join("adapter");
    write_adapter(&adapter, &weights, config.lora.as_ref().unwrap());
    let files = ModelFiles {
        checkpoint: None,
        adapter: Some(adapter.clone()),
        ..write_all(folder.path(), &weights, &config)
    };
    let mut other = config.clone();
    other.lora.as_mut().unwrap().alpha = 16.0;
    match load_f32(&files, &other, &Part::ALL) {
        Err(WeightsError::Setting { field, value, .. }) => {
            assert_eq!((field, value.as_str()), ("lora_alpha", "6"))
        }
        other => panic!("{:?}", other.map(|(_, report)| report)),
    }
    fs_err::remove_file(adapter.join("adapter_model.safetensors")).unwrap();
    assert!(matches!(load_f32(&files, &config, &Part::ALL), Err(WeightsError::Layout { .. })));
}

#[test]
fn indexes_of_shards_are_checked() {
    let (folder, config, weights) = setup();
    let files = write_all(folder.path(), &weights, &config);
    let llama = folder.path().join("llama");
    fs_err::remove_dir_all(&llama).unwrap();
    write_llama(&llama, &weights, &config.llama, DType::F32, 2);
    let index = llama.join("model.safetensors.index.json");
    let good = fs_err::read_to_string(&index).unwrap();
    let second = "model-00002-of-00002.safetensors";
    load_f32(&files, &config, &Part::ALL).unwrap();
    for (text, expected) in [
        (good.replace(second, "../eva.safetensors"), "not inside"),
        (good.replace(second, "/eva.safetensors"), "not inside"),
        (good.replace(second, "a/../../eva.safetensors"), "not inside"),
        (good.replace(second, ""), "not inside"),
        (good.replace(second, "model-00003-of-00002.safetensors"), "not there"),
        (good.replace("model.norm.weight", "model.norm.bias"), "no tensor `model.norm.bias`"),
        ("{\"weight_map\":{}}".to_owned(), "no shard"),
        ("{\"weight_map\":[]}".to_owned(), "cannot parse"),
        (good[..good.len() / 2].to_owned(), "cannot parse"),
    ] {
        fs_err::write(&index, &text).unwrap();
        let error = load_f32(&files, &config, &Part::ALL).err().unwrap().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    fs_err::remove_file(&index).unwrap();
    let error = load_f32(&files, &config, &Part::ALL).err().unwrap();
    assert!(matches!(error, WeightsError::Layout { .. }), "{error}");
}

#[test]
fn quantized_weights_are_refused_by_name() {
    let (folder, config, weights) = setup();
    let files = write_all(folder.path(), &weights, &config);
    let path = folder.path().join("ln_vision.safetensors");
    let mut bytes = fs_err::read(&path).unwrap();
    // integers of the same width
    let at = bytes.windows(3).position(|window| window == b"F32").unwrap();
    bytes[at] = b'I';
    fs_err::write(&path, bytes).unwrap();
    match load_f32(&files, &config, &Part::ALL) {
        Err(WeightsError::Tensor { name, reason, .. }) => assert!(reason.contains("I32"), "{name}: {reason}"),
        other => panic!("{:?}", other.map(|(_, report)| report)),
    }
}
