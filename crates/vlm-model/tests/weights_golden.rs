//! Every golden weight file loads: no tensor missing, none unknown.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod weights_fixture;

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use vlm_model::{
    LlamaConfig, LoraConfig, LoraTarget, MiniGptConfig, ModelFiles, Part, Precision, TensorFile,
    VisionConfig, WeightsError, discover, load_checkpoint,
};
use weights_fixture::*;

/// The sizes of goldens/README.md.
fn golden_config(folder: &Path, targets: [LoraTarget; 2]) -> MiniGptConfig {
    let config = fs_err::read_to_string(folder.join("config.json")).unwrap();
    MiniGptConfig {
        vision: VisionConfig {
            image_size: 56,
            patch_size: 14,
            stem_channels: Vec::new(),
            width: 48,
            depth: 3,
            n_heads: 4,
            mlp_hidden: 210,
            ..VisionConfig::eva_vit_g_448()
        },
        merge: 4,
        llama: LlamaConfig::from_hf_json(&config).unwrap(),
        lora: Some(LoraConfig { rank: 4, alpha: 2.0, dropout: 0.0, targets: targets.to_vec() }),
    }
}

const QV: [LoraTarget; 2] = [LoraTarget::QProj, LoraTarget::VProj];
const QK: [LoraTarget; 2] = [LoraTarget::QProj, LoraTarget::KProj];

/// Tensors of a file in f32, by name.
fn values(path: &Path) -> Vec<(String, Vec<f32>)> {
    let file = TensorFile::open(path).unwrap();
    let read = |name: &str| file.read(name).unwrap().convert_dtype(DType::F32).try_into_vec().unwrap();
    file.names().map(|name| (name.to_owned(), read(name))).collect()
}

fn check(files: &ModelFiles, config: &MiniGptConfig, parts: &[Part], n: usize) -> vlm_model::MiniGpt {
    let (model, report) = load_f32(files, config, parts).unwrap();
    assert_eq!((report.matched.len(), report.missing.len(), report.unknown.len()), (n, 0, 0), "{files:?}");
    assert!(report.ignored.is_empty() && report.resized.is_empty(), "{report}");
    model
}

#[test]
fn every_golden_file_loads() {
    let Some(goldens) = goldens() else { return };
    let at = |path: &str| Some(goldens.join(path));
    let config = golden_config(&goldens.join("minigpt_v2/llama"), QV);
    let vision = [Part::VisionTower, Part::LnVision];
    let eva = ModelFiles {
        vision_tower: at("vit/eva/visual_encoder.safetensors"),
        ln_vision: at("vit/eva/ln_vision.safetensors"),
        ..ModelFiles::default()
    };
    let eva = check(&eva, &config, &vision, 45);
    for hf in ["vit/hf", "vit/hf/model.safetensors"] {
        let hf = ModelFiles { vision_tower: at(hf), ..ModelFiles::default() };
        let hf = check(&hf, &config, &vision, 45);
        assert_eq!(parameters(&eva), parameters(&hf), "the same weights in both spellings");
    }
    for llama in ["llama", "llama_gqa"] {
        let files = ModelFiles { language_model: at(llama), ..ModelFiles::default() };
        check(&files, &golden_config(&goldens.join(llama), QV), &[Part::LanguageModel], 21);
    }
    let peft =
        ModelFiles { language_model: at("llama"), adapter: at("lora_peft/adapter"), ..ModelFiles::default() };
    let peft_config = golden_config(&goldens.join("llama"), QV);
    check(&peft, &peft_config, &[Part::LanguageModel, Part::Adapters], 29);

    let composed = |checkpoint: &str| ModelFiles {
        vision_tower: at("minigpt_v2/visual_encoder.safetensors"),
        ln_vision: at("minigpt_v2/ln_vision.safetensors"),
        language_model: at("minigpt_v2/llama"),
        checkpoint: at(checkpoint),
        adapter: None,
    };
    let safetensors = check(&composed("minigpt_v2/trainable_qv.safetensors"), &config, &Part::ALL, 76);
    let pth = check(&composed("minigpt_v2/checkpoint_qv.pth"), &config, &Part::ALL, 76);
    assert_eq!(parameters(&safetensors), parameters(&pth), "the training checkpoint holds the same");
    check(&composed("minigpt_v2/checkpoint_qv_f16.pth"), &config, &Part::ALL, 76);
    let qk = golden_config(&goldens.join("minigpt_v2/llama"), QK);
    check(&composed("minigpt_v2/trainable_qk.safetensors"), &qk, &Part::ALL, 76);
    let wrong = incompatible(&composed("minigpt_v2/trainable_qk.safetensors"), &config);
    assert!(wrong.contains("v_proj.lora_A.weight") && wrong.contains("k_proj.lora_A.weight"), "{wrong}");
    // gradients have the names of a checkpoint of everything
    let full = ModelFiles { checkpoint: at("minigpt_v2/grads_full.safetensors"), ..ModelFiles::default() };
    check(&full, &config, &Part::ALL, 76);
}

fn incompatible(files: &ModelFiles, config: &MiniGptConfig) -> String {
    match load_f32(files, config, &Part::ALL) {
        Err(error @ WeightsError::Incompatible(_)) => error.to_string(),
        other => panic!("{:?}", other.map(|(_, report)| report)),
    }
}

#[test]
fn the_f16_checkpoint_is_the_f32_one_rounded() {
    let Some(goldens) = goldens() else { return };
    let whole = values(&goldens.join("minigpt_v2/checkpoint_qv.pth"));
    let half = values(&goldens.join("minigpt_v2/checkpoint_qv_f16.pth"));
    assert_eq!(whole.len(), 10);
    for ((name, whole), (half_name, half)) in whole.into_iter().zip(half) {
        assert_eq!(name, half_name);
        let rounded: Vec<f32> = whole.iter().map(|value| half::f16::from_f32(*value).to_f32()).collect();
        assert_eq!(rounded, half, "{name}");
    }
}

#[test]
fn wrong_golden_files_name_the_tensor() {
    let Some(goldens) = goldens() else { return };
    let at = |path: &str| Some(goldens.join(path));
    let config = golden_config(&goldens.join("minigpt_v2/llama"), QV);
    let files = ModelFiles {
        vision_tower: at("minigpt_v2/visual_encoder.safetensors"),
        language_model: at("llama_gqa"),
        checkpoint: at("minigpt_v2/checkpoint_qv.pth"),
        ..ModelFiles::default()
    };
    let text = incompatible(&files, &config);
    assert!(text.contains("self_attn.k_proj.weight") && text.contains("llama.n_kv_heads"), "{text}");
    let no_lora = ModelFiles { checkpoint: at("minigpt_v2/ln_vision.safetensors"), ..files.clone() };
    assert!(matches!(load_f32(&no_lora, &config, &Part::ALL), Err(WeightsError::NoAdapters { .. })));
    let swapped = ModelFiles { vision_tower: at("llama"), ..files };
    assert!(incompatible(&swapped, &config).contains("visual_encoder.patch_embed.proj.weight"));
}

/// A `.pth` in the published layout: HF's `config.json` tells the heads.
#[test]
fn a_published_folder_is_found() {
    let Some(goldens) = goldens() else { return };
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        let to: PathBuf = folder.path().join(to);
        fs_err::create_dir_all(to.parent().unwrap()).unwrap();
        fs_err::copy(goldens.join(from), to).unwrap();
    };
    copy("vit/hf/model.safetensors", "vit/model.safetensors");
    copy("vit/hf/config.json", "vit/config.json");
    copy("minigpt_v2/llama/model.safetensors", "llama/model.safetensors");
    copy("minigpt_v2/llama/config.json", "llama/config.json");
    copy("minigpt_v2/checkpoint_qv.pth", "checkpoint.pth");
    let (config, ..) = discover(folder.path()).unwrap();
    let mut expected = golden_config(&goldens.join("minigpt_v2/llama"), QV);
    // the file does not say alpha: the published 16
    expected.lora = Some(LoraConfig { rank: 4, ..LoraConfig::default() });
    assert_eq!(config, expected);
    let (_, report, _) =
        load_checkpoint(folder.path(), Precision::F32, &Device::flex(), &mut |_, _| {}).unwrap();
    assert_eq!(report.matched.len(), 76);
}
